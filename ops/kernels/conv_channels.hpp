// What the two uses of the register tile share: how output channels are cut into panels, and how a block of
// positions becomes columns (or rows) of a product. Internal to ops/kernels.
#pragma once

#include <duet/ops/kernels/conv_reading.hpp>
#include <duet/ops/kernels/conv_table.hpp>

namespace duet::kernels {

/// Bytes of a source tile that leave room in a second-level cache of 512 KiB for what streams past it.
inline constexpr Index tile_bytes = 208 * 1024;

/// Bytes of a panel that stay in a first-level cache of 32 KiB.
inline constexpr Index panel_bytes = 16 * 1024;

/// Output channels [begin, begin + lanes), as a panel of one vector or two.
struct Panel {
  Index begin;
  int lanes, width, vectors;
};

/// `channels` cut into panels of two vectors, and one of one vector where that is enough for the rest.
std::vector<Panel> cut_panels(Index channels, int vector);

/// A range [begin, end) of a one-dimensional cut.
struct Slice {
  Index begin, end;
  Index size() const { return end - begin; }
};

/// Slice i of `total` cut evenly into `parts`, in multiples of `unit`.
Slice slice(Index total, Index parts, Index i, Index unit = 1);

inline Index divide_up(Index a, Index b) { return (a + b - 1) / b; }

/// Positions cut into boxes of one size (smaller at the ends), and images into runs.
struct Blocking {
  Box box, counts;   ///< positions of a box, boxes per axis
  Index images = 1;  ///< images that a block spans
  Index image_blocks = 1;
  Index blocks() const { return image_blocks * counts.product(); }
  Index positions() const { return box.product(); }
};

/// One block: its images, and its box of positions.
struct Block {
  Index image = 0, images = 1;
  Box start, box;
};
Block block_at(const ConvReading& reading, const Blocking& blocking, Index i);

/// Chooses boxes: `least` positions times images or more where there are as many, `most` at most, fewer than that
/// where a source tile of all channels would pass tile_bytes or where fewer than `wanted` blocks would result. Several
/// images are a multiple of `tile`, if there are as many.
Blocking choose_blocking(const ConvReading& reading, Index least, Index most, Index wanted, Index item_size,
                         Index tile = 1);

}  // namespace duet::kernels
