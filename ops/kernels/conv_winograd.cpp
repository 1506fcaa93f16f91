// A reading of a convolution by Winograd's minimal filtering. A block of tiles is taken through its three stages while
// it stays in the second-level cache: the input transform of all its channels, one matrix product for each point (the
// register tile of conv_table.hpp, with tiles as lanes), and the output transform, which adds the bias and writes
// planes. The filters are transformed once, before.
#include <duet/ops/kernels/conv_winograd.hpp>

#include <algorithm>

#include <duet/core/allocator.hpp>
#include <duet/core/parallel.hpp>
#include <duet/ops/kernels/conv_paths.hpp>

namespace duet::kernels {
namespace {

constexpr Index wanted_items = 16;
constexpr Index least_share = 64;          // output channels that are worth an input transform of their own
constexpr Index wanted_tiles = 32;         // of a block
constexpr Index input_bytes = 768 * 1024;  // of a block's transformed input, of a second-level cache of 1 MiB
constexpr Index filter_bytes = 16 << 20;   // of transformed filters at a time
constexpr Index chunk_channels = 32;       // output channels between two output transforms

class WinogradConv {
 public:
  WinogradConv(const ConvReading& reading, const float* source, const float* weight, const float* bias, float* out)
      : r_(reading), k_(conv_kernels<float>()), source_(source), weight_(weight), bias_(bias), out_(out) {
    plan_winograd(reading, plan_);
    parts_ = static_cast<Index>(plan_.parts.size());
    rows_ = plan_.adding_parts() * r_.source_channels;
    lanes_are_out_ = r_.weight_source == r_.taps;
    choose_blocks();
    choose_channels();
  }

  void run() {
    const Scratch filters(static_cast<Index>(sizeof(float)) * parts_per_output() * plan_.points() * filter_point_);
    for (Index group = 0; group < r_.groups; ++group)
      for (Index first = 0; first < r_.out_channels; first += at_once_) {
        const Slice channels{first, std::min(r_.out_channels, first + at_once_)};
        transform_filters(group, channels, filters.as<float>());
        const Index blocks = plan_.blocks();
        const Index shares =
            std::clamp<Index>(divide_up(wanted_items, blocks), 1, divide_up(channels.size(), least_share));
        parallel_for(blocks * shares, 1, [&](Index begin, Index end) {
          for (Index i = begin; i < end; ++i) {
            const Slice share = slice(channels.size(), shares, i % shares, k_.tile);
            if (share.size() > 0) compute(group, channels.begin, share, i / shares, filters.as<float>());
          }
        });
      }
  }

 private:
  /// Output parts: those that have an output phase of their own.
  Index parts_per_output() const { return plan_.parts_add ? 1 : parts_; }

  void choose_blocks() {
    const int vector = k_.lanes;
    plan_.width = 2 * vector;
    const Index tile_bytes_in = plan_.points() * rows_ * static_cast<Index>(sizeof(float));
    Index tiles = std::max<Index>(wanted_tiles, plan_.width);
    if (tiles * tile_bytes_in > input_bytes)
      tiles = std::max<Index>(vector, input_bytes / tile_bytes_in / vector * vector);
    if (tiles < plan_.width) plan_.width = vector;
    plan_.block = divide_up(tiles, plan_.width) * plan_.width;
  }

  void choose_channels() {
    const Index vector = k_.lanes;
    const Index bytes = parts_per_output() * plan_.points() * rows_ * static_cast<Index>(sizeof(float));
    at_once_ = std::min(std::max(filter_bytes / bytes / vector, Index{1}) * vector, r_.out_channels);
    const Index vectors = lanes_are_out_ ? divide_up(at_once_, vector) * rows_
                                         : divide_up(r_.source_channels, vector) * plan_.adding_parts() * at_once_;
    filter_point_ = point_stride(vectors * vector);
    // Where the element for output channel k and row (part, source channel) stands at each point.
    for (Index k = 0; k < at_once_; ++k)
      column_offset_.push_back(
          static_cast<std::int32_t>(lanes_are_out_ ? k / vector * rows_ * vector + k % vector : k * vector));
    for (Index s = 0; s < plan_.adding_parts(); ++s)
      for (Index c = 0; c < r_.source_channels; ++c)
        row_offset_.push_back(static_cast<std::int32_t>(
            lanes_are_out_
                ? (s * r_.source_channels + c) * vector
                : (s * divide_up(r_.source_channels, vector) + c / vector) * at_once_ * vector + c % vector));
  }

  void transform_filters(Index group, Slice channels, float* to) const;
  void compute(Index group, Index channel_base, Slice share, Index block, const float* filters) const;
  void multiply(Slice chunk, Index panels, const float* filters, const float* input, float* sums) const;

  struct Target;
  Target place_output(const std::vector<TileRun>& runs, Index row_phase, Index column_phase) const;

  const ConvReading& r_;
  const ConvKernels<float>& k_;
  const float* source_;
  const float* weight_;
  const float* bias_;
  float* out_;
  WinogradPlan plan_;
  Index parts_ = 1, rows_ = 0;  // rows of a product: channels of all parts that add up
  bool lanes_are_out_ = true;   // transformed filters have output channels (or else source channels) as lanes
  Index at_once_ = 0, filter_point_ = 0;
  std::vector<std::int32_t> column_offset_, row_offset_;
};

/// [output part][point][vectors of lanes]: the lanes' other channels and adding parts as column_offset_ and
/// row_offset_ say.
void WinogradConv::transform_filters(Index group, Slice channels, float* to) const {
  const Index vector = k_.lanes;
  const float* weight = weight_ + group * r_.weight_group + channels.begin * r_.weight_out;
  const Index lane_channels = lanes_are_out_ ? channels.size() : r_.source_channels;
  const Index other_channels = lanes_are_out_ ? r_.source_channels : channels.size();
  const Index lane_stride = lanes_are_out_ ? r_.weight_out : r_.weight_source;
  const Index groups = divide_up(lane_channels, vector), pieces = divide_up(other_channels, 32);
  parallel_for(groups * pieces, 1, [&](Index begin, Index end) {
    const Scratch packed(32 * r_.taps * vector * static_cast<Index>(sizeof(float)));
    std::vector<std::int32_t> tap(9);
    for (Index i = begin; i < end; ++i) {
      const Index lane = i / pieces * vector;
      const Slice others{i % pieces * 32, std::min(other_channels, (i % pieces + 1) * 32)};
      LanePack<float> pack{};
      pack.from = weight + lane * lane_stride + others.begin * r_.taps;  // the other side's taps follow each other
      pack.lane_stride = lane_stride;
      pack.step = 1;
      pack.to = packed.as<float>();
      pack.to_stride = vector;
      pack.count = others.size() * r_.taps;
      pack.lanes = static_cast<int>(std::min(vector, lane_channels - lane));
      pack.width = static_cast<int>(vector);
      k_.pack(pack);
      for (Index p = 0; p < parts_; ++p) {
        for (std::size_t t = 0; t < plan_.parts[p].taps.size(); ++t)
          tap[t] = static_cast<std::int32_t>(plan_.parts[p].taps[t] * vector);
        WinogradFilter task{};
        task.from = packed.as<float>();
        task.from_filter = r_.taps * vector;
        task.tap = tap.data();
        task.filters = others.size();
        task.to_point = filter_point_;
        task.to_filter = vector;
        const Index output = plan_.parts_add ? 0 : p, adding = plan_.parts_add ? p : 0;
        const Index row = lanes_are_out_ ? lane / vector * rows_ + adding * r_.source_channels + others.begin
                                         : (adding * groups + lane / vector) * at_once_ + others.begin;
        task.to = to + output * plan_.points() * filter_point_ + row * vector;
        plan_.scheme->filter(task);
      }
    }
  });
}

/// Where a block's tiles go: whole pieces directly, the others through a staging area.
struct WinogradConv::Target {
  struct Tile {
    Index at, to;  // where it stands in a staged row; its first pixel in channel 0's plane
    Index rows, columns;
  };
  std::vector<std::int64_t> piece;
  std::vector<std::int32_t> rows;
  std::vector<Tile> staged;
};

WinogradConv::Target WinogradConv::place_output(const std::vector<TileRun>& runs, Index row_phase,
                                                Index column_phase) const {
  const AxisReading &ah = r_.axis[1], &aw = r_.axis[2];
  const Index m = plan_.scheme->tile, in_piece = k_.lanes / m, pieces = plan_.block / in_piece;
  Target target{std::vector<std::int64_t>(pieces, -1), std::vector<std::int32_t>(pieces, 0), {}};
  // Positions of this phase that have an output.
  const Index height = divide_up(ah.out - row_phase, ah.period), width = divide_up(aw.out - column_phase, aw.period);
  for (const TileRun& run : runs)
    for (Index t = 0; t < run.count;) {
      const Index slot = run.slot + t, x = (run.column + t) * m, y = run.row * m;
      const Index rows = std::min(m, height - y);
      const Index to =
          run.image * r_.groups * r_.out_channels * r_.out_plane + (y * ah.period + row_phase) * aw.out + x * aw.period;
      if (aw.period == 1 && slot % in_piece == 0 && t + in_piece <= run.count && x + k_.lanes <= width) {
        target.piece[slot / in_piece] = to;
        target.rows[slot / in_piece] = static_cast<std::int32_t>(rows);
        t += in_piece;
        continue;
      }
      // With two phases a row's pixels are those of both, and are counted together.
      const Index columns = aw.period == 1 ? std::min(m, width - x) : std::min(2 * m, aw.out - 2 * x);
      if (rows > 0 && columns > 0) target.staged.push_back({slot * m, to, rows, columns});
      ++t;
    }
  return target;
}

void WinogradConv::multiply(Slice chunk, Index panels, const float* filters, const float* input, float* sums) const {
  const Index input_point = point_stride(plan_.block * rows_), sums_point = point_stride(plan_.block * chunk_channels);
  PanelProduct<float> task{};
  task.row_offset = row_offset_.data();
  task.column_offset = column_offset_.data() + chunk.begin;
  task.columns = chunk.size();
  task.rows = static_cast<std::int32_t>(rows_);
  task.sums_stride = plan_.width;
  for (Index point = 0; point < plan_.points(); ++point) {
    task.source = filters + point * filter_point_;
    for (Index panel = 0; panel < panels; ++panel) {
      task.panel = input + point * input_point + panel * rows_ * plan_.width;
      task.sums = sums + point * sums_point + panel * chunk_channels * plan_.width;
      k_.product[plan_.width / k_.lanes - 1](task);
    }
  }
}

void WinogradConv::compute(Index group, Index channel_base, Slice share, Index block, const float* filters) const {
  const std::vector<TileRun> runs = tile_runs(plan_, block * plan_.block);
  const Index m = plan_.scheme->tile, points = plan_.points(), width = plan_.width;
  const Index panels = divide_up(runs.back().slot + runs.back().count, width);
  const Index input_point = point_stride(plan_.block * rows_), sums_point = point_stride(plan_.block * chunk_channels);
  const Index row_phases = r_.axis[1].period, column_phases = r_.axis[2].period;
  const Index staged_row = plan_.block * m, staged = m * staged_row;
  const Index kept = column_phases > 1 ? share.size() * staged : 0;  // the first column phase of every channel
  std::vector<WinogradSource> sources;
  for (const WinogradPart& part : plan_.parts) sources.emplace_back(r_, plan_, part, runs);
  Index work = 0;
  for (const WinogradSource& source : sources) work = std::max(work, divide_up(source.size(), 16) * 16);
  const Scratch scratch(static_cast<Index>(sizeof(float)) *
                        (points * (input_point + sums_point) + work + staged + kept));
  float *input = scratch.as<float>(), *sums = input + points * input_point, *working = sums + points * sums_point;
  float *stage = working + work, *first_phases = stage + staged;

  for (Index output = 0; output < parts_per_output(); ++output) {
    const Index column_phase = output % column_phases, row_phase = output / column_phases % row_phases;
    for (Index s = 0; s < plan_.adding_parts(); ++s) {
      const WinogradSource& source = sources[static_cast<std::size_t>(output + s)];
      source.prepare(working);
      for (Index c = 0; c < r_.source_channels; ++c)
        source.transform(source_ + (group * r_.source_channels + c) * r_.source_plane, working,
                         input + (s * r_.source_channels + c) * width, input_point, rows_ * width);
    }
    const Target target = place_output(runs, row_phase, column_phase == 1 ? 0 : column_phase);
    for (Index k = share.begin; k < share.end; k += chunk_channels) {
      const Slice chunk{k, std::min(share.end, k + chunk_channels)};
      multiply(chunk, panels, filters + output * points * filter_point_, input, sums);
      for (Index j = chunk.begin; j < chunk.end; ++j) {
        const Index channel = group * r_.out_channels + channel_base + j;
        const bool first_phase = column_phases > 1 && column_phase == 0;
        float* kept_phase = first_phases + (j - share.begin) * staged;
        WinogradOutput task{};
        task.from = sums + (j - chunk.begin) * width;
        task.from_point = sums_point;
        task.from_panel = chunk_channels * width;
        task.vectors = static_cast<int>(panels * width / k_.lanes);
        task.width = static_cast<int>(width / k_.lanes);
        task.bias = bias_ ? bias_[channel] : 0.0f;
        task.to = out_ + channel * r_.out_plane;
        task.piece = target.piece.data();
        task.rows = target.rows.data();
        task.to_row = r_.axis[1].period * r_.axis[2].out;
        task.staged = first_phase ? kept_phase : stage;
        task.staged_row = staged_row;
        plan_.scheme->output(task);
        if (first_phase) continue;
        for (const Target::Tile& tile : target.staged)
          for (Index i = 0; i < tile.rows; ++i) {
            float* to = task.to + tile.to + i * task.to_row;
            const float* from = stage + i * staged_row + tile.at;
            if (column_phases == 1)
              std::copy_n(from, tile.columns, to);
            else
              winograd_table().zip({kept_phase + i * staged_row + tile.at, from, to, tile.columns});
          }
      }
    }
  }
}

}  // namespace

void conv_by_winograd(const ConvReading& reading, const float* source, const float* weight, const float* bias,
                      float* out) {
  WinogradConv(reading, source, weight, bias, out).run();
}

}  // namespace duet::kernels
