// Losses of pairs of elements: one row of a table each, and what they share. Losses of classes are in
// loss_classes.cpp, that of overlaps in loss_dice.cpp.
#include <duet/ops/loss.hpp>

#include <cmath>

#include <duet/ops/activation.hpp>
#include <duet/ops/compare.hpp>
#include <duet/ops/elementwise.hpp>
#include <duet/ops/elementwise_rules.hpp>
#include <duet/ops/reduce.hpp>
#include <duet/ops/reduce_rules.hpp>
#include <duet/ops/shape.hpp>

namespace duet {

using kernels::Map;

namespace {

/// Weights (inputs 2 and on) must broadcast to the losses.
void require_weights(const ShapeCall& c) {
  for (int i = 2; i < c.count(); ++i)
    if (c.has(i) && broadcast_shapes(c.name(), c[0].shape, c[i].shape) != c[0].shape)
      fail<ShapeError>(c.name(), "{} {} does not broadcast to input {}", input_name(c.op, i), c[i].shape, c[0].shape);
}

/// By what a sum of losses is multiplied.
double reduction_factor(Reduction reduction, const Shape& shape) {
  return reduction == Reduction::mean ? 1.0 / static_cast<double>(shape.numel()) : 1.0;
}

/// The cotangent of each element's loss: a number for all, or one for each.
Tensor spread(const Vjp& v, Reduction reduction) {
  return reduction == Reduction::mean ? v.cotangent() * reduction_factor(reduction, v.shape(0)) : v.cotangent();
}

/// sum_of(f64, count, input, target), one pass over both, times `factor`.
template <class F>
Tensor fused_loss(const Call& c, double factor, F sum_of) {
  const Tensor x = raw::contiguous(c[0]), t = raw::contiguous(c[1]);
  Tensor result = c.empty();
  raw::fill(result, factor * sum_of(x.dtype() == f64, x.numel(), raw::data<std::byte>(x), raw::data<std::byte>(t)));
  return result;
}

/// Sum or mean of map(input, target).
Tensor mapped_loss(const Call& c, const Kernel& kernel, double factor) {
  return fused_loss(c, factor, [&](bool f64, std::int64_t count, const void* x, const void* t) {
    return kernels::map_sum(kernel.map, f64, count, x, t, kernel.parameters.p, kernel.parameters.q);
  });
}

/// A loss of an input and a target, element by element.
struct PairLoss {
  const char* name;
  const char* doc;
  const char* formula;
  const OptionsType* options;
  Callable<Reduction(const AnyOptions&)> reduction;
  Callable<Kernel(const AnyOptions&)> kernel;
  /// Derivatives of an element's loss by input and by target.
  Callable<Tensor(const Vjp&)> by_input, by_target;
  std::vector<AnyOptions> sampled_options;
  Domain input_domain = normal_domain, target_domain = normal_domain;
  Callable<void(const ShapeCall&)> check = {};
  const char* source = "";
  /// Where the mean is not over all elements: what the sum is divided by.
  Callable<double(const AnyOptions&, const Shape&)> factor = {};
  std::vector<Save> saves = {save_input(0), save_input(1)};
};

OpPtr pair_loss(PairLoss row) {
  auto factor = row.factor;
  if (!factor)
    factor = [reduction = row.reduction](const AnyOptions& o, const Shape& s) { return reduction_factor(reduction(o), s); };
  return define({
      .name = row.name,
      .doc = row.doc,
      .formula = row.formula,
      .inputs = {"input", "target"},
      .options = row.options,
      .shape_rule = [reduction = row.reduction, check = row.check](const ShapeCall& c) -> Specs {
        require_floating(c);
        require_target_shape(c);
        if (check) check(c);
        return {{reduction(c.options) == Reduction::none ? c[0].shape : Shape{}, c[0].dtype}};
      },
      .forward = [reduction = row.reduction, kernel = row.kernel, factor](const Call& c) -> Tensors {
        const Kernel k = kernel(c.options);
        if (reduction(c.options) == Reduction::none)
          return {run_map(c.name(), k.map, {c[0], c[1]}, c[0].shape(), k.parameters)};
        return {mapped_loss(c, k, factor(c.options, c[0].shape()))};
      },
      .vjp = [factor, by_input = row.by_input, by_target = row.by_target](const Vjp& v) -> Tensors {
        const double f = factor(v.options(), v.shape(0));
        const Tensor g = f == 1 ? v.cotangent() : v.cotangent() * f;
        return {v.needs(0) ? g * by_input(v) : Tensor(), v.needs(1) ? g * by_target(v) : Tensor()};
      },
      .saves = row.saves,
      .source = row.source,
      .samples = [row]() -> std::vector<Sample> {
        std::vector<Sample> samples;
        std::uint64_t seed = 1;
        for (const AnyOptions& options : row.sampled_options)
          for (const Shape& shape : {Shape{3, 17}, Shape{2, 1, 33}, Shape{5}, Shape{2, 2, 1, 3}}) {
            samples.push_back({fmt::format("{} {}", shape, to_string(options)),
                               {row.input_domain(shape, seed), row.target_domain(shape, seed + 1)},
                               options});
            seed += 2;
          }
        return samples;
      },
  });
}

template <class O>
Reduction reduction_of(const AnyOptions& o) {
  return o.get<O>().reduction;
}
constexpr Reduction reductions[] = {Reduction::none, Reduction::mean, Reduction::sum};

/// Options of every reduction, each with what `more` sets.
template <class O>
std::vector<AnyOptions> with_reductions(std::initializer_list<O> variants) {
  std::vector<AnyOptions> all;
  for (O one : variants)
    for (Reduction reduction : reductions) {
      one.reduction = reduction;
      all.push_back(one);
    }
  return all;
}

Tensor difference(const Vjp& v) { return v.input(0) - v.input(1); }
Tensor probability_domain(const Shape& shape, std::uint64_t seed) { return sample_uniform(shape, 0.1, 0.9, seed); }
Tensor log_probability_domain(const Shape& shape, std::uint64_t seed) { return sample_uniform(shape, -3, -0.1, seed); }
Tensor low_domain(const Shape& shape, std::uint64_t seed) { return sample_uniform(shape, -0.1, 0.1, seed); }
/// Differences to low_domain in ±(0.3, 0.6) or ±(1.3, 1.6): off 0 and off the corners at 0.2, 0.8 and 1.
Tensor off_corner_domain(const Shape& shape, std::uint64_t seed) {
  const Tensor t = sample_uniform(shape, 0.35, 0.55, seed), far = sample_normal(shape, seed + 500);
  double* values = raw::data<double>(t);
  const double* pick = raw::data<double>(far);
  for (std::int64_t i = 0; i < t.numel(); ++i)
    values[i] = (pick[i] < 0 ? -1 : 1) * (values[i] + (std::abs(pick[i]) > 0.7 ? 1 : 0));
  return t;
}

}  // namespace

DUET_DEFINE_OP(mse_loss, pair_loss({.name = "mse_loss", .doc = "The squared error.", .formula = "(x - t)^2",
    .options = &options_type<LossOptions>(), .reduction = reduction_of<LossOptions>,
    .kernel = [](const AnyOptions&) { return Kernel{Map::squared_error}; },
    .by_input = [](const Vjp& v) { return difference(v) * 2.0; },
    .by_target = [](const Vjp& v) { return difference(v) * -2.0; },
    .sampled_options = with_reductions<LossOptions>({{}})}))

DUET_DEFINE_OP(l1_loss, pair_loss({.name = "l1_loss", .doc = "The absolute error.", .formula = "|x - t|",
    .options = &options_type<LossOptions>(), .reduction = reduction_of<LossOptions>,
    .kernel = [](const AnyOptions&) { return Kernel{Map::absolute_error}; },
    .by_input = [](const Vjp& v) { return sign(difference(v)); },
    .by_target = [](const Vjp& v) { return -sign(difference(v)); },
    .sampled_options = with_reductions<LossOptions>({{}}), .input_domain = low_domain,
    .target_domain = off_corner_domain}))

namespace {
Tensor smooth_l1_slope(const Vjp& v) {
  const double beta = v.opt<SmoothL1Options>().beta;
  return beta == 0 ? sign(difference(v)) : clamp(difference(v) * (1 / beta), {.min = -1.0, .max = 1.0});
}
Tensor huber_slope(const Vjp& v) {
  const double delta = v.opt<HuberOptions>().delta;
  return clamp(difference(v), {.min = -delta, .max = delta});
}
}  // namespace

DUET_DEFINE_OP(smooth_l1_loss, pair_loss({.name = "smooth_l1_loss",
    .doc = "The squared error for small differences, the absolute one for large.",
    .formula = "d < beta ? d^2 / (2 beta) : d - beta / 2, d = |x - t|", .options = &options_type<SmoothL1Options>(),
    .reduction = reduction_of<SmoothL1Options>,
    .kernel = [](const AnyOptions& o) {
      const double beta = o.get<SmoothL1Options>().beta;
      return beta == 0 ? Kernel{Map::absolute_error} : Kernel{Map::huber, {beta, 1 / beta}};
    },
    .by_input = smooth_l1_slope, .by_target = [](const Vjp& v) { return -smooth_l1_slope(v); },
    .sampled_options = with_reductions<SmoothL1Options>({{}, {.beta = 0.2}, {.beta = 0}}),
    .input_domain = low_domain, .target_domain = off_corner_domain,
    .check = [](const ShapeCall& c) {
      if (!(c.opt<SmoothL1Options>().beta >= 0))
        fail<ValueError>(c.name(), "beta must not be negative, got {}", c.opt<SmoothL1Options>().beta);
    },
    .source = "Girshick 2015, arXiv:1504.08083"}))

DUET_DEFINE_OP(huber_loss, pair_loss({.name = "huber_loss",
    .doc = "The squared error for small differences, a multiple of the absolute one for large.",
    .formula = "d < delta ? d^2 / 2 : delta (d - delta / 2), d = |x - t|", .options = &options_type<HuberOptions>(),
    .reduction = reduction_of<HuberOptions>,
    .kernel = [](const AnyOptions& o) { return Kernel{Map::huber, {o.get<HuberOptions>().delta, 1}}; },
    .by_input = huber_slope, .by_target = [](const Vjp& v) { return -huber_slope(v); },
    .sampled_options = with_reductions<HuberOptions>({{}, {.delta = 0.8}}), .input_domain = low_domain,
    .target_domain = off_corner_domain,
    .check = [](const ShapeCall& c) {
      if (!(c.opt<HuberOptions>().delta > 0))
        fail<ValueError>(c.name(), "delta must be positive, got {}", c.opt<HuberOptions>().delta);
    },
    .source = "Huber 1964"}))

namespace {
Reduction kl_reduction(const AnyOptions& o) {
  const KlReduction r = o.get<KlDivOptions>().reduction;
  return r == KlReduction::none ? Reduction::none : r == KlReduction::mean ? Reduction::mean : Reduction::sum;
}
std::vector<AnyOptions> kl_samples() {
  std::vector<AnyOptions> all;
  for (KlReduction r : {KlReduction::none, KlReduction::mean, KlReduction::sum, KlReduction::batchmean})
    for (bool log_target : {false, true}) all.push_back(KlDivOptions{r, log_target});
  return all;
}
}  // namespace

DUET_DEFINE_OP(kl_div, pair_loss({.name = "kl_div", .doc = "The Kullback-Leibler divergence of log-probabilities.",
    .formula = "t (log t - x)", .options = &options_type<KlDivOptions>(), .reduction = kl_reduction,
    .kernel = [](const AnyOptions& o) {
      return Kernel{o.get<KlDivOptions>().log_target ? Map::log_divergence : Map::divergence};
    },
    .by_input = [](const Vjp& v) { return v.opt<KlDivOptions>().log_target ? -exp(v.input(1)) : -v.input(1); },
    .by_target = [](const Vjp& v) {
      const Tensor x = v.input(0), t = v.input(1);
      if (v.opt<KlDivOptions>().log_target) return exp(t) * (t - x + 1.0);
      const Tensor positive = gt(t, 0.0);
      return where(positive, log(where(positive, t, 1.0)) + 1.0 - x, 0.0);
    },
    .sampled_options = kl_samples(), .input_domain = log_probability_domain, .target_domain = probability_domain,
    .source = "Kullback and Leibler 1951",
    .factor = [](const AnyOptions& o, const Shape& shape) {
      if (o.get<KlDivOptions>().reduction == KlReduction::batchmean)
        return shape.rank() == 0 ? 1.0 : 1.0 / static_cast<double>(shape[0]);
      return reduction_factor(kl_reduction(o), shape);
    },
    .saves = {save_input(0, {1}), save_input(1)}}))

namespace {

Specs binary_rule(const ShapeCall& c) {
  require_floating(c);
  require_target_shape(c);
  require_weights(c);
  return {{c.opt<LossOptions>().reduction == Reduction::none ? c[0].shape : Shape{}, c[0].dtype}};
}

/// Losses of the elements, weighted and reduced.
Tensor reduce_losses(Tensor losses, const Tensor& weight, Reduction reduction) {
  const Shape shape = losses.shape();
  if (weight.defined()) losses = run_map("loss", Map::mul, {losses, weight}, shape);
  if (reduction == Reduction::none) return losses;
  return fold_tensor(kernels::Fold::sum, losses, normalize_dims("loss", {}, shape.rank()), false,
                     reduction_factor(reduction, shape));
}

std::vector<Sample> binary_samples_of(Domain input_domain, bool pos_weight) {
  std::vector<Sample> samples;
  std::uint64_t seed = 1;
  for (Reduction reduction : reductions)
    for (int weights = 0; weights < (pos_weight ? 4 : 2); ++weights) {
      const LossOptions options{reduction};
      Sample sample{fmt::format("{}{}{}", to_string(AnyOptions(options)), (weights & 1) != 0 ? " weight" : "",
                                (weights & 2) != 0 ? " pos_weight" : ""),
                    {input_domain({2, 3, 5}, seed), probability_domain({2, 3, 5}, seed + 1)},
                    options};
      sample.inputs.push_back((weights & 1) != 0 ? sample_uniform({3, 5}, 0.5, 2, seed + 2) : Tensor());
      if (pos_weight) sample.inputs.push_back((weights & 2) != 0 ? sample_uniform({5}, 0.5, 2, seed + 3) : Tensor());
      samples.push_back(sample);
      seed += 4;
    }
  for (const Shape& shape : {Shape{33}, Shape{}, Shape{4, 1}, Shape{1, 17}, Shape{2, 2, 2, 2}, Shape{7}}) {
    samples.push_back({fmt::format("{}", shape), {input_domain(shape, seed), probability_domain(shape, seed + 1)},
                       LossOptions{reductions[seed / 2 % 3]}});
    seed += 2;
  }
  return samples;
}

/// log(1 + e^-x), without a threshold.
Tensor log_of_rest(const Tensor& x) { return softplus(-x, {.threshold = INFINITY}); }

Tensors logits_gradients(const Vjp& v) {
  const Tensor g = spread(v, v.opt<LossOptions>().reduction);
  const Tensor x = v.input(0), t = v.input(1);
  Tensors result(static_cast<std::size_t>(v.count()));
  const bool weighted = v.count() > 2 && v.has_input(2), positives = v.count() > 3 && v.has_input(3);
  if (!weighted && !positives) {
    if (v.needs(0)) result[0] = binary_cross_entropy_with_logits_backward(g, x, t);
    if (v.needs(1)) result[1] = -(g * x);
    return result;
  }
  const Tensor scale = weighted ? g * v.input(2) : g;
  const Tensor p = positives ? v.input(3) : scalar_like(x, 1);
  const Tensor factor = (p - 1.0) * t + 1.0;
  if (v.needs(0)) result[0] = scale * (factor * (sigmoid(x) - 1.0) + 1.0 - t);
  if (v.needs(1)) result[1] = scale * ((p - 1.0) * log_of_rest(x) - x);
  if (v.needs(2)) result[2] = sum_to(g * ((1.0 - t) * x + factor * log_of_rest(x)), v.shape(2));
  if (v.needs(3)) result[3] = sum_to(scale * t * log_of_rest(x), v.shape(3));
  return result;
}

}  // namespace

DUET_DEFINE_OP(binary_cross_entropy_with_logits, define({
    .name = "binary_cross_entropy_with_logits",
    .doc = "The binary cross entropy of logits.",
    .formula = "w ((1 - t) x + (1 + (p - 1) t) log(1 + e^-x))",
    .inputs = {"input", "target", "weight?", "pos_weight?"},
    .options = &options_type<LossOptions>(),
    .shape_rule = binary_rule,
    .forward = [](const Call& c) -> Tensors {
      const Reduction reduction = c.opt<LossOptions>().reduction;
      if (!c.has(2) && !c.has(3) && reduction != Reduction::none)
        return {fused_loss(c, reduction_factor(reduction, c[0].shape()), kernels::logits_cross_entropy_sum)};
      const Tensor positives = c.has(3) ? c[3] : Tensor::scalar(1, {.dtype = c[0].dtype()});
      const Tensor losses = run_map(c.name(), Map::logits_cross_entropy, {c[0], c[1], positives}, c[0].shape());
      return {reduce_losses(losses, c.has(2) ? c[2] : Tensor(), reduction)};
    },
    .vjp = logits_gradients,
    .saves = {save_input(0), save_input(1), save_input(2), save_input(3)},
    .samples = [] { return binary_samples_of(normal_domain, true); },
}))

DUET_DEFINE_OP(binary_cross_entropy_with_logits_backward, define({
    .name = "binary_cross_entropy_with_logits_backward",
    .doc = "The gradient of the unweighted binary cross entropy by its logits.",
    .formula = "g (sigmoid(x) - t)",
    .inputs = {"g", "input", "target"},
    .shape_rule = [](const ShapeCall& c) -> Specs {
      require_floating(c);
      if (c[1].shape != c[2].shape || broadcast_shapes(c.name(), c[0].shape, c[1].shape) != c[1].shape)
        fail<ShapeError>(c.name(), "g {}, input {} and target {} do not fit", c[0].shape, c[1].shape, c[2].shape);
      return {c[1]};
    },
    .forward = [](const Call& c) -> Tensors {
      return {run_map(c.name(), Map::sigmoid_error, {c[0], c[1], c[2]}, c.spec().shape)};
    },
    .vjp = [](const Vjp& v) -> Tensors {
      const Tensor& h = v.cotangent();
      Tensors result(3);
      if (v.needs(0))
        result[0] = sum_to(binary_cross_entropy_with_logits_backward(h, v.input(1), v.input(2)), v.shape(0));
      if (v.needs(1)) result[1] = sigmoid_backward(h * v.input(0), sigmoid(v.input(1)));
      if (v.needs(2)) result[2] = -(h * v.input(0));
      return result;
    },
    .saves = {save_input(0, {1, 2}), save_input(1, {0, 1}), save_input(2, {0})},
    .linear = {0},
    .samples = []() -> std::vector<Sample> {
      std::vector<Sample> samples;
      std::uint64_t seed = 1;
      for (const Shape& shape : {Shape{3, 17}, Shape{33}, Shape{}, Shape{2, 1, 5}, Shape{1}, Shape{2, 3, 2, 2}})
        for (const bool each : {false, true}) {
          samples.push_back({fmt::format("{} {}", each ? "one each" : "a number", shape),
                             {sample_normal(each ? shape : Shape{}, seed), sample_normal(shape, seed + 1),
                              sample_normal(shape, seed + 2)}});
          seed += 3;
        }
      return samples;
    },
}))

DUET_DEFINE_OP(binary_cross_entropy, define({
    .name = "binary_cross_entropy",
    .doc = "The binary cross entropy of probabilities.",
    .formula = "-w (t log x + (1 - t) log(1 - x))",
    .inputs = {"input", "target", "weight?"},
    .options = &options_type<LossOptions>(),
    .shape_rule = binary_rule,
    .forward = [](const Call& c) -> Tensors {
      const Reduction reduction = c.opt<LossOptions>().reduction;
      if (!c.has(2) && reduction != Reduction::none)
        return {mapped_loss(c, {Map::cross_entropy_of}, reduction_factor(reduction, c[0].shape()))};
      const Tensor losses = run_map(c.name(), Map::cross_entropy_of, {c[0], c[1]}, c[0].shape());
      return {reduce_losses(losses, c.has(2) ? c[2] : Tensor(), reduction)};
    },
    .vjp = [](const Vjp& v) -> Tensors {
      const Tensor g = spread(v, v.opt<LossOptions>().reduction), x = v.input(0), t = v.input(1);
      const bool weighted = v.count() > 2 && v.has_input(2);
      const Tensor scale = weighted ? g * v.input(2) : g;
      Tensors result(static_cast<std::size_t>(v.count()));
      if (v.needs(0)) result[0] = scale * (x - t) / clamp((1.0 - x) * x, {.min = 1e-12});
      if (!v.needs(1) && !v.needs(2)) return result;
      const Tensor log_x = clamp(log(x), {.min = -100.0}), log_rest = clamp(log1p(-x), {.min = -100.0});
      if (v.needs(1)) result[1] = scale * (log_rest - log_x);
      if (v.needs(2)) result[2] = sum_to(-(g * (t * log_x + (1.0 - t) * log_rest)), v.shape(2));
      return result;
    },
    .saves = {save_input(0), save_input(1), save_input(2)},
    .samples = [] { return binary_samples_of(probability_domain, false); },
}))

Tensor mse_loss(const Tensor& input, const Tensor& target, const LossOptions& options) {
  return apply1(mse_loss_op(), {input, target}, options);
}
Tensor l1_loss(const Tensor& input, const Tensor& target, const LossOptions& options) {
  return apply1(l1_loss_op(), {input, target}, options);
}
Tensor smooth_l1_loss(const Tensor& input, const Tensor& target, const SmoothL1Options& options) {
  return apply1(smooth_l1_loss_op(), {input, target}, options);
}
Tensor huber_loss(const Tensor& input, const Tensor& target, const HuberOptions& options) {
  return apply1(huber_loss_op(), {input, target}, options);
}
Tensor kl_div(const Tensor& input, const Tensor& target, const KlDivOptions& options) {
  return apply1(kl_div_op(), {input, target}, options);
}
Tensor binary_cross_entropy(const Tensor& input, const Tensor& target, const LossOptions& options,
                            const Tensor& weight) {
  return apply1(binary_cross_entropy_op(), {input, target, weight}, options);
}
Tensor binary_cross_entropy_with_logits(const Tensor& input, const Tensor& target, const LossOptions& options,
                                        const Tensor& weight, const Tensor& pos_weight) {
  return apply1(binary_cross_entropy_with_logits_op(), {input, target, weight, pos_weight}, options);
}
Tensor binary_cross_entropy_with_logits_backward(const Tensor& g, const Tensor& input, const Tensor& target) {
  return apply1(binary_cross_entropy_with_logits_backward_op(), {g, input, target});
}

}  // namespace duet
