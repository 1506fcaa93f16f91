// The softmax kernels that exist per instruction set, and the plain struct they are called with.
#pragma once

#include <cstdint>

namespace duet::kernels {

/// n columns side by side: element i of column j lies at i * inner + j. With inner = 1 one row.
/// What has to be gone through twice waits in a tile of (count + 2) * n elements, for rows may lie a power of two apart, all in
/// one set of a cache.
struct SoftmaxCall {
  const void* x = nullptr;  // the input; for a gradient, the output
  const void* g = nullptr;  // the cotangent
  void* out = nullptr;      // for log_sum_exp n values side by side, else like x
  std::int64_t count = 0, inner = 0, n = 0;
  bool log = false;
  void* tile = nullptr;          // null for rows, and where only log_sum_exp is asked for
  /// Softmax of columns: the call before, whose tile waits to be written, or null.
  const SoftmaxCall* before = nullptr;
  const void* factor = nullptr;  // softmax: a factor for each of the n columns, or null
  /// Or null: one element of each of the n columns, of which softmax takes `less` away, and which log_sum_exp subtracts.
  /// An index that is no element's leaves softmax alone and subtracts nothing.
  const std::int64_t* target = nullptr;
  const void* less = nullptr;
  bool streamed = false;  // results go past the caches
};
/// The columns that one SoftmaxCall may have.
inline constexpr int softmax_columns = 1024;

template <class T>
struct SoftmaxKernels {
  void (*softmax)(const SoftmaxCall&);  // of columns, only the sums
  void (*softmax_finish)(const SoftmaxCall&);
  void (*softmax_backward)(const SoftmaxCall&);
  void (*log_sum_exp)(const SoftmaxCall&);
};

struct SoftmaxTable {
  SoftmaxKernels<float> f32;
  SoftmaxKernels<double> f64;
};

}  // namespace duet::kernels
