// The reductions and softmax kernels that exist per instruction set, and the plain structs they are called with.
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

/// Softmax of n columns side by side (or, with inner = 1, of one row): element i of column j lies at i * inner + j.
/// Columns go through a tile of count * n elements, for rows may lie a power of two apart, all in one set of a cache.
struct SoftmaxCall {
  const void* x = nullptr;  // the input; for a gradient, the output
  const void* g = nullptr;  // the cotangent
  void* out = nullptr;      // for log_sum_exp n values side by side, else like x
  std::int64_t count = 0, inner = 0, n = 0;
  bool log = false;
  void* most = nullptr;          // where log_sum_exp puts the maxima, its sums then being without them; or null
  void* tile = nullptr;          // null for rows
  const void* factor = nullptr;  // softmax: a factor for each of the n columns, or null
  /// Or null: one element of each of the n columns, of which softmax takes `less` away, and which log_sum_exp copies to
  /// `picked`, while the column is in the cache. An index that is no element's leaves softmax alone and picks 0.
  const std::int64_t* target = nullptr;
  const void* less = nullptr;
  void* picked = nullptr;
  bool streamed = false;  // results go past the caches
};
/// The columns that one SoftmaxCall may have.
inline constexpr int softmax_columns = 1024;

template <class T>
struct ReduceKernels {
  double (*row[fold_count])(const T* x, std::int64_t n);
  void (*columns[fold_count])(const ColumnsCall&);
  void (*softmax)(const SoftmaxCall&);
  void (*softmax_backward)(const SoftmaxCall&);
  void (*log_sum_exp)(const SoftmaxCall&);
};

struct ReduceTable {
  ReduceKernels<float> f32;
  ReduceKernels<double> f64;
};

}  // namespace duet::kernels
