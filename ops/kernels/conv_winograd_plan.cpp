// Which readings a Winograd scheme fits, how they are cut into tiles, and when that pays.
#include <algorithm>

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

bool prefers_winograd(const ConvReading& r) {
  WinogradPlan plan;
  return fast_convolutions() && plan_winograd(r, plan);
}

bool prefers_winograd_weight(const ConvReading&) { return false; }

}  // namespace duet::kernels
