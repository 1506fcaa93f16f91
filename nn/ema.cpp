// Averages live apart from the model and follow its dtype.
#include <duet/nn/ema.hpp>

#include <algorithm>

#include <duet/core/fail.hpp>
#include <duet/core/raw.hpp>
#include <duet/core/tape.hpp>
#include <duet/ops/kernels/optimizer.hpp>

namespace duet::nn {
namespace {

constexpr const char* op = "ema";

void check_same_names(const NamedTensors& average, const NamedTensors& state) {
  const bool same = std::equal(
      average.begin(), average.end(), state.begin(), state.end(),
      [](const auto& a, const auto& b) { return a.first == b.first && a.second.shape() == b.second.shape(); });
  if (!same) fail<ValueError>(op, "the model's parameters are not those it had when the average began");
}

}  // namespace

ExponentialMovingAverage::ExponentialMovingAverage(Module& model, const EmaOptions& options)
    : model_(&model), options_(options), average_(clone_tensors(model.state_dict())) {
  if (!(options.decay >= 0 && options.decay < 1))
    fail<ValueError>(op, "decay must lie in [0, 1), got {}", options.decay);
}

void ExponentialMovingAverage::update() {
  if (swapped_) fail<ValueError>(op, "the model holds the average: swap() back before update()");
  const NamedTensors state = model_->state_dict();
  check_same_names(average_, state);
  const auto t = static_cast<double>(updates_++);
  const double decay = options_.warm_up ? std::min(options_.decay, (1 + t) / (10 + t)) : options_.decay;
  std::vector<Tensor> held;
  std::vector<kernels::Run> runs;
  for (std::size_t k = 0; k < state.size(); ++k) {
    const Tensor now = raw::contiguous(state[k].second);
    Tensor& average = average_[k].second;
    if (average.dtype() != now.dtype() || !is_floating(now.dtype())) {
      // A counter, or a model that was converted since: average in its new dtype.
      const Tensor before = average;
      average = Tensor::empty(now.shape(), {.dtype = now.dtype()});
      raw::copy(is_floating(now.dtype()) ? before : now, average);
    }
    if (!is_floating(now.dtype())) continue;
    held.push_back(now);
    runs.push_back({raw::data<std::byte>(average), raw::data<std::byte>(now), now.numel(), now.dtype() == f64});
  }
  kernels::for_each_piece(runs, [&](const kernels::Run& run, std::int64_t) {
    kernels::optimizer_table().approach[run.f64](run, 1 - decay);
  });
}

void ExponentialMovingAverage::swap() {
  const NamedTensors current = clone_tensors(model_->state_dict());
  model_->load_state_dict(average_);
  average_ = current;
  swapped_ = !swapped_;
}

void ExponentialMovingAverage::copy_to(Module& model) const {
  if (swapped_) fail<ValueError>(op, "the model holds the average: swap() back before copy_to()");
  model.load_state_dict(average_);
}

NamedTensors ExponentialMovingAverage::state_dict() const {
  if (swapped_) fail<ValueError>(op, "the model holds the average: swap() back before saving");
  NamedTensors state;
  for (const auto& [name, tensor] : average_) state.emplace_back("average." + name, raw::clone(tensor));
  state.emplace_back("updates", Tensor::scalar(static_cast<double>(updates_), {.dtype = i64}));
  return state;
}

void ExponentialMovingAverage::load_state_dict(const NamedTensors& state) {
  NamedTensors loaded;
  Tensor updates;
  for (const auto& [name, tensor] : state) {
    if (name == "updates")
      updates = tensor;
    else if (name.starts_with("average."))
      loaded.emplace_back(name.substr(8), raw::clone(tensor));
  }
  check_same_names(average_, loaded);
  if (!updates.defined() || updates.numel() != 1) fail<ValueError>(op, "the saved state has no count of updates");
  average_ = std::move(loaded);
  updates_ = updates.item<std::int64_t>();
  swapped_ = false;
}

}  // namespace duet::nn
