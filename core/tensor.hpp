// Tensor: a handle on a strided view of shared storage, with its place on the tape.
//
// Members are what core implements; ops and operators are free functions (ops/). Copying a Tensor copies the
// handle. A default-constructed Tensor is undefined: it stands for "absent", and as a gradient for zero.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include <duet/core/dtype.hpp>
#include <duet/core/error.hpp>
#include <duet/core/shape.hpp>
#include <duet/core/storage.hpp>

namespace duet {

struct Node;
struct TensorImpl;
class Tensor;

using Tensors = std::vector<Tensor>;

/// How to make a tensor.
struct TensorOptions {
  Dtype dtype = f32;
  bool requires_grad = false;  ///< needs a floating dtype, else DtypeError
};

struct BackwardOptions;
/// Threads may read one tensor together, and run graphs of their own that end at one leaf; a writer has to be alone.
class Tensor {
 public:
  /// The undefined tensor.
  Tensor() = default;

  /// An uninitialised tensor. Throws ShapeError for a negative or impossible size before anything is allocated.
  static Tensor empty(const Shape& shape, TensorOptions options = {});
  /// A tensor of one element and rank 0.
  static Tensor scalar(double value, TensorOptions options = {});
  /// A copy of `values`, whose count must be the shape's (ShapeError). u16 becomes f32, which holds it exactly.
  static Tensor from_span(std::span<const float> values, const Shape& shape);
  static Tensor from_span(std::span<const double> values, const Shape& shape);
  static Tensor from_span(std::span<const std::int64_t> values, const Shape& shape);
  static Tensor from_span(std::span<const std::uint8_t> values, const Shape& shape);
  static Tensor from_span(std::span<const std::uint16_t> values, const Shape& shape);
  /// A view of somebody else's memory, without a copy. `strides` are in elements and not negative; `owner` is kept
  /// alive as long as any tensor on this memory (null: the caller sees to it).
  template <class T>  // clang-tidy 14 does not see the move: NOLINTNEXTLINE(performance-unnecessary-value-param)
  static Tensor wrap(T* data, const Shape& shape, const Shape& strides, std::shared_ptr<const void> owner = nullptr) {
    return wrap_raw(const_cast<std::remove_const_t<T>*>(data), dtype_of<std::remove_const_t<T>>, shape, strides,
                    std::move(owner), !std::is_const_v<T>);
  }

  bool defined() const { return impl_ != nullptr; }  ///< false of Tensor()
  const Shape& shape() const;                        ///< its sizes
  const Shape& strides() const;                      ///< in elements
  Dtype dtype() const;                               ///< of its elements
  int rank() const { return shape().rank(); }        ///< the number of dimensions
  /// The size along `dim`, which may count from the end; ShapeError out of range.
  std::int64_t size(std::int64_t dim) const;
  std::int64_t numel() const;  ///< how many elements
  /// Bytes that the elements take (not the storage, which a view shares).
  std::int64_t bytes() const;
  bool is_contiguous() const;  ///< dense, in row-major order

  /// The first element, for reading. T must be the dtype's (DtypeError). Elements lie at strides().
  template <class T>
  const T* data() const {
    return static_cast<const T*>(raw_data(dtype_of<T>));
  }
  /// The first element, for writing: raises the version, which makes tensors saved for backward stale. Throws
  /// AutogradError for a tensor that is on the tape while recording, or memory wrapped as constant.
  template <class T>
  T* mutable_data() {
    return static_cast<T*>(raw_mutable_data(dtype_of<T>));
  }
  /// The elements of a contiguous tensor (ShapeError otherwise).
  template <class T>
  std::span<const T> span() const {
    return {static_cast<const T*>(raw_span(dtype_of<T>)), static_cast<std::size_t>(numel())};
  }
  /// The value of a tensor of one element, converted to T (ShapeError otherwise).
  template <class T = double>
  T item() const {
    return static_cast<T>(item_as_double());
  }
  /// All elements in row-major order, converted to double.
  std::vector<double> to_vector() const;

  /// Raised by every change of the storage's content.
  std::uint64_t version() const;
  /// Whether both are views of one storage.
  bool shares_storage_with(const Tensor& other) const;

  // --- the tape ---

  /// Whether gradients flow to or through this tensor.
  bool requires_grad() const;
  /// Asks for gradients of a leaf. DtypeError for integers, AutogradError for a computed tensor.
  Tensor& set_requires_grad(bool on = true);
  /// Not computed by a recorded op.
  bool is_leaf() const;
  /// The accumulated gradient of a leaf; undefined if there is none.
  const Tensor& grad() const;
  void set_grad(const Tensor& grad);  ///< takes its place; an undefined one removes it
  /// The same data, off the tape.
  Tensor detach() const;
  /// Differentiates this by every leaf that requires a gradient, and adds to their grad(). Defined in
  /// autograd/, like its options. Without a cotangent this must have one element (AutogradError).
  void backward(const Tensor& cotangent = {}) const;
  void backward(const Tensor& cotangent, const BackwardOptions& options) const;

  const std::shared_ptr<TensorImpl>& impl() const { return impl_; }  ///< for ops and bindings
  explicit Tensor(std::shared_ptr<TensorImpl> impl) : impl_(std::move(impl)) {}

 private:
  static Tensor wrap_raw(void* data, Dtype dtype, const Shape& shape, const Shape& strides,
                         std::shared_ptr<const void> owner, bool writable);
  const void* raw_data(Dtype dtype) const;
  const void* raw_span(Dtype dtype) const;
  void* raw_mutable_data(Dtype dtype);
  double item_as_double() const;
  const TensorImpl& checked() const;

  std::shared_ptr<TensorImpl> impl_;
};

/// Shape and dtype of a tensor, which is all that a shape rule may look at.
struct TensorSpec {
  Shape shape;
  Dtype dtype = f32;
  bool defined = true;  ///< false for an absent optional input
};
using Specs = std::vector<TensorSpec>;

TensorSpec spec_of(const Tensor& tensor);  ///< what an op is given: shape and dtype

/// "(2, 3) f32", or "undefined".
std::string to_string(const TensorSpec& spec);

/// The values like NumPy prints them, then dtype and whether it requires a gradient.
std::string to_string(const Tensor& tensor);

}  // namespace duet
