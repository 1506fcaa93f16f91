// The weight gradient by Winograd's minimal filtering. The bilinear form of a tile is a sum over its points of
// (filter transform) * (input transform) * (transpose of the output transform); its derivative by the filter sums the
// products of the latter two over all tiles, point by point, and goes through the transpose of the filter transform
// once, at the end. The products are matrix products again: rows are tiles, lanes are output channels.
#include <duet/core/allocator.hpp>
#include <duet/core/parallel.hpp>
#include <duet/ops/kernels/conv_winograd.hpp>

namespace duet::kernels {
namespace {

constexpr Index float_bytes = sizeof(float);
constexpr Index wanted_items = 16;
constexpr Index least_tiles = 32, most_tiles = 128;  // of a block
constexpr Index input_bytes = 512 * 1024;            // of a block's transformed input, if it has more than least_tiles
constexpr Index partial_bytes = 16 << 20;            // of partial sums, where tiles are split among items
constexpr Index strip_tiles = 8;                     // turned from planes to lanes together
constexpr Index shared_bytes = 12 << 20;             // of all transformed inputs, where items share them
constexpr Index input_channels = 8;                  // source channels that are transformed together then

class WinogradWeight {
 public:
  WinogradWeight(const ConvReading& reading, const float* source, const float* out, float* weight)
      : r_(reading),
        k_(conv_kernels<float>()),
        source_(source),
        out_(out),
        weight_(weight),
        panels_(cut_panels(reading.out_channels, k_.lanes)) {
    plan_winograd(reading, plan_);
    rows_ = plan_.adding_parts() * r_.source_channels;
    plan_.width = 2 * k_.lanes;
    const Index tile = plan_.points() * rows_ * float_bytes, panel = winograd_weight_panel(r_, plan_);
    const Index count = static_cast<Index>(panels_.size());
    panels_per_task_ = std::clamp<Index>(winograd_item_bytes / panel, 1, count);
    // Several tasks would transform the same inputs.
    shared_ = panels_per_task_ < count && divide_up(plan_.tiles, most_tiles) * most_tiles * tile <= shared_bytes;
    if (shared_) panels_per_task_ = 1;
    const Index tiles = std::clamp(shared_ ? plan_.tiles : input_bytes / tile, least_tiles, most_tiles);
    plan_.block = divide_up(tiles, plan_.width) * plan_.width;
    shares_ = divide_up(count, panels_per_task_);
    panels_per_task_ = divide_up(count, shares_);
    panel_sums_ = panel / float_bytes;
    item_sums_ = panels_per_task_ * panel_sums_;
    input_point_ = point_stride(plan_.block * rows_);
    const Index most = partial_bytes / (tasks() * item_sums_ * float_bytes);
    splits_ = std::max<Index>(1, std::min({divide_up(wanted_items, tasks()), plan_.blocks(), most}));
    for (Index t = 0; t < plan_.block; ++t)
      row_offset_.push_back(static_cast<std::int32_t>(t / plan_.width * rows_ * plan_.width + t % plan_.width));
    for (Index c = 0; c < rows_; ++c) column_offset_.push_back(static_cast<std::int32_t>(c * plan_.width));
  }

  void run() {
    if (!shared_) return sum_tasks(nullptr);
    const Scratch inputs(float_bytes * r_.groups * plan_.blocks() * plan_.points() * input_point_);
    transform_all(inputs.as<float>());
    sum_tasks(inputs.as<float>());
  }

 private:
  /// A task owns the weights of a share of the panels of one group.
  Index tasks() const { return r_.groups * shares_; }
  Slice panels_of(Index task) const {
    const Index begin = task % shares_ * panels_per_task_, count = static_cast<Index>(panels_.size());
    return {std::min(begin, count), std::min(begin + panels_per_task_, count)};
  }

  void transform_all(float* inputs) const;
  void sum_tasks(const float* inputs) const;
  void accumulate(Index task, Index split, const float* inputs, float* sums) const;
  void transform(const WinogradSource& source, Index group, Slice channels, Index part, float* working,
                 float* input) const;
  void spread_output(const std::vector<TileRun>& runs, Index channel, const Panel& panel, float* packed,
                     float* to) const;
  void write(Index task, Index index, const float* sums) const;

  const ConvReading& r_;
  const ConvKernels<float>& k_;
  const float* source_;
  const float* out_;
  float* weight_;
  std::vector<Panel> panels_;
  WinogradPlan plan_;
  Index rows_ = 0, panels_per_task_ = 1, shares_ = 1, splits_ = 1;
  Index panel_sums_ = 0, item_sums_ = 0, input_point_ = 0;
  bool shared_ = false;  // inputs are transformed before, for all tasks
  std::vector<std::int32_t> row_offset_, column_offset_;
};

/// Every block's inputs: [group][block][point][panel of tiles][part, source channel][lane].
void WinogradWeight::transform_all(float* inputs) const {
  const Index blocks = plan_.blocks(), parts = plan_.adding_parts(),
              runs = divide_up(r_.source_channels, input_channels);
  parallel_for(r_.groups * blocks * parts * runs, 1, [&](Index begin, Index end) {
    for (Index i = begin; i < end; ++i) {
      const Index c = i % runs * input_channels, s = i / runs % parts, block = i / runs / parts % blocks;
      const Index group = i / runs / parts / blocks;
      const WinogradSource source(r_, plan_, plan_.parts[s], tile_runs(plan_, block * plan_.block));
      const Scratch working(float_bytes * source.size());
      transform(source, group, {c, std::min(r_.source_channels, c + input_channels)}, s, working.as<float>(),
                inputs + (group * blocks + block) * plan_.points() * input_point_);
    }
  });
}

void WinogradWeight::transform(const WinogradSource& source, Index group, Slice channels, Index part, float* working,
                               float* input) const {
  source.prepare(working);
  for (Index c = channels.begin; c < channels.end; ++c)
    source.transform(source_ + (group * r_.source_channels + c) * r_.source_plane, working,
                     input + (part * r_.source_channels + c) * plan_.width, input_point_, rows_ * plan_.width);
}

/// Sums all tasks, over the tiles of each split first and then over splits, in their order.
void WinogradWeight::sum_tasks(const float* inputs) const {
  if (splits_ == 1) {
    parallel_for(tasks(), 1, [&](Index begin, Index end) {
      const Scratch sums(item_sums_ * float_bytes);
      for (Index task = begin; task < end; ++task) {
        accumulate(task, 0, inputs, sums.as<float>());
        for (Index p = 0; p < panels_of(task).size(); ++p) write(task, p, sums.as<float>() + p * panel_sums_);
      }
    });
    return;
  }
  const Scratch partial(splits_ * tasks() * item_sums_ * float_bytes);
  parallel_for(splits_ * tasks(), 1, [&](Index begin, Index end) {
    for (Index i = begin; i < end; ++i)
      accumulate(i % tasks(), i / tasks(), inputs, partial.as<float>() + i * item_sums_);
  });
  parallel_for(tasks() * panels_per_task_, 1, [&](Index begin, Index end) {
    for (Index i = begin; i < end; ++i) {
      if (i % panels_per_task_ >= panels_of(i / panels_per_task_).size()) continue;
      float* to = partial.as<float>() + i * panel_sums_;
      for (Index split = 1; split < splits_; ++split) {
        const float* from = to + split * tasks() * item_sums_;
        for (Index j = 0; j < panel_sums_; ++j) to[j] += from[j];
      }
      write(i / panels_per_task_, i % panels_per_task_, to);
    }
  });
}

/// One task's sums over the blocks of one split: [panel][point][part, source channel][lane]. `inputs` is null where
/// they have not been transformed before.
void WinogradWeight::accumulate(Index task, Index split, const float* inputs, float* sums) const {
  const Slice panels = panels_of(task), blocks = slice(plan_.blocks(), splits_, split);
  const Index group = task / shares_, m = plan_.scheme->tile, points = plan_.points();
  const Index output_point = point_stride(plan_.block * panels_.front().width);
  const Index packed = m * strip_tiles * m * panels_.front().width;
  const Scratch scratch(float_bytes * (points * output_point + packed));
  float *output = scratch.as<float>(), *turned = output + points * output_point;
  const Scratch own_input(inputs ? 0 : float_bytes * points * input_point_);
  PanelProduct<float> product{};
  product.row_offset = row_offset_.data();
  product.column_offset = column_offset_.data();
  product.columns = rows_;
  for (Index b = blocks.begin; b < blocks.end; ++b) {
    const std::vector<TileRun> runs = tile_runs(plan_, b * plan_.block);
    const float* input = own_input.as<float>();
    if (inputs)
      input = inputs + (group * plan_.blocks() + b) * points * input_point_;
    else
      for (Index s = 0; s < plan_.adding_parts(); ++s) {
        const WinogradSource source(r_, plan_, plan_.parts[s], runs);
        const Scratch working(float_bytes * source.size());
        transform(source, group, {0, r_.source_channels}, s, working.as<float>(), own_input.as<float>());
      }
    product.rows = static_cast<std::int32_t>(runs.back().slot + runs.back().count);
    product.accumulate = b > blocks.begin;
    for (Index p = panels.begin; p < panels.end; ++p) {
      const Panel& panel = panels_[p];
      spread_output(runs, group * r_.out_channels + panel.begin, panel, turned, output);
      product.sums_stride = panel.width;
      for (Index point = 0; point < points; ++point) {
        product.panel = output + point * output_point;
        product.source = input + point * input_point_;
        product.sums = sums + (p - panels.begin) * panel_sums_ + point * rows_ * panel.width;
        k_.product[panel.vectors - 1](product);
      }
    }
  }
}

/// The transposed output transform of some channels' tiles: to[point][tile][lane].
void WinogradWeight::spread_output(const std::vector<TileRun>& runs, Index channel, const Panel& panel, float* packed,
                                   float* to) const {
  const Index m = plan_.scheme->tile, height = r_.axis[1].out, width = r_.axis[2].out;
  const Index output_point = point_stride(plan_.block * panels_.front().width);
  LanePack<float> pack{};
  pack.lane_stride = r_.out_plane;
  pack.step = 1;
  pack.to_stride = panel.width;
  pack.lanes = panel.lanes;
  pack.width = panel.width;
  for (const TileRun& run : runs)
    for (Index first = 0; first < run.count; first += strip_tiles) {
      const Index tiles = std::min(strip_tiles, run.count - first);
      const Index x = (run.column + first) * m, y = run.row * m, row = tiles * m * panel.width;
      const Index rows = std::min(m, height - y), columns = std::min(tiles * m, width - x);
      if (rows < m || columns < tiles * m) std::fill_n(packed, m * row, 0.0f);
      const bool merge = columns == width && columns == tiles * m;  // whole rows follow each other
      for (Index i = 0; i < (merge ? 1 : rows); ++i) {
        pack.from = out_ + (run.image * r_.groups * r_.out_channels + channel) * r_.out_plane + (y + i) * width + x;
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
        task.to_point = output_point;
        task.tiles = tiles;
        plan_.scheme->spread(task);
      }
    }
}

/// Turns a panel's sums into weights.
void WinogradWeight::write(Index task, Index index, const float* sums) const {
  const Panel& panel = panels_[panels_of(task).begin + index];
  constexpr Index together = 16;  // source channels
  const Scratch scratch(together * r_.taps * panel.width * float_bytes);
  float* turned = scratch.as<float>();
  std::vector<std::int32_t> tap(9);
  for (Index c = 0; c < r_.source_channels; c += together) {
    const Index count = std::min(together, r_.source_channels - c);
    for (std::size_t s = 0; s < plan_.parts.size(); ++s) {
      for (std::size_t t = 0; t < plan_.parts[s].taps.size(); ++t)
        tap[t] = static_cast<std::int32_t>(plan_.parts[s].taps[t] * panel.width);
      for (int vector = 0; vector < panel.vectors; ++vector) {
        WinogradFilter collect{};
        collect.from = sums + (static_cast<Index>(s) * r_.source_channels + c) * panel.width + vector * k_.lanes;
        collect.from_filter = panel.width;
        collect.from_point = rows_ * panel.width;
        collect.tap = tap.data();
        collect.to = turned + vector * k_.lanes;
        collect.to_filter = r_.taps * panel.width;
        collect.filters = count;
        plan_.scheme->collect(collect);
      }
    }
    const float* from = turned;
    LaneUnpack<float> unpack{};
    unpack.sums = &from;
    unpack.phases = 1;
    unpack.sums_stride = panel.width;
    unpack.to = weight_ + task / shares_ * r_.weight_group + panel.begin * r_.weight_out + c * r_.weight_source;
    unpack.lane_stride = r_.weight_out;
    unpack.count = count * r_.taps;
    unpack.lanes = panel.lanes;
    k_.unpack(unpack);
  }
}

}  // namespace

void weight_by_winograd(const ConvReading& reading, const float* source, const float* out, float* weight) {
  WinogradWeight(reading, source, out, weight).run();
}

}  // namespace duet::kernels
