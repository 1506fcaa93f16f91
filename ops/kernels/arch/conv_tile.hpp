// The register tile: a packed panel of one or two vectors by a few columns, all sums in registers.
#pragma once

#include <duet/ops/kernels/arch/conv_copy.hpp>
#include <duet/ops/kernels/arch/prelude.hpp>
#include <duet/ops/kernels/conv_table.hpp>

namespace {

using duet::kernels::PanelProduct;
using duet::kernels::RowRange;

/// Columns of a tile. With two vectors per column the sums fill the register file up to what a row needs besides
/// (its panel vectors and a broadcast), and the columns' pointers fill the general registers.
#if defined(DUET_ARCH_AVX512) || defined(__aarch64__)
constexpr int tile_columns = 8;
#elif defined(DUET_ARCH_AVX2)
constexpr int tile_columns = 6;
#else
constexpr int tile_columns = 4;
#endif

/// `packed`: the rows of the panel lie side by side; a stride that the compiler knows leaves a register more.
template <class T, int vectors, int columns, bool packed>
inline __attribute__((always_inline)) void tile(const PanelProduct<T>& p, const std::int32_t* column_offset, T* sums,
                                                const RowRange* range, const RowRange* last, std::int32_t unit) {
  using V = Batch<T>;
  constexpr int L = lanes<T>;
  V sum[columns][vectors];
  const T* source[columns];
  for (int j = 0; j < columns; ++j) source[j] = p.source + column_offset[j];
  for (int j = 0; j < columns; ++j)
    for (int v = 0; v < vectors; ++v)
      sum[j][v] = p.accumulate ? V::load_unaligned(sums + j * p.sums_stride + v * L) : V(T(0));
  const std::int64_t step = packed ? vectors * L : p.panel_stride;
  for (; range != last; ++range) {
    const std::int64_t begin = std::int64_t{range->begin} * unit, end = std::int64_t{range->end} * unit;
    const T* panel = p.panel + begin * step;
    const std::int32_t* offset = p.row_offset + begin;
    const std::int32_t* const offset_end = p.row_offset + end;
    for (; offset != offset_end; ++offset, panel += step) {
      const std::int64_t at = *offset;
      V row[vectors];
      for (int v = 0; v < vectors; ++v) row[v] = V::load_unaligned(panel + v * L);
      for (int j = 0; j < columns; ++j) {
        const V element(source[j][at]);
        for (int v = 0; v < vectors; ++v) sum[j][v] = xsimd::fma(element, row[v], sum[j][v]);
      }
    }
  }
  for (int j = 0; j < columns; ++j)
    for (int v = 0; v < vectors; ++v) sum[j][v].store_unaligned(sums + j * p.sums_stride + v * L);
}

/// The last columns, fewer than a whole tile's.
template <class T, int vectors, int columns, bool packed>
void rest(const PanelProduct<T>& p, std::int64_t count, const std::int32_t* column_offset, T* sums,
          const RowRange* range, const RowRange* last, std::int32_t unit) {
  if (count == columns)
    tile<T, vectors, columns, packed>(p, column_offset, sums, range, last, unit);
  else if constexpr (columns > 1)
    rest<T, vectors, columns - 1, packed>(p, count, column_offset, sums, range, last, unit);
}

template <class T, int vectors, bool packed>
void multiply(const PanelProduct<T>& p) {
  const RowRange all{0, p.rows};
  std::int64_t column = 0;
  for (std::int64_t i = 0; column < p.columns; ++i, column += tile_columns) {
    const bool ranged = p.first_range != nullptr;
    const RowRange* range = ranged ? p.ranges + p.first_range[i] : &all;
    const RowRange* last = ranged ? p.ranges + p.first_range[i + 1] : &all + 1;
    const std::int32_t unit = ranged ? p.range_unit : 1;
    const std::int32_t* offset = p.column_offset + column;
    T* sums = p.sums + column * p.sums_stride;
    if (p.target != nullptr)
      for (int lane = 0; lane < p.target_lanes; ++lane)
        __builtin_prefetch(p.target + column + lane * p.target_stride, 1, 2);
    if (p.ahead != nullptr) fetch_some(*p.ahead);
    if (p.columns - column >= tile_columns)
      tile<T, vectors, tile_columns, packed>(p, offset, sums, range, last, unit);
    else
      rest<T, vectors, tile_columns - 1, packed>(p, p.columns - column, offset, sums, range, last, unit);
  }
}

template <class T, int vectors>
void product(const PanelProduct<T>& p) {
  (p.panel_stride == 0 ? multiply<T, vectors, true> : multiply<T, vectors, false>)(p);
}

}  // namespace
