// Elementwise ops with NumPy's broadcasting. A scalar operand takes the tensor's dtype; two tensors must agree.
#pragma once

#include <duet/core/tensor.hpp>

namespace duet {

/// a + b. Shapes broadcast (ShapeError), dtypes agree (DtypeError).
Tensor add(const Tensor& a, const Tensor& b);
/// a − b.
Tensor sub(const Tensor& a, const Tensor& b);
/// a · b, element by element.
Tensor mul(const Tensor& a, const Tensor& b);
/// −x.
Tensor neg(const Tensor& x);

/// A scalar of `like`'s dtype.
inline Tensor scalar_like(const Tensor& like, double value) { return Tensor::scalar(value, {.dtype = like.dtype()}); }

inline Tensor operator+(const Tensor& a, const Tensor& b) { return add(a, b); }
inline Tensor operator-(const Tensor& a, const Tensor& b) { return sub(a, b); }
inline Tensor operator*(const Tensor& a, const Tensor& b) { return mul(a, b); }
inline Tensor operator-(const Tensor& x) { return neg(x); }
inline Tensor operator+(const Tensor& a, double b) { return add(a, scalar_like(a, b)); }
inline Tensor operator+(double a, const Tensor& b) { return add(scalar_like(b, a), b); }
inline Tensor operator-(const Tensor& a, double b) { return sub(a, scalar_like(a, b)); }
inline Tensor operator-(double a, const Tensor& b) { return sub(scalar_like(b, a), b); }
inline Tensor operator*(const Tensor& a, double b) { return mul(a, scalar_like(a, b)); }
inline Tensor operator*(double a, const Tensor& b) { return mul(scalar_like(b, a), b); }

}  // namespace duet
