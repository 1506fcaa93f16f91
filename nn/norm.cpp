// Normalisation layers: parameters, running statistics, and the ops that do the work.
#include <duet/nn/norm.hpp>

#include <algorithm>

#include <duet/autograd/checkpoint.hpp>
#include <duet/core/factory.hpp>
#include <duet/core/raw.hpp>
#include <duet/core/tape.hpp>
#include <duet/core/warning.hpp>
#include <duet/nn/layer.hpp>
#include <duet/ops/elementwise.hpp>
#include <duet/ops/activation.hpp>
#include <duet/ops/norm.hpp>
#include <duet/ops/reduce.hpp>
#include <duet/ops/shape.hpp>

namespace duet::nn {
namespace {

constexpr const char* batch_names[] = {"BatchNorm1d", "BatchNorm2d", "BatchNorm3d"};
constexpr const char* instance_names[] = {"InstanceNorm1d", "InstanceNorm2d", "InstanceNorm3d"};

/// (N, C, S…) with `spatial` dimensions S; vectors (N, C) where they are allowed.
void check_input(const char* layer, const Tensor& x, int spatial, bool vectors, std::int64_t features) {
  const int rank = x.rank();
  if (rank != spatial + 2 && !(vectors && rank == 2))
    fail<ShapeError>(layer, "needs {} dimensions, got {}", spatial + 2, x.shape());
  if (x.shape()[1] != features)
    fail<ShapeError>(layer, "normalises {} channels, x has {}: {}", features, x.shape()[1], x.shape());
}

void assign(Buffer& buffer, const Tensor& value) {
  const NoGradGuard no_grad;
  begin_in_place("running_stats", buffer);
  raw::copy(value, buffer);
}

void start_statistics(std::int64_t features, Buffer& mean, Buffer& var, Buffer& batches) {
  mean = zeros({features});
  var = ones({features});
  batches = zeros({}, {.dtype = i64});
}

/// Warns of running statistics that are still what start_statistics() made: no batch was counted, and nothing loaded.
void warn_of_fresh(const char* layer, const Module& module, const Tensor& mean, const Tensor& var,
                   const Tensor& batches) {
  if (!batches.defined() || batches.item() != 0) return;
  const auto all = [](const Tensor& statistics, double value) {
    const std::vector<double> values = statistics.to_vector();
    return std::all_of(values.begin(), values.end(), [&](double one) { return one == value; });
  };
  if (!all(mean, 0) || !all(var, 1)) return;
  const std::string path = module.path();
  warn_once(layer,
            fmt::format("{} is in evaluation and its running statistics were never updated, so it normalises by mean "
                        "0 and variance 1: train it or load weights first, or turn track_running_stats off",
                        path.empty() ? "a layer" : "'" + path + "'"));
}

/// What running statistics are after one batch more.
void move_statistics(Buffer& mean, const Tensor& new_mean, Buffer& var, const Tensor& new_var, Buffer& batches) {
  assign(mean, new_mean);
  assign(var, new_var);
  assign(batches, Tensor::scalar(batches.item() + 1, {.dtype = i64}));
}

}  // namespace

template <int N>
BatchNorm<N>::BatchNorm(Module* parent, std::string name, std::int64_t features, const Options& given)
    : Module(parent, std::move(name)),
      options(given),
      weight(this, "weight"),
      bias(this, "bias"),
      running_mean(this, "running_mean"),
      running_var(this, "running_var"),
      num_batches_tracked(this, "num_batches_tracked") {
  require_at_least(batch_names[N - 1], "the number of features", features, 1);
  if (options.affine) {
    weight = ones({features});
    bias = zeros({features});
  }
  if (options.track_running_stats) start_statistics(features, running_mean, running_var, num_batches_tracked);
}

template <int N>
Tensor BatchNorm<N>::forward(const Tensor& x) {
  if (folded) return options.relu ? relu(x) : x;
  const Tensor& features = options.affine ? static_cast<Tensor&>(weight) : running_mean;
  check_input(batch_names[N - 1], x, N, N == 1, features.defined() ? features.size(0) : x.size(1));
  if (total && is_training()) return options.relu ? relu(by_whole_batch(x)) : by_whole_batch(x);
  const bool by_batch = is_training() || !options.track_running_stats;
  const bool tracked = is_training() && options.track_running_stats;
  if (!by_batch) warn_of_fresh(batch_names[N - 1], *this, running_mean, running_var, num_batches_tracked);
  double momentum = options.momentum.value_or(0);
  if (tracked && !options.momentum) momentum = 1 / (num_batches_tracked.item() + 1);
  const bool in_one = options.relu && is_training();
  const BatchNormResult result =
      in_one ? batch_norm_relu(x, running_mean, running_var, weight, bias, {.momentum = momentum, .eps = options.eps})
             : batch_norm(x, running_mean, running_var, weight, bias,
                          {.training = by_batch, .momentum = momentum, .eps = options.eps});
  if (tracked && !is_recomputing())  // a checkpoint's second run is not a second batch
    move_statistics(running_mean, result.running_mean, running_var, result.running_var, num_batches_tracked);
  return options.relu && !in_one ? relu(result.y) : result.y;
}

/// Two sums over all processes: of x and how many there are, then of squares around the mean.
template <int N>
Tensor BatchNorm<N>::by_whole_batch(const Tensor& x) {
  const std::int64_t channels = x.size(1);
  Dims over;
  Shape form(std::vector<std::int64_t>(static_cast<std::size_t>(x.rank()), 1));
  for (int axis = 0; axis < x.rank(); ++axis)
    if (axis != 1) over.push_back(axis);
  form[1] = channels;
  const Tensor own_count = full({1}, static_cast<double>(x.numel() / channels), {.dtype = x.dtype()});
  const Tensor sums = total(cat({sum(x, {.dim = over}), own_count}, 0));
  const double count = slice(sums, 0, channels, channels + 1).item();
  const Tensor mean = slice(sums, 0, 0, channels) / count;
  const Tensor centred = x - reshape(mean, form);
  const Tensor variance = total(sum(centred * centred, {.dim = over})) / count;
  Tensor y = centred * reshape(rsqrt(variance + options.eps), form);
  if (weight.defined()) y = y * reshape(weight, form) + reshape(bias, form);
  if (!options.track_running_stats || is_recomputing()) return y;
  const NoGradGuard no_grad;
  const double momentum = options.momentum.value_or(1 / (num_batches_tracked.item() + 1));
  move_statistics(running_mean, running_mean * (1 - momentum) + mean * momentum, running_var,
                  running_var * (1 - momentum) + variance * (momentum * count / (count - 1)), num_batches_tracked);
  return y;
}

template <int N>
std::string BatchNorm<N>::kind() const {
  return batch_names[N - 1];
}

template <int N>
std::string BatchNorm<N>::describe() const {
  const Tensor& features = options.affine ? static_cast<const Tensor&>(weight) : running_mean;
  return fmt::format("{}eps={}, momentum={}, affine={}, track_running_stats={}{}",
                     features.defined() ? fmt::format("{}, ", features.size(0)) : "", options.eps,
                     options.momentum ? fmt::format("{}", *options.momentum) : "none", options.affine,
                     options.track_running_stats, options.relu ? ", relu=true" : "");
}

template class BatchNorm<1>;
template class BatchNorm<2>;
template class BatchNorm<3>;

template <int N>
InstanceNorm<N>::InstanceNorm(Module* parent, std::string name, std::int64_t count, const Options& given)
    : Module(parent, std::move(name)),
      options(given),
      features(count),
      weight(this, "weight"),
      bias(this, "bias"),
      running_mean(this, "running_mean"),
      running_var(this, "running_var"),
      num_batches_tracked(this, "num_batches_tracked") {
  require_at_least(instance_names[N - 1], "the number of features", features, 1);
  if (options.affine) {
    weight = ones({features});
    bias = zeros({features});
  }
  if (options.track_running_stats) start_statistics(features, running_mean, running_var, num_batches_tracked);
}

template <int N>
Tensor InstanceNorm<N>::forward(const Tensor& x) {
  check_input(instance_names[N - 1], x, N, false, features);
  if (options.track_running_stats && !is_training()) {
    warn_of_fresh(instance_names[N - 1], *this, running_mean, running_var, num_batches_tracked);
    return batch_norm(x, running_mean, running_var, weight, bias, {.eps = options.eps}).y;
  }
  const Tensor y = instance_norm(x, weight, bias, {.eps = options.eps});
  if (options.track_running_stats && !is_recomputing()) {
    const NoGradGuard no_grad;
    const Tensor samples = flatten(x, 2);
    const Tensor new_mean = lerp(running_mean, mean(samples, {.dim = {0, 2}}), options.momentum);
    const Tensor new_var = lerp(running_var, mean(var(samples, {.dim = {2}}), {.dim = {0}}), options.momentum);
    move_statistics(running_mean, new_mean, running_var, new_var, num_batches_tracked);
  }
  return y;
}

template <int N>
std::string InstanceNorm<N>::kind() const {
  return instance_names[N - 1];
}

template <int N>
std::string InstanceNorm<N>::describe() const {
  return fmt::format("{}, eps={}, momentum={}, affine={}, track_running_stats={}", features, options.eps,
                     options.momentum, options.affine, options.track_running_stats);
}

template class InstanceNorm<1>;
template class InstanceNorm<2>;
template class InstanceNorm<3>;

GroupNorm::GroupNorm(Module* parent, std::string name, std::int64_t group_count, std::int64_t channel_count,
                     const Options& given)
    : Module(parent, std::move(name)),
      options(given),
      groups(group_count),
      channels(channel_count),
      weight(this, "weight"),
      bias(this, "bias") {
  require_at_least("GroupNorm", "groups", groups, 1);
  require_at_least("GroupNorm", "channels", channels, 1);
  if (channels % groups != 0) fail<ValueError>("GroupNorm", "{} groups do not divide {} channels", groups, channels);
  if (!options.affine) return;
  weight = ones({channels});
  bias = zeros({channels});
}

Tensor GroupNorm::forward(const Tensor& x) {
  if (x.rank() < 2 || x.shape()[1] != channels)
    fail<ShapeError>("GroupNorm", "normalises {} channels, got x {}", channels, x.shape());
  return group_norm(x, weight, bias, {.num_groups = groups, .eps = options.eps});
}

std::string GroupNorm::describe() const {
  return fmt::format("{}, {}, eps={}, affine={}", groups, channels, options.eps, options.affine);
}

}  // namespace duet::nn
