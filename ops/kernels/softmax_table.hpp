// The softmax kernels that exist per instruction set, and the plain struct they are called with.
#pragma once

#include <cstdint>

namespace duet::kernels {

/// n columns side by side: element i of column j lies at i * inner + j. With inner = 1 one row.
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
struct SoftmaxKernels {
  void (*softmax)(const SoftmaxCall&);
  void (*softmax_backward)(const SoftmaxCall&);
  void (*log_sum_exp)(const SoftmaxCall&);
};

struct SoftmaxTable {
  SoftmaxKernels<float> f32;
  SoftmaxKernels<double> f64;
};

}  // namespace duet::kernels
