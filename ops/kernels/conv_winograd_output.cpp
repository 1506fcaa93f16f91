// From the sums of a Winograd path to planes.
#include <duet/ops/kernels/conv_winograd.hpp>

namespace duet::kernels {

WinogradTarget::WinogradTarget(const ConvReading& reading, const WinogradPlan& plan, const std::vector<TileRun>& runs,
                               Index output)
    : r_(reading),
      plan_(plan),
      column_phase_(plan.parts[output].axis[1].out_phase),
      staged_row_(plan.block * plan.scheme->tile) {
  const AxisReading &ah = r_.axis[1], &aw = r_.axis[2];
  const Index lanes = conv_kernels<float>().lanes, row_phase = plan.parts[output].axis[0].out_phase;
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
      if (!keeps() && slot % in_piece == 0 && t + in_piece <= run.count && (x + lanes) * aw.period <= aw.out) {
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
    const bool last_column_phase =
        output + 1 == static_cast<Index>(plan.parts.size()) || plan.parts[output + 1].axis[0].out_phase != row_phase;
    if (plan.blank_rows && last_column_phase) place_blanks(run, row_phase);
  }
}

/// The rows of the other phase beside a run of tiles.
void WinogradTarget::place_blanks(const TileRun& run, Index row_phase) {
  const AxisReading &ah = r_.axis[1], &aw = r_.axis[2];
  const Index m = plan_.scheme->tile, other = 1 - row_phase, y = run.row * m, x = run.column * m * aw.period;
  const Index rows = std::min(m, divide_up(ah.out - other, ah.period) - y);
  const Index row = run.image * r_.groups * r_.out_channels * r_.out_plane + (y * ah.period + other) * aw.out;
  const Index columns = std::min(run.count * m * aw.period, aw.out - x);
  if (rows > 0 && columns > 0) blanks_.push_back({0, row + x, rows, columns});
}

void WinogradTarget::write(WinogradOutput task, float* plane, float* stage, float* kept) const {
  task.to = plane;
  task.ahead = r_.out_plane;
  task.to_row = r_.axis[1].period * r_.axis[2].out;
  task.piece = piece_.data();
  task.rows = rows_.data();
  task.staged = keeps() ? kept : stage;
  task.staged_row = staged_row_;
  // Between the elements of the only column phase stands the bias.
  const bool alone = r_.axis[2].period > plan_.column_phases;
  if (alone) std::fill_n(kept, staged_row_, task.bias);
  if (r_.axis[2].period > 1 && !keeps()) {
    task.other = kept;
    task.other_row = alone ? 0 : staged_row_;
    task.own_first = column_phase_ == 0;
  }
  plan_.scheme->output(task);
  if (keeps()) return;
  for (const Stretch& blank : blanks_)
    for (Index i = 0; i < blank.rows; ++i) std::fill_n(plane + blank.to + i * task.to_row, blank.columns, task.bias);
  const auto zip = conv_kernels<float>().zip;
  for (const Stretch& stretch : staged_)
    for (Index i = 0; i < stretch.rows; ++i) {
      float* to = plane + stretch.to + i * task.to_row;
      const Index at = i * staged_row_ + stretch.at;
      if (r_.axis[2].period == 1)
        std::copy_n(stage + at, stretch.columns, to);
      else if (!alone)
        zip({kept + at, stage + at, to, stretch.columns});
      else if (column_phase_ == 0)
        zip({stage + at, kept, to, stretch.columns});
      else
        zip({kept, stage + at, to, stretch.columns});
    }
}

}  // namespace duet::kernels
