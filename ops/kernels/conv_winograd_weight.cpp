// The weight gradient by Winograd's minimal filtering. The bilinear form of a tile is a sum over its points of
// (filter transform) * (input transform) * (transpose of the output transform); its derivative by the filter sums the
// products of the latter two over all tiles, point by point, and goes through the transpose of the filter transform
// once, at the end. The products are matrix products again: rows are tiles, lanes are output channels.
//
// Where all sums fit the second-level cache, blocks of tiles are taken through transforms and products there, and their
// sums are added at the end. Otherwise all transforms of a slab of tiles come first, and then, for few source channels
// and a panel of output channels at a time, the products over the whole slab and the way to weights.
#include <duet/core/allocator.hpp>
#include <duet/core/parallel.hpp>
#include <duet/ops/kernels/conv_winograd.hpp>

namespace duet::kernels {
namespace {

constexpr Index float_bytes = sizeof(float);
constexpr Index wanted_items = 16;
constexpr Index least_tiles = 32, most_tiles = 128;  // of a block
constexpr Index input_bytes = 512 * 1024;            // of a block's transformed input, if it has more than least_tiles
constexpr Index chunk_bytes = 256 * 1024;            // of a chunk's sums, where all do not
constexpr Index partial_bytes = 6 << 20;             // of partial sums, where tiles are split among items
constexpr Index strip_tiles = 8;                     // turned from planes to lanes together
constexpr Index input_channels = 8;                  // source channels that are transformed together
constexpr Index weight_channels = 16;                // source channels that become weights together
constexpr Index fused_bytes = 640 * 1024;            // of a group's sums that stay beside a block

/// Output channels of a group with those that fill its last panel.
Index out_lanes(const ConvReading& reading) {
  const std::vector<Panel> panels = cut_panels(reading.out_channels, conv_kernels<float>().lanes);
  return static_cast<Index>(panels.size()) * panels.front().width;
}

/// Of two stretches that do not overlap, which the compiler could not know.
void add_to(float* __restrict to, const float* __restrict from, Index count) {
  for (Index i = 0; i < count; ++i) to[i] += from[i];
}

class WinogradWeight {
 public:
  WinogradWeight(const ConvReading& reading, const float* source, const float* out, float* weight)
      : k_(conv_kernels<float>()),
        source_(source),
        out_(out),
        weight_(weight),
        panels_(cut_panels(reading.out_channels, k_.lanes)) {
    plan_winograd(reading, plan_);
    parts_ = plan_.adding_parts();
    rows_ = parts_ * r_.source_channels;
    width_ = panels_.front().width;
    plan_.width = 2 * k_.lanes;
    panel_sums_ = plan_.points() * rows_ * width_;
    fused_ = winograd_weight_fused(r_, plan_);
    const Index tile = fused_ ? plan_.points() * rows_ * float_bytes : winograd_weight_tile(r_, plan_);
    const Index fitting = fused_ ? input_bytes / tile : std::min(winograd_slab_bytes / tile, plan_.tiles);
    plan_.block = divide_up(std::clamp(fitting, least_tiles, most_tiles), plan_.width) * plan_.width;
    slab_ = std::clamp<Index>(winograd_slab_bytes / (tile * plan_.block), 1, plan_.blocks());
    input_point_ = point_stride(plan_.block * rows_);
    output_point_ = point_stride(plan_.block * width_);
    for (Index t = 0; t < plan_.block; ++t)
      row_offset_.push_back(static_cast<std::int32_t>(t / plan_.width * rows_ * plan_.width + t % plan_.width));
  }

  void run() const {
    if (fused_)
      run_by_blocks();
    else
      run_by_chunks();
  }

 private:
  Index panels() const { return static_cast<Index>(panels_.size()); }

  void run_by_blocks() const;
  void run_by_chunks() const;
  void accumulate(Index group, Slice blocks, float* sums) const;
  void transform_slab(Slice blocks, float* inputs, float* outputs) const;
  void sum_chunk(Index group, Index panel, Slice channels, Index blocks, const float* inputs, const float* outputs,
                 float* sums) const;
  void transform_input(Index group, Index block, Slice channels, float* input) const;
  void spread_output(Index group, Index block, const Panel& panel, float* to) const;
  std::vector<std::int32_t> column_offsets(Slice channels) const;
  void multiply(PanelProduct<float> product, const Panel& panel, Index block, const float* input, const float* output,
                float* sums) const;
  void write(Index group, const Panel& panel, Slice channels, const float* sums, Index to_point, Index to_part,
             bool add) const;
  void write_some(float* to, const Panel& panel, Index lane_stride, Index count, const float* sums, Index to_point,
                  Index to_part) const;

  WinogradPlan plan_;
  const ConvReading& r_ = plan_.reading;
  const ConvKernels<float>& k_;
  const float* source_;
  const float* out_;
  float* weight_;
  std::vector<Panel> panels_;
  Index parts_ = 1, rows_ = 0, width_ = 0;  // rows_: parts by source channels; width_: of the first panel
  Index panel_sums_ = 0, input_point_ = 0, output_point_ = 0;
  bool fused_ = true;
  Index slab_ = 1;  // blocks
  std::vector<std::int32_t> row_offset_;
};

/// Each group's blocks are split among items, whose sums are added in their order.
void WinogradWeight::run_by_blocks() const {
  const Index group_sums = panels() * panel_sums_, most = partial_bytes / (r_.groups * group_sums * float_bytes);
  const Index splits = std::max<Index>(1, std::min({divide_up(wanted_items, r_.groups), plan_.blocks(), most}));
  const Index runs = divide_up(r_.source_channels, weight_channels), pieces = panels() * runs;
  const auto finish = [&](Index group, Index piece, const float* sums) {
    const Panel& panel = panels_[piece / runs];
    const Index c = piece % runs * weight_channels;
    write(group, panel, {c, std::min(r_.source_channels, c + weight_channels)},
          sums + piece / runs * panel_sums_ + c * panel.width, rows_ * panel.width, r_.source_channels * panel.width,
          false);
  };
  if (splits == 1) {
    parallel_for(r_.groups, 1, [&](Index begin, Index end) {
      const Scratch sums(group_sums * float_bytes);
      for (Index group = begin; group < end; ++group) {
        accumulate(group, {0, plan_.blocks()}, sums.as<float>());
        for (Index piece = 0; piece < pieces; ++piece) finish(group, piece, sums.as<float>());
      }
    });
    return;
  }
  // [split][group][panel][point][part, source channel][lane]
  const Scratch partial(splits * r_.groups * group_sums * float_bytes);
  parallel_for(splits * r_.groups, 1, [&](Index begin, Index end) {
    for (Index i = begin; i < end; ++i)
      accumulate(i % r_.groups, slice(plan_.blocks(), splits, i / r_.groups), partial.as<float>() + i * group_sums);
  });
  const Index all = r_.groups * group_sums;
  parallel_for(all, divide_up(group_sums, wanted_items), [&](Index begin, Index end) {
    for (Index split = 1; split < splits; ++split)
      add_to(partial.as<float>() + begin, partial.as<float>() + split * all + begin, end - begin);
  });
  parallel_for(r_.groups * pieces, 1, [&](Index begin, Index end) {
    for (Index i = begin; i < end; ++i) finish(i / pieces, i % pieces, partial.as<float>() + i / pieces * group_sums);
  });
}

/// The sums of one group over some blocks: [panel][point][part, source channel][lane].
void WinogradWeight::accumulate(Index group, Slice blocks, float* sums) const {
  const Index points = plan_.points();
  const Scratch scratch(float_bytes * points * (input_point_ + output_point_));
  float *input = scratch.as<float>(), *output = input + points * input_point_;
  const std::vector<std::int32_t> columns = column_offsets({0, r_.source_channels});
  PanelProduct<float> product{};
  product.column_offset = columns.data();
  product.columns = rows_;
  for (Index b = blocks.begin; b < blocks.end; ++b) {
    transform_input(group, b, {0, r_.source_channels}, input);
    product.accumulate = b > blocks.begin;
    for (Index p = 0; p < panels(); ++p) {
      spread_output(group, b, panels_[p], output);
      multiply(product, panels_[p], b, input, output, sums + p * panel_sums_);
    }
  }
}

/// Slab by slab: all transforms, then items of a panel and a chunk of source channels.
void WinogradWeight::run_by_chunks() const {
  const Index blocks = plan_.blocks(), points = plan_.points(), unit = std::max<Index>(1, k_.tile / parts_);
  const Index fitting = std::max(unit, chunk_bytes / (points * parts_ * width_ * float_bytes) / unit * unit);
  const Index chunks =
      std::min(divide_up(r_.source_channels, unit),
               std::max(divide_up(r_.source_channels, fitting), divide_up(wanted_items, r_.groups * panels())));
  const Index chunk = divide_up(divide_up(r_.source_channels, chunks), unit) * unit;
  const Scratch inputs(float_bytes * r_.groups * slab_ * points * input_point_);
  const Scratch outputs(float_bytes * r_.groups * panels() * slab_ * points * output_point_);
  for (Index first = 0; first < blocks; first += slab_) {
    const Slice slab{first, std::min(blocks, first + slab_)};
    transform_slab(slab, inputs.as<float>(), outputs.as<float>());
    parallel_for(r_.groups * panels() * chunks, 1, [&](Index begin, Index end) {
      const Scratch sums(float_bytes * points * parts_ * chunk * width_);
      for (Index i = begin; i < end; ++i) {
        const Index group = i / chunks / panels(), p = i / chunks % panels();
        const Slice channels = slice(r_.source_channels, chunks, i % chunks, unit);
        if (channels.size() == 0) continue;
        const Index count = parts_ * channels.size() * panels_[p].width;
        PanelProduct<float> product{};
        const std::vector<std::int32_t> columns = column_offsets(channels);
        product.column_offset = columns.data();
        product.columns = static_cast<Index>(columns.size());
        for (Index b = slab.begin; b < slab.end; ++b) {
          const Index at = b - slab.begin;
          product.accumulate = at > 0;
          multiply(product, panels_[p], b, inputs.as<float>() + (group * slab_ + at) * points * input_point_,
                   outputs.as<float>() + ((group * panels() + p) * slab_ + at) * points * output_point_,
                   sums.as<float>());
        }
        write(group, panels_[p], channels, sums.as<float>(), count, count / parts_, first > 0);
      }
    });
  }
}

/// Inputs become [group][block][point][panel of tiles][part, source channel][lane], outputs
/// [group][panel][block][point][tile][lane].
void WinogradWeight::transform_slab(Slice slab, float* inputs, float* outputs) const {
  const Index points = plan_.points(), runs = divide_up(r_.source_channels, input_channels);
  const Index input_items = r_.groups * slab.size() * runs;
  parallel_for(input_items + r_.groups * slab.size() * panels(), 1, [&](Index begin, Index end) {
    for (Index i = begin; i < end; ++i) {
      if (i < input_items) {
        const Index c = i % runs * input_channels, at = i / runs % slab.size(), group = i / runs / slab.size();
        transform_input(group, slab.begin + at, {c, std::min(r_.source_channels, c + input_channels)},
                        inputs + (group * slab_ + at) * points * input_point_);
      } else {
        const Index j = i - input_items, at = j % slab.size(), p = j / slab.size() % panels();
        const Index group = j / slab.size() / panels();
        spread_output(group, slab.begin + at, panels_[p],
                      outputs + ((group * panels() + p) * slab_ + at) * points * output_point_);
      }
    }
  });
}

void WinogradWeight::transform_input(Index group, Index block, Slice channels, float* input) const {
  const std::vector<TileRun> runs = tile_runs(plan_, block * plan_.block);
  std::vector<WinogradSource> sources;
  Index working = 0;
  for (const WinogradPart& part : plan_.parts) {
    sources.emplace_back(r_, plan_, part, runs);
    working = std::max(working, sources.back().size());
  }
  const Scratch scratch(float_bytes * working);
  transform_channels(r_, plan_, sources.data(), channels, source_ + group * r_.source_channels * r_.source_plane,
                     scratch.as<float>(), input, input_point_);
}

/// Where the inputs of each part's channels stand.
std::vector<std::int32_t> WinogradWeight::column_offsets(Slice channels) const {
  std::vector<std::int32_t> list;
  for (Index s = 0; s < parts_; ++s)
    for (Index c = channels.begin; c < channels.end; ++c)
      list.push_back(static_cast<std::int32_t>((s * r_.source_channels + c) * plan_.width));
  return list;
}

/// A block's products, point by point: sums[point][column][lane].
void WinogradWeight::multiply(PanelProduct<float> product, const Panel& panel, Index block, const float* input,
                              const float* output, float* sums) const {
  product.row_offset = row_offset_.data();
  product.rows = static_cast<std::int32_t>(std::min(plan_.block, plan_.tiles - block * plan_.block));
  product.sums_stride = panel.width;
  for (Index point = 0; point < plan_.points(); ++point) {
    product.panel = output + point * output_point_;
    product.source = input + point * input_point_;
    product.sums = sums + point * product.columns * panel.width;
    k_.product[panel.vectors - 1](product);
  }
}

/// The transposed output transform of a panel's channels in a block's tiles: to[point][tile][lane].
void WinogradWeight::spread_output(Index group, Index block, const Panel& panel, float* to) const {
  const Index m = plan_.scheme->tile, height = r_.axis[1].out, width = r_.axis[2].out;
  const Index plane = plan_.tile_rows * plan_.tile_columns;
  const Scratch scratch(float_bytes * m * strip_tiles * m * panel.width);
  float* packed = scratch.as<float>();
  const float* out = out_ + (group * r_.out_channels + panel.begin) * r_.out_plane;
  const auto start_of = [&](Index tile) {
    const Index row = tile % plane / plan_.tile_columns, column = tile % plan_.tile_columns;
    return tile / plane * r_.groups * r_.out_channels * r_.out_plane + row * m * width + column * m;
  };
  LanePack<float> pack{};
  pack.lane_stride = r_.out_plane;
  pack.step = 1;
  pack.to_stride = panel.width;
  pack.lanes = panel.lanes;
  pack.width = panel.width;
  for (const TileRun& run : tile_runs(plan_, block * plan_.block))
    for (Index first = 0; first < run.count; first += strip_tiles) {
      const Index tiles = std::min(strip_tiles, run.count - first), tile = block * plan_.block + run.slot + first;
      const Index x = (run.column + first) * m, y = run.row * m, row = tiles * m * panel.width;
      const Index rows = std::min(m, height - y), columns = std::min(tiles * m, width - x);
      if (rows < m || columns < tiles * m) std::fill_n(packed, m * row, 0.0f);
      const bool merge = columns == width && columns == tiles * m;  // whole rows follow each other
      pack.ahead = tile + tiles < plan_.tiles ? start_of(tile + tiles) - start_of(tile) : 0;
      for (Index i = 0; i < (merge ? 1 : rows); ++i) {
        pack.from = out + start_of(tile) + i * width;
        pack.to = packed + i * row;
        pack.count = merge ? rows * width : columns;
        k_.pack(pack);
      }
      for (int vector = 0; vector < panel.vectors; ++vector) {
        WinogradSpread task{};
        task.from = packed + vector * k_.lanes;
        task.from_tile = m * panel.width;
        task.from_row = row;
        task.from_column = panel.width;
        task.to = to + (run.slot + first) * panel.width + vector * k_.lanes;
        task.to_tile = panel.width;
        task.to_point = output_point_;
        task.tiles = tiles;
        plan_.scheme->spread(task);
      }
    }
}

/// Turns a panel's sums with some source channels into weights, or adds them to those.
void WinogradWeight::write(Index group, const Panel& panel, Slice channels, const float* sums, Index to_point,
                           Index to_part, bool add) const {
  float* weight = weight_ + group * r_.weight_group + panel.begin * r_.weight_out;
  const Scratch added(add ? weight_channels * r_.taps * panel.lanes * float_bytes : 0);
  for (Index c = channels.begin; c < channels.end; c += weight_channels) {
    const Index count = std::min(weight_channels, channels.end - c), run = count * r_.taps;
    const float* from = sums + (c - channels.begin) * panel.width;
    float* to = weight + c * r_.weight_source;
    if (!add) {
      write_some(to, panel, r_.weight_out, count, from, to_point, to_part);
      continue;
    }
    write_some(added.as<float>(), panel, run, count, from, to_point, to_part);
    for (int lane = 0; lane < panel.lanes; ++lane)
      add_to(to + lane * r_.weight_out, added.as<float>() + lane * run, run);
  }
}

/// The weights of `count` source channels: to[lane * lane_stride + channel * taps + tap].
void WinogradWeight::write_some(float* to, const Panel& panel, Index lane_stride, Index count, const float* sums,
                                Index to_point, Index to_part) const {
  const Scratch scratch(weight_channels * r_.taps * panel.width * float_bytes);
  const float* turned = scratch.as<float>();
  std::int32_t tap[9];
  for (std::size_t s = 0; s < plan_.parts.size(); ++s) {
    for (std::size_t t = 0; t < plan_.parts[s].taps.size(); ++t)
      tap[t] = static_cast<std::int32_t>(plan_.parts[s].taps[t] * panel.width);
    for (int vector = 0; vector < panel.vectors; ++vector) {
      WinogradFilter collect{};
      collect.from = sums + static_cast<Index>(s) * to_part + vector * k_.lanes;
      collect.from_filter = panel.width;
      collect.from_point = to_point;
      collect.tap = tap;
      collect.to = scratch.as<float>() + vector * k_.lanes;
      collect.to_filter = r_.taps * panel.width;
      collect.filters = count;
      plan_.scheme->collect(collect);
    }
  }
  LaneUnpack<float> unpack{};
  unpack.sums = &turned;
  unpack.phases = 1;
  unpack.sums_stride = panel.width;
  unpack.to = to;
  unpack.lane_stride = lane_stride;
  unpack.count = count * r_.taps;
  unpack.lanes = panel.lanes;
  k_.unpack(unpack);
}

}  // namespace

bool winograd_weight_fused(const ConvReading& reading, const WinogradPlan& plan) {
  return plan.points() * plan.adding_parts() * reading.source_channels * out_lanes(reading) * float_bytes <=
         fused_bytes;
}

Index winograd_weight_tile(const ConvReading& reading, const WinogradPlan& plan) {
  return reading.groups * plan.points() * (plan.adding_parts() * reading.source_channels + out_lanes(reading)) *
         float_bytes;
}

void weight_by_winograd(const ConvReading& reading, const float* source, const float* out, float* weight) {
  WinogradWeight(reading, source, out, weight).run();
}

}  // namespace duet::kernels
