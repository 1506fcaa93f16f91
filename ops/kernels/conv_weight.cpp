// The weight gradient with the output's channels side by side in vectors. The same product as in conv_channels.cpp
// with other names for its sides: rows are pixels, a panel is a block of the output turned so that channels are
// neighbours, and columns are pairs of a tap and a source channel.
#include <algorithm>

#include <duet/core/allocator.hpp>
#include <duet/core/parallel.hpp>
#include <duet/ops/kernels/conv_channels.hpp>
#include <duet/ops/kernels/conv_paths.hpp>

namespace duet::kernels {
namespace {

constexpr Index wanted_items = 16;
constexpr Index least_rows = 160, most_rows = 384;  // pixels of a block: panels of them pass the first-level cache
constexpr Index wanted_columns = 512;               // that share a packed panel
constexpr Index item_vectors = 8;                   // of output channels that share a copy of the source
constexpr Index partial_bytes = 8 << 20;            // of partial sums, where pixels are split among items

template <class T>
class ChannelWeight {
 public:
  ChannelWeight(const ConvReading& reading, const T* source, const T* out, T* weight)
      : r_(reading),
        k_(conv_kernels<T>()),
        source_(source),
        out_(out),
        weight_(weight),
        panels_(cut_panels(reading.out_channels, k_.lanes)),
        panel_groups_(divide_up(static_cast<Index>(panels_.size()) * 2, item_vectors)),
        channel_groups_(divide_up(r_.source_channels, std::max<Index>(8, wanted_columns / r_.taps))),
        channels_(divide_up(r_.source_channels, channel_groups_)),
        blocking_(choose_blocking(narrow(reading), least_rows, most_rows, 1, sizeof(T))),
        tile_(reading, blocking_.box, blocking_.images, false, sizeof(T)) {
    tile_.read_in_place(channels_);
    channel_groups_ = divide_up(r_.source_channels, channels_);
    for (Index i = 0; i < panel_groups_; ++i)
      panels_per_group_ =
          std::max(panels_per_group_, slice(static_cast<Index>(panels_.size()), panel_groups_, i).size());
    item_sums_ = panels_per_group_ * panels_.front().width * columns(channels_);
    const Index most = std::max<Index>(1, partial_bytes / (tasks() * item_sums_ * static_cast<Index>(sizeof(T))));
    splits_ = std::min({divide_up(wanted_items, tasks()), blocking_.blocks(), most});
  }

  void run() {
    if (splits_ == 1) {
      parallel_for(tasks(), 1, [&](Index begin, Index end) {
        const Scratch sums(item_sums_ * static_cast<Index>(sizeof(T)));
        for (Index task = begin; task < end; ++task) {
          accumulate(task, 0, sums.as<T>());
          for (Index p = 0; p < panels_per_group_; ++p) write(task, p, sums.as<T>());
        }
      });
      return;
    }
    const Scratch partial(splits_ * tasks() * item_sums_ * static_cast<Index>(sizeof(T)));
    parallel_for(splits_ * tasks(), 1, [&](Index begin, Index end) {
      for (Index i = begin; i < end; ++i) accumulate(i % tasks(), i / tasks(), partial.as<T>() + i * item_sums_);
    });
    parallel_for(tasks() * panels_per_group_, 1, [&](Index begin, Index end) {
      for (Index i = begin; i < end; ++i) {
        const Index task = i / panels_per_group_, panel = i % panels_per_group_;
        const Index count = panels_.front().width * columns(channels_);
        T* to = partial.as<T>() + task * item_sums_ + panel * count;
        for (Index split = 1; split < splits_; ++split) {
          const T* from = to + split * tasks() * item_sums_;
          for (Index j = 0; j < count; ++j) to[j] += from[j];
        }
        write(task, panel, partial.as<T>() + task * item_sums_);
      }
    });
  }

 private:
  /// A task owns the weights between some source channels and some panels of a group.
  struct Task {
    Index group;
    Slice panels, channels;
  };
  Index tasks() const { return r_.groups * panel_groups_ * channel_groups_; }
  Task task_at(Index i) const {
    const Index c = i % channel_groups_, p = i / channel_groups_ % panel_groups_;
    return {i / channel_groups_ / panel_groups_,
            slice(static_cast<Index>(panels_.size()), panel_groups_, p),
            {c * channels_, std::min(r_.source_channels, (c + 1) * channels_)}};
  }
  Index columns(Index channels) const { return r_.taps * channels; }

  /// The reading with the source channels of one task, for which blocks are chosen.
  ConvReading narrow(const ConvReading& reading) const {
    ConvReading narrowed = reading;
    narrowed.source_channels = channels_;
    return narrowed;
  }

  struct Work {
    Block block;
    std::vector<std::int32_t> row_offset, column_offset, first_range;
    std::vector<RowRange> ranges;
    bool ranged = false;
  };

  void accumulate(Index task, Index split, T* sums) const;
  const T* fill(const Task& task, const Block& block, T* tile) const;
  Ahead source_ahead(const Task& task, const Block& block) const;
  Ahead out_ahead(const Task& task, const Block& block) const;
  void list_ranges(Work& work, Index phase, Index channels) const;
  void pack_panel(const Block& block, Index channel, const Panel& panel, Index phase, T* packed) const;
  void write(Index task, Index panel, const T* sums) const;

  const ConvReading& r_;
  const ConvKernels<T>& k_;
  const T* source_;
  const T* out_;
  T* weight_;
  std::vector<Panel> panels_;
  Index panel_groups_, channel_groups_, channels_;
  Blocking blocking_;
  SourceTile tile_;
  Index panels_per_group_ = 1, item_sums_ = 0, splits_ = 1;
};

/// One task's sums over the blocks of one split: [panel][tap, by phase][channel][lane].
template <class T>
void ChannelWeight<T>::accumulate(Index task_index, Index split, T* sums) const {
  const Task task = task_at(task_index);
  const Index channels = task.channels.size(), width = panels_.front().width;
  const Index rows = blocking_.positions() * blocking_.images, tile_elements = (tile_.size(channels) + 15) / 16 * 16;
  const Scratch scratch((tile_elements + rows * width) * static_cast<Index>(sizeof(T)));
  T *tile = scratch.as<T>(), *packed = tile + tile_elements;
  Work work;
  for (Index t = 0; t < r_.taps; ++t)
    for (Index c = 0; c < channels; ++c)
      work.column_offset.push_back(
          static_cast<std::int32_t>(tile_.tap_offset(r_.order[t]) + c * tile_.channel_stride()));
  const Slice blocks = slice(blocking_.blocks(), splits_, split);
  // The first block overwrites the sums, except of taps that reach no output.
  if (r_.first[r_.phases()] < r_.taps || channels < channels_ || task.panels.size() < panels_per_group_)
    std::fill_n(sums, item_sums_, T(0));
  for (Index b = blocks.begin; b < blocks.end; ++b) {
    const Block before = work.block;
    work.block = block_at(r_, blocking_, b);
    const T* source = fill(task, work.block, tile);
    // The next block's lines, spread over this one's tiles of columns.
    Ahead ahead{}, then{};
    if (b + 1 < blocks.end) {
      const Block next = block_at(r_, blocking_, b + 1);
      ahead = source_ahead(task, next);
      then = out_ahead(task, next);
      ahead.then = &then;
      const Index tiles = divide_up(columns(channels), k_.tile) * task.panels.size();
      ahead.at_once = then.at_once = divide_up(ahead.lines() + then.lines(), tiles);
      if (ahead.runs == 0) ahead = then;
    }
    if (b == blocks.begin || work.block.box != before.box || work.block.images != before.images)
      work.row_offset = tile_.offsets(work.block.box, work.block.images);
    for (Index f = 0; f < r_.phases(); ++f) {
      if (r_.first[f] == r_.first[f + 1]) continue;
      list_ranges(work, f, channels);
      for (Index p = task.panels.begin; p < task.panels.end; ++p) {
        const Panel& panel = panels_[p];
        pack_panel(work.block, task.group * r_.out_channels + panel.begin, panel, f, packed);
        PanelProduct<T> product{};
        product.panel = packed;
        product.source = source;
        product.row_offset = work.row_offset.data();
        product.rows = static_cast<std::int32_t>(work.row_offset.size());
        product.column_offset = work.column_offset.data() + r_.first[f] * channels;
        product.columns = (r_.first[f + 1] - r_.first[f]) * channels;
        product.sums = sums + ((p - task.panels.begin) * columns(channels_) + r_.first[f] * channels) * width;
        product.sums_stride = width;
        product.first_range = work.ranged ? work.first_range.data() : nullptr;
        product.ranges = work.ranges.data();
        product.range_unit = static_cast<std::int32_t>(work.block.images);
        product.accumulate = b > blocks.begin;
        product.ahead = ahead.runs > 0 ? &ahead : nullptr;
        k_.product[panel.vectors - 1](product);
      }
    }
  }
}

/// The source of a block: a copy in `tile`, or the tensor itself.
template <class T>
const T* ChannelWeight<T>::fill(const Task& task, const Block& block, T* tile) const {
  const Index channel = task.group * r_.source_channels + task.channels.begin;
  const Index image = r_.groups * r_.source_channels * r_.source_plane;
  const T* source = source_ + block.image * image + channel * r_.source_plane;
  if (tile_.in_place()) return source + tile_.start_offset(block.start);
  tile_.fill(tile, source, image, block.images, task.channels.size(), block.start, block.box);
  return tile;
}

template <class T>
Ahead ChannelWeight<T>::source_ahead(const Task& task, const Block& block) const {
  const Index channel = task.group * r_.source_channels + task.channels.begin;
  const Index image = r_.groups * r_.source_channels * r_.source_plane;
  return tile_.ahead(source_ + block.image * image + channel * r_.source_plane, image, block.images,
                     task.channels.size(), block.start, block.box, sizeof(T));
}

/// The rows of the block in the planes of the task's panels: of one image, or whole planes of several.
template <class T>
Ahead ChannelWeight<T>::out_ahead(const Task& task, const Block& block) const {
  const AxisReading &ad = r_.axis[0], &ah = r_.axis[1], &aw = r_.axis[2];
  const Panel &front = panels_[task.panels.begin], &back = panels_[task.panels.end - 1];
  const Index channels = back.begin + back.lanes - front.begin, row = aw.out;
  const Index first = (block.start[0] * ad.period * ah.out + block.start[1] * ah.period) * row;
  const Index rows = ((block.box[0] - 1) * ad.period * ah.out + block.box[1] * ah.period) * row;
  const T* out =
      out_ + (block.image * r_.groups * r_.out_channels + task.group * r_.out_channels + front.begin) * r_.out_plane;
  Ahead a{};
  a.bytes = std::min(rows, r_.out_plane - first) * static_cast<Index>(sizeof(T));
  a.stride = r_.out_plane * static_cast<Index>(sizeof(T));
  a.runs = channels;
  if (a.bytes == a.stride) {
    a.bytes *= channels;
    a.stride *= r_.groups * r_.out_channels;
    a.runs = block.images;
  } else if (block.images > 1) {
    a.runs = 0;
  }
  a.at = reinterpret_cast<const char*>(out + first);
  a.end = a.at + a.bytes;
  return a;
}

/// For each tile of columns, the positions whose source elements exist. Single columns of a plane are left out only
/// where several images stand side by side: a shorter run saves nothing.
template <class T>
void ChannelWeight<T>::list_ranges(Work& work, Index phase, Index channels) const {
  const Block& block = work.block;
  work.first_range.clear();
  work.ranges.clear();
  work.ranged = false;
  const bool cut_rows = block.images >= 4;
  const Index first = r_.first[phase], columns = (r_.first[phase + 1] - first) * channels;
  const auto exists = [&](int a, Index i, Index first_tap, Index last_tap) {
    const AxisReading& axis = r_.axis[a];
    for (Index t = first_tap; t <= last_tap; ++t) {
      const Index at = (block.start[a] + i) * axis.step + axis.delta[r_.tap_along(r_.order[t], a)];
      if (at >= 0 && at < axis.source) return true;
    }
    return false;
  };
  for (Index column = 0; column < columns; column += k_.tile) {
    const Index first_tap = first + column / channels;
    const Index last_tap = first + (std::min(columns, column + k_.tile) - 1) / channels;
    const auto begin = static_cast<std::int32_t>(work.ranges.size());
    // The same taps as the tile before: the same ranges.
    if (column > 0 && first_tap == last_tap && (column - k_.tile) / channels == first_tap - first) {
      const std::int32_t before = work.first_range.back();
      for (std::int32_t i = before; i < begin; ++i) work.ranges.push_back(RowRange(work.ranges[i]));
      work.first_range.push_back(begin);
      continue;
    }
    work.first_range.push_back(begin);
    Slice inside{0, block.box[2]};
    if (cut_rows) {
      while (inside.begin < inside.end && !exists(2, inside.begin, first_tap, last_tap)) ++inside.begin;
      while (inside.end > inside.begin && !exists(2, inside.end - 1, first_tap, last_tap)) --inside.end;
    }
    for (Index d = 0; d < block.box[0]; ++d) {
      if (!exists(0, d, first_tap, last_tap)) continue;
      for (Index h = 0; h < block.box[1]; ++h) {
        if (inside.size() == 0 || !exists(1, h, first_tap, last_tap)) continue;
        const Index row = (d * block.box[1] + h) * block.box[2];
        const auto from = static_cast<std::int32_t>(row + inside.begin),
                   to = static_cast<std::int32_t>(row + inside.end);
        if (static_cast<std::int32_t>(work.ranges.size()) > begin && work.ranges.back().end == from)
          work.ranges.back().end = to;
        else
          work.ranges.push_back({from, to});
      }
    }
  }
  work.first_range.push_back(static_cast<std::int32_t>(work.ranges.size()));
  work.ranged = true;
}

/// The block's part of some channels' planes, turned to [position][image][lane]. Positions behind the output's end
/// are zero.
template <class T>
void ChannelWeight<T>::pack_panel(const Block& block, Index channel, const Panel& panel, Index phase, T* packed) const {
  const AxisReading &ad = r_.axis[0], &ah = r_.axis[1], &aw = r_.axis[2];
  const Index fw = phase % aw.phases, fh = phase / aw.phases % ah.phases, fd = phase / aw.phases / ah.phases;
  const Index row_elements = block.images * panel.width;
  const bool merge = aw.period == 1 && ah.period == 1 && block.box[2] == aw.positions;
  LanePack<T> task{};
  task.lane_stride = r_.out_plane;
  task.step = aw.period;
  task.to_stride = row_elements;
  task.lanes = panel.lanes;
  task.width = panel.width;
  for (Index n = 0; n < block.images; ++n) {
    const T* plane = out_ + ((block.image + n) * r_.groups * r_.out_channels + channel) * r_.out_plane;
    for (Index d = 0; d < block.box[0]; ++d)
      for (Index h = 0; h < (merge ? 1 : block.box[1]); ++h) {
        const Index od = (block.start[0] + d) * ad.period + fd, oh = (block.start[1] + h) * ah.period + fh;
        const Index ow = block.start[2] * aw.period + fw;
        const Index positions = merge ? block.box[1] * block.box[2] : block.box[2];
        const bool row_exists = od < ad.out && oh < ah.out;
        task.count = !row_exists ? 0
                     : merge     ? positions
                                 : std::clamp<Index>(divide_up(aw.out - ow, aw.period), 0, positions);
        task.from = plane + (od * ah.out + oh) * aw.out + ow;
        task.to = packed + ((d * block.box[1] + h) * block.box[2]) * row_elements + n * panel.width;
        if (task.count > 0) k_.pack(task);
        for (Index i = task.count; i < positions; ++i) std::fill_n(task.to + i * row_elements, panel.width, T(0));
      }
  }
}

template <class T>
void ChannelWeight<T>::write(Index task_index, Index panel_index, const T* sums) const {
  const Task task = task_at(task_index);
  if (panel_index >= task.panels.size()) return;
  const Panel& panel = panels_[task.panels.begin + panel_index];
  const Index channels = task.channels.size(), stride = panels_.front().width;
  const T* from = sums + panel_index * columns(channels_) * stride;
  const bool contiguous = r_.weight_source == r_.taps;
  const Index together = contiguous ? channels : 1;
  std::vector<std::int32_t> row(static_cast<std::size_t>(together * r_.taps));
  for (Index c = 0; c < together; ++c)
    for (Index t = 0; t < r_.taps; ++t)
      row[c * r_.taps + r_.order[t]] = static_cast<std::int32_t>((t * channels + c) * stride);
  for (Index c = 0; c < channels; c += together) {
    const T* columns_of_c = from + c * stride;
    LaneUnpack<T> unpack{};
    unpack.sums = &columns_of_c;
    unpack.phases = 1;
    unpack.row = row.data();
    unpack.to = weight_ + task.group * r_.weight_group + panel.begin * r_.weight_out +
                (task.channels.begin + c) * r_.weight_source;
    unpack.lane_stride = r_.weight_out;
    unpack.count = together * r_.taps;
    unpack.lanes = panel.lanes;
    k_.unpack(unpack);
  }
}

}  // namespace

template <class T>
void weight_by_channels(const ConvReading& reading, const T* source, const T* out, T* weight) {
  ChannelWeight<T>(reading, source, out, weight).run();
}

template void weight_by_channels<float>(const ConvReading&, const float*, const float*, float*);
template void weight_by_channels<double>(const ConvReading&, const double*, const double*, double*);

}  // namespace duet::kernels
