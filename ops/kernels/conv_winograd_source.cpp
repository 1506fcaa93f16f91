// The input transform of a block of tiles: down the columns while pixels are still in rows, then along the rows,
// where every m-th pixel of a row becomes a lane. In small planes tiles become lanes first.
#include <duet/ops/kernels/conv_table.hpp>
#include <duet/ops/kernels/conv_winograd.hpp>

namespace duet::kernels {

WinogradSource::WinogradSource(const ConvReading& reading, const WinogradPlan& plan, const WinogradPart& part,
                               const std::vector<TileRun>& runs)
    : r_(reading), plan_(plan) {
  const Index used = runs.back().slot + runs.back().count;
  vectors_ = static_cast<int>(divide_up(used, plan.width) * plan.width / conv_kernels<float>().lanes);
  if (plan.gathers()) {
    place_windows(part, runs);
    return;
  }
  if (plan.whole_pieces()) {
    place_whole_pieces(part, runs);
    return;
  }
  place_strips(part, runs);
  place_pieces(runs);
  row_elements_ = point_stride(row_elements_);
}

bool WinogradPlan::gathers() const { return tile_columns < conv_kernels<float>().lanes / scheme->tile; }

/// Where each row of each tile's window starts, and which of its elements exist.
void WinogradSource::place_windows(const WinogradPart& part, const std::vector<TileRun>& runs) {
  const AxisReading &ah = r_.axis[1], &aw = r_.axis[2];
  const WinogradAxis &rows = part.axis[0], &columns = part.axis[1];
  const Index m = plan_.scheme->tile, points = plan_.scheme->points(), tiles = vectors_ * conv_kernels<float>().lanes;
  const Index image = r_.groups * r_.source_channels * r_.source_plane;
  window_at_.assign(static_cast<std::size_t>(points * tiles), 0);
  window_mask_.assign(static_cast<std::size_t>(points * tiles), 0);
  for (const TileRun& run : runs)
    for (Index t = 0; t < run.count; ++t) {
      const Index x = ((run.column + t) * m + columns.low) * aw.step + columns.phase;
      std::uint32_t mask = 0;
      for (Index j = 0; j < points; ++j) {
        const Index at = x + j * aw.step;
        if (at >= 0 && at < aw.source) mask |= std::uint32_t{1} << (j * aw.step);
      }
      for (Index i = 0; i < points; ++i) {
        const Index y = (run.row * m + rows.low + i) * ah.step + rows.phase;
        if (y < 0 || y >= ah.source) continue;
        const std::size_t at = static_cast<std::size_t>(i * tiles + run.slot + t);
        window_at_[at] = run.image * image + y * aw.source + x;
        window_mask_[at] = mask;
      }
    }
}

/// Only where the points of a tile fit the registers.
bool WinogradPlan::whole_pieces() const {
  return points() <= 25 && tile_columns % (conv_kernels<float>().lanes / scheme->tile) == 0;
}

/// Where each row of each piece starts, and which of its elements exist: of the tiles' first pixels, and of those one
/// tile further.
void WinogradSource::place_whole_pieces(const WinogradPart& part, const std::vector<TileRun>& runs) {
  const AxisReading &ah = r_.axis[1], &aw = r_.axis[2];
  const WinogradAxis &rows = part.axis[0], &columns = part.axis[1];
  const Index m = plan_.scheme->tile, points = plan_.scheme->points(), lanes = conv_kernels<float>().lanes;
  const Index in_piece = lanes / m, pieces = vectors_ * m;
  const Index image = r_.groups * r_.source_channels * r_.source_plane;
  window_at_.assign(static_cast<std::size_t>(points * pieces), 0);
  window_mask_.assign(static_cast<std::size_t>(points * pieces), 0);
  second_mask_ = window_mask_;
  const auto existing = [&](Index x) {
    std::uint32_t mask = 0;
    for (Index j = 0; j < lanes; ++j)
      if (x + j * aw.step >= 0 && x + j * aw.step < aw.source) mask |= std::uint32_t{1} << (j * aw.step);
    return mask;
  };
  for (const TileRun& run : runs)
    for (Index t = 0; t < run.count; t += in_piece) {
      const Index x = ((run.column + t) * m + columns.low) * aw.step + columns.phase;
      const std::uint32_t first = existing(x), second = existing(x + m * aw.step);
      for (Index i = 0; i < points; ++i) {
        const Index y = (run.row * m + rows.low + i) * ah.step + rows.phase;
        if (y < 0 || y >= ah.source) continue;
        const std::size_t at = static_cast<std::size_t>(i * pieces + (run.slot + t) / in_piece);
        window_at_[at] = run.image * image + y * aw.source + x;
        window_mask_[at] = first;
        second_mask_[at] = second;
      }
    }
}

void WinogradSource::place_strips(const WinogradPart& part, const std::vector<TileRun>& runs) {
  const AxisReading &ah = r_.axis[1], &aw = r_.axis[2];
  const WinogradAxis &rows = part.axis[0], &columns = part.axis[1];
  const Index m = plan_.scheme->tile, lanes = conv_kernels<float>().lanes;
  const Index image = r_.groups * r_.source_channels * r_.source_plane;
  // Pixels of this phase in a row: pixel q is source element q * step + phase.
  const Index pixels = aw.source > columns.phase ? divide_up(aw.source - columns.phase, aw.step) : 0;
  for (const TileRun& run : runs) {
    const Index first = run.column * m + columns.low, total = run.count * m + m;
    const Index begin = std::clamp<Index>(first, 0, pixels), end = std::clamp<Index>(first + total, begin, pixels);
    WinogradStrip strip{};
    strip.count = static_cast<std::int32_t>(end - begin);
    for (int i = 0; i < plan_.scheme->points(); ++i) {
      const Index y = (run.row * m + rows.low + i) * ah.step + rows.phase;
      const bool exists = y >= 0 && y < ah.source;
      strip.row[i] = exists ? run.image * image + y * aw.source + begin * aw.step + columns.phase : -1;
    }
    // The first pixel, not the zeros before it, is written at a vector's boundary.
    const Index lead = strip.count > 0 ? begin - first : 0;
    const Index to = divide_up(row_elements_ + lead, lanes) * lanes;
    strip.to = static_cast<std::int32_t>(to);
    strips_.push_back(strip);
    strip_at_.push_back(to - lead);
    row_elements_ = divide_up(to + total + lanes, lanes) * lanes;
    zeros_ = std::max(zeros_, aw.step * strip.count);
  }
}

/// Lists where each vector's pieces start. Those that span strips, or reach behind the last tile, are put together
/// behind the strips.
void WinogradSource::place_pieces(const std::vector<TileRun>& runs) {
  const Index m = plan_.scheme->tile, lanes = conv_kernels<float>().lanes, in_piece = lanes / m;
  std::size_t run = 0;
  for (Index piece = 0; piece < vectors_ * m; ++piece) {
    const Index tile = piece * in_piece;
    while (run < runs.size() && tile >= runs[run].slot + runs[run].count) ++run;
    Index first, second;
    if (run < runs.size() && tile + in_piece <= runs[run].slot + runs[run].count) {
      first = strip_at_[run] + (tile - runs[run].slot) * m;
      second = first + m;
    } else {
      first = row_elements_;
      second = first + lanes;
      row_elements_ = second + lanes;
      std::size_t at = run;
      for (Index t = tile; t < tile + in_piece; ++t) {
        while (at < runs.size() && t >= runs[at].slot + runs[at].count) ++at;
        if (at == runs.size()) break;
        const Index from = strip_at_[at] + (t - runs[at].slot) * m, to = first + (t - tile) * m;
        mends_.push_back(
            {static_cast<std::int32_t>(from), static_cast<std::int32_t>(to), static_cast<std::int32_t>(to + lanes)});
      }
    }
    first_.push_back(static_cast<std::int32_t>(first));
    second_.push_back(static_cast<std::int32_t>(second));
  }
}

void WinogradSource::transform(const float* source, float* work, float* to, Index to_point, Index to_panel) const {
  const int width = static_cast<int>(plan_.width / conv_kernels<float>().lanes);
  if (!second_mask_.empty()) {
    plan_.scheme->pieces({source, 2 * r_.source_plane, static_cast<int>(r_.axis[2].step), window_at_.data(),
                          window_mask_.data(), second_mask_.data(), vectors_, width, to, to_point, to_panel});
    return;
  }
  if (!window_at_.empty()) {
    plan_.scheme->gather({source, static_cast<int>(r_.axis[2].step), window_at_.data(), window_mask_.data(), vectors_,
                          width, to, to_point, to_panel});
    return;
  }
  WinogradColumns down{};
  down.source = source;
  down.ahead = 2 * r_.source_plane;
  down.step = static_cast<int>(r_.axis[2].step);
  down.strips = strips_.data();
  down.strip_count = static_cast<Index>(strips_.size());
  down.mends = mends_.data();
  down.mend_count = static_cast<Index>(mends_.size());
  down.zeros = work + plan_.scheme->points() * row_elements_;
  down.to = work;
  down.to_row = row_elements_;
  plan_.scheme->columns(down);
  WinogradAcross across{};
  across.from = work;
  across.from_row = row_elements_;
  across.first = first_.data();
  across.second = second_.data();
  across.vectors = vectors_;
  across.width = width;
  across.to = to;
  across.to_point = to_point;
  across.to_panel = to_panel;
  plan_.scheme->across(across);
}

void transform_channels(const ConvReading& reading, const WinogradPlan& plan, const WinogradSource* source,
                        Slice channels, const float* planes, float* working, float* to, Index to_point) {
  const Index parts = plan.adding_parts(), rows = parts * reading.source_channels;
  const auto transform = [&](Index part, Index c) {
    source[part].transform(planes + c * reading.source_plane, working,
                           to + (part * reading.source_channels + c) * plan.width, to_point, rows * plan.width);
  };
  if (source[0].size() == 0) {  // the pixels of a channel serve all parts while they are near
    for (Index c = channels.begin; c < channels.end; ++c)
      for (Index part = 0; part < parts; ++part) transform(part, c);
    return;
  }
  for (Index part = 0; part < parts; ++part) {
    source[part].prepare(working);
    for (Index c = channels.begin; c < channels.end; ++c) transform(part, c);
  }
}

}  // namespace duet::kernels
