// The parts of a convolution with minimal filtering (Winograd) that its two users, conv_winograd.cpp (a reading) and
// conv_winograd_weight.cpp (the weight gradient), share. Internal to ops/kernels.
//
// Everything is made of parts: a part is a filter of 3 x 3 or 2 x 2 taps that moves over a plane by single steps. A
// 3 x 3 convolution of stride 1 is one part. With stride 2, a 4 x 4 convolution is the sum of four parts, one for each
// phase plane of its source; a transposed one has a part for each phase of its output. A dilation of 2 with stride 2
// leaves taps to one phase only, one with stride 1 pairs each phase of the output with one of the source.
#pragma once

#include <algorithm>
#include <vector>

#include <duet/ops/kernels/conv_channels.hpp>
#include <duet/ops/kernels/conv_winograd_table.hpp>

namespace duet::kernels {

/// What one axis adds to a part: position q of an output phase takes, for i < r, source element
/// (q + low + i) * step + phase through tap tap[i].
struct WinogradAxis {
  Index low = 0, phase = 0, out_phase = 0;
  Index tap[3] = {0, 0, 0};
};

struct WinogradPart {
  WinogradAxis axis[2];
  std::vector<std::int32_t> taps;  ///< index in the kernel of each tap of the part, row by row
};

/// How a reading is computed: its parts, and its cut into tiles. Either all parts add up to one output, or each has
/// an output phase of its own; phases that no tap reaches have no part.
struct WinogradPlan {
  const WinogradScheme* scheme = nullptr;
  ConvReading reading;                               ///< with a dilation of 2 turned into two phases on both sides
  std::vector<WinogradPart> parts;                   ///< the last axis's phases vary fastest
  Index column_phases = 1;                           ///< parts that are interleaved in a row of the output
  bool parts_add = false, blank_rows = false;        ///< blank: one of two row phases has no part
  Index tile_rows = 0, tile_columns = 0, tiles = 0;  ///< in a plane; in all images
  Index block = 0;                                   ///< tiles computed together, a multiple of a panel's
  int width = 0;                                     ///< lanes of a panel
  Index blocks() const { return divide_up(tiles, block); }
  /// Whether rows are so short that each tile's pixels are read by themselves.
  bool gathers() const;
  /// Whether rows of tiles are whole pieces of a vector's length.
  bool whole_pieces() const;
  int points() const { return scheme->points() * scheme->points(); }
  Index adding_parts() const { return parts_add ? static_cast<Index>(parts.size()) : 1; }
};

/// Whether a scheme fits the reading at all; if so, fills the plan up to its cut into blocks.
bool plan_winograd(const ConvReading& reading, WinogradPlan& plan);

/// Elements from one point to the next that keep neighbouring points out of the same set of a cache.
inline Index point_stride(Index elements) { return (divide_up(elements, 16) | 1) * 16; }

/// Tiles of one row of tiles of one image, from the slot-th of a block on.
struct TileRun {
  Index image, row, column, count, slot;
};

/// The tiles [first, first + block) in the order image, row, column, as runs.
std::vector<TileRun> tile_runs(const WinogradPlan& plan, Index first);

/// The input transform of a block of tiles for one part. `transform` takes a channel's plane (of the block's group)
/// and writes its points, panel by panel of `width` tiles; tiles behind the last one are zero.
class WinogradSource {
 public:
  WinogradSource(const ConvReading& reading, const WinogradPlan& plan, const WinogradPart& part,
                 const std::vector<TileRun>& runs);
  /// Elements of working memory, which `prepare` sets to zero once per part.
  Index size() const { return row_elements_ * plan_.scheme->points() + zeros_; }
  void prepare(float* work) const { std::fill_n(work, size(), 0.0f); }
  /// `source` is the channel's plane in image 0.
  void transform(const float* source, float* work, float* to, Index to_point, Index to_panel) const;

 private:
  void place_windows(const WinogradPart& part, const std::vector<TileRun>& runs);
  void place_whole_pieces(const WinogradPart& part, const std::vector<TileRun>& runs);
  void place_strips(const WinogradPart& part, const std::vector<TileRun>& runs);
  void place_pieces(const std::vector<TileRun>& runs);

  const ConvReading& r_;
  const WinogradPlan& plan_;
  std::vector<WinogradStrip> strips_;
  std::vector<Index> strip_at_;  // where each strip starts, with the zeros before its first pixel
  std::vector<WinogradMend> mends_;
  std::vector<std::int32_t> first_, second_;
  std::vector<std::int64_t> window_at_;  // of each row of each tile, if tiles are read by themselves; or of each piece
  std::vector<std::uint32_t> window_mask_, second_mask_;
  Index row_elements_ = 0, zeros_ = 0;
  int vectors_;
};

/// The input transforms of some channels of a group for the parts that add up, whose sources follow `source`: to
/// to[point][panel][part, channel][lane], points `to_point` apart. `planes` are the group's in image 0; `working` has
/// room for each part in turn.
void transform_channels(const ConvReading& reading, const WinogradPlan& plan, const WinogradSource* source,
                        Slice channels, const float* planes, float* working, float* to, Index to_point);

/// The transformed filters between up to `at_once` output channels and `sources` source channels, at each point a
/// matrix of output channels by rows (part, source channel) whose element (k, row) stands at
/// column_offset[k] + row_offset[row].
class WinogradFilters {
 public:
  WinogradFilters(const ConvReading& reading, const WinogradPlan& plan, Index at_once, Index sources);
  Index point() const { return point_; }
  Index output() const { return point_ * plan_.points(); }  ///< elements of one output part
  Index sources() const { return sources_; }
  const std::vector<std::int32_t>& column_offset() const { return column_offset_; }
  const std::vector<std::int32_t>& row_offset() const { return row_offset_; }
  /// `weight` is the group's; `outputs` are output parts, written one after the other.
  void transform(const float* weight, Slice channels, Slice sources, Slice outputs, float* to) const;

 private:
  const ConvReading& r_;
  const WinogradPlan& plan_;
  Index at_once_, sources_, point_ = 0;
  bool lanes_are_out_;  // vectors hold output channels, or else source channels: those that stand further apart
  std::vector<std::int32_t> column_offset_, row_offset_;
};

/// Where a block's tiles go in an output part: whole pieces of vectors directly, others through a staging area. The
/// first of two column phases is kept until the second one comes, and then both are interleaved. What lies between
/// the elements of phases without a part is set to the bias.
class WinogradTarget {
 public:
  WinogradTarget(const ConvReading& reading, const WinogradPlan& plan, const std::vector<TileRun>& runs, Index output);
  /// Elements of the staging area, and of what is kept of each channel.
  Index staged() const { return plan_.scheme->tile * staged_row_; }
  bool keeps() const { return plan_.column_phases > 1 && column_phase_ == 0; }
  /// Completes `task`, which has the sums and the bias, and computes a channel's plane (of image 0) with it.
  void write(WinogradOutput task, float* plane, float* stage, float* kept) const;

 private:
  struct Stretch {
    Index at, to;  // where it starts in a staged row; its first pixel in image 0's plane
    Index rows, columns;
  };
  void place_blanks(const TileRun& run, Index row_phase);

  const ConvReading& r_;
  const WinogradPlan& plan_;
  Index column_phase_, staged_row_;
  std::vector<std::int64_t> piece_;
  std::vector<std::int32_t> rows_;
  std::vector<Stretch> staged_, blanks_;
};

/// Bytes of a tile's transforms in the weight gradient, of both sides and all groups; and how many of a slab of tiles
/// are kept at a time. Readings of which not even one block fits are left to the direct path.
Index winograd_weight_tile(const ConvReading& reading, const WinogradPlan& plan);
inline constexpr Index winograd_slab_bytes = 6 << 20;

/// Whether the weight gradient takes blocks of tiles through transforms and products together, because its sums stay in
/// a second-level cache.
bool winograd_weight_fused(const ConvReading& reading, const WinogradPlan& plan);

/// Whether the reading, or the weight gradient over it, should be computed this way: f32, a scheme that fits, the
/// switch of <duet/ops/fast_convolutions.hpp> on, and fewer operations.
bool prefers_winograd(const ConvReading& reading);
bool prefers_winograd_weight(const ConvReading& reading);

void conv_by_winograd(const ConvReading& reading, const float* source, const float* weight, const float* bias,
                      float* out);
void weight_by_winograd(const ConvReading& reading, const float* source, const float* out, float* weight);

}  // namespace duet::kernels
