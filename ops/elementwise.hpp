// Elementwise arithmetic with NumPy's broadcasting: the result has the shape to which those of the inputs broadcast
// (ShapeError), in their one dtype (DtypeError); a number takes the tensor's dtype, which has to hold it (DtypeError).
// Integers wrap around, and are taken by add, sub, mul, maximum, minimum, where, neg, abs, sign and square; all others
// want f32 or f64 (DtypeError). Activations are in activation.hpp, comparisons in compare.hpp, writes in place in
// inplace.hpp.
#pragma once

#include <optional>

#include <duet/core/options.hpp>
#include <duet/core/tensor.hpp>

namespace duet {

/// a + b.
Tensor add(const Tensor& a, const Tensor& b);
/// a − b.
Tensor sub(const Tensor& a, const Tensor& b);
/// a · b, element by element.
Tensor mul(const Tensor& a, const Tensor& b);
/// a / b.
Tensor div(const Tensor& a, const Tensor& b);
/// The larger of a and b. Where they are equal each gets half the gradient; NaN passes through.
Tensor maximum(const Tensor& a, const Tensor& b);
/// The smaller of a and b, likewise.
Tensor minimum(const Tensor& a, const Tensor& b);

struct PowOptions {
  double exponent = 1;  ///< where no tensor of exponents is given
  void fields(FieldVisitor& visitor) { visitor.field("exponent", exponent); }
};
/// x to the power of a number, or of a tensor that broadcasts with it.
Tensor pow(const Tensor& x, double exponent);
Tensor pow(const Tensor& x, const Tensor& exponent);
Tensor pow(double x, const Tensor& exponent);

/// x where the condition (u8 or i64, any shape that broadcasts) is not 0, else y.
Tensor where(const Tensor& condition, const Tensor& x, const Tensor& y);
Tensor where(const Tensor& condition, const Tensor& x, double y);
Tensor where(const Tensor& condition, double x, const Tensor& y);
/// start + weight · (end − start).
Tensor lerp(const Tensor& start, const Tensor& end, const Tensor& weight);
Tensor lerp(const Tensor& start, const Tensor& end, double weight);

/// −x.
Tensor neg(const Tensor& x);
/// |x|; the gradient at 0 is 0.
Tensor abs(const Tensor& x);
/// −1, 0 or 1; its gradient is zero.
Tensor sign(const Tensor& x);
/// x².
Tensor square(const Tensor& x);
/// 1 / x.
Tensor reciprocal(const Tensor& x);
Tensor sqrt(const Tensor& x);  ///< the square root
/// 1 / sqrt(x).
Tensor rsqrt(const Tensor& x);
Tensor exp(const Tensor& x);  ///< e to the x
/// The natural logarithm.
Tensor log(const Tensor& x);
/// log(1 + x), exact for small x.
Tensor log1p(const Tensor& x);
Tensor sin(const Tensor& x);  ///< the sine; x in radians
Tensor cos(const Tensor& x);  ///< the cosine; x in radians

struct ClampOptions {
  std::optional<double> min = {}, max = {};  ///< at least one (ValueError)
  void fields(FieldVisitor& visitor) {
    visitor.field("min", min);
    visitor.field("max", max);
  }
};
/// x brought into [min, max]; the gradient passes where x is inside or at a bound. All of it is max where min > max.
Tensor clamp(const Tensor& x, const ClampOptions& options);

struct RangeOptions {
  double low = 0, high = 0;
  void fields(FieldVisitor& visitor) {
    visitor.field("low", low);
    visitor.field("high", high);
  }
};
/// g where low < y < high, else 0: the gradient of a function that is linear there and constant elsewhere.
Tensor inside(const Tensor& g, const Tensor& y, const RangeOptions& options);
/// The same with the bounds included.
Tensor inside_or_at(const Tensor& g, const Tensor& y, const RangeOptions& options);

/// A scalar of `like`'s dtype; DtypeError where an integer dtype cannot hold the value.
Tensor scalar_like(const Tensor& like, double value);

inline Tensor operator+(const Tensor& a, const Tensor& b) { return add(a, b); }
inline Tensor operator-(const Tensor& a, const Tensor& b) { return sub(a, b); }
inline Tensor operator*(const Tensor& a, const Tensor& b) { return mul(a, b); }
inline Tensor operator/(const Tensor& a, const Tensor& b) { return div(a, b); }
inline Tensor operator-(const Tensor& x) { return neg(x); }
inline Tensor operator+(const Tensor& a, double b) { return add(a, scalar_like(a, b)); }
inline Tensor operator+(double a, const Tensor& b) { return add(scalar_like(b, a), b); }
inline Tensor operator-(const Tensor& a, double b) { return sub(a, scalar_like(a, b)); }
inline Tensor operator-(double a, const Tensor& b) { return sub(scalar_like(b, a), b); }
inline Tensor operator*(const Tensor& a, double b) { return mul(a, scalar_like(a, b)); }
inline Tensor operator*(double a, const Tensor& b) { return mul(scalar_like(b, a), b); }
inline Tensor operator/(const Tensor& a, double b) { return div(a, scalar_like(a, b)); }
inline Tensor operator/(double a, const Tensor& b) { return div(scalar_like(b, a), b); }

}  // namespace duet
