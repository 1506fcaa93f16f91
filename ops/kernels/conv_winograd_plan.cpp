// Which readings a Winograd scheme fits, how they are cut into tiles, and when that pays.
#include <algorithm>
#include <cmath>

#include <duet/ops/fast_convolutions.hpp>
#include <duet/ops/kernels/conv_winograd.hpp>

namespace duet::kernels {
namespace {

Index floor_divide(Index a, Index b) { return a >= 0 ? a / b : -((b - 1 - a) / b); }

/// The parts of an axis, or none where no scheme fits: all with `taps` taps that move on by single elements.
std::vector<WinogradAxis> axis_parts(const AxisReading& axis, Index taps) {
  const Index count = std::max(axis.step, axis.period);
  if (count > 2 || axis.taps() != count * taps || (axis.period > 1 && axis.phases != axis.period)) return {};
  std::vector<WinogradAxis> parts(static_cast<std::size_t>(count));
  for (Index p = 0; p < count; ++p) {
    WinogradAxis& part = parts[static_cast<std::size_t>(p)];
    // Each tap of the part with its offset, in units of source steps.
    std::vector<std::pair<Index, Index>> found;
    for (Index t = 0; t < axis.taps(); ++t) {
      const Index delta = axis.delta[t], offset = floor_divide(delta, axis.step);
      const Index member = axis.step > 1 ? delta - offset * axis.step : axis.phase[t];
      if (member == p) found.push_back({offset, t});
    }
    if (static_cast<Index>(found.size()) != taps) return {};
    std::sort(found.begin(), found.end());
    part.low = found[0].first;
    part.phase = axis.step > 1 ? p : 0;
    for (Index i = 0; i < taps; ++i) {
      if (found[i].first != part.low + i) return {};
      part.tap[i] = found[i].second;
    }
  }
  return parts;
}

WinogradPart combine(const ConvReading& r, const WinogradAxis& rows, const WinogradAxis& columns, int taps) {
  WinogradPart part{{rows, columns}, {}};
  for (int i = 0; i < taps; ++i)
    for (int j = 0; j < taps; ++j)
      part.taps.push_back(static_cast<std::int32_t>(rows.tap[i] * r.axis[2].taps() + columns.tap[j]));
  return part;
}

}  // namespace

bool plan_winograd(const ConvReading& r, WinogradPlan& plan) {
  if (r.axis[0].out != 1 || r.axis[0].source != 1 || r.axis[0].taps() != 1 || r.axis[0].delta[0] != 0) return false;
  const WinogradTable& table = winograd_table();
  for (const WinogradScheme* scheme : {&table.f4_3, &table.f4_2}) {
    const std::vector<WinogradAxis> rows = axis_parts(r.axis[1], scheme->taps);
    const std::vector<WinogradAxis> columns = axis_parts(r.axis[2], scheme->taps);
    if (rows.empty() || columns.empty()) continue;
    plan.parts_add = r.axis[1].period == 1 && r.axis[2].period == 1;
    if (!plan.parts_add && (r.axis[1].step > 1 || r.axis[2].step > 1)) continue;
    for (const WinogradAxis& row : rows)
      for (const WinogradAxis& column : columns) plan.parts.push_back(combine(r, row, column, scheme->taps));
    plan.scheme = scheme;
    plan.tile_rows = divide_up(r.axis[1].positions, scheme->tile);
    plan.tile_columns = divide_up(r.axis[2].positions, scheme->tile);
    plan.tiles = r.batch * plan.tile_rows * plan.tile_columns;
    return true;
  }
  return false;
}

std::vector<TileRun> tile_runs(const WinogradPlan& plan, Index first) {
  std::vector<TileRun> runs;
  const Index end = std::min(plan.tiles, first + plan.block), plane = plan.tile_rows * plan.tile_columns;
  for (Index tile = first; tile < end;) {
    const Index column = tile % plan.tile_columns;
    const Index count = std::min(end - tile, plan.tile_columns - column);
    runs.push_back({tile / plane, tile % plane / plan.tile_columns, column, count, tile - first});
    tile += count;
  }
  return runs;
}

namespace {

/// The share of (position, tap) pairs that meet the source: what the direct path leaves out in small planes.
double meeting_share(const AxisReading& axis) {
  Index pairs = 0;
  for (Index t = 0; t < axis.taps(); ++t)
    for (Index i = 0; i < axis.positions; ++i) {
      const Index at = i * axis.step + axis.delta[t];
      pairs += at >= 0 && at < axis.source;
    }
  return static_cast<double>(pairs) / static_cast<double>(axis.positions * axis.taps());
}

// Costs of a reading per group, in multiplications and additions of one lane.

double direct_cost(const ConvReading& r) {
  const double outputs = static_cast<double>(r.batch * r.positions * r.out_channels);
  const double products =
      static_cast<double>(r.source_channels * r.taps) * meeting_share(r.axis[1]) * meeting_share(r.axis[2]);
  const double turning = 12.0 * static_cast<double>(r.phases());  // of a sum into its plane
  return outputs * (products + turning);
}

/// What the transforms of a point of a tile cost, for each channel of the source and of the output: more where rows of
/// tiles are short, and must be put together to fill vectors.
double input_cost(const WinogradPlan& plan) { return 14 + 90.0 / static_cast<double>(plan.tile_columns); }
double output_cost(const WinogradPlan& plan) { return 10 + 20.0 / static_cast<double>(plan.tile_columns); }

/// A point of a tile costs a product for each pair of channels, and its transforms; a point of a filter its transform,
/// which is written and comes back.
double winograd_cost(const ConvReading& r, const WinogradPlan& plan) {
  constexpr double filter = 12;
  const Index panel = 2 * conv_kernels<float>().lanes;
  const double tiles = static_cast<double>(divide_up(plan.tiles, panel) * panel);  // whole panels are computed
  const double parts = static_cast<double>(plan.parts.size()),
               outputs = parts / static_cast<double>(plan.adding_parts());
  const double channels = static_cast<double>(r.source_channels), out = static_cast<double>(r.out_channels);
  const double tile = parts * channels * (out + input_cost(plan)) + outputs * out * output_cost(plan);
  return plan.points() * (tiles * tile + parts * channels * out * filter);
}

/// In the weight gradient outputs are turned to lanes, a sum is loaded and stored again for every few tiles, and where
/// there are many tiles there are up to 16 partial sums of each to be added.
double winograd_weight_cost(const ConvReading& r, const WinogradPlan& plan) {
  constexpr double turning = 26, sum = 1.15;
  const double vector = conv_kernels<float>().lanes, tiles = static_cast<double>(plan.tiles);
  const double finish = 30 + 3 * std::min(16.0, tiles / 64);
  const double channels = static_cast<double>(r.source_channels) * static_cast<double>(plan.parts.size());
  const double out = static_cast<double>(r.out_channels), lanes = std::ceil(out / vector) * vector;
  return plan.points() *
         (tiles * (channels * (sum * lanes + input_cost(plan)) + lanes * turning) + channels * lanes * finish);
}

constexpr Index few = 8;       // channels: with fewer the direct path has a way of its own, along the rows
constexpr double gain = 1.1;   // expected, to be worth the digit that is lost
constexpr double setup = 3e5;  // of a call: some microseconds

bool may_use_winograd(const ConvReading& r, WinogradPlan& plan) {
  return r.source_channels >= few && r.out_channels >= few && fast_convolutions() && plan_winograd(r, plan);
}

}  // namespace

bool prefers_winograd(const ConvReading& r) {
  WinogradPlan plan;
  return may_use_winograd(r, plan) && gain * winograd_cost(r, plan) + setup < direct_cost(r);
}

bool prefers_winograd_weight(const ConvReading& r) {
  WinogradPlan plan;
  return may_use_winograd(r, plan) && plan.parts_add && winograd_weight_panel(r, plan) <= winograd_item_bytes &&
         gain * winograd_weight_cost(r, plan) + setup < direct_cost(r);
}

}  // namespace duet::kernels
