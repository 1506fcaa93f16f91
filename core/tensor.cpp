// Tensor: construction, access with its checks, and the leaf's side of the tape.
#include <duet/core/tensor.hpp>

#include <algorithm>
#include <cstring>

#include <duet/core/fail.hpp>
#include <duet/core/raw.hpp>
#include <duet/core/node.hpp>
#include <duet/core/tensor_impl.hpp>

namespace duet {
namespace {

std::int64_t byte_count(const Shape& shape, Dtype dtype) {
  return checked_mul("tensor", shape.numel(), static_cast<std::int64_t>(item_size(dtype)));
}

bool strides_are_contiguous(const Shape& shape, const Shape& strides) {
  std::int64_t expected = 1;
  for (int i = shape.rank() - 1; i >= 0; --i) {
    if (shape[i] == 0) return true;
    if (shape[i] != 1 && strides[i] != expected) return false;
    expected *= shape[i];
  }
  return true;
}

template <class T>
Tensor copy_of(std::span<const T> values, const Shape& shape) {
  if (shape.numel() != static_cast<std::int64_t>(values.size()))
    fail<ShapeError>("from_span", "{} values do not fill shape {}, which has {}", values.size(), shape, shape.numel());
  Tensor tensor = Tensor::empty(shape, {.dtype = dtype_of<T>});
  if (!values.empty()) std::memcpy(raw::data<T>(tensor), values.data(), values.size_bytes());
  return tensor;
}

}  // namespace

Tensor Tensor::empty(const Shape& shape, TensorOptions options) {
  const std::int64_t bytes = byte_count(shape, options.dtype);
  auto impl = std::make_shared<TensorImpl>();
  impl->storage = Storage::make(bytes);
  impl->shape = shape;
  impl->strides = contiguous_strides(shape);
  impl->dtype = options.dtype;
  Tensor tensor(std::move(impl));
  if (options.requires_grad) tensor.set_requires_grad();
  return tensor;
}

Tensor Tensor::scalar(double value, TensorOptions options) {
  Tensor tensor = empty({}, options);
  raw::fill(tensor, value);
  return tensor;
}

Tensor Tensor::from_span(std::span<const float> values, const Shape& shape) { return copy_of(values, shape); }
Tensor Tensor::from_span(std::span<const double> values, const Shape& shape) { return copy_of(values, shape); }
Tensor Tensor::from_span(std::span<const std::int64_t> values, const Shape& shape) { return copy_of(values, shape); }
Tensor Tensor::from_span(std::span<const std::uint8_t> values, const Shape& shape) { return copy_of(values, shape); }
Tensor Tensor::from_span(std::span<const std::uint16_t> values, const Shape& shape) {
  std::vector<float> converted(values.begin(), values.end());
  return copy_of(std::span<const float>(converted), shape);
}

Tensor Tensor::wrap_raw(void* data, Dtype dtype, const Shape& shape, const Shape& strides,
                        std::shared_ptr<const void> owner, bool writable) {
  const char* op = "wrap";
  if (strides.rank() != shape.rank())
    fail<ShapeError>(op, "shape {} and strides {} differ in rank", shape, strides);
  const std::int64_t count = shape.numel();
  if (data == nullptr && count != 0) fail<ValueError>(op, "null pointer for {} elements", count);
  std::int64_t extent = count == 0 ? 0 : 1;
  for (int i = 0; i < shape.rank() && count != 0; ++i) {
    if (strides[i] < 0) fail<ValueError>(op, "negative stride in {}", strides);
    extent = checked_add(op, extent, checked_mul(op, shape[i] - 1, strides[i]));
  }
  auto impl = std::make_shared<TensorImpl>();
  impl->storage = Storage::wrap(data, checked_mul(op, extent, static_cast<std::int64_t>(item_size(dtype))),
                                std::move(owner), writable);
  impl->shape = shape;
  impl->strides = strides;
  impl->dtype = dtype;
  impl->contiguous = strides_are_contiguous(shape, strides);
  return Tensor(std::move(impl));
}

const TensorImpl& Tensor::checked() const {
  if (!impl_) fail<ValueError>("tensor", "this tensor is undefined: it was never given a value");
  return *impl_;
}

const Shape& Tensor::shape() const { return checked().shape; }
const Shape& Tensor::strides() const { return checked().strides; }
Dtype Tensor::dtype() const { return checked().dtype; }
std::int64_t Tensor::size(std::int64_t dim) const { return shape()[normalize_dim("size", dim, rank())]; }
std::int64_t Tensor::numel() const { return shape().numel(); }
std::int64_t Tensor::bytes() const { return numel() * static_cast<std::int64_t>(item_size(dtype())); }
bool Tensor::is_contiguous() const { return checked().contiguous; }

const void* Tensor::raw_data(Dtype wanted) const {
  if (dtype() != wanted)
    fail<DtypeError>("data", "tensor {} read as {}", to_string(spec_of(*this)), duet::name(wanted));
  return impl_->data();
}

const void* Tensor::raw_span(Dtype wanted) const {
  if (!is_contiguous())
    fail<ShapeError>("span", "the elements of {} with strides {} do not lie in a row: take a clone", shape(), strides());
  return raw_data(wanted);
}

void* Tensor::raw_mutable_data(Dtype wanted) {
  if (dtype() != wanted)
    fail<DtypeError>("mutable_data", "tensor {} written as {}", to_string(spec_of(*this)), duet::name(wanted));
  begin_in_place("mutable_data", *this);
  impl_->storage->expose();
  return impl_->data();
}

double Tensor::item_as_double() const {
  if (numel() != 1) fail<ShapeError>("item", "needs a tensor of one element, got {}", shape());
  return raw::dispatch_all(dtype(), [&](auto zero) { return static_cast<double>(*raw::data<decltype(zero)>(*this)); });
}

std::vector<double> Tensor::to_vector() const {
  const Tensor dense = raw::contiguous(*this);
  return raw::dispatch_all(dtype(), [&](auto zero) {
    const auto* first = raw::data<decltype(zero)>(dense);
    std::vector<double> values(static_cast<std::size_t>(numel()));
    std::transform(first, first + values.size(), values.begin(), [](auto v) { return static_cast<double>(v); });
    return values;
  });
}

std::uint64_t Tensor::version() const { return checked().storage->version(); }
bool Tensor::shares_storage_with(const Tensor& other) const { return checked().storage == other.checked().storage; }

bool Tensor::requires_grad() const { return impl_ && (impl_->requires_grad || impl_->grad_fn); }
bool Tensor::is_leaf() const { return !checked().grad_fn; }

Tensor& Tensor::set_requires_grad(bool on) {
  checked();
  if (on && !is_floating(dtype()))
    fail<DtypeError>("set_requires_grad", "{} tensors have no gradients, only f32 and f64", duet::name(dtype()));
  if (impl_->grad_fn)
    fail<AutogradError>("set_requires_grad", "this tensor was computed by {}; detach() gives a leaf",
                        impl_->grad_fn->name());
  if (on && impl_->inference)
    fail<AutogradError>("set_requires_grad", "this tensor was made in inference mode: make it outside");
  impl_->requires_grad = on;
  return *this;
}

const Tensor& Tensor::grad() const {
  static const Tensor none;
  return impl_ && impl_->leaf ? impl_->leaf->grad : none;
}

void Tensor::set_grad(const Tensor& grad) {
  checked();
  if (grad.defined() && (grad.shape() != shape() || grad.dtype() != dtype()))
    fail<AutogradError>("set_grad", "gradient {} does not fit tensor {}", to_string(spec_of(grad)), to_string(spec_of(*this)));
  if (!impl_->leaf) impl_->leaf = std::make_unique<LeafState>();
  impl_->leaf->grad = grad;
}

Tensor Tensor::detach() const { return raw::view(*this, shape(), strides()); }

TensorSpec spec_of(const Tensor& tensor) {
  if (!tensor.defined()) return {{}, f32, false};
  return {tensor.shape(), tensor.dtype(), true};
}

std::string to_string(const TensorSpec& spec) {
  return spec.defined ? fmt::format("{} {}", spec.shape, duet::name(spec.dtype)) : "undefined";
}

namespace raw {

Tensor view(const Tensor& base, const Shape& shape, const Shape& strides, std::int64_t extra_offset) {
  auto impl = std::make_shared<TensorImpl>();
  impl->storage = base.impl()->storage;
  impl->offset = base.impl()->offset + extra_offset;
  impl->shape = shape;
  impl->strides = strides;
  impl->dtype = base.impl()->dtype;
  impl->contiguous = strides_are_contiguous(shape, strides);
  return Tensor(std::move(impl));
}

void not_floating(const char* op, Dtype dtype) {
  fail<DtypeError>(op, "needs f32 or f64, got {}", duet::name(dtype));
}

}  // namespace raw
}  // namespace duet
