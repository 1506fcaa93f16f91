// The table of row functions behind ops/kernels/pool.hpp, one per instruction set and element type.
#pragma once

#include <duet/ops/kernels/simd.hpp>

#include <cstdint>
#include <type_traits>

namespace duet::kernels {

/// An integer as wide as T, so that a comparison of Ts selects among them lane by lane.
template <class T>
using TapOf = std::conditional_t<sizeof(T) == 4, std::int32_t, std::int64_t>;

/// One tap along a row of outputs: where x[i·stride] is greater than y[i], is NaN, or is the first to come (taps[i] is
/// negative), it becomes y[i] and `tap` taps[i].
template <class T>
struct PoolTable {
  void (*max_tap)(const T* x, std::int64_t stride, std::int64_t count, TapOf<T> tap, T* y, TapOf<T>* taps);
};

DUET_DECLARE_TABLES(PoolTable<float>, pool_f32)
DUET_DECLARE_TABLES(PoolTable<double>, pool_f64)

}  // namespace duet::kernels
