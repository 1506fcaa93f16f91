// The vector kernels that convolutions and matrix products are made of, as plain structs of arguments and one table
// of functions per instruction set. Internal to ops/kernels.
//
// The centre is `product`: a register tile that multiplies a packed panel (rows of `width` neighbouring channels)
// with elements of the other operand that it finds through two lists of offsets,
//
//     sums[column][lane] += panel[row][lane] * source[row_offset[row] + column_offset[column]].
//
// A convolution in either direction, its weight gradient and the matrix product differ in what rows and columns
// are, and in nothing else.
#pragma once

#include <cstdint>

#include <duet/ops/kernels/simd.hpp>

namespace duet::kernels {

/// Rows [begin, end) of a panel.
struct RowRange {
  std::int32_t begin, end;
};

/// Memory that will be read soon: `runs` runs of `bytes`, `stride` apart, of which [at, end) is the rest of the first.
struct Ahead {
  const char *at, *end;
  std::int64_t bytes, stride, runs;
  std::int64_t at_once;  ///< lines to ask for each time
  const Ahead* then;     ///< what comes after that; or null
  std::int64_t lines() const { return runs * (bytes / 64 + 1); }
};

template <class T>
struct PanelProduct {
  const T* panel;  ///< [rows][width], 64-byte aligned or at least readable unaligned
  std::int64_t panel_stride;  ///< elements from one of its rows to the next; 0 stands for its width
  const T* source;
  const std::int32_t* row_offset;     ///< [rows]
  const std::int32_t* column_offset;  ///< [columns]
  T* sums;                            ///< [columns][width], a column every sums_stride elements
  std::int64_t sums_stride;
  std::int64_t columns;
  std::int32_t rows;
  std::int32_t range_unit;  ///< rows that one unit of a RowRange stands for
  /// Rows that matter to the i-th tile of columns: ranges[first_range[i]] up to ranges[first_range[i + 1]]. Null
  /// stands for all rows. What is left out must be zero in `source`, or in `panel`.
  const std::int32_t* first_range;
  const RowRange* ranges;
  bool accumulate;  ///< add to sums rather than overwrite
  /// Where the sums of column i will be written soon, at target + lane * target_stride + i; or null. The lines are
  /// asked for while there is still arithmetic to hide the wait.
  const T* target;
  std::int64_t target_stride;
  int target_lanes;
  Ahead* ahead;  ///< or null; some of it is asked for with each tile of columns
};

/// Planes of rows copied between margins: to[plane][row] = `before` zeros, `count` elements of from[plane][row],
/// `after` zeros.
template <class T>
struct RowCopy {
  const T* from;
  std::int64_t from_plane, from_row;
  T* to;
  std::int64_t to_plane, to_row;
  std::int64_t planes, rows, before, count, after;
};

/// to[destination(i)][lane] = from[lane * lane_stride + i * step] for i < count; lanes from `lanes` to `width` are
/// zero. destination(i) is destination[i], or i * to_stride where that is null; both in elements.
template <class T>
struct LanePack {
  const T* from;
  std::int64_t lane_stride, step;
  T* to;
  const std::int32_t* destination;
  std::int64_t to_stride;
  std::int64_t count;
  int lanes, width;
  std::int64_t ahead;  ///< elements to what a later call reads, whose lines are asked for; or 0
};

/// to[lane * lane_stride + i * phases + f] = sums[f][i * sums_stride + lane] + bias[lane], for i * phases + f < count.
/// With one phase, `row` may list where the sums of each i stand, in elements, instead of i * sums_stride.
template <class T>
struct LaneUnpack {
  const T* const* sums;  ///< [phases]
  std::int64_t phases, sums_stride;
  const std::int32_t* row;  ///< or null
  const T* bias;            ///< or null
  T* to;
  std::int64_t lane_stride, count;
  int lanes;
};

/// to[o][row][i] = bias[o] + sum over terms of weights[term][o] * source[row * source_row + offset[term] + i], for
/// up to ConvKernels::row_outputs outputs; lanes run along i.
template <class T>
struct RowProduct {
  const T* source;
  std::int64_t source_row;
  const std::int32_t* offset;
  const T* weights;  ///< [terms][outputs]
  std::int64_t terms;
  const T* bias;  ///< or null
  T* to;
  std::int64_t to_output, to_row;
  int outputs;
  std::int64_t rows, count;
  bool accumulate;  ///< add to `to`; the bias is ignored
  /// Outputs 2 k and 2 k + 1 are the two phases of one row, to[k][row][2 i] and to[k][row][2 i + 1]. Behind the terms
  /// of both follow those of the first phase alone, and of the second, with half as many weights each.
  bool interleaved;
  std::int64_t alone[2];
  bool may_overread;  ///< a vector's worth behind each row of the source may be read
  Ahead* ahead;       ///< or null; some of it is asked for with each row, or tile of rows
  /// Only for one output (or one list) of 3 x 3 taps: the source is a plane as it is, and what lies left and right of
  /// its rows counts as zero; likewise the first or the last row that the taps reach.
  bool bare, first_missing, last_missing;
};

/// to[2 i] = even[i], to[2 i + 1] = odd[i], for indices below count. Whole vectors are read.
template <class T>
struct RowZip {
  const T *even, *odd;
  T* to;
  std::int64_t count;
};

/// to[term] += sum over rows and i of lanes[row * lanes_row + i] * source[row * source_row + offset[term] + i].
template <class T>
struct RowDots {
  const T* lanes;
  std::int64_t lanes_row;
  const T* source;
  std::int64_t source_row;
  const std::int32_t* offset;
  std::int64_t terms;
  std::int64_t rows, count;
  T* to;
  Ahead* ahead;                            ///< or null; some of it is asked for with each row, or few rows
  bool bare, first_missing, last_missing;  ///< as in RowProduct
};

template <class T>
struct ConvKernels {
  int lanes;                                   ///< elements of a vector
  int tile;                                    ///< columns of a register tile
  int row_outputs;                             ///< output channels of `rows` at the most
  void (*product[2])(const PanelProduct<T>&);  ///< panels of one vector and of two
  void (*pack)(const LanePack<T>&);
  void (*unpack)(const LaneUnpack<T>&);
  void (*rows)(const RowProduct<T>&);
  void (*zip)(const RowZip<T>&);
  void (*dots)(const RowDots<T>&);
  void (*copy_rows)(const RowCopy<T>&);
};

struct ConvTable {
  ConvKernels<float> f32;
  ConvKernels<double> f64;
  /// Multiplies and adds in `count` * 16 independent vectors; returns floating-point operations done. Measures the
  /// machine's peak.
  std::int64_t (*multiply_add_peak)(std::int64_t count, float* sink);
};

DUET_DECLARE_TABLES(ConvTable, conv_table)

template <class T>
const ConvKernels<T>& conv_kernels() {
  if constexpr (sizeof(T) == sizeof(float))
    return conv_table().f32;
  else
    return conv_table().f64;
}

}  // namespace duet::kernels
