// The table of row functions behind ops/kernels/resample.hpp, one per instruction set and element type.
#pragma once

#include <duet/ops/kernels/simd.hpp>

#include <cstdint>

namespace duet::kernels {

/// Rows that need no lists: pairs of neighbours, each pair summed with one weight (pooling by 2); or every element
/// twice (nearest by 2).
enum class RowPattern { general, pairs, twice };

/// An axis map as the row functions see it.
template <class T>
struct RowMap {
  RowPattern pattern;
  std::int64_t outputs;
  const std::int64_t* begin;
  const std::int64_t* first;
  const T* weights;
};

template <class T>
struct ResampleTable {
  /// sum = weight·x, and sum += weight·x, over `count` elements.
  void (*scale)(const T* x, std::int64_t count, T weight, T* sum);
  void (*add_scaled)(const T* x, std::int64_t count, T weight, T* sum);
  /// y = A x of one row.
  void (*gather)(const RowMap<T>& map, const T* x, T* y);
  /// x += A^T y of one row.
  void (*scatter)(const RowMap<T>& map, const T* y, T* x);
};

DUET_DECLARE_TABLES(ResampleTable<float>, resample_f32)
DUET_DECLARE_TABLES(ResampleTable<double>, resample_f64)

}  // namespace duet::kernels
