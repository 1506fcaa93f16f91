// Learning-rate schedules with PyTorch's names and arguments. A schedule is a pure function of the step, so it can be
// composed, plotted and resumed; a Scheduler applies one to an optimizer. ReduceLROnPlateau, which listens to a
// metric, stands apart.
#pragma once

#include <optional>
#include <vector>

#include <duet/nn/optim/optimizer.hpp>

namespace duet::optim {

/// What a schedule prescribes: a rate, and for OneCycleLR a momentum.
struct ScheduledValue {
  double lr;
  std::optional<double> momentum = {};
};

/// Multiplies the rate by gamma every step_size steps.
struct StepLR {
  std::int64_t step_size = 1;
  double gamma = 0.1;
  ScheduledValue at(double base_lr, std::int64_t step) const;  ///< what it prescribes at a step, from 0
  void check() const;                                          ///< ValueError for arguments out of range
};

/// Multiplies the rate by gamma at each milestone.
struct MultiStepLR {
  std::vector<std::int64_t> milestones;
  double gamma = 0.1;
  ScheduledValue at(double base_lr, std::int64_t step) const;  ///< what it prescribes at a step, from 0
  void check() const;                                          ///< ValueError for arguments out of range
};

/// Multiplies the rate by gamma at every step.
struct ExponentialLR {
  double gamma = 0.9;
  ScheduledValue at(double base_lr, std::int64_t step) const;  ///< what it prescribes at a step, from 0
  void check() const;                                          ///< ValueError for arguments out of range
};

/// Half a cosine from the base rate to eta_min over T_max steps, then back up, and so on (Loshchilov and Hutter 2017,
/// arXiv:1608.03983).
struct CosineAnnealingLR {
  std::int64_t T_max = 1;
  double eta_min = 0;
  ScheduledValue at(double base_lr, std::int64_t step) const;  ///< what it prescribes at a step, from 0
  void check() const;                                          ///< ValueError for arguments out of range
};

/// The same, jumping back to the base rate after T_0 steps, then T_0·T_mult, T_0·T_mult², …
struct CosineAnnealingWarmRestarts {
  std::int64_t T_0 = 1;
  std::int64_t T_mult = 1;
  double eta_min = 0;
  ScheduledValue at(double base_lr, std::int64_t step) const;  ///< what it prescribes at a step, from 0
  void check() const;                                          ///< ValueError for arguments out of range
};

/// The factor on the rate goes from start_factor to end_factor over total_iters steps: a warm-up.
struct LinearLR {
  double start_factor = 1.0 / 3;
  double end_factor = 1;
  std::int64_t total_iters = 5;
  ScheduledValue at(double base_lr, std::int64_t step) const;  ///< what it prescribes at a step, from 0
  void check() const;                                          ///< ValueError for arguments out of range
};

/// The base rate times (1 − step / total_iters) to the power, 0 afterwards.
struct PolynomialLR {
  std::int64_t total_iters = 5;
  double power = 1;
  ScheduledValue at(double base_lr, std::int64_t step) const;  ///< what it prescribes at a step, from 0
  void check() const;                                          ///< ValueError for arguments out of range
};

/// Up to max_lr and down again to almost nothing, along cosines, while momentum goes the other way (Smith and Topin,
/// "Super-convergence", arXiv:1708.07120). It does not depend on the base rate.
struct OneCycleLR {
  double max_lr = 0.1;
  std::int64_t total_steps = 1;
  double pct_start = 0.3;         ///< share of the steps that go up
  bool cycle_momentum = true;
  double base_momentum = 0.85;
  double max_momentum = 0.95;
  double div_factor = 25;                                      ///< max_lr over the first rate
  double final_div_factor = 1e4;                               ///< the first rate over the last
  ScheduledValue at(double base_lr, std::int64_t step) const;  ///< what it prescribes at a step, from 0
  void check() const;                                          ///< ValueError for arguments out of range
};

/// The base rate times factor(step).
struct LambdaLR {
  Callable<double(std::int64_t)> factor;
  ScheduledValue at(double base_lr, std::int64_t step) const;  ///< what it prescribes at a step, from 0
  void check() const;                                          ///< ValueError for arguments out of range
};

/// Any schedule.
class Schedule {
 public:
  /// ValueError for arguments out of range.
  template <class S>
    requires requires(const S& s) { s.check(), s.at(0.0, std::int64_t{0}); }
  Schedule(const S& schedule)
      : at_([schedule](double base_lr, std::int64_t step) { return schedule.at(base_lr, step); }) {
    schedule.check();
  }
  ScheduledValue at(double base_lr, std::int64_t step) const { return at_(base_lr, step); }  ///< at a step, from 0

 private:
  Callable<ScheduledValue(double, std::int64_t)> at_;
};

/// One schedule after the other: the next begins, at its step 0, at each milestone. A warm-up is
/// SequentialLR{{LinearLR{.start_factor = 0.1, .total_iters = 5}, CosineAnnealingLR{.T_max = 95}}, {5}}.
struct SequentialLR {
  std::vector<Schedule> schedules;
  std::vector<std::int64_t> milestones;
  ScheduledValue at(double base_lr, std::int64_t step) const;  ///< what it prescribes at a step, from 0
  void check() const;                                          ///< ValueError for arguments out of range
};

/// The factors of several schedules on the base rate, multiplied.
struct ChainedLR {
  std::vector<Schedule> schedules;
  ScheduledValue at(double base_lr, std::int64_t step) const;  ///< what it prescribes at a step, from 0
  void check() const;                                          ///< ValueError for arguments out of range
};

/// Applies a schedule to every group of an optimizer, whose rates at this moment are the base rates. The optimizer has
/// to outlive it.
class Scheduler {
 public:
  /// Sets the rates of step 0. ValueError where the schedule sets a momentum and the optimizer has none.
  Scheduler(Optimizer& optimizer, Schedule schedule);
  /// Goes to the next step: call it after an epoch, or after every step of the optimizer, as the schedule counts.
  void step();
  std::int64_t steps() const { return steps_; }  ///< so many times step() was called
  /// Base rates and the step, for a checkpoint; loading them sets the rates. ValueError for another number of groups.
  NamedTensors state_dict() const;                  ///< for a checkpoint
  void load_state_dict(const NamedTensors& state);  ///< see state_dict()

 private:
  void apply();
  Optimizer* optimizer_;
  Schedule schedule_;
  std::vector<double> base_;
  std::int64_t steps_ = 0;
};

enum class PlateauMode { min, max };
enum class ThresholdMode { rel, abs };

struct ReduceLROnPlateauOptions {
  PlateauMode mode = PlateauMode::min;  ///< whether a lower or a higher metric is better
  double factor = 0.1;
  std::int64_t patience = 10;  ///< epochs without improvement that are borne
  double threshold = 1e-4;     ///< what counts as an improvement
  ThresholdMode threshold_mode = ThresholdMode::rel;
  std::int64_t cooldown = 0;   ///< epochs after a reduction that are not counted
  double min_lr = 0;
  double eps = 1e-8;           ///< smaller reductions are left out
};

/// Multiplies the rate by factor when a metric has stopped getting better. The optimizer has to outlive it.
class ReduceLROnPlateau {
 public:
  explicit ReduceLROnPlateau(Optimizer& optimizer, const ReduceLROnPlateauOptions& options = {});
  void step(double metric);                         ///< after an epoch, with its metric
  NamedTensors state_dict() const;                  ///< for a checkpoint
  void load_state_dict(const NamedTensors& state);  ///< see state_dict()

 private:
  bool improved(double metric) const;
  Optimizer* optimizer_;
  ReduceLROnPlateauOptions options_;
  double best_;
  std::int64_t bad_ = 0, cooling_ = 0;
};

}  // namespace duet::optim
