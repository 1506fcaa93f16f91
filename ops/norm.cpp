// Batch, group, instance and layer normalisation. What they compute with is in norm_core.cpp.
#include <duet/ops/norm.hpp>

#include <cmath>
#include <tuple>

#include <duet/ops/elementwise.hpp>
#include <duet/ops/norm_core.hpp>
#include <duet/ops/reduce.hpp>
#include <duet/ops/shape.hpp>

namespace duet {

using kernels::NormGeometry;

namespace {

Specs batch_norm_rule(const ShapeCall& c) {
  const Dtype dtype = require_floating(c);
  const BatchNormOptions& o = c.opt<BatchNormOptions>();
  const NormGeometry geometry = norm_geometry(c.name(), c[0].shape, 0);
  for (int i = 1; i < c.count(); ++i) require_channels(c, i, geometry.channels);
  if (c.has(1) != c.has(2))
    fail<ValueError>(c.name(), "needs running_mean and running_var both or neither");
  if (!o.training && !c.has(1)) fail<ValueError>(c.name(), "eval needs running_mean and running_var");
  if (o.training) require_spread(c.name(), geometry, c[0].shape);
  const TensorSpec statistics{{geometry.channels}, dtype};
  TensorSpec running = statistics;
  running.defined = c.has(1);
  return {c[0], running, running, statistics, statistics};
}

/// The running statistics c[1] and c[2], moved towards the batch's.
std::pair<Tensor, Tensor> moved_statistics(const Call& c, const NormGeometry& geometry, const GroupStatistics& batch,
                                           double momentum, double eps) {
  std::vector<double> mean = c[1].to_vector(), var = c[2].to_vector();
  const double count = static_cast<double>(geometry.group_size());
  for (std::size_t i = 0; i < mean.size(); ++i) {
    const double r = batch.inverse_deviation[i];
    const double unbiased = (1 / (r * r) - eps) * count / (count - 1);
    mean[i] += momentum * (batch.mean[i] - mean[i]);
    var[i] += momentum * (unbiased - var[i]);
  }
  return {from_doubles(mean, c.spec(1)), from_doubles(var, c.spec(2))};
}

Tensors batch_norm_forward(const Call& c) {
  const BatchNormOptions& o = c.opt<BatchNormOptions>();
  const NormGeometry geometry = norm_geometry(c.name(), c[0].shape(), 0);
  const Tensor x = raw::contiguous(c[0]), weight = c.has(3) ? c[3] : Tensor(), bias = c.has(4) ? c[4] : Tensor();
  GroupStatistics statistics;
  if (o.training) {
    statistics = group_statistics(geometry, x, o.eps);
  } else {
    statistics = {c[1].to_vector(), c[2].to_vector()};
    for (double& value : statistics.inverse_deviation) value = 1 / std::sqrt(value + o.eps);
  }
  Tensor mean, var;
  if (c.has(1) && o.training) {
    std::tie(mean, var) = moved_statistics(c, geometry, statistics, o.momentum, o.eps);
  } else if (c.has(1)) {
    mean = c[1].detach();
    var = c[2].detach();
  }
  return {normalize(geometry, x, statistics, weight, bias), mean, var, from_doubles(statistics.mean, c.spec(3)),
          from_doubles(statistics.inverse_deviation, c.spec(4))};
}

/// A tensor of one value a channel, to broadcast against x.
Tensor along_channels(const Tensor& w, const Shape& x) {
  Shape shape = Shape::filled(x.rank(), 1);
  shape[1] = x[1];
  return reshape(w, shape);
}

/// The sum over everything but the channels.
Tensor channel_sum(const Tensor& x) {
  Dims dims{0};
  for (int i = 2; i < x.rank(); ++i) dims.push_back(i);
  return sum(x, {.dim = dims});
}

/// The gradients by x, weight and bias of a normalisation by the batch's own statistics (its saved outputs `mean` and
/// `mean` + 1), into result[0], result[weight] and result[weight + 1]. Where a relu follows, output `mean` + 2 is the
/// shift in front of it.
void training_vjp(const Vjp& v, int weight, int mean, const NormalizeOptions& options, Tensors& result,
                  bool before_relu = false) {
  if (v.needs(0) || v.needs(weight) || before_relu) {
    const Tensor w = (v.needs(0) || before_relu) && v.has_input(weight) ? v.input(weight) : Tensor();
    const auto [by_x, by_weight, by_bias] =
        normalize_backward(v.cotangent(), v.input(0), w, v.output(mean), v.output(mean + 1), options,
                           before_relu ? v.output(mean + 2) : Tensor());
    if (v.needs(0)) result[0] = by_x;
    if (v.needs(weight)) result[static_cast<std::size_t>(weight)] = by_weight;
    if (v.needs(weight + 1)) result[static_cast<std::size_t>(weight + 1)] = by_bias;
  } else if (v.needs(weight + 1)) {
    result[static_cast<std::size_t>(weight + 1)] = channel_sum(v.cotangent());
  }
}

Tensors batch_norm_vjp(const Vjp& v) {
  const BatchNormOptions& o = v.opt<BatchNormOptions>();
  Tensors result(static_cast<std::size_t>(v.count()));
  const Tensor& g = v.cotangent();
  if (!g.defined()) return result;
  if (o.training) {
    training_vjp(v, 3, 3, {.eps = o.eps}, result);
    return result;
  }
  const Shape& x = v.shape(0);
  const Tensor r = v.needs(0) || v.needs(3) ? v.output(4).detach() : Tensor();
  if (v.needs(0)) result[0] = g * along_channels(v.has_input(3) ? r * v.input(3) : r, x);
  if (v.needs(3)) result[3] = channel_sum(g * (v.input(0) - along_channels(v.output(3).detach(), x))) * r;
  if (v.needs(4)) result[4] = channel_sum(g);
  return result;
}

bool reads_batch(const AnyOptions& options, int input) { return options.get<BatchNormOptions>().training || input == 3; }

std::vector<Sample> batch_norm_samples() {
  std::vector<Sample> samples;
  const auto add = [&](const char* name, const Shape& x, bool training, bool affine, double eps = 1e-5) {
    const std::uint64_t seed = 10 * samples.size();
    const Shape channels{x[1]};
    samples.push_back({name,
                       {sample_normal(x, seed), sample_normal(channels, seed + 1), sample_uniform(channels, 0.5, 2, seed + 2),
                        affine ? sample_uniform(channels, 0.5, 1.5, seed + 3) : Tensor(),
                        affine ? sample_normal(channels, seed + 4) : Tensor()},
                       BatchNormOptions{.training = training, .eps = eps},
                       2,
                       affine ? std::vector<int>{0, 3, 4} : std::vector<int>{0}});
  };
  add("training", {4, 3, 2, 3}, true, true);
  add("training_plain", {4, 3, 2, 3}, true, false);
  add("training_flat", {6, 3}, true, true);
  add("training_one_sample", {1, 2, 5}, true, true);
  add("training_channels", {3, 17, 1}, true, true, 1e-2);
  add("training_width", {1, 1, 1, 33}, true, true);
  add("training_volume", {2, 2, 2, 1, 3}, true, true, 1e-3);
  add("training_rows", {9, 3, 2, 3}, true, true);  // many short rows: the kernels take columns
  add("eval", {4, 3, 2, 3}, false, true);
  add("eval_plain", {4, 3, 2, 3}, false, false);
  add("eval_flat", {6, 17}, false, true, 1e-2);
  add("eval_one_value", {1, 3}, false, true);
  add("eval_width", {2, 1, 33}, false, true);
  return samples;
}

}  // namespace

const OpPtr& batch_norm_op() {
  static const OpPtr op = define({
      .name = "batch_norm",
      .doc = "Normalises each channel across the batch, by the batch's statistics in training, else by running ones.",
      .formula = "(x - mean) / sqrt(var + eps) * weight + bias",
      .inputs = {"x", "running_mean?", "running_var?", "weight?", "bias?"},
      .options = &options_type<BatchNormOptions>(),
      .shape_rule = batch_norm_rule,
      .forward = batch_norm_forward,
      .vjp = batch_norm_vjp,
      .saves = {save_input(0, {0, 3}, reads_batch), save_input(3, {0}), save_output(3, {0, 3}, reads_batch),
                save_output(4, {0, 3})},
      .constant_outputs = {1, 2, 3, 4},
      .onnx = "BatchNormalization",
      .source = "Ioffe and Szegedy 2015",
      .samples = batch_norm_samples,
  });
  return op;
}

namespace {

Specs batch_norm_relu_rule(const ShapeCall& c) {
  const Dtype dtype = require_floating(c);
  const NormGeometry geometry = norm_geometry(c.name(), c[0].shape, 0);
  for (int i = 1; i < c.count(); ++i) require_channels(c, i, geometry.channels);
  if (c.has(1) != c.has(2)) fail<ValueError>(c.name(), "needs running_mean and running_var both or neither");
  require_spread(c.name(), geometry, c[0].shape);
  const TensorSpec statistics{{geometry.channels}, dtype};
  TensorSpec running = statistics;
  running.defined = c.has(1);
  return {c[0], running, running, statistics, statistics, statistics};
}

/// The gradient asks again on which side of 0 each y was, so that y is made of what is saved, rounded as it is: a centre,
/// the inverse deviation, and a shift that holds the bias and what the centre lacks of the mean. The centre is the mean
/// rounded to float in f64 too, for its shift would else be another number there.
Tensors batch_norm_relu_forward(const Call& c) {
  const BatchNormReluOptions& o = c.opt<BatchNormReluOptions>();
  const NormGeometry geometry = norm_geometry(c.name(), c[0].shape(), 0);
  const Tensor x = raw::contiguous(c[0]), weight = c.has(3) ? c[3] : Tensor();
  const GroupStatistics exact = group_statistics(geometry, x, o.eps);
  Tensor running_mean, running_var;
  if (c.has(1)) std::tie(running_mean, running_var) = moved_statistics(c, geometry, exact, o.momentum, o.eps);
  std::vector<double> centre = exact.mean;
  for (double& value : centre)
    if (std::abs(value) < static_cast<double>(std::numeric_limits<float>::max())) value = static_cast<float>(value);
  const Tensor mean = from_doubles(centre, c.spec(3)), r = from_doubles(exact.inverse_deviation, c.spec(4));
  const GroupStatistics rounded{mean.to_vector(), r.to_vector()};
  std::vector<double> shift(exact.mean.size(), 0);
  if (c.has(4)) shift = c[4].to_vector();
  const std::vector<double> w = weight.defined() ? weight.to_vector() : std::vector<double>(shift.size(), 1);
  for (std::size_t i = 0; i < shift.size(); ++i)
    shift[i] -= (exact.mean[i] - rounded.mean[i]) * rounded.inverse_deviation[i] * w[i];
  const Tensor shifts = from_doubles(shift, c.spec(5));
  return {normalize(geometry, x, rounded, weight, shifts, 0), running_mean, running_var, mean, r, shifts};
}

Tensors batch_norm_relu_vjp(const Vjp& v) {
  Tensors result(static_cast<std::size_t>(v.count()));
  if (v.cotangent().defined()) training_vjp(v, 3, 3, {.eps = v.opt<BatchNormReluOptions>().eps}, result, true);
  return result;
}

/// y once more, of the numbers that it was made of.
Tensor batch_norm_relu_again(const Vjp& v) {
  const GroupStatistics rounded{v.output(3).to_vector(), v.output(4).to_vector()};
  return normalize(norm_geometry(v.name(), v.shape(0), 0), raw::contiguous(v.input(0)), rounded,
                   v.has_input(3) ? v.input(3) : Tensor(), v.output(5), 0);
}

std::vector<Sample> batch_norm_relu_samples() {
  std::vector<Sample> samples;
  for (const Sample& one : batch_norm_samples()) {
    const BatchNormOptions& o = one.options.get<BatchNormOptions>();
    if (!o.training) continue;
    samples.push_back(one);
    samples.back().options = BatchNormReluOptions{.eps = o.eps};
    if (samples.size() > 9) continue;
    // Without running statistics, on other numbers.
    samples.push_back(samples.back());
    samples.back().name += "_untracked";
    samples.back().inputs[0] = sample_normal(one.inputs[0].shape(), 700 + samples.size());
    samples.back().inputs[1] = samples.back().inputs[2] = Tensor();
  }
  return samples;
}

}  // namespace

const OpPtr& batch_norm_relu_op() {
  static const OpPtr op = define({
      .name = "batch_norm_relu",
      .doc = "Normalises each channel across the batch by the batch's statistics, and takes the positive part.",
      .formula = "max(0, (x - mean) / sqrt(var + eps) * weight + bias)",
      .inputs = {"x", "running_mean?", "running_var?", "weight?", "bias?"},
      .options = &options_type<BatchNormReluOptions>(),
      .shape_rule = batch_norm_relu_rule,
      .forward = batch_norm_relu_forward,
      .vjp = batch_norm_relu_vjp,
      .saves = {save_input(0, {0, 3, 4}), save_input(3, {0, 3, 4}), save_output(3, {0, 3, 4}),
                save_output(4, {0, 3, 4}), save_output(5, {0, 3, 4})},
      .remake = batch_norm_relu_again,
      .constant_outputs = {1, 2, 3, 4, 5},
      .source = "Ioffe and Szegedy 2015",
      .samples = batch_norm_relu_samples,
  });
  return op;
}

namespace {

Tensors group_forward(const Call& c, std::int64_t groups, double eps) {
  const NormGeometry geometry = norm_geometry(c.name(), c[0].shape(), groups);
  const Tensor x = raw::contiguous(c[0]);
  const GroupStatistics statistics = group_statistics(geometry, x, eps);
  return {normalize(geometry, x, statistics, c.has(1) ? c[1] : Tensor(), c.has(2) ? c[2] : Tensor()),
          from_doubles(statistics.mean, c.spec(1)), from_doubles(statistics.inverse_deviation, c.spec(2))};
}

Tensors group_vjp(const Vjp& v, std::int64_t groups, double eps) {
  Tensors result(static_cast<std::size_t>(v.count()));
  if (v.cotangent().defined()) training_vjp(v, 1, 1, {.num_groups = groups, .eps = eps}, result);
  return result;
}

Specs group_rule(const ShapeCall& c, std::int64_t groups) {
  const Dtype dtype = require_floating(c);
  const NormGeometry geometry = norm_geometry(c.name(), c[0].shape, groups);
  require_channels(c, 1, geometry.channels);
  require_channels(c, 2, geometry.channels);
  require_spread(c.name(), geometry, c[0].shape);
  const TensorSpec statistics{statistics_shape(c[0].shape, groups), dtype};
  return {c[0], statistics, statistics};
}

/// Every channel is a group of its own.
std::int64_t instance_groups(const char* op, const Shape& x) {
  if (x.rank() < 3) fail<ShapeError>(op, "x needs at least 3 dimensions (N, C, ...), got {}", x);
  return x[1];
}

Sample affine_sample(const char* name, const Shape& x, bool affine, const AnyOptions& options, std::uint64_t seed) {
  return {name,
          {sample_normal(x, seed), affine ? sample_uniform({x[1]}, 0.5, 1.5, seed + 1) : Tensor(),
           affine ? sample_normal({x[1]}, seed + 2) : Tensor()},
          options};
}

}  // namespace

const OpPtr& group_norm_op() {
  static const OpPtr op = define({
      .name = "group_norm",
      .doc = "Normalises each group of channels of each sample.",
      .formula = "(x - mean) / sqrt(var + eps) * weight + bias",
      .inputs = {"x", "weight?", "bias?"},
      .options = &options_type<GroupNormOptions>(),
      .shape_rule = [](const ShapeCall& c) -> Specs {
        const std::int64_t groups = c.opt<GroupNormOptions>().num_groups;
        if (groups < 1) fail<ValueError>(c.name(), "num_groups must be at least 1, got {}", groups);
        return group_rule(c, groups);
      },
      .forward = [](const Call& c) { return group_forward(c, c.opt<GroupNormOptions>().num_groups, c.opt<GroupNormOptions>().eps); },
      .vjp = [](const Vjp& v) { return group_vjp(v, v.opt<GroupNormOptions>().num_groups, v.opt<GroupNormOptions>().eps); },
      .saves = {save_input(0, {0, 1}), save_input(1, {0}), save_output(1, {0, 1}), save_output(2, {0, 1})},
      .constant_outputs = {1, 2},
      .onnx = "GroupNormalization",
      .source = "Wu and He 2018",
      .samples = []() -> std::vector<Sample> {
        return {affine_sample("one_group", {2, 4, 3, 2}, true, GroupNormOptions{1}, 1),
                affine_sample("two_groups", {2, 4, 3, 2}, true, GroupNormOptions{2}, 11),
                affine_sample("own_groups", {2, 4, 3, 2}, true, GroupNormOptions{4}, 21),
                affine_sample("plain", {2, 4, 3, 2}, false, GroupNormOptions{2}, 31),
                affine_sample("three_groups", {2, 6, 3}, true, GroupNormOptions{3, 1e-2}, 41),
                affine_sample("flat", {3, 8}, true, GroupNormOptions{2}, 51),
                affine_sample("flat_plain", {3, 16}, false, GroupNormOptions{4}, 61),
                affine_sample("one_sample", {1, 2, 5}, true, GroupNormOptions{1}, 71),
                affine_sample("channels", {1, 34, 2}, true, GroupNormOptions{2}, 81),
                affine_sample("odd_channels", {1, 17, 2}, true, GroupNormOptions{1}, 91),
                affine_sample("width", {1, 2, 33}, true, GroupNormOptions{2}, 101),
                affine_sample("volume", {1, 4, 2, 2, 3}, true, GroupNormOptions{2}, 111)};
      },
  });
  return op;
}

const OpPtr& instance_norm_op() {
  static const OpPtr op = define({
      .name = "instance_norm",
      .doc = "Normalises each channel of each sample.",
      .formula = "(x - mean) / sqrt(var + eps) * weight + bias",
      .inputs = {"x", "weight?", "bias?"},
      .options = &options_type<InstanceNormOptions>(),
      .shape_rule = [](const ShapeCall& c) { return group_rule(c, instance_groups(c.name(), c[0].shape)); },
      .forward = [](const Call& c) { return group_forward(c, c[0].shape()[1], c.opt<InstanceNormOptions>().eps); },
      .vjp = [](const Vjp& v) { return group_vjp(v, v.shape(0)[1], v.opt<InstanceNormOptions>().eps); },
      .saves = {save_input(0, {0, 1}), save_input(1, {0}), save_output(1, {0, 1}), save_output(2, {0, 1})},
      .constant_outputs = {1, 2},
      .onnx = "InstanceNormalization",
      .source = "Ulyanov, Vedaldi and Lempitsky 2016",
      .samples = []() -> std::vector<Sample> {
        return {affine_sample("plane", {2, 3, 4, 3}, true, InstanceNormOptions{}, 1),
                affine_sample("plain", {2, 3, 4, 3}, false, InstanceNormOptions{}, 11),
                affine_sample("line", {2, 3, 5}, true, InstanceNormOptions{}, 21),
                affine_sample("volume", {1, 2, 2, 2, 3}, true, InstanceNormOptions{}, 31),
                affine_sample("eps", {2, 2, 3}, true, InstanceNormOptions{1e-1}, 41),
                affine_sample("channels", {1, 17, 3}, true, InstanceNormOptions{}, 51),
                affine_sample("width", {1, 1, 33}, true, InstanceNormOptions{}, 61),
                affine_sample("one_channel", {3, 1, 2, 2}, true, InstanceNormOptions{}, 71),
                affine_sample("two_values", {2, 3, 2}, true, InstanceNormOptions{1e-2}, 81),
                affine_sample("line_plain", {2, 3, 5}, false, InstanceNormOptions{}, 91),
                affine_sample("wide_plain", {1, 2, 33}, false, InstanceNormOptions{}, 101),
                affine_sample("tall", {1, 2, 7, 1}, true, InstanceNormOptions{}, 111)};
      },
  });
  return op;
}

BatchNormResult batch_norm(const Tensor& x, const Tensor& running_mean, const Tensor& running_var, const Tensor& weight,
                           const Tensor& bias, const BatchNormOptions& options) {
  Tensors result = apply(batch_norm_op(), {x, running_mean, running_var, weight, bias}, options);
  return {result[0], result[1], result[2]};
}

BatchNormResult batch_norm_relu(const Tensor& x, const Tensor& running_mean, const Tensor& running_var,
                                const Tensor& weight, const Tensor& bias, const BatchNormReluOptions& options) {
  Tensors result = apply(batch_norm_relu_op(), {x, running_mean, running_var, weight, bias}, options);
  return {result[0], result[1], result[2]};
}

Tensor group_norm(const Tensor& x, const Tensor& weight, const Tensor& bias, const GroupNormOptions& options) {
  return apply1(group_norm_op(), {x, weight, bias}, options);
}

Tensor instance_norm(const Tensor& x, const Tensor& weight, const Tensor& bias, const InstanceNormOptions& options) {
  return apply1(instance_norm_op(), {x, weight, bias}, options);
}

}  // namespace duet
