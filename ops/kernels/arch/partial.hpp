// Loads and stores of the last few elements of a row. Included by the per-instruction-set files, after prelude.hpp.
#pragma once

namespace {

/// The first `count` elements at `from`, the other lanes filled with the first: no lane computes on made-up values.
template <class T>
[[maybe_unused]] Batch<T> load_partial(const T* from, std::int64_t count) {
  alignas(64) T lane[lanes<T>];
  for (int i = 0; i < lanes<T>; ++i) lane[i] = from[i < count ? i : 0];
  return Batch<T>::load_aligned(lane);
}

template <class T>
[[maybe_unused]] void store_partial(Batch<T> value, T* to, std::int64_t count) {
  alignas(64) T lane[lanes<T>];
  value.store_aligned(lane);
  for (std::int64_t i = 0; i < count; ++i) to[i] = lane[i];
}

}  // namespace
