// Tensors from nothing.
#include <duet/core/factory.hpp>

#include <algorithm>
#include <cmath>

#include <duet/core/fail.hpp>
#include <duet/core/raw.hpp>

namespace duet {
namespace {

/// A 1-D tensor whose element i is value(i).
template <class Value>
Tensor generated(std::int64_t count, TensorOptions options, Value value) {
  Tensor tensor = Tensor::empty({count}, {.dtype = options.dtype});
  raw::dispatch_all(options.dtype, [&](auto zero) {
    using T = decltype(zero);
    T* out = raw::data<T>(tensor);
    for (std::int64_t i = 0; i < count; ++i) out[i] = static_cast<T>(value(static_cast<double>(i)));
  });
  if (options.requires_grad) tensor.set_requires_grad();
  return tensor;
}

}  // namespace

Tensor full(const Shape& shape, double value, TensorOptions options) {
  Tensor tensor = Tensor::empty(shape, {.dtype = options.dtype});
  raw::fill(tensor, value);
  if (options.requires_grad) tensor.set_requires_grad();
  return tensor;
}

Tensor full_like(const Tensor& like, double value) { return full(like.shape(), value, {.dtype = like.dtype()}); }

Tensor arange(double start, double end, double step, TensorOptions options) {
  if (step == 0 || !std::isfinite(start) || !std::isfinite(end) || !std::isfinite(step))
    fail<ValueError>("arange", "needs finite bounds and a step other than 0, got {}, {}, {}", start, end, step);
  const double count = std::max(0.0, std::ceil((end - start) / step));
  if (count > 1e15) fail<ShapeError>("arange", "{} elements are more than memory holds", count);
  return generated(static_cast<std::int64_t>(count), options, [=](double i) { return start + i * step; });
}

Tensor linspace(double start, double end, std::int64_t count, TensorOptions options) {
  if (count < 0) fail<ValueError>("linspace", "count must not be negative, got {}", count);
  const double step = count > 1 ? (end - start) / static_cast<double>(count - 1) : 0;
  return generated(count, options, [=](double i) { return start + i * step; });
}

Tensor eye(std::int64_t n, TensorOptions options) {
  Tensor tensor = full({n, n}, 0, {.dtype = options.dtype});
  Tensor diagonal = raw::view(tensor, {n}, {n + 1});
  raw::fill(diagonal, 1);
  if (options.requires_grad) tensor.set_requires_grad();
  return tensor;
}

}  // namespace duet
