// Comparisons and logic: u8 tensors of 0 and 1, without gradients. Two tensors broadcast to the result's shape
// (ShapeError) and agree in dtype (DtypeError), whichever that is; one has any shape and dtype.
#pragma once

#include <duet/core/tensor.hpp>

namespace duet {

/// a == b and so on, element by element; comparisons with NaN are 0 (ne: 1).
Tensor eq(const Tensor& a, const Tensor& b);
Tensor ne(const Tensor& a, const Tensor& b);  ///< a != b, see eq()
Tensor lt(const Tensor& a, const Tensor& b);  ///< a < b, see eq()
Tensor le(const Tensor& a, const Tensor& b);  ///< a <= b, see eq()
Tensor gt(const Tensor& a, const Tensor& b);  ///< a > b, see eq()
Tensor ge(const Tensor& a, const Tensor& b);  ///< a >= b, see eq()
/// The same with a number, which an integer tensor's dtype has to hold (DtypeError).
Tensor eq(const Tensor& a, double b);
Tensor ne(const Tensor& a, double b);  ///< a != b, see eq()
Tensor lt(const Tensor& a, double b);  ///< a < b, see eq()
Tensor le(const Tensor& a, double b);  ///< a <= b, see eq()
Tensor gt(const Tensor& a, double b);  ///< a > b, see eq()
Tensor ge(const Tensor& a, double b);  ///< a >= b, see eq()

// The operators that order. There is no == or !=, which compares elements in some libraries and identity in others:
// write eq() and ne().
inline Tensor operator<(const Tensor& a, const Tensor& b) { return lt(a, b); }
inline Tensor operator<=(const Tensor& a, const Tensor& b) { return le(a, b); }
inline Tensor operator>(const Tensor& a, const Tensor& b) { return gt(a, b); }
inline Tensor operator>=(const Tensor& a, const Tensor& b) { return ge(a, b); }
inline Tensor operator<(const Tensor& a, double b) { return lt(a, b); }
inline Tensor operator<=(const Tensor& a, double b) { return le(a, b); }
inline Tensor operator>(const Tensor& a, double b) { return gt(a, b); }
inline Tensor operator>=(const Tensor& a, double b) { return ge(a, b); }
inline Tensor operator<(double a, const Tensor& b) { return gt(b, a); }
inline Tensor operator<=(double a, const Tensor& b) { return ge(b, a); }
inline Tensor operator>(double a, const Tensor& b) { return lt(b, a); }
inline Tensor operator>=(double a, const Tensor& b) { return le(b, a); }

/// Logic on elements taken as true where they are not 0.
Tensor logical_and(const Tensor& a, const Tensor& b);
Tensor logical_or(const Tensor& a, const Tensor& b);   ///< see logical_and()
Tensor logical_xor(const Tensor& a, const Tensor& b);  ///< see logical_and()
Tensor logical_not(const Tensor& x);                   ///< see logical_and()
/// Whether an element is NaN.
Tensor isnan(const Tensor& x);
Tensor isfinite(const Tensor& x);  ///< neither NaN nor infinite

}  // namespace duet
