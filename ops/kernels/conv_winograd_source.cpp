// The input transform of a block of tiles: down the columns while pixels are still in rows, then along the rows,
// where every m-th pixel of a row becomes a lane.
#include <algorithm>
#include <cstring>

#include <duet/ops/kernels/conv_table.hpp>
#include <duet/ops/kernels/conv_winograd.hpp>

namespace duet::kernels {

WinogradSource::WinogradSource(const ConvReading& reading, const WinogradPlan& plan, const WinogradPart& part,
                               const std::vector<TileRun>& runs)
    : r_(reading), plan_(plan) {
  const AxisReading &ah = r_.axis[1], &aw = r_.axis[2];
  const WinogradAxis &rows = part.axis[0], &columns = part.axis[1];
  const Index m = plan.scheme->tile, lanes = conv_kernels<float>().lanes;
  const Index used = runs.back().slot + runs.back().count;
  vectors_ = static_cast<int>(divide_up(used, plan.width) * plan.width / lanes);
  Index cursor = 0;
  for (const TileRun& run : runs) {
    Strip strip{};
    strip.image = run.image;
    strip.total = run.count * m + m;
    // Pixels of this phase: index q is source element q * step + phase.
    const Index first = run.column * m + columns.low;
    const Index pixels = aw.source > columns.phase ? divide_up(aw.source - columns.phase, aw.step) : 0;
    const Index begin = std::clamp<Index>(first, 0, pixels), end = std::clamp<Index>(first + strip.total, begin, pixels);
    strip.count = end - begin;
    strip.lead = strip.count > 0 ? begin - first : 0;
    for (int i = 0; i < plan.scheme->points(); ++i) {
      const Index y = (run.row * m + rows.low + i) * ah.step + rows.phase;
      strip.row[i] = y >= 0 && y < ah.source && strip.count > 0 ? y * aw.source + begin * aw.step + columns.phase : -1;
    }
    // The first pixel, not the zeros before it, is written at a vector's boundary.
    strip.at = cursor + divide_up(strip.lead, lanes) * lanes - strip.lead;
    cursor = divide_up(strip.at + strip.total + lanes, lanes) * lanes;
    zeros_ = std::max(zeros_, aw.step * (divide_up(strip.count, lanes) + 1) * lanes);
    strips_.push_back(strip);
  }
  side_ = cursor;
  place_pieces(runs);
  row_elements_ = point_stride(row_elements_);
}

/// Lists where each vector's pieces start. Those that span strips, or reach behind the last tile, are put together
/// beside the strips.
void WinogradSource::place_pieces(const std::vector<TileRun>& runs) {
  const Index m = plan_.scheme->tile, lanes = conv_kernels<float>().lanes, in_piece = lanes / m;
  Index side = side_;
  std::size_t run = 0;
  for (Index piece = 0; piece < vectors_ * m; ++piece) {
    const Index tile = piece * in_piece;
    while (run < runs.size() && tile >= runs[run].slot + runs[run].count) ++run;
    if (run < runs.size() && tile + in_piece <= runs[run].slot + runs[run].count) {
      const Index at = strips_[run].at + (tile - runs[run].slot) * m;
      first_.push_back(static_cast<std::int32_t>(at));
      second_.push_back(static_cast<std::int32_t>(at + m));
      continue;
    }
    first_.push_back(static_cast<std::int32_t>(side));
    second_.push_back(static_cast<std::int32_t>(side + lanes));
    std::size_t at = run;
    for (Index t = tile; t < tile + in_piece; ++t) {
      while (at < runs.size() && t >= runs[at].slot + runs[at].count) ++at;
      if (at == runs.size()) break;
      const Index to = side + (t - tile) * m;
      mends_.push_back({strips_[at].at + (t - runs[at].slot) * m, to, to + lanes});
    }
    side += 2 * lanes;
  }
  row_elements_ = side;
}

void WinogradSource::prepare(float* work) const {
  const int points = plan_.scheme->points();
  for (int i = 0; i < points; ++i)
    std::fill(work + i * row_elements_ + side_, work + (i + 1) * row_elements_, 0.0f);
  std::fill_n(work + points * row_elements_, zeros_, 0.0f);
}

void WinogradSource::transform(const float* source, Index image_stride, const float* end, float* work, float* to,
                               Index to_point, Index to_panel) const {
  const int points = plan_.scheme->points();
  const Index m = plan_.scheme->tile, lanes = conv_kernels<float>().lanes, step = r_.axis[2].step;
  const float* zeros = work + points * row_elements_;
  std::vector<float> copies;  // of rows at the very end of the source, behind which nothing may be read
  for (const Strip& strip : strips_) {
    const Index reach = step * divide_up(strip.count, lanes) * lanes;
    WinogradColumns task{};
    task.count = strip.count;
    task.step = static_cast<int>(step);
    task.to = work + strip.at + strip.lead;
    task.to_row = row_elements_;
    for (int i = 0; i < points; ++i) {
      const float* row = source + strip.image * image_stride + strip.row[i];
      task.row[i] = strip.row[i] < 0 ? zeros : row;
      if (strip.row[i] < 0 || end - row >= reach) continue;
      copies.resize(static_cast<std::size_t>(reach * points), 0.0f);
      std::copy(row, end, copies.begin() + i * reach);
      task.row[i] = copies.data() + i * reach;
    }
    if (strip.count > 0) plan_.scheme->columns(task);
    for (int i = 0; i < points; ++i) {
      float* row = work + i * row_elements_ + strip.at;
      for (Index x = 0; x < strip.lead; ++x) row[x] = 0;
      for (Index x = strip.lead + strip.count; x < strip.total; ++x) row[x] = 0;
    }
  }
  for (int i = 0; i < points; ++i) {
    float* row = work + i * row_elements_;
    for (const Mend& mend : mends_) {
      std::memcpy(row + mend.first, row + mend.from, static_cast<std::size_t>(m) * sizeof(float));
      std::memcpy(row + mend.second, row + mend.from + m, static_cast<std::size_t>(m) * sizeof(float));
    }
  }
  WinogradAcross task{};
  task.from = work;
  task.from_row = row_elements_;
  task.first = first_.data();
  task.second = second_.data();
  task.vectors = vectors_;
  task.width = static_cast<int>(plan_.width / lanes);
  task.to = to;
  task.to_point = to_point;
  task.to_panel = to_panel;
  plan_.scheme->across(task);
}

}  // namespace duet::kernels
