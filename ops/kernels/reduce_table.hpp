// The reductions that exist per instruction set, and the plain struct they are called with.
#pragma once

#include <cstdint>

namespace duet::kernels {

/// How elements are folded into one; the sums may take the elements' squares or magnitudes.
enum class Fold : int { sum, sum_square, sum_abs, prod, max, min };
inline constexpr int fold_count = 6;

/// accumulator[j] = fold(accumulator[j], x[i * stride + j] for i < rows), for j < n.
struct ColumnsCall {
  const void* x;
  std::int64_t rows, stride, n;
  double* accumulator;
};

template <class T>
struct ReduceKernels {
  double (*row[fold_count])(const T* x, std::int64_t n);
  void (*columns[fold_count])(const ColumnsCall&);
  double (*logits_cross_entropy)(const T* x, const T* target, std::int64_t n);
};

struct ReduceTable {
  ReduceKernels<float> f32;
  ReduceKernels<double> f64;
};

}  // namespace duet::kernels
