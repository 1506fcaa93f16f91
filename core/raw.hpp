// Raw access for kernels and ops, the library's and a user's own: no tape, no version checks. Internal: a program
// that only uses ops has no need of it.
#pragma once

#include <duet/core/tensor.hpp>
#include <duet/core/tensor_impl.hpp>

namespace duet::raw {

/// The first element of a tensor, without a dtype check.
template <class T>
T* data(const Tensor& tensor) {
  return reinterpret_cast<T*>(tensor.impl()->data());
}

/// A view on the same storage.
Tensor view(const Tensor& base, const Shape& shape, const Shape& strides, std::int64_t extra_offset = 0);

/// `tensor` itself if its elements lie in row-major order without gaps, else a copy that does.
Tensor contiguous(const Tensor& tensor);

/// A contiguous copy, always new memory.
Tensor clone(const Tensor& tensor);

/// Copies `source` into `target`: same shape (unchecked), any strides, any two dtypes (converted).
void copy(const Tensor& source, Tensor& target);

/// Sets every element of a contiguous or strided tensor.
void fill(Tensor& target, double value);

/// Calls visit(T{}) with the C++ type of a floating dtype; throws DtypeError in the name of `op` for others.
[[noreturn]] void not_floating(const char* op, Dtype dtype);
template <class Visitor>
decltype(auto) dispatch_floating(const char* op, Dtype dtype, Visitor&& visit) {
  if (dtype == f32) return visit(float{});
  if (dtype == f64) return visit(double{});
  not_floating(op, dtype);
}
/// The same over all four dtypes.
template <class Visitor>
decltype(auto) dispatch_all(Dtype dtype, Visitor&& visit) {
  switch (dtype) {
    case Dtype::f32: return visit(float{});
    case Dtype::f64: return visit(double{});
    case Dtype::i64: return visit(std::int64_t{});
    default: return visit(std::uint8_t{});
  }
}

}  // namespace duet::raw
