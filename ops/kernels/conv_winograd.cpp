// A reading of a convolution by Winograd's minimal filtering. A block of tiles is taken through its stages while it
// stays in the second-level cache: the input transform of all its channels, one matrix product for each point (the
// register tile of conv_table.hpp, with tiles as lanes), and the output transform, which adds the bias and writes
// planes. Either the filters are transformed once, before all blocks; or, where channels are so many that the blocks
// would be small, the inputs are, and the filters go by in chunks.
#include <duet/ops/kernels/conv_winograd.hpp>

#include <optional>

#include <duet/core/allocator.hpp>
#include <duet/core/parallel.hpp>

namespace duet::kernels {
namespace {

constexpr Index wanted_items = 16;
constexpr Index least_share = 64;          // output channels that are worth an input transform of their own
constexpr Index wanted_tiles = 32;         // of a block
constexpr Index input_bytes = 768 * 1024;  // of a block's transformed input, of a second-level cache of 1 MiB
constexpr Index filter_bytes = 16 << 20;   // of transformed filters at a time
constexpr Index chunk_bytes = 512 * 1024;  // of a chunk's filters, where they go by in chunks
constexpr Index chunk_channels = 32;       // output channels between two output transforms, at the most
constexpr Index least_chunk = 16;
constexpr Index shared_bytes = 12 << 20;  // of all transformed inputs, where they are kept
constexpr Index shared_tiles = 128;       // of a block then
constexpr Index input_channels = 8;       // source channels that are transformed together then

constexpr Index float_bytes = sizeof(float);
constexpr Index slack = 16;  // elements behind a staging area that a vector may read

/// Scratch memory that a thread keeps from one block to the next, so that it stays in its caches.
class Reused {
 public:
  float* take(Index floats) {
    if (floats > floats_) scratch_.emplace(floats * float_bytes);
    floats_ = std::max(floats, floats_);
    return scratch_->as<float>();
  }

 private:
  std::optional<Scratch> scratch_;
  Index floats_ = 0;
};

class WinogradConv {
 public:
  WinogradConv(const ConvReading& reading, const float* source, const float* weight, const float* bias, float* out)
      : k_(conv_kernels<float>()), source_(source), weight_(weight), bias_(bias), out_(out) {
    plan_winograd(reading, plan_);
    outputs_ = static_cast<Index>(plan_.parts.size()) / plan_.adding_parts();
    rows_ = plan_.adding_parts() * r_.source_channels;
    choose_blocks();
    if (shared_) {
      const Index even = divide_up(divide_up(r_.out_channels, wanted_items), k_.tile) * k_.tile;
      chunk_ = std::clamp(even, least_chunk, chunk_channels);
    }
    input_point_ = point_stride(plan_.block * rows_);
    sums_point_ = point_stride(plan_.block * chunk_);
  }

  void run() const {
    if (shared_)
      run_by_chunks();
    else
      run_by_blocks();
  }

 private:
  /// One block of tiles: where it comes from, for each part, and where it goes, for each output part.
  struct Block {
    std::vector<TileRun> runs;
    std::vector<WinogradSource> sources;
    std::vector<WinogradTarget> targets;
    Index panels = 0, working = 0;
  };

  Block block_at(Index index) const {
    Block block;
    block.runs = tile_runs(plan_, index * plan_.block);
    block.panels = divide_up(block.runs.back().slot + block.runs.back().count, plan_.width);
    for (const WinogradPart& part : plan_.parts) {
      block.sources.emplace_back(r_, plan_, part, block.runs);
      block.working = std::max(block.working, divide_up(block.sources.back().size(), 16) * 16);
    }
    for (Index o = 0; o < outputs_; ++o) block.targets.emplace_back(r_, plan_, block.runs, o);
    return block;
  }

  void choose_blocks() {
    const Index vector = k_.lanes;
    plan_.width = static_cast<int>(2 * vector);
    const Index tile_bytes = plan_.points() * rows_ * float_bytes;
    Index tiles = std::max<Index>(wanted_tiles, plan_.width);
    if (tiles * tile_bytes > input_bytes) {
      // A filter's element would be fetched for fewer tiles than a chunk has channels.
      if (divide_up(plan_.tiles, plan_.width) * plan_.width * tile_bytes * plan_.column_phases <= shared_bytes) {
        shared_ = true;
        tiles = std::min(shared_tiles, plan_.tiles);
      } else {
        tiles = std::max<Index>(vector, input_bytes / tile_bytes / vector * vector);
      }
    }
    if (tiles < plan_.width && !shared_) plan_.width = static_cast<int>(vector);
    plan_.block = divide_up(tiles, plan_.width) * plan_.width;
  }

  /// Whether rows of the output are put together from two phases, or one and the bias.
  bool keeps() const { return r_.axis[2].period > 1; }

  void run_by_blocks() const;
  void run_by_chunks() const;
  void transform_inputs(const Block& block, Index output, Index group, Slice channels, float* working,
                        float* input) const;
  void multiply(const WinogradFilters& layout, Slice chunk, Slice sources, Index panels, const float* filters,
                const float* input, float* sums) const;
  void write(const WinogradTarget& target, Slice chunk, Index first_channel, Index panels, const float* sums,
             float* stage, float* kept) const;

  WinogradPlan plan_;
  const ConvReading& r_ = plan_.reading;
  const ConvKernels<float>& k_;
  const float* source_;
  const float* weight_;
  const float* bias_;
  float* out_;
  Index outputs_ = 1, rows_ = 0;  // output parts; rows of a product: channels of all parts that add up
  bool shared_ = false;
  Index chunk_ = chunk_channels;
  Index input_point_ = 0, sums_point_ = 0;
};

/// Transforms some channels of a group for the parts that add up to an output.
void WinogradConv::transform_inputs(const Block& block, Index output, Index group, Slice channels, float* working,
                                    float* input) const {
  transform_channels(r_, plan_, block.sources.data() + output, channels,
                     source_ + group * r_.source_channels * r_.source_plane, working, input, input_point_);
}

/// The products of a chunk of output channels, numbered within `filters`, with some source channels, added to those of
/// the channels before: sums[point][panel][channel][lane].
void WinogradConv::multiply(const WinogradFilters& layout, Slice chunk, Slice sources, Index panels,
                            const float* filters, const float* input, float* sums) const {
  const bool whole = sources.size() == r_.source_channels && layout.sources() == r_.source_channels;
  const Index parts = whole ? 1 : plan_.adding_parts();  // whose rows follow each other
  PanelProduct<float> task{};
  task.column_offset = layout.column_offset().data() + chunk.begin;
  task.columns = chunk.size();
  task.rows = static_cast<std::int32_t>(whole ? rows_ : sources.size());
  task.sums_stride = plan_.width;
  for (Index point = 0; point < plan_.points(); ++point) {
    task.source = filters + point * layout.point();
    for (Index panel = 0; panel < panels; ++panel)
      for (Index s = 0; s < parts; ++s) {
        task.row_offset = layout.row_offset().data() + s * layout.sources();
        task.panel =
            input + point * input_point_ + (panel * rows_ + s * r_.source_channels + sources.begin) * plan_.width;
        task.sums = sums + point * sums_point_ + panel * chunk_ * plan_.width;
        task.accumulate = s > 0 || sources.begin > 0;
        k_.product[plan_.width / k_.lanes - 1](task);
      }
  }
}

/// Writes a chunk's planes, the first of them that of `first_channel`.
void WinogradConv::write(const WinogradTarget& target, Slice chunk, Index first_channel, Index panels,
                         const float* sums, float* stage, float* kept) const {
  WinogradOutput task{};
  task.from_point = sums_point_;
  task.from_panel = chunk_ * plan_.width;
  task.vectors = static_cast<int>(panels * plan_.width / k_.lanes);
  task.width = static_cast<int>(plan_.width / k_.lanes);
  for (Index j = 0; j < chunk.size(); ++j) {
    task.from = sums + j * plan_.width;
    task.bias = bias_ ? bias_[first_channel + j] : 0.0f;
    target.write(task, out_ + (first_channel + j) * r_.out_plane, stage, kept + j * target.staged());
  }
}

void WinogradConv::run_by_blocks() const {
  const Index vector = k_.lanes, points = plan_.points();
  const Index at_once = std::min(
      std::max(filter_bytes / (outputs_ * points * rows_ * float_bytes) / vector, Index{1}) * vector, r_.out_channels);
  const WinogradFilters layout(r_, plan_, at_once, r_.source_channels);
  const Index group_filters = outputs_ * layout.output();
  const Index groups =
      at_once < r_.out_channels ? 1 : std::clamp<Index>(filter_bytes / (group_filters * float_bytes), 1, r_.groups);
  const Scratch filters(float_bytes * groups * group_filters);
  const Index blocks = plan_.blocks();
  const Slice all_sources{0, r_.source_channels};
  const auto compute = [&](const Block& block, Index group, Slice channels, Slice share, const float* transformed,
                           Reused& memory) {
    const Index staged = block.targets[0].staged(), kept = keeps() ? share.size() * staged : 0;
    float* input = memory.take(points * (input_point_ + sums_point_) + block.working + staged + kept + slack);
    float* sums = input + points * input_point_;
    float *working = sums + points * sums_point_, *stage = working + block.working, *first_phases = stage + staged;
    for (Index o = 0; o < outputs_; ++o) {
      transform_inputs(block, o, group, all_sources, working, input);
      for (Index k = share.begin; k < share.end; k += chunk_) {
        const Slice chunk{k, std::min(share.end, k + chunk_)};
        multiply(layout, chunk, all_sources, block.panels, transformed + o * layout.output(), input, sums);
        write(block.targets[o], chunk, group * r_.out_channels + channels.begin + k, block.panels, sums, stage,
              first_phases + (k - share.begin) * (kept > 0 ? staged : 0));
      }
    }
  };
  for (Index first_group = 0; first_group < r_.groups; first_group += groups)
    for (Index first = 0; first < r_.out_channels; first += at_once) {
      const Slice channels{first, std::min(r_.out_channels, first + at_once)};
      const Index together = std::min(groups, r_.groups - first_group);
      for (Index g = 0; g < together; ++g)
        layout.transform(weight_ + (first_group + g) * r_.weight_group, channels, all_sources, {0, outputs_},
                         filters.as<float>() + g * group_filters);
      const Index shares =
          std::clamp<Index>(divide_up(wanted_items, blocks * together), 1, divide_up(channels.size(), least_share));
      // Runs of neighbouring blocks: what one asks for ahead, or leaves in a cache, is the same thread's.
      const Index items = blocks * together * shares;
      parallel_for(items, std::max<Index>(1, items / (2 * wanted_items)), [&](Index begin, Index end) {
        Reused memory;
        std::optional<Block> block;
        for (Index i = begin; i < end; ++i) {
          const Slice share = slice(channels.size(), shares, i % shares, k_.tile);
          const Index group = i / shares % together;
          if (!block || i % (shares * together) == 0) block.emplace(block_at(i / shares / together));
          if (share.size() > 0)
            compute(*block, first_group + group, channels, share, filters.as<float>() + group * group_filters, memory);
        }
      });
    }
}

void WinogradConv::run_by_chunks() const {
  const Index points = plan_.points(), parts = plan_.adding_parts(), blocks = plan_.blocks();
  const Index together = plan_.column_phases;
  const Index fitting = std::max<Index>(k_.lanes, chunk_bytes / (points * parts * chunk_ * float_bytes));
  const Index steps = divide_up(r_.source_channels, fitting), sources = divide_up(r_.source_channels, steps);
  const WinogradFilters layout(r_, plan_, std::min(chunk_, r_.out_channels), sources);
  std::vector<Block> all;
  for (Index b = 0; b < blocks; ++b) all.push_back(block_at(b));
  const Index block_input = points * input_point_, channel_runs = divide_up(r_.source_channels, input_channels);
  const Scratch inputs(float_bytes * together * blocks * block_input);
  const auto input_of = [&](Index phase, Index block) {
    return inputs.as<float>() + (phase * blocks + block) * block_input;
  };
  const auto transform = [&](Index group, Index first_output, Index item) {
    const Index c = item % channel_runs * input_channels, rest = item / channel_runs;
    const Index block = rest % blocks, phase = rest / blocks;
    const Scratch working(float_bytes * all[block].working);
    transform_inputs(all[block], first_output + phase, group, {c, std::min(r_.source_channels, c + input_channels)},
                     working.as<float>(), input_of(phase, block));
  };
  const auto compute = [&](Index group, Index first_output, Slice chunk) {
    const Index staged = all[0].targets[0].staged(), kept = keeps() ? blocks * chunk_ * staged : 0;
    const Index block_sums = points * sums_point_;
    const Scratch scratch(float_bytes * (layout.output() + blocks * block_sums + staged + kept + slack));
    float *filters = scratch.as<float>(), *sums = filters + layout.output();
    float *stage = sums + blocks * block_sums, *first_phases = stage + staged;
    for (Index phase = 0; phase < together; ++phase) {
      const Index output = first_output + phase;
      for (Index c = 0; c < r_.source_channels; c += sources) {
        const Slice step{c, std::min(r_.source_channels, c + sources)};
        layout.transform(weight_ + group * r_.weight_group, chunk, step, {output, output + 1}, filters);
        for (Index b = 0; b < blocks; ++b)
          multiply(layout, {0, chunk.size()}, step, all[b].panels, filters, input_of(phase, b), sums + b * block_sums);
      }
      for (Index b = 0; b < blocks; ++b)
        write(all[b].targets[output], chunk, group * r_.out_channels + chunk.begin, all[b].panels,
              sums + b * block_sums, stage, first_phases + (kept > 0 ? b * chunk_ * staged : 0));
    }
  };
  for (Index group = 0; group < r_.groups; ++group)
    for (Index output = 0; output < outputs_; output += together) {
      parallel_for(together * blocks * channel_runs, 1, [&](Index begin, Index end) {
        for (Index i = begin; i < end; ++i) transform(group, output, i);
      });
      parallel_for(divide_up(r_.out_channels, chunk_), 1, [&](Index begin, Index end) {
        for (Index i = begin; i < end; ++i)
          compute(group, output, {i * chunk_, std::min(r_.out_channels, (i + 1) * chunk_)});
      });
    }
}

}  // namespace

void conv_by_winograd(const ConvReading& reading, const float* source, const float* weight, const float* bias,
                      float* out) {
  WinogradConv(reading, source, weight, bias, out).run();
}

}  // namespace duet::kernels
