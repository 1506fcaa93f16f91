// Which readings a Winograd scheme fits, how they are cut into tiles, and when that pays.
#include <algorithm>
#include <cmath>

#include <duet/ops/fast_convolutions.hpp>
#include <duet/ops/kernels/conv_paths.hpp>
#include <duet/ops/kernels/conv_winograd.hpp>

namespace duet::kernels {
namespace {

Index floor_divide(Index a, Index b) { return a >= 0 ? a / b : -((b - 1 - a) / b); }

/// Turns a dilation of 2 with single steps into two phases on both sides: output element 2 q + f takes only source
/// elements of one phase, and moves by single steps among them. Says whether it did.
bool undilate(AxisReading& axis) {
  if (axis.step > 1 || axis.period > 1 || axis.taps() < 2 || axis.out < 2) return false;
  for (const Index delta : axis.delta)
    if ((delta - axis.delta[0]) % 2 != 0) return false;
  axis.step = axis.period = axis.phases = 2;
  axis.positions = divide_up(axis.out, 2);
  return true;
}

/// The parts of an axis, or none where no scheme fits: all with `taps` taps that move on by single elements.
std::vector<WinogradAxis> axis_parts(AxisReading& axis, Index taps) {
  const bool dilated = undilate(axis);
  const Index count = std::max(axis.step, axis.period);
  if (count > 2 || (axis.period > 1 && axis.phases != axis.period)) return {};
  std::vector<WinogradAxis> parts;
  for (Index p = 0; p < count; ++p) {
    WinogradAxis part;
    // Each tap of the part with its offset, in units of source steps.
    std::vector<std::pair<Index, Index>> found;
    for (Index t = 0; t < axis.taps(); ++t) {
      const Index delta = axis.delta[t] + (dilated ? p : 0), offset = floor_divide(delta, axis.step);
      const Index rest = delta - offset * axis.step;
      if (dilated) part.phase = rest;
      if (dilated || (axis.step > 1 ? rest : axis.phase[t]) == p) found.push_back({offset, t});
    }
    if (found.empty()) continue;
    if (static_cast<Index>(found.size()) != taps) return {};
    std::sort(found.begin(), found.end());
    part.low = found[0].first;
    if (axis.period > 1)
      part.out_phase = p;
    else if (axis.step > 1)
      part.phase = p;
    for (Index i = 0; i < taps; ++i) {
      if (found[i].first != part.low + i) return {};
      part.tap[i] = found[i].second;
    }
    parts.push_back(part);
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
    AxisReading axis[2] = {r.axis[1], r.axis[2]};
    const std::vector<WinogradAxis> rows = axis_parts(axis[0], scheme->taps);
    const std::vector<WinogradAxis> columns = axis_parts(axis[1], scheme->taps);
    if (rows.empty() || columns.empty()) continue;
    plan.parts_add = axis[0].period == 1 && axis[1].period == 1;
    // Parts that add up along one axis and do not along the other.
    if (!plan.parts_add && ((axis[0].period == 1 && rows.size() > 1) || (axis[1].period == 1 && columns.size() > 1)))
      continue;
    for (const WinogradAxis& row : rows)
      for (const WinogradAxis& column : columns) plan.parts.push_back(combine(r, row, column, scheme->taps));
    plan.scheme = scheme;
    plan.reading = r;
    plan.reading.axis[1] = axis[0];
    plan.reading.axis[2] = axis[1];
    plan.column_phases = axis[1].period == 1 ? 1 : static_cast<Index>(columns.size());
    plan.blank_rows = axis[0].period > static_cast<Index>(rows.size());
    plan.tile_rows = divide_up(axis[0].positions, scheme->tile);
    plan.tile_columns = divide_up(axis[1].positions, scheme->tile);
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

/// Channels with the lanes that stay empty beside them.
double lanes_of(Index channels) {
  const double vector = conv_kernels<float>().lanes;
  return std::ceil(static_cast<double>(channels) / vector) * vector;
}

// The direct path's products, without those that meet only padding, at the share of the peak that it usually reaches;
// and turning a sum into its plane.
constexpr double usual = 1.2, turning_sums = 16, spreading = 24;

double direct_cost(const ConvReading& r) {
  const double out = static_cast<double>(r.out_channels), phases = static_cast<double>(r.phases());
  const double taps = static_cast<double>(r.source_channels * r.taps) / phases;
  const double met = taps * meeting_share(r.axis[1]) * meeting_share(r.axis[2]);
  const double turning = turning_sums + (r.axis[2].period > 1 ? spreading : 0);
  const double by_channels = usual * (met + turning) * lanes_of(r.out_channels);
  const double by_rows = cost_along_rows(r, conv_kernels<float>().lanes) * out;
  return static_cast<double>(r.batch * r.positions) * phases * std::min(by_channels, by_rows);
}

/// Either side's channels may be the lanes.
double direct_weight_cost(const ConvReading& r) {
  const double out = static_cast<double>(r.out_channels), source = static_cast<double>(r.source_channels);
  const double met = static_cast<double>(r.taps) * meeting_share(r.axis[1]) * meeting_share(r.axis[2]);
  const double by_out = lanes_of(r.out_channels) * source * met + turning_sums * out;
  const double by_source = lanes_of(r.source_channels) * out * met + turning_sums * source;
  return static_cast<double>(r.batch * r.positions) * usual * std::min(by_out, by_source);
}

/// What the transforms of a point of a tile cost, for each channel of the source and of the output: more where rows of
/// tiles are short.
double input_cost(const WinogradPlan& plan) {
  return plan.gathers() ? 25 : 14 + 60.0 / static_cast<double>(plan.tile_columns);
}
double output_cost(const WinogradPlan& plan) { return 14 + 20.0 / static_cast<double>(plan.tile_columns); }

/// A point of a tile costs a product for each pair of channels, and its transforms; a point of a filter its transform,
/// which is written and comes back.
double winograd_cost(const ConvReading& r, const WinogradPlan& plan) {
  constexpr double filter = 8;
  const Index panel = 2 * conv_kernels<float>().lanes;
  const double tiles = static_cast<double>(divide_up(plan.tiles, panel) * panel);  // whole panels are computed
  const double parts = static_cast<double>(plan.parts.size()),
               outputs = parts / static_cast<double>(plan.adding_parts());
  const double channels = static_cast<double>(r.source_channels), out = static_cast<double>(r.out_channels);
  const double tile = parts * channels * (out + input_cost(plan)) + outputs * out * output_cost(plan);
  return plan.points() * (tiles * tile + parts * channels * out * filter);
}

/// In the weight gradient outputs are turned to lanes, a sum is loaded and stored again for every few tiles, and where
/// tiles are split among items there are partial sums to be added.
double winograd_weight_cost(const ConvReading& r, const WinogradPlan& plan) {
  constexpr double turning = 20, sum = 1.15;
  const double tiles = static_cast<double>(plan.tiles), lanes = lanes_of(r.out_channels);
  const double finish = winograd_weight_fused(r, plan) ? 30 + 3 * std::min(16.0, tiles / 64) : 16;
  const double channels = static_cast<double>(r.source_channels) * static_cast<double>(plan.parts.size());
  return plan.points() *
         (tiles * (channels * (sum * lanes + input_cost(plan)) + lanes * turning) + channels * lanes * finish);
}

constexpr Index few = 8;       // channels: with fewer the direct path has a way of its own, along the rows
constexpr double setup = 3e5;  // of a call: some microseconds

bool may_use_winograd(const ConvReading& r, WinogradPlan& plan) {
  return r.source_channels >= few && r.out_channels >= few && fast_convolutions() && plan_winograd(r, plan);
}

}  // namespace

bool prefers_winograd(const ConvReading& r) {
  WinogradPlan plan;
  return may_use_winograd(r, plan) && winograd_cost(r, plan) + setup < direct_cost(r);
}

bool prefers_winograd_weight(const ConvReading& r) {
  WinogradPlan plan;
  return may_use_winograd(r, plan) && plan.parts_add && 32 * winograd_weight_tile(r, plan) <= winograd_slab_bytes &&
         winograd_weight_cost(r, plan) + setup < direct_weight_cost(r);
}

}  // namespace duet::kernels
