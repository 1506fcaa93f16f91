// The table of row functions behind ops/kernels/norm.hpp, one per instruction set and element type.
#pragma once

#include <duet/ops/kernels/simd.hpp>

#include <cstdint>

namespace duet::kernels {

/// What a relu behind a normalisation did: it let (x - mean)·scale + shift pass where that is above 0.
template <class T>
struct Rectified {
  T mean, scale, shift;
};

/// Each works on `count` adjacent elements; `streamed` results go past the caches.
template <class T>
struct NormTable {
  /// Mean, and sum of squared distances from it.
  void (*moments)(const T* x, std::int64_t count, double* mean, double* squares);
  /// out = max(least, (x - mean)·scale + shift).
  void (*affine)(const T* x, std::int64_t count, T mean, T scale, T shift, T least, T* out, bool streamed);
  /// out = (x - mean - rest)·scale·weight + bias, the last two an element each; rest is what rounding took from mean.
  void (*affine_by_element)(const T* x, std::int64_t count, T mean, T rest, T scale, const T* weight, const T* bias, T* out);
  /// Sums of g, of g·(x - mean) and of x - mean. Where `relu` is given, here and below, g counts as 0 where it let
  /// nothing pass.
  void (*gradient_sums)(const T* g, const T* x, std::int64_t count, T mean, const Rectified<T>* relu, double* sum_g,
                        double* sum_gx, double* sum_x);
  /// out = g·scale + (x - mean)·slope + shift.
  void (*gradient)(const T* g, const T* x, std::int64_t count, T mean, T scale, T slope, T shift,
                   const Rectified<T>* relu, T* out, bool streamed);
};

DUET_DECLARE_TABLES(NormTable<float>, norm_f32)
DUET_DECLARE_TABLES(NormTable<double>, norm_f64)

}  // namespace duet::kernels
