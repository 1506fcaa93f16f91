// Convolution in either direction with output channels side by side in vectors: the path for all but the few-channel
// cases. A panel of packed weights is multiplied with a copy of the source that stays in the second-level cache.
#include <duet/ops/kernels/conv_channels.hpp>

#include <algorithm>

#include <duet/core/allocator.hpp>
#include <duet/core/parallel.hpp>
#include <duet/ops/kernels/conv_paths.hpp>

namespace duet::kernels {
namespace {

constexpr Index wanted_items = 16;        // so that up to eight threads end at nearly the same time
constexpr Index least_pixels = 96;        // columns that make loading a panel from afar worthwhile
constexpr Index most_pixels = 1024;       // bounds the sums that wait for their output
constexpr Index sums_bytes = 192 * 1024;  // of sums kept while the source's channels go by in several tiles
constexpr Index packed_bytes = 16 << 20;  // of packed weights at a time

/// The cut of the source's channels into steps, each with all its taps one panel that fits the first-level cache.
struct ChannelSteps {
  Index channels, size;
  Index count() const { return divide_up(channels, size); }
  Slice at(Index i) const { return {i * size, std::min(channels, (i + 1) * size)}; }
};

/// The taps that meet the source from a position, as a bit each; all ones for a kernel of more than 64.
std::vector<std::uint64_t> meeting_taps(const AxisReading& axis, Index start, Index count) {
  std::vector<std::uint64_t> masks(static_cast<std::size_t>(count), axis.taps() > 64 ? ~std::uint64_t{0} : 0);
  if (axis.taps() > 64) return masks;
  for (Index i = 0; i < count; ++i)
    for (Index t = 0; t < axis.taps(); ++t) {
      const Index at = (start + i) * axis.step + axis.delta[t];
      if (at >= 0 && at < axis.source) masks[i] |= std::uint64_t{1} << t;
    }
  return masks;
}

struct TapMask {
  std::uint64_t axis[max_conv_rank] = {0, 0, 0};
  bool operator==(const TapMask&) const = default;
};

template <class T>
class ChannelConv {
 public:
  ChannelConv(const ConvReading& reading, const T* source, const T* weight, const T* bias, T* out)
      : r_(reading),
        k_(conv_kernels<T>()),
        source_(source),
        weight_(weight),
        bias_(bias),
        out_(out),
        panels_(cut_panels(reading.out_channels, k_.lanes)),
        steps_(choose_steps()),
        blocking_(choose_blocking(reading, least_pixels, most_pixels,
                                  divide_up(wanted_items, reading.groups * static_cast<Index>(panels_.size())),
                                  sizeof(T), k_.tile)),
        tile_(reading, blocking_.box, blocking_.images, false, sizeof(T)) {
    tile_.read_in_place(reading.source_channels);
    choose_tile_channels();
    choose_panel_groups();
    list_row_offsets(steps_.size, row_offset_);
    list_row_offsets(steps_.channels - (steps_.count() - 1) * steps_.size, last_row_offset_);
    prepare_works();
  }

  void run() {
    // All weights are packed at once if they are not many; else by shares of groups and panel groups.
    const Index shares = r_.groups * panel_groups_;
    const Index share_bytes = panels_per_group_ * panel_size(panels_.front()) * static_cast<Index>(sizeof(T));
    const Index at_once = std::clamp<Index>(packed_bytes / std::max<Index>(share_bytes, 1), 1, shares);
    const Scratch packed(at_once * share_bytes);
    for (Index first = 0; first < shares; first += at_once) {
      const Index count = std::min(at_once, shares - first);
      pack_weights(first, count, packed.as<T>());
      // Runs of blocks, so that the source of the next one can be fetched during this one.
      const Index items = count * blocking_.blocks();
      parallel_for(items, std::max<Index>(1, items / (2 * wanted_items)), [&](Index begin, Index end) {
        Buffers buffers(*this);
        for (Index i = begin; i < end; ++i)
          compute({first + i % count, i / count}, i + 1 < end ? Item{first + (i + 1) % count, (i + 1) / count} : Item{},
                  packed.as<T>() + (i % count) * share_bytes / static_cast<Index>(sizeof(T)), buffers);
      });
    }
  }

 private:
  Index panel_size(const Panel& p) const { return r_.source_channels * r_.taps * p.width; }

  /// Rows of a panel that a tile of columns uses per channel: the taps of a phase, but in small planes most of them
  /// meet nothing.
  Index used_taps() const {
    double used = 1;
    for (const AxisReading& a : r_.axis) {
      Index pairs = 0;
      for (Index t = 0; t < a.taps(); ++t)
        for (Index i = 0; i < a.positions; ++i) {
          const Index at = i * a.step + a.delta[t];
          pairs += at >= 0 && at < a.source;
        }
      used *= std::max(1.0, static_cast<double>(pairs) / static_cast<double>(a.positions * a.phases));
    }
    return static_cast<Index>(used + 0.99);
  }

  ChannelSteps choose_steps() const {
    const Index rows = panel_bytes / static_cast<Index>(sizeof(T)) / (2 * k_.lanes);
    const Index count = divide_up(r_.source_channels, std::max<Index>(1, rows / used_taps()));
    return {r_.source_channels, divide_up(r_.source_channels, count)};
  }

  void choose_tile_channels() {
    const Index fitting = tile_bytes / static_cast<Index>(sizeof(T)) / tile_.channel_stride();
    Index steps = std::clamp<Index>(fitting / steps_.size, 1, steps_.count());
    if (tile_.size(r_.source_channels) * static_cast<Index>(sizeof(T)) <= tile_bytes * 5 / 4) steps = steps_.count();
    tile_steps_ = steps;
  }

  /// Panels of a group are computed in shares: more shares for more parallel work, or where sums must be kept for
  /// all panels of a share at once.
  void choose_panel_groups() {
    const Index count = static_cast<Index>(panels_.size());
    const Index items = blocking_.blocks() * r_.groups;
    Index groups = std::min(count, divide_up(wanted_items, items));
    if (tile_steps_ < steps_.count()) {
      const Index bytes = pixels() * r_.phases() * 2 * k_.lanes * static_cast<Index>(sizeof(T));
      groups = std::max(groups, divide_up(count, std::max<Index>(1, sums_bytes / bytes)));
    }
    panels_per_group_ = divide_up(count, groups);
    panel_groups_ = divide_up(count, panels_per_group_);
  }

  Index pixels() const { return blocking_.positions() * blocking_.images; }

  void list_row_offsets(Index channels, std::vector<std::int32_t>& list) const {
    for (Index t = 0; t < r_.taps; ++t)
      for (Index c = 0; c < channels; ++c)
        list.push_back(static_cast<std::int32_t>(tile_.tap_offset(r_.order[t]) + c * tile_.channel_stride()));
  }

  /// Packed weights: [share][panel][step][tap, by phase][channel of the step][lane].
  void pack_weights(Index first, Index count, T* packed) const {
    const Index panels = panels_per_group_, steps = steps_.count();
    const Index panel_elements = panel_size(panels_.front());
    const Index grain = std::max<Index>(1, 16384 * steps / std::max<Index>(panel_elements, 1));
    parallel_for(count * panels * steps, grain, [&](Index begin, Index end) {
      std::vector<std::int32_t> destination;
      for (Index i = begin; i < end; ++i) {
        const Index share = first + i / steps / panels;
        const Index panel = share % panel_groups_ * panels + i / steps % panels;
        if (panel < static_cast<Index>(panels_.size()))
          pack_step(share / panel_groups_, panels_[panel], i % steps, packed + i / steps * panel_elements, destination);
      }
    });
  }

  void pack_step(Index group, const Panel& panel, Index step, T* packed, std::vector<std::int32_t>& destination) const {
    const Slice channels = steps_.at(step);
    const bool contiguous = r_.weight_source == r_.taps;  // a channel's taps follow the previous channel's
    const Index together = contiguous ? channels.size() : 1;
    destination.resize(static_cast<std::size_t>(together * r_.taps));
    for (Index t = 0; t < r_.taps; ++t)
      for (Index c = 0; c < together; ++c)
        destination[c * r_.taps + r_.order[t]] = static_cast<std::int32_t>((t * channels.size() + c) * panel.width);
    for (Index c = 0; c < channels.size(); c += together) {
      LanePack<T> task{};
      task.from =
          weight_ + group * r_.weight_group + panel.begin * r_.weight_out + (channels.begin + c) * r_.weight_source;
      task.lane_stride = r_.weight_out;
      task.step = 1;
      task.to = packed + channels.begin * r_.taps * panel.width + c * panel.width;
      task.destination = destination.data();
      task.count = together * r_.taps;
      task.lanes = panel.lanes;
      task.width = panel.width;
      k_.pack(task);
    }
  }

  /// What the products of all blocks of one form share: their box, and the taps that meet the source from there.
  struct Work {
    Block block;  ///< one of them
    std::vector<std::int32_t> column_offset;
    std::vector<std::vector<std::int32_t>> first_range;  // per phase; empty where all rows matter
    std::vector<RowRange> ranges;
  };

  /// A share of the panels of a group, for a block of pixels; or none.
  struct Item {
    Index share = -1, block = -1;
  };

  /// Scratch of one thread's run of blocks, and which part of the source its tile holds.
  struct Buffers {
    explicit Buffers(const ChannelConv& c)
        : tile_elements((c.tile_.size(std::min(c.r_.source_channels, c.tile_steps_ * c.steps_.size)) + 15) / 16 * 16),
          panel_sums(c.pixels() * c.r_.phases() * c.panels_.front().width),
          scratch(static_cast<Index>(sizeof(T)) *
                  (tile_elements + panel_sums * (c.tile_steps_ >= c.steps_.count() ? 1 : c.panels_per_group_))) {}
    T* tile() const { return scratch.template as<T>(); }
    const T* source = nullptr;  ///< the tile, or what it stands for
    T* sums() const { return tile() + tile_elements; }
    const Index tile_elements, panel_sums;
    const Scratch scratch;
    Index block = -1, group = -1, step = -1;
    Ahead ahead{};
  };

  void prepare_works();
  const Work& work_of(const Block& block) const;
  void list_ranges(Work& work) const;
  void list_phase_ranges(Work& work, Index phase, const std::vector<TapMask>& tiles, const TapMask& full) const;
  void compute(Item item, Item next, const T* packed, Buffers& buffers) const;
  void fetch_ahead(Item item, Slice steps, Index tiles, Buffers& buffers) const;
  void fill(Index group, Index block_index, const Block& block, Slice steps, Buffers& buffers) const;
  void multiply(const Block& block, const Work& work, Index group, const Panel& panel, const T* packed, Slice steps,
                T* sums, Buffers& buffers) const;
  void write(const Block& block, Index group, const Panel& panel, const T* sums) const;

  const ConvReading& r_;
  const ConvKernels<T>& k_;
  const T* source_;
  const T* weight_;
  const T* bias_;
  T* out_;
  std::vector<Panel> panels_;
  ChannelSteps steps_;
  Blocking blocking_;
  SourceTile tile_;
  Index tile_steps_ = 1, panels_per_group_ = 1, panel_groups_ = 1;
  std::vector<std::int32_t> row_offset_, last_row_offset_;
  std::vector<Index> forms_[max_conv_rank];  ///< per axis, a number for each block's form along it
  Index form_counts_[max_conv_rank];
  std::vector<Work> works_;
};

/// Along an axis all blocks but those at the ends are alike: only what differs is listed.
template <class T>
void ChannelConv<T>::prepare_works() {
  std::vector<Index> first_of[max_conv_rank];  // per form, the first block that has it
  for (int a = 0; a < max_conv_rank; ++a) {
    std::vector<std::vector<std::uint64_t>> seen;
    for (Index i = 0; i < blocking_.counts[a]; ++i) {
      const Index start = i * blocking_.box[a];
      const auto masks = meeting_taps(r_.axis[a], start, std::min(blocking_.box[a], r_.axis[a].positions - start));
      const auto form = std::find(seen.begin(), seen.end(), masks) - seen.begin();
      if (form == static_cast<std::ptrdiff_t>(seen.size())) {
        seen.push_back(masks);
        first_of[a].push_back(i);
      }
      forms_[a].push_back(form);
    }
    form_counts_[a] = static_cast<Index>(seen.size());
  }
  const bool shorter_end = r_.batch % blocking_.images != 0;
  for (Index last = 0; last < (shorter_end ? 2 : 1); ++last)
    for (const Index d : first_of[0])
      for (const Index h : first_of[1])
        for (const Index w : first_of[2]) {
          const Index image_block = last == 0 ? 0 : blocking_.image_blocks - 1;
          Work work;
          work.block =
              block_at(r_, blocking_,
                       ((image_block * blocking_.counts[0] + d) * blocking_.counts[1] + h) * blocking_.counts[2] + w);
          work.column_offset = tile_.offsets(work.block.box, work.block.images);
          list_ranges(work);
          works_.push_back(std::move(work));
        }
}

template <class T>
const typename ChannelConv<T>::Work& ChannelConv<T>::work_of(const Block& block) const {
  Index i = block.images == blocking_.images ? 0 : 1;
  for (int a = 0; a < max_conv_rank; ++a) i = i * form_counts_[a] + forms_[a][block.start[a] / blocking_.box[a]];
  return works_[i];
}

/// For each tile of columns, the taps that meet the source at all. Images stand side by side, so in small planes a
/// tile is one position and what its padding would multiply with zero is left out.
template <class T>
void ChannelConv<T>::list_ranges(Work& work) const {
  const Block& block = work.block;
  std::vector<std::uint64_t> masks[max_conv_rank];
  TapMask full;
  bool all = true;
  for (int a = 0; a < max_conv_rank; ++a) {
    const Index taps = r_.axis[a].taps();
    full.axis[a] = taps >= 64 ? ~std::uint64_t{0} : (std::uint64_t{1} << taps) - 1;
    masks[a] = meeting_taps(r_.axis[a], block.start[a], block.box[a]);
    for (const std::uint64_t mask : masks[a]) all = all && mask == full.axis[a];
  }
  work.first_range.resize(static_cast<std::size_t>(r_.phases()));
  if (all) return;
  // The masks of each tile of columns, then its ranges in every phase.
  const Index columns = static_cast<Index>(work.column_offset.size());
  std::vector<TapMask> tiles(static_cast<std::size_t>(divide_up(columns, k_.tile)));
  Index column = 0;
  for (Index d = 0; d < block.box[0]; ++d)
    for (Index h = 0; h < block.box[1]; ++h)
      for (Index w = 0; w < block.box[2]; ++w, column += block.images)
        for (Index tile = column / k_.tile; tile <= (column + block.images - 1) / k_.tile; ++tile) {
          tiles[tile].axis[0] |= masks[0][d];
          tiles[tile].axis[1] |= masks[1][h];
          tiles[tile].axis[2] |= masks[2][w];
        }
  for (Index f = 0; f < r_.phases(); ++f) list_phase_ranges(work, f, tiles, full);
}

template <class T>
void ChannelConv<T>::list_phase_ranges(Work& work, Index phase, const std::vector<TapMask>& tiles,
                                       const TapMask& full) const {
  auto& first = work.first_range[phase];
  first.reserve(tiles.size() + 1);
  const Index begin = r_.first[phase], end = r_.first[phase + 1];
  for (std::size_t tile = 0; tile < tiles.size(); ++tile) {
    const auto at = static_cast<std::int32_t>(work.ranges.size());
    const std::int32_t before = tile > 0 ? first.back() : at;
    first.push_back(at);
    if (tiles[tile] == full) {
      if (end > begin) work.ranges.push_back({0, static_cast<std::int32_t>(end - begin)});
      continue;
    }
    if (tile > 0 && tiles[tile] == tiles[tile - 1]) {
      for (std::int32_t i = before; i < at; ++i) work.ranges.push_back(RowRange(work.ranges[i]));
      continue;
    }
    for (Index i = begin; i < end; ++i) {
      bool meets = true;
      for (int a = 0; a < max_conv_rank; ++a)
        meets = meets && (tiles[tile].axis[a] >> (r_.tap_along(r_.order[i], a) & 63) & 1);
      if (!meets) continue;
      const auto tap = static_cast<std::int32_t>(i - begin);
      if (static_cast<std::int32_t>(work.ranges.size()) > at && work.ranges.back().end == tap)
        work.ranges.back().end = tap + 1;
      else
        work.ranges.push_back({tap, tap + 1});
    }
  }
  first.push_back(static_cast<std::int32_t>(work.ranges.size()));
}

template <class T>
void ChannelConv<T>::compute(Item item, Item next, const T* packed, Buffers& buffers) const {
  const Block block = block_at(r_, blocking_, item.block);
  const Work& work = work_of(block);
  const Index group = item.share / panel_groups_;
  const Index first_panel = item.share % panel_groups_ * panels_per_group_;
  const Index panels = std::min<Index>(panels_per_group_, static_cast<Index>(panels_.size()) - first_panel);
  const bool one_tile = tile_steps_ >= steps_.count();
  const Index tiles = divide_up(static_cast<Index>(work.column_offset.size()), k_.tile) * panels * r_.phases();
  for (Index step = 0; step < steps_.count(); step += tile_steps_) {
    const Slice steps{step, std::min(steps_.count(), step + tile_steps_)};
    fill(group, item.block, block, steps, buffers);
    if (steps.end < steps_.count())
      fetch_ahead(item, {steps.end, std::min(steps_.count(), steps.end + tile_steps_)}, tiles * steps.size(), buffers);
    else
      fetch_ahead(next, {0, std::min(steps_.count(), tile_steps_)}, tiles * steps.size(), buffers);
    for (Index p = 0; p < panels; ++p) {
      const Panel& panel = panels_[first_panel + p];
      T* sums = buffers.sums() + (one_tile ? 0 : p * buffers.panel_sums);
      multiply(block, work, group, panel, packed + p * panel_size(panels_.front()), steps, sums, buffers);
      if (steps.end == steps_.count()) write(block, group, panel, sums);
    }
  }
}

/// Copies some channels of a block's source, if it has to be copied and the tile does not hold them already.
template <class T>
void ChannelConv<T>::fill(Index group, Index block_index, const Block& block, Slice steps, Buffers& buffers) const {
  if (buffers.block == block_index && buffers.group == group && buffers.step == steps.begin) return;
  buffers.block = block_index;
  buffers.group = group;
  buffers.step = steps.begin;
  const Index channel = steps_.at(steps.begin).begin, last = steps_.at(steps.end - 1).end;
  const Index image = r_.groups * r_.source_channels * r_.source_plane;
  const T* source = source_ + block.image * image + (group * r_.source_channels + channel) * r_.source_plane;
  buffers.source = tile_.in_place() ? source + tile_.start_offset(block.start) : buffers.tile();
  if (!tile_.in_place())
    tile_.fill(buffers.tile(), source, image, block.images, last - channel, block.start, block.box);
}

/// Spreads the lines that the next fill will read over this fill's `tiles` tiles of columns.
template <class T>
void ChannelConv<T>::fetch_ahead(Item item, Slice steps, Index tiles, Buffers& buffers) const {
  const Index group = item.share / panel_groups_;
  buffers.ahead = {};
  if (item.block < 0) return;
  if (item.block == buffers.block && group == buffers.group && steps.begin == buffers.step) return;
  const Block block = block_at(r_, blocking_, item.block);
  const Index channel = steps_.at(steps.begin).begin, last = steps_.at(steps.end - 1).end;
  const Index image = r_.groups * r_.source_channels * r_.source_plane;
  const T* source = source_ + block.image * image + (group * r_.source_channels + channel) * r_.source_plane;
  buffers.ahead = tile_.ahead(source, image, block.images, last - channel, block.start, block.box, sizeof(T));
  buffers.ahead.at_once = divide_up(buffers.ahead.lines(), tiles);
}

/// Adds the products of some channel steps to the sums of every phase.
template <class T>
void ChannelConv<T>::multiply(const Block& block, const Work& work, Index group, const Panel& panel, const T* packed,
                              Slice steps, T* sums, Buffers& buffers) const {
  PanelProduct<T> task{};
  task.column_offset = work.column_offset.data();
  task.columns = static_cast<Index>(work.column_offset.size());
  task.sums_stride = panel.width;
  const Index tile_channel = steps_.at(steps.begin).begin;
  task.ahead = buffers.ahead.runs > 0 ? &buffers.ahead : nullptr;
  // Where columns are neighbours in the output, its lines can be fetched ahead.
  const bool in_order = r_.out_plane == r_.positions && block.images == 1 && block.box[2] == r_.axis[2].positions;
  const T* out = out_ + ((block.image * r_.groups + group) * r_.out_channels + panel.begin) * r_.out_plane +
                 (block.start[0] * r_.axis[1].out + block.start[1]) * r_.axis[2].out;
  task.target_stride = r_.out_plane;
  task.target_lanes = panel.lanes;
  for (Index f = 0; f < r_.phases(); ++f) {
    task.sums = sums + f * pixels() * panel.width;
    task.first_range = work.first_range[f].empty() ? nullptr : work.first_range[f].data();
    task.ranges = work.ranges.data();
    for (Index step = steps.begin; step < steps.end; ++step) {
      const Slice channels = steps_.at(step);
      const auto& offsets = channels.size() == steps_.size ? row_offset_ : last_row_offset_;
      task.panel = packed + (channels.begin * r_.taps + r_.first[f] * channels.size()) * panel.width;
      task.source = buffers.source + (channels.begin - tile_channel) * tile_.channel_stride();
      task.row_offset = offsets.data() + r_.first[f] * channels.size();
      task.rows = static_cast<std::int32_t>((r_.first[f + 1] - r_.first[f]) * channels.size());
      task.range_unit = static_cast<std::int32_t>(channels.size());
      task.accumulate = step > 0;
      task.target = step + 1 == steps_.count() && in_order ? out : nullptr;
      k_.product[panel.vectors - 1](task);
    }
  }
}

/// Writes a panel's sums to its channels' planes, row by row, the last axis's phases interleaved.
template <class T>
void ChannelConv<T>::write(const Block& block, Index group, const Panel& panel, const T* sums) const {
  const AxisReading &ad = r_.axis[0], &ah = r_.axis[1], &aw = r_.axis[2];
  const Index column = block.images * panel.width;  // sums from one position to the next
  const bool merge = aw.period == 1 && ah.period == 1 && block.box[2] == aw.positions;  // whole rows are one run
  std::vector<const T*> phase(static_cast<std::size_t>(aw.phases));
  LaneUnpack<T> task{};
  task.sums = phase.data();
  task.phases = aw.period == aw.phases ? aw.period : aw.phases;
  task.sums_stride = column;
  task.lane_stride = r_.out_plane;
  task.lanes = panel.lanes;
  const Index channel = group * r_.out_channels + panel.begin;
  task.bias = bias_ ? bias_ + channel : nullptr;
  for (Index n = 0; n < block.images; ++n) {
    T* plane = out_ + ((block.image + n) * r_.groups * r_.out_channels + channel) * r_.out_plane;
    for (Index d = 0; d < block.box[0] * ad.phases; ++d)
      for (Index h = 0; h < (merge ? 1 : block.box[1] * ah.phases); ++h) {
        const Index pd = d / ad.phases, fd = d % ad.phases, ph = h / ah.phases, fh = h % ah.phases;
        const Index od = (block.start[0] + pd) * ad.period + fd, oh = (block.start[1] + ph) * ah.period + fh;
        const Index ow = block.start[2] * aw.period;
        if (od >= ad.out || oh >= ah.out) continue;
        const Index row = (pd * block.box[1] + ph) * block.box[2];
        for (Index fw = 0; fw < aw.phases; ++fw) {
          const Index f = (fd * ah.phases + fh) * aw.phases + fw;
          phase[fw] = sums + f * pixels() * panel.width + row * column + n * panel.width;
        }
        task.count = merge ? block.box[1] * aw.out : std::min(block.box[2] * aw.period, aw.out - ow);
        task.to = plane + (od * ah.out + oh) * aw.out + ow;
        k_.unpack(task);
      }
  }
}

}  // namespace

template <class T>
void conv_by_channels(const ConvReading& reading, const T* source, const T* weight, const T* bias, T* out) {
  ChannelConv<T>(reading, source, weight, bias, out).run();
}

template void conv_by_channels<float>(const ConvReading&, const float*, const float*, const float*, float*);
template void conv_by_channels<double>(const ConvReading&, const double*, const double*, const double*, double*);

}  // namespace duet::kernels
