// The table of row functions behind ops/kernels/pool.hpp, one per instruction set and element type.
#pragma once

#include <duet/ops/kernels/simd.hpp>

#include <cstdint>
#include <type_traits>

namespace duet::kernels {

/// An integer as wide as T, so that a comparison of Ts selects among them lane by lane.
template <class T>
using TapOf = std::conditional_t<sizeof(T) == 4, std::int32_t, std::int64_t>;

/// Maxima of 2 x 2 windows side by side put back where they came from: `rows` rows of `count`, into a plane x of rows
/// `width` long, of which twice as many are written, zeros and what lies beyond the windows included.
template <class T>
struct ScatterCall {
  const T* y;
  const std::uint8_t* taps;
  std::int64_t rows, count, width;
  T* x;
  bool streamed;  // x goes past the caches
};

/// One tap along a row of outputs: where x[i·stride] is greater than y[i], is NaN, or is the first to come (taps[i] is
/// negative), it becomes y[i] and `tap` taps[i].
template <class T>
struct PoolTable {
  void (*max_tap)(const T* x, std::int64_t stride, std::int64_t count, TapOf<T> tap, T* y, TapOf<T>* taps);
  /// The commonest windows, 2 x 2 side by side: `count` maxima of two rows of x, and their taps; and the way back,
  /// which returns whether every tap was below 4.
  void (*max_two_by_two)(const T* upper, const T* lower, std::int64_t count, T* y, std::uint8_t* taps);
  bool (*scatter_two_by_two)(const ScatterCall<T>& call);
};

DUET_DECLARE_TABLES(PoolTable<float>, pool_f32)
DUET_DECLARE_TABLES(PoolTable<double>, pool_f64)

}  // namespace duet::kernels
