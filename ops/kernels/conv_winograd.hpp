// The parts of a convolution with minimal filtering (Winograd) that its two users, conv_winograd.cpp (a reading) and
// conv_winograd_weight.cpp (the weight gradient), share. Internal to ops/kernels.
//
// Everything is made of parts: a part is a filter of 3 x 3 or 2 x 2 taps that moves over a plane by single steps. A
// 3 x 3 convolution of stride 1 is one part. With stride 2, a 4 x 4 convolution is the sum of four parts, one for each
// phase plane of its source; a transposed one has a part for each phase of its output.
#pragma once

#include <algorithm>
#include <vector>

#include <duet/ops/kernels/conv_channels.hpp>
#include <duet/ops/kernels/conv_winograd_table.hpp>

namespace duet::kernels {

/// What one axis adds to a part: output position q takes, for i < r, source element (q + low + i) * step + phase
/// through tap tap[i].
struct WinogradAxis {
  Index low = 0, phase = 0;
  Index tap[3] = {0, 0, 0};
};

struct WinogradPart {
  WinogradAxis axis[2];
  std::vector<std::int32_t> taps;  ///< index in the kernel of each tap of the part, row by row
};

/// How a reading is computed: its parts, and its cut into tiles. Either all parts add up to one output, or each has
/// an output phase of its own.
struct WinogradPlan {
  const WinogradScheme* scheme = nullptr;
  std::vector<WinogradPart> parts;  ///< the last axis's phases vary fastest
  bool parts_add = false;
  Index tile_rows = 0, tile_columns = 0, tiles = 0;  ///< in a plane; in all images
  Index block = 0;                                   ///< tiles computed together, a multiple of a panel's
  int width = 0;                                     ///< lanes of a panel
  Index blocks() const { return divide_up(tiles, block); }
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
  void place_strips(const WinogradPart& part, const std::vector<TileRun>& runs);
  void place_pieces(const std::vector<TileRun>& runs);

  const ConvReading& r_;
  const WinogradPlan& plan_;
  std::vector<WinogradStrip> strips_;
  std::vector<Index> strip_at_;  // where each strip starts, with the zeros before its first pixel
  std::vector<WinogradMend> mends_;
  std::vector<std::int32_t> first_, second_;
  Index row_elements_ = 0, zeros_ = 0;
  int vectors_;
};

/// Whether the reading, or the weight gradient over it, should be computed this way: f32, a scheme that fits, the
/// switch of <duet/ops/fast_convolutions.hpp> on, and fewer operations.
bool prefers_winograd(const ConvReading& reading);
bool prefers_winograd_weight(const ConvReading& reading);

void conv_by_winograd(const ConvReading& reading, const float* source, const float* weight, const float* bias,
                      float* out);
void weight_by_winograd(const ConvReading& reading, const float* source, const float* out, float* weight);

}  // namespace duet::kernels
