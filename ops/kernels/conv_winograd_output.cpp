// From the sums of a Winograd path to planes.
#include <duet/ops/kernels/conv_winograd.hpp>

namespace duet::kernels {

WinogradTarget::WinogradTarget(const ConvReading& reading, const WinogradPlan& plan, const std::vector<TileRun>& runs,
                               Index output)
    : r_(reading),
      plan_(plan),
      column_phase_(output % reading.axis[2].period),
      staged_row_(plan.block * plan.scheme->tile) {
  const AxisReading &ah = r_.axis[1], &aw = r_.axis[2];
  const Index lanes = conv_kernels<float>().lanes, row_phase = output / aw.period % ah.period;
  const Index m = plan.scheme->tile, in_piece = lanes / m, pieces = plan.block / in_piece;
  piece_.assign(static_cast<std::size_t>(pieces), -1);
  rows_.assign(static_cast<std::size_t>(pieces), 0);
  const Index height = divide_up(ah.out - row_phase, ah.period);  // positions of this phase that have an output
  for (const TileRun& run : runs) {
    const Index y = run.row * m, rows = std::min(m, height - y);
    const Index row = run.image * r_.groups * r_.out_channels * r_.out_plane + (y * ah.period + row_phase) * aw.out;
    bool open = false;  // the last stretch may go on
    for (Index t = 0; rows > 0 && t < run.count;) {
      const Index slot = run.slot + t, x = (run.column + t) * m, to = row + x * aw.period;
      if (aw.period == 1 && slot % in_piece == 0 && t + in_piece <= run.count && x + lanes <= aw.out) {
        piece_[slot / in_piece] = to;
        rows_[slot / in_piece] = static_cast<std::int32_t>(rows);
        t += in_piece;
        open = false;
        continue;
      }
      // With two phases a row's pixels are those of both, and are counted together.
      const Index columns = std::min(m * aw.period, aw.out - x * aw.period);
      if (open)
        staged_.back().columns += columns;
      else
        staged_.push_back({slot * m, to, rows, columns});
      open = true;
      ++t;
    }
  }
}

void WinogradTarget::write(WinogradOutput task, float* plane, float* stage, float* kept) const {
  task.to = plane;
  task.ahead = r_.out_plane;
  task.to_row = r_.axis[1].period * r_.axis[2].out;
  task.piece = piece_.data();
  task.rows = rows_.data();
  task.staged = keeps() ? kept : stage;
  task.staged_row = staged_row_;
  plan_.scheme->output(task);
  if (keeps()) return;
  const auto zip = winograd_table().zip;
  for (const Stretch& stretch : staged_)
    for (Index i = 0; i < stretch.rows; ++i) {
      float* to = plane + stretch.to + i * task.to_row;
      const Index at = i * staged_row_ + stretch.at;
      if (column_phase_ == 0)
        std::copy_n(stage + at, stretch.columns, to);
      else
        zip({kept + at, stage + at, to, stretch.columns});
    }
}

}  // namespace duet::kernels
