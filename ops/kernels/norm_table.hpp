// The table of row functions behind ops/kernels/norm.hpp, one per instruction set and element type.
#pragma once

#include <duet/ops/kernels/simd.hpp>

#include <cstdint>

namespace duet::kernels {

/// Each works on `count` adjacent elements.
template <class T>
struct NormTable {
  /// Mean, and sum of squared distances from it.
  void (*moments)(const T* x, std::int64_t count, double* mean, double* squares);
  /// out = (x - mean)·scale + shift.
  void (*affine)(const T* x, std::int64_t count, T mean, T scale, T shift, T* out);
  /// out = (x - mean - rest)·scale·weight + bias, the last two an element each; rest is what rounding took from mean.
  void (*affine_by_element)(const T* x, std::int64_t count, T mean, T rest, T scale, const T* weight, const T* bias, T* out);
  /// Sums of g, of g·(x - mean) and of x - mean.
  void (*gradient_sums)(const T* g, const T* x, std::int64_t count, T mean, double* sum_g, double* sum_gx, double* sum_x);
  /// out = g·scale + (x - mean)·slope + shift.
  void (*gradient)(const T* g, const T* x, std::int64_t count, T mean, T scale, T slope, T shift, T* out);
};

DUET_DECLARE_TABLES(NormTable<float>, norm_f32)
DUET_DECLARE_TABLES(NormTable<double>, norm_f64)

}  // namespace duet::kernels
