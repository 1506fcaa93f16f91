// The vector kernels of the Winograd paths, as plain structs of arguments and one table of functions per instruction
// set. Internal to ops/kernels.
//
// A scheme F(m, r) computes m outputs of a filter of r taps with m + r - 1 products (Winograd 1980; Lavin and Gray,
// arXiv:1509.09308):
//
//     outputs = output_transform(filter_transform(filter) * input_transform(m + r - 1 inputs)),
//
// in both dimensions at once: a tile of m x m outputs takes (m + r - 1)^2 products, its points. Only f32: the
// transforms cost a digit, and f64 is there for those who want digits.
#pragma once

#include <cstdint>

#include <duet/ops/kernels/simd.hpp>

namespace duet::kernels {

inline constexpr int max_winograd_points = 6;  ///< along one axis

/// Tiles side by side in one plane, as far as their pixels exist.
struct WinogradStrip {
  std::int64_t
      row[max_winograd_points];  ///< the first pixel of each row, from the channel's plane in image 0 on; or -1
  std::int32_t count, to;        ///< pixels of a row; where the first one's points go
};

/// A tile whose pixels are copied from a strip to where vectors of tiles of several strips are put together.
struct WinogradMend {
  std::int32_t from, first, second;
};

/// The input transform down the columns: point i of a strip's pixels x goes to to[i * to_row + strip.to + x]. Rows of
/// -1 stand for zeros. Whole vectors are written, with zeros behind the last pixel. Then tiles are mended.
struct WinogradColumns {
  const float* source;
  std::int64_t ahead;  ///< elements to what a later call reads: its lines are asked for
  int step;            ///< elements from one pixel to the next, 1 or 2
  const WinogradStrip* strips;
  std::int64_t strip_count;
  const WinogradMend* mends;
  std::int64_t mend_count;
  const float* zeros;  ///< as many as the longest row has elements
  float* to;
  std::int64_t to_row;
};

/// The input transform along the rows that WinogradColumns made, lanes becoming tiles: vector v of tiles consists of
/// m pieces of a vector's length, piece p of row i at from + i * from_row + first[v * m + p], and the pixels of the
/// tiles one further at second[...]. Point (i, j) goes to to + (i * points + j) * to_point + v % width * lanes +
/// v / width * to_panel.
struct WinogradAcross {
  const float* from;
  std::int64_t from_row;
  const std::int32_t *first, *second;
  int vectors, width;
  float* to;
  std::int64_t to_point, to_panel;
};

/// The input transform of tiles whose rows are too short to fill vectors: each tile's window is read by itself, and
/// turned so that tiles are lanes. Row i of the window of tile t starts at source + at[i * tiles + t], inside the
/// tensor or not: element e of it, `step` to a pixel, is read where bit e of mask[i * tiles + t] is set, and else is
/// zero. `tiles` is that of all vectors; points are written as by WinogradAcross.
struct WinogradGather {
  const float* source;
  int step;
  const std::int64_t* at;
  const std::uint32_t* mask;
  int vectors, width;
  float* to;
  std::int64_t to_point, to_panel;
};

/// The input transform of tiles that stand in whole pieces of a vector's length: rows are read, turned so that tiles
/// are lanes, and transformed in registers. Row i of piece p starts at source + at[i * pieces + p], inside the tensor
/// or not: element e of it, `step` to a pixel, is read where bit e of first[...] is set, and element e of the pixels of
/// the tiles one further where that of second[...] is; what is not read is zero. `pieces` is that of all vectors;
/// points are written as by WinogradAcross.
struct WinogradPieces {
  const float* source;
  std::int64_t ahead;  ///< elements to what a later call reads: its lines are asked for
  int step;
  const std::int64_t* at;
  const std::uint32_t *first, *second;
  int vectors, width;
  float* to;
  std::int64_t to_point, to_panel;
};

/// The output transform of `vectors` vectors of tiles, read as WinogradAcross writes them, plus a bias. Row i of
/// piece p goes to to + piece[p] + i * to_row where piece[p] >= 0, for i < rows[p], and otherwise to
/// staged + i * staged_row + p * lanes. Where `other` is given, what goes directly is interleaved with what stands at
/// other + i * other_row + p * lanes, as the first (`own_first`) or the second of each two.
struct WinogradOutput {
  const float* from;
  std::int64_t from_point, from_panel;
  int vectors, width;
  float bias;
  float* to;
  std::int64_t ahead;  ///< elements to what the next call writes: its lines are asked for
  const std::int64_t* piece;
  const std::int32_t* rows;
  std::int64_t to_row;
  float* staged;
  std::int64_t staged_row;
  const float* other;  ///< or null
  std::int64_t other_row;
  bool own_first;
};

/// The filter transform, a vector of channels at once: tap t of filter n is read at from + n * from_filter + tap[t],
/// point p written to to + n * to_filter + p * to_point. Its transpose (`collect`) reads points and writes taps, with
/// the names of the sides exchanged.
struct WinogradFilter {
  const float* from;
  std::int64_t from_filter, from_point;
  const std::int32_t* tap;  ///< [r * r]
  float* to;
  std::int64_t to_filter, to_point;
  std::int64_t filters;
};

/// The transpose of the output transform, a vector of channels at once: pixel (i, j) of tile t is read at
/// from + t * from_tile + i * from_row + j * from_column, point p written to to + t * to_tile + p * to_point.
struct WinogradSpread {
  const float* from;
  std::int64_t from_tile, from_row, from_column;
  float* to;
  std::int64_t to_tile, to_point;
  std::int64_t tiles;
};

struct WinogradScheme {
  int tile, taps;  ///< m and r
  void (*columns)(const WinogradColumns&);
  void (*across)(const WinogradAcross&);
  void (*gather)(const WinogradGather&);
  void (*pieces)(const WinogradPieces&);
  void (*output)(const WinogradOutput&);
  void (*filter)(const WinogradFilter&);
  void (*collect)(const WinogradFilter&);
  void (*spread)(const WinogradSpread&);
  int points() const { return tile + taps - 1; }
};

struct WinogradTable {
  WinogradScheme f4_3, f4_2;
};

DUET_DECLARE_TABLES(WinogradTable, winograd_table)

}  // namespace duet::kernels
