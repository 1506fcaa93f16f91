// The table of row functions behind ops/kernels/norm.hpp, one per instruction set and element type.
#pragma once

#include <duet/ops/kernels/simd.hpp>

#include <cstdint>

namespace duet::kernels {

/// (x - mean)·scale + shift, with a number of each for a row, or pointers to one an element.
template <class T>
struct Affine {
  T mean, scale, shift;
};

/// g·scale + (x - mean)·slope + shift.
template <class T>
struct GradientMap {
  T mean, scale, slope, shift;
};

/// Rows that are shorter than a few registers are taken together, all channels of a sample as one: the functions of
/// columns have coefficients for each of `count` adjacent elements. Results that are `streamed` go past the caches.
/// Where `relu` is given, g counts as 0 where that is not above 0.
template <class T>
struct NormTable {
  /// Mean, and sum of squared distances from it.
  void (*moments)(const T* x, std::int64_t count, double* mean, double* squares);
  /// The same of each of `count` columns of `rows` rows, which lie `stride` apart.
  void (*column_moments)(const T* x, std::int64_t rows, std::int64_t stride, std::int64_t count, double* mean,
                         double* squares);
  /// out = max(least, by(x)).
  void (*affine)(const T* x, std::int64_t count, const Affine<T>& by, T least, T* out, bool streamed);
  void (*affine_columns)(const T* x, std::int64_t count, const Affine<const T*>& by, T least, T* out, bool streamed);
  /// out = (x - mean - rest)·scale·weight + bias, the last two an element each; rest is what rounding took from mean.
  void (*affine_by_element)(const T* x, std::int64_t count, T mean, T rest, T scale, const T* weight, const T* bias,
                            T* out);
  /// Sums of g, of g·(x - mean) and of x - mean.
  void (*gradient_sums)(const T* g, const T* x, std::int64_t count, T mean, const Affine<T>* relu, double* sum_g,
                        double* sum_gx, double* sum_x);
  void (*column_gradient_sums)(const T* g, const T* x, std::int64_t rows, std::int64_t stride, std::int64_t count,
                               const T* mean, const Affine<const T*>* relu, double* sum_g, double* sum_gx,
                               double* sum_x);
  /// out = by(g, x).
  void (*gradient)(const T* g, const T* x, std::int64_t count, const GradientMap<T>& by, const Affine<T>* relu, T* out,
                   bool streamed);
  void (*gradient_columns)(const T* g, const T* x, std::int64_t count, const GradientMap<const T*>& by,
                           const Affine<const T*>* relu, T* out, bool streamed);
};

DUET_DECLARE_TABLES(NormTable<float>, norm_f32)
DUET_DECLARE_TABLES(NormTable<double>, norm_f64)

}  // namespace duet::kernels
