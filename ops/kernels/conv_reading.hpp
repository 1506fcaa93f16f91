// The two readings of a convolution, brought to one form. Internal to ops/kernels.
//
// A reading says how the elements of an output plane follow from a source plane: output index
//
//     o = position * phases + phase     takes, for each tap t of that phase, source index   position * step + delta(t).
//
// Read towards the small side (conv), there is one phase and the step is the stride. Read towards the large side
// (conv_transpose), the stride becomes the number of phases, each with its own share of the taps, and the step is
// one. The weight gradient uses either reading: it is the same sum over other indices.
#pragma once

#include <cstdint>
#include <vector>

#include <duet/ops/conv_geometry.hpp>
#include <duet/ops/kernels/conv_table.hpp>

namespace duet::kernels {

using Index = std::int64_t;

struct AxisReading {
  Index positions = 1;  ///< of a phase; the last one may lie outside the output for late phases
  Index step = 1;       ///< source elements from one position to the next
  Index source = 1;     ///< source size
  Index out = 1;        ///< output size
  Index phases = 1;     ///< phases that have an output at all
  Index period = 1;     ///< output elements from one position to the next: the stride of a transposed reading
  std::vector<Index> delta, phase;  ///< per tap

  Index taps() const { return static_cast<Index>(delta.size()); }
};

struct ConvReading {
  Index batch, groups;
  Index source_channels, out_channels;            ///< per group
  AxisReading axis[max_conv_rank];                ///< always three, the last one contiguous
  Index weight_group, weight_out, weight_source;  ///< strides of the weight, in elements; its taps are contiguous
  Index taps = 1, source_plane = 1, out_plane = 1, positions = 1;

  /// Taps in the order of their phases; those of phase f are order[first[f]] up to order[first[f + 1]].
  std::vector<Index> order, first;
  /// Whether every tap of every position meets the source: no padding.
  bool inside() const;
  /// Whether output planes are source planes times numbers: a matrix product of channels.
  bool pointwise() const { return taps == 1 && inside() && source_plane == positions && out_plane == positions; }
  Index phases() const { return axis[0].phases * axis[1].phases * axis[2].phases; }
  std::vector<Index> along[max_conv_rank];  ///< each tap's index along an axis
  Index tap_along(Index tap, int a) const { return along[a][static_cast<std::size_t>(tap)]; }
};

/// The reading from the large side to the small one, or back.
ConvReading read_small(const ConvGeometry& geometry, Index batch);
ConvReading read_large(const ConvGeometry& geometry, Index batch);

/// Up to three counts or offsets, one per axis.
struct Box {
  Index at[max_conv_rank] = {0, 0, 0};
  Index& operator[](int i) { return at[i]; }
  Index operator[](int i) const { return at[i]; }
  Index product() const { return at[0] * at[1] * at[2]; }
  bool operator==(const Box&) const = default;
};

/// The copy of a part of the source that a block of positions needs, with zeros where the source has none. Along
/// each axis it holds either the whole stretch from the first to the last element (positions share elements), or
/// every position's taps side by side (shorter where the stride or the dilation leaves gaps), or, on the last axis,
/// the stretch split by its remainder modulo the step, so that neighbouring positions are neighbours in memory.
class SourceTile {
 public:
  enum class Form { stretch, gathered, split };

  /// A tile for `box` positions of `images` images at once. With `rows`, neighbouring positions of the last axis
  /// become neighbours in the tile, and a vector may be read past a row's end.
  SourceTile(const ConvReading& reading, const Box& box, Index images, bool rows, Index item_size);

  /// From now on stands for the source as it is, without a copy: of a reading that meets no padding, and whose
  /// `channels` planes do not lie such that they displace each other in a cache. Says whether it does.
  bool read_in_place(Index channels);
  bool in_place() const { return in_place_; }
  /// Where, from the first image's first channel on, a block of positions begins in the source.
  Index start_offset(const Box& start) const;

  Index position_offset(int a, Index position) const { return position * position_step_[a] * stride_[a]; }
  Index tap_offset(Index tap) const;
  Index image_stride() const { return image_stride_; }
  Index channel_stride() const { return channel_stride_; }
  Index row_stride() const { return stride_[1]; }
  /// Offsets of all positions of a box, images side by side.
  std::vector<std::int32_t> offsets(const Box& box, Index images) const;
  /// Elements to allocate for a number of channels.
  Index size(Index channels) const { return in_place_ ? 0 : channels * channel_stride_ + slack_; }

  /// Copies `channels` planes for positions from `start` on. `source` points at the first image's first channel.
  template <class T>
  void fill(T* tile, const T* source, Index source_image, Index images, Index channels, const Box& start,
            const Box& box) const;

  /// What such a fill will read, to be fetched ahead of it; without runs where it is too scattered.
  Ahead ahead(const void* source, Index source_image, Index images, Index channels, const Box& start, const Box& box,
              Index item_size) const;

 private:
  Index sample(int a, Index start, Index i) const;  // the source index of sample i, or -1

  const ConvReading& reading_;
  Box box_;
  Index box_images_, line_;  // line_: elements of a cache line
  Form form_[max_conv_rank];
  Index low_[max_conv_rank], length_[max_conv_rank], stride_[max_conv_rank], position_step_[max_conv_rank];
  bool in_place_ = false;
  Index split_ = 1;  // length of a remainder's run in split form
  Index image_stride_, channel_stride_, slack_;
};

}  // namespace duet::kernels
