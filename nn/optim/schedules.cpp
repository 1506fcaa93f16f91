// The formulas of the schedules.
#include <duet/nn/optim/schedules.hpp>

#include <algorithm>
#include <cmath>
#include <limits>

#include <duet/core/fail.hpp>
#include <duet/core/raw.hpp>

namespace duet::optim {
namespace {

constexpr double pi = 3.141592653589793238462643;

void require(bool ok, const char* schedule, const char* what, double value) {
  if (!ok) fail<ValueError>(schedule, "{}, got {}", what, value);
}
void require_count(const char* schedule, const char* what, std::int64_t value) {
  if (value < 1) fail<ValueError>(schedule, "{} must be at least 1, got {}", what, value);
}
void require_factor(const char* schedule, double value) {
  require(value >= 0 && std::isfinite(value), schedule, "gamma must be finite and not negative", value);
}

double as_double(std::int64_t value) { return static_cast<double>(value); }

/// From `from` (share 0) to `to` (share 1) along half a cosine.
double cosine(double from, double to, double share) { return to + (from - to) * (1 + std::cos(pi * share)) / 2; }

Tensor take(const char* op, const NamedTensors& state, const char* name, std::int64_t count) {
  for (const auto& [key, tensor] : state)
    if (key == name) {
      if (!tensor.defined() || tensor.numel() != count)
        fail<ValueError>(op, "'{}' is {}, expected {} values", name, to_string(spec_of(tensor)), count);
      return tensor;
    }
  fail<ValueError>(op, "the saved state has no '{}'", name);
}

}  // namespace

ScheduledValue StepLR::at(double base_lr, std::int64_t step) const {
  return {base_lr * std::pow(gamma, as_double(step / step_size))};
}
void StepLR::check() const {
  require_count("StepLR", "step_size", step_size);
  require_factor("StepLR", gamma);
}

ScheduledValue MultiStepLR::at(double base_lr, std::int64_t step) const {
  const auto passed = std::count_if(milestones.begin(), milestones.end(), [&](std::int64_t m) { return m <= step; });
  return {base_lr * std::pow(gamma, as_double(passed))};
}
void MultiStepLR::check() const {
  require_factor("MultiStepLR", gamma);
  if (!std::is_sorted(milestones.begin(), milestones.end())) fail<ValueError>("MultiStepLR", "milestones must rise");
}

ScheduledValue ExponentialLR::at(double base_lr, std::int64_t step) const {
  return {base_lr * std::pow(gamma, as_double(step))};
}
void ExponentialLR::check() const { require_factor("ExponentialLR", gamma); }

ScheduledValue CosineAnnealingLR::at(double base_lr, std::int64_t step) const {
  return {cosine(base_lr, eta_min, as_double(step) / as_double(T_max))};
}
void CosineAnnealingLR::check() const { require_count("CosineAnnealingLR", "T_max", T_max); }

ScheduledValue CosineAnnealingWarmRestarts::at(double base_lr, std::int64_t step) const {
  std::int64_t length = T_0;
  if (T_mult == 1) {
    step %= T_0;
  } else {
    for (; step >= length; length *= T_mult) step -= length;
  }
  return {cosine(base_lr, eta_min, as_double(step) / as_double(length))};
}
void CosineAnnealingWarmRestarts::check() const {
  require_count("CosineAnnealingWarmRestarts", "T_0", T_0);
  require_count("CosineAnnealingWarmRestarts", "T_mult", T_mult);
}

ScheduledValue LinearLR::at(double base_lr, std::int64_t step) const {
  const double share = as_double(std::min(step, total_iters)) / as_double(total_iters);
  return {base_lr * (start_factor + (end_factor - start_factor) * share)};
}
void LinearLR::check() const {
  require_count("LinearLR", "total_iters", total_iters);
  require(start_factor > 0 && start_factor <= 1, "LinearLR", "start_factor must lie in (0, 1]", start_factor);
  require(end_factor >= 0 && end_factor <= 1, "LinearLR", "end_factor must lie in [0, 1]", end_factor);
}

ScheduledValue PolynomialLR::at(double base_lr, std::int64_t step) const {
  return {base_lr * std::pow(1 - as_double(std::min(step, total_iters)) / as_double(total_iters), power)};
}
void PolynomialLR::check() const {
  require_count("PolynomialLR", "total_iters", total_iters);
  require(power >= 0, "PolynomialLR", "power must not be negative", power);
}

ScheduledValue OneCycleLR::at(double, std::int64_t step) const {
  const double first = max_lr / div_factor, last = first / final_div_factor;
  const double peak = pct_start * as_double(total_steps) - 1, end = as_double(total_steps) - 1;
  const double now = std::min(as_double(step), end);
  const bool up = now <= peak;
  const double share = up ? now / peak : (now - peak) / (end - peak);
  ScheduledValue value{up ? cosine(first, max_lr, share) : cosine(max_lr, last, share)};
  if (cycle_momentum)
    value.momentum = up ? cosine(max_momentum, base_momentum, share) : cosine(base_momentum, max_momentum, share);
  return value;
}
void OneCycleLR::check() const {
  require_count("OneCycleLR", "total_steps", total_steps);
  require(max_lr > 0, "OneCycleLR", "max_lr must be positive", max_lr);
  require(pct_start >= 0 && pct_start <= 1, "OneCycleLR", "pct_start must lie in [0, 1]", pct_start);
  require(div_factor > 0, "OneCycleLR", "div_factor must be positive", div_factor);
  require(final_div_factor > 0, "OneCycleLR", "final_div_factor must be positive", final_div_factor);
}

ScheduledValue LambdaLR::at(double base_lr, std::int64_t step) const { return {base_lr * factor(step)}; }
void LambdaLR::check() const {
  if (!factor) fail<ValueError>("LambdaLR", "there is no function");
}

ScheduledValue SequentialLR::at(double base_lr, std::int64_t step) const {
  const auto i = static_cast<std::size_t>(std::upper_bound(milestones.begin(), milestones.end(), step) - milestones.begin());
  return schedules[i].at(base_lr, i == 0 ? step : step - milestones[i - 1]);
}
void SequentialLR::check() const {
  if (schedules.empty() || milestones.size() + 1 != schedules.size())
    fail<ValueError>("SequentialLR", "{} schedules need {} milestones, got {}", schedules.size(),
                     std::max<std::size_t>(1, schedules.size()) - 1, milestones.size());
  if (!std::is_sorted(milestones.begin(), milestones.end())) fail<ValueError>("SequentialLR", "milestones must rise");
}

ScheduledValue ChainedLR::at(double base_lr, std::int64_t step) const {
  ScheduledValue product{base_lr};
  for (const Schedule& schedule : schedules) {
    const ScheduledValue one = schedule.at(product.lr, step);
    product.lr = one.lr;
    if (one.momentum) product.momentum = one.momentum;
  }
  return product;
}
void ChainedLR::check() const {
  if (schedules.empty()) fail<ValueError>("ChainedLR", "there are no schedules");
}

Scheduler::Scheduler(Optimizer& optimizer, Schedule schedule) : optimizer_(&optimizer), schedule_(std::move(schedule)) {
  for (std::size_t group = 0; group < optimizer.group_count(); ++group) base_.push_back(optimizer.lr(group));
  apply();
}

void Scheduler::step() {
  ++steps_;
  apply();
}

void Scheduler::apply() {
  for (std::size_t group = 0; group < base_.size(); ++group) {
    const ScheduledValue value = schedule_.at(base_[group], steps_);
    optimizer_->set_lr(group, value.lr);
    if (value.momentum) optimizer_->set_momentum(group, *value.momentum);
  }
}

NamedTensors Scheduler::state_dict() const {
  return {{"base_lr", Tensor::from_span(std::span<const double>(base_), {static_cast<std::int64_t>(base_.size())})},
          {"steps", Tensor::scalar(as_double(steps_), {.dtype = i64})}};
}

void Scheduler::load_state_dict(const NamedTensors& state) {
  const Tensor base = take("Scheduler", state, "base_lr", static_cast<std::int64_t>(base_.size()));
  const Tensor steps = take("Scheduler", state, "steps", 1);
  base_ = base.to_vector();
  steps_ = steps.item<std::int64_t>();
  apply();
}

ReduceLROnPlateau::ReduceLROnPlateau(Optimizer& optimizer, const ReduceLROnPlateauOptions& options)
    : optimizer_(&optimizer), options_(options) {
  require(options.factor >= 0 && options.factor < 1, "ReduceLROnPlateau", "factor must lie in [0, 1)", options.factor);
  require(options.patience >= 0, "ReduceLROnPlateau", "patience must not be negative", as_double(options.patience));
  require(options.cooldown >= 0, "ReduceLROnPlateau", "cooldown must not be negative", as_double(options.cooldown));
  const double infinity = std::numeric_limits<double>::infinity();
  best_ = options.mode == PlateauMode::min ? infinity : -infinity;
}

bool ReduceLROnPlateau::improved(double metric) const {
  const bool lower = options_.mode == PlateauMode::min;
  if (std::isinf(best_)) return lower ? metric < best_ : metric > best_;
  const double margin = options_.threshold_mode == ThresholdMode::rel ? best_ * options_.threshold : options_.threshold;
  return lower ? metric < best_ - margin : metric > best_ + margin;
}

void ReduceLROnPlateau::step(double metric) {
  if (improved(metric)) {
    best_ = metric;
    bad_ = 0;
  } else {
    ++bad_;
  }
  if (cooling_ > 0) {
    --cooling_;
    bad_ = 0;
  }
  if (bad_ <= options_.patience) return;
  for (std::size_t group = 0; group < optimizer_->group_count(); ++group) {
    const double before = optimizer_->lr(group), after = std::max(before * options_.factor, options_.min_lr);
    if (before - after > options_.eps) optimizer_->set_lr(group, after);
  }
  cooling_ = options_.cooldown;
  bad_ = 0;
}

NamedTensors ReduceLROnPlateau::state_dict() const {
  const double values[] = {best_, as_double(bad_), as_double(cooling_)};
  return {{"plateau", Tensor::from_span(std::span<const double>(values), {3})}};
}

void ReduceLROnPlateau::load_state_dict(const NamedTensors& state) {
  const auto values = take("ReduceLROnPlateau", state, "plateau", 3).to_vector();
  best_ = values[0];
  bad_ = static_cast<std::int64_t>(values[1]);
  cooling_ = static_cast<std::int64_t>(values[2]);
}

}  // namespace duet::optim
