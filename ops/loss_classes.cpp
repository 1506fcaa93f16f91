// Losses of classes: cross entropy of logits, and the negative log-likelihood.
#include <algorithm>
#include <atomic>

#include <duet/core/allocator.hpp>
#include <duet/core/factory.hpp>
#include <duet/core/parallel.hpp>
#include <duet/core/random.hpp>
#include <duet/ops/elementwise.hpp>
#include <duet/ops/elementwise_rules.hpp>
#include <duet/ops/kernels/softmax.hpp>
#include <duet/ops/loss.hpp>
#include <duet/ops/reduce.hpp>
#include <duet/ops/reduce_rules.hpp>
#include <duet/ops/shape.hpp>
#include <duet/ops/softmax.hpp>

namespace duet {
namespace {

/// Classes lie along dimension 1, or 0 where there is no batch.
int class_dim(const Shape& input) { return input.rank() == 1 ? 0 : 1; }

Shape target_shape(const Shape& input) {
  Shape shape = input;
  shape.erase(class_dim(input));
  return shape;
}

/// What the losses of classes have in common, whichever options they came with.
struct ClassLoss {
  std::int64_t ignore_index = -100;
  Reduction reduction = Reduction::mean;
  double smoothing = 0;
};
ClassLoss settings(const AnyOptions& options) {
  if (options.type() == &options_type<NllOptions>())
    return {options.get<NllOptions>().ignore_index, options.get<NllOptions>().reduction, 0};
  const CrossEntropyOptions& o = options.get<CrossEntropyOptions>();
  return {o.ignore_index, o.reduction, o.label_smoothing};
}

/// Checks input, target and weight, which lie at `first` and behind it.
void check_classes(const ShapeCall& c, int first) {
  const TensorSpec &input = c[first], &target = c[first + 1];
  if (!is_floating(input.dtype))
    fail<DtypeError>(c.name(), "needs f32 or f64, got input {}", to_string(input));
  if (target.dtype != i64) fail<DtypeError>(c.name(), "target needs class indices of i64, got {}", to_string(target));
  if (input.shape.rank() < 1) fail<ShapeError>(c.name(), "input needs a dimension of classes, got a scalar");
  if (target.shape != target_shape(input.shape))
    fail<ShapeError>(c.name(), "target needs shape {} for input {}, got {}", target_shape(input.shape), input.shape,
                     target.shape);
  const std::int64_t classes = input.shape[class_dim(input.shape)];
  if (classes == 0) fail<ShapeError>(c.name(), "needs at least one class, got input {}", input.shape);
  if (c.has(first + 2)) {
    const TensorSpec& weight = c[first + 2];
    if (weight.dtype != input.dtype)
      fail<DtypeError>(c.name(), "needs one dtype, got input {} and weight {}", to_string(input), to_string(weight));
    if (weight.shape != Shape{classes})
      fail<ShapeError>(c.name(), "weight needs shape {} for input {}, got {}", Shape{classes}, input.shape,
                       weight.shape);
  }
  const double smoothing = settings(c.options).smoothing;
  if (!(smoothing >= 0 && smoothing <= 1))
    fail<ValueError>(c.name(), "label_smoothing must be in [0, 1], got {}", smoothing);
}

/// Class weights as numbers; ones where none are given.
std::vector<double> weights_of(const Tensor& weight, std::int64_t classes) {
  return weight.defined() ? weight.to_vector() : std::vector<double>(static_cast<std::size_t>(classes), 1.0);
}

constexpr std::int64_t positions_a_task = 8192;

/// The sum of sum_of(begin, end) over stretches of the positions, in parallel and added in order.
template <class F>
double sum_over_positions(std::int64_t count, F sum_of) {
  const Scratch scratch((count / positions_a_task + 1) * 8);
  double* partial = scratch.as<double>();
  parallel_for(count, positions_a_task,
               [&](std::int64_t begin, std::int64_t end) { partial[begin / positions_a_task] = sum_of(begin, end); });
  double total = 0;
  for (std::int64_t p = 0; p * positions_a_task < count; ++p) total += partial[p];
  return total;
}

/// Targets with their range checked, and the weights of those that count.
class Targets {
 public:
  Targets(const char* op, const Tensor& target, const Tensor& weight, std::int64_t classes, const ClassLoss& loss)
      : held_(raw::contiguous(target)),
        values_(raw::data<std::int64_t>(held_)),
        weights_(weights_of(weight, classes)),
        loss_(loss),
        weighted_(weight.defined()) {
    for (double w : weights_) weight_sum_ += w;
    const std::int64_t* const values = values_;
    std::atomic<bool> good{true};
    total_ = sum_over_positions(held_.numel(), [&](std::int64_t begin, std::int64_t end) {
      std::int64_t ignored = 0, wrong = 0;
      for (std::int64_t i = begin; i < end; ++i) {
        const bool ignore = values[i] == loss.ignore_index;
        ignored += ignore;
        wrong += !ignore && static_cast<std::uint64_t>(values[i]) >= static_cast<std::uint64_t>(classes);
      }
      if (wrong > 0) good.store(false, std::memory_order_relaxed);
      if (!weighted_ || wrong > 0) return static_cast<double>(end - begin - ignored);
      double total = 0;
      for (std::int64_t i = begin; i < end; ++i)
        if (counts(i)) total += weights_[static_cast<std::size_t>(values[i])];
      return total;
    });
    if (!good) refuse_first(op, classes);
  }
  const std::int64_t* data() const { return values_; }
  std::int64_t operator[](std::int64_t i) const { return values_[i]; }
  bool counts(std::int64_t i) const { return (*this)[i] != loss_.ignore_index; }
  double weight(std::int64_t c) const { return weights_[static_cast<std::size_t>(c)]; }
  /// By what the sum of losses is multiplied.
  double factor() const { return loss_.reduction == Reduction::mean ? 1 / total_ : 1; }
  /// The target distribution of position i: `peak` at its class and weight · `floor` at every class.
  double peak(std::int64_t i) const { return counts(i) ? (1 - loss_.smoothing) * weight((*this)[i]) : 0; }
  double floor(std::int64_t i) const {
    return counts(i) ? loss_.smoothing / static_cast<double>(weights_.size()) : 0;
  }
  /// Its sum over the classes.
  double mass(std::int64_t i) const { return peak(i) + floor(i) * weight_sum_; }
  bool smooth() const { return loss_.smoothing > 0; }
  bool weighted() const { return weighted_; }

 private:
  /// Names the first target that is no class.
  [[noreturn]] void refuse_first(const char* op, std::int64_t classes) const {
    std::int64_t i = 0;
    while (!counts(i) || ((*this)[i] >= 0 && (*this)[i] < classes)) ++i;
    fail<ValueError>(op, "target {} at position {} is not a class: {} classes, ignore_index {}", (*this)[i], i, classes,
                     loss_.ignore_index);
  }

  Tensor held_;
  const std::int64_t* values_;
  std::vector<double> weights_;
  ClassLoss loss_;
  bool weighted_;
  double weight_sum_ = 0, total_ = 0;
};

Specs class_loss_rule(const ShapeCall& c) {
  check_classes(c, 0);
  const bool each = settings(c.options).reduction == Reduction::none;
  return {{each ? target_shape(c[0].shape) : Shape{}, c[0].dtype}};
}

/// Sum, mean or all of the losses of positions; `loss_of(position)` is called once for each.
template <class T, class F>
Tensor reduce_positions(const Call& c, const Targets& targets, std::int64_t count, F loss_of) {
  Tensor out = c.empty();
  if (settings(c.options).reduction == Reduction::none) {
    T* to = raw::data<T>(out);
    parallel_for(count, positions_a_task, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t i = begin; i < end; ++i) to[i] = static_cast<T>(loss_of(i));
    });
    return out;
  }
  const double total = sum_over_positions(count, [&](std::int64_t begin, std::int64_t end) {
    double part[4] = {0, 0, 0, 0};  // four chains of additions, not one that waits for itself
    std::int64_t i = begin;
    for (; i + 4 <= end; i += 4)
      for (int k = 0; k < 4; ++k) part[k] += loss_of(i + k);
    for (; i < end; ++i) part[0] += loss_of(i);
    return part[0] + part[1] + (part[2] + part[3]);
  });
  raw::fill(out, total * targets.factor());
  return out;
}

/// The loss of a position from its target's alone, for weights and smoothed targets: minus the mean of the
/// log-probabilities, which are those of the target and what x says of the others beside it.
template <class T>
double position_loss(const Targets& targets, const Axis& axis, const T* x, double own_loss, std::int64_t i) {
  if (!targets.counts(i)) return 0;
  double loss = targets.peak(i) * own_loss;
  if (!targets.smooth()) return loss;
  const T* column = x + i / axis.inner * axis.count * axis.inner + i % axis.inner;
  const double own = column[targets[i] * axis.inner];
  for (std::int64_t k = 0; k < axis.count; ++k)
    loss += targets.floor(i) * targets.weight(k) * (own_loss + (own - static_cast<double>(column[k * axis.inner])));
  return loss;
}

Tensor class_loss_forward(const Call& c, bool logits) {
  const Tensor x = raw::contiguous(c[0]);
  const Axis axis = axis_of(x.shape(), class_dim(x.shape()));
  const Targets targets(c.name(), c[1], c.has(2) ? c[2] : Tensor(), axis.count, settings(c.options));
  Tensor out;
  raw::dispatch_floating(c.name(), x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    const std::int64_t count = axis.outer * axis.inner;
    const T* const from = raw::data<T>(x);
    if (!logits) {
      out = reduce_positions<T>(c, targets, count, [&](std::int64_t i) {
        if (!targets.counts(i)) return 0.0;
        const std::int64_t at = (i / axis.inner * axis.count + targets[i]) * axis.inner + i % axis.inner;
        return position_loss<T>(targets, axis, from, -static_cast<double>(from[at]), i);
      });
      return;
    }
    const Scratch scratch(count * static_cast<std::int64_t>(sizeof(T)));
    T* const losses = scratch.as<T>();
    kernels::log_sum_exp<T>(axis.outer, axis.count, axis.inner, from, losses, targets.data());
    if (targets.weighted() || targets.smooth())
      out = reduce_positions<T>(c, targets, count, [&](std::int64_t i) {
        return position_loss<T>(targets, axis, from, static_cast<double>(losses[i]), i);
      });
    else  // what is commonest, without asking at every position
      out = reduce_positions<T>(c, targets, count, [&targets, losses](std::int64_t i) {
        return targets.counts(i) ? static_cast<double>(losses[i]) : 0;
      });
  });
  return out;
}

/// g · (mass · softmax(x) − target distribution), position by position: a softmax with a factor for each position, from
/// which the targets are taken.
template <class T>
void cross_entropy_gradient(const Targets& targets, const Axis& axis, const T* x, const T* g, bool g_each, T* out) {
  const std::int64_t count = axis.outer * axis.inner;
  const Scratch scratch(2 * count * static_cast<std::int64_t>(sizeof(T)));
  T* scale = scratch.as<T>();
  T* peak = targets.smooth() ? scale + count : scale;  // a distribution of the target alone has no other mass
  const double whole = targets.factor();
  const auto factor = [=](std::int64_t i) { return static_cast<double>(g_each ? g[i] : *g) * whole; };
  const bool alike = !g_each && !targets.smooth() && !targets.weighted();
  const T common = alike ? static_cast<T>(factor(0)) : T(0);
  parallel_for(count, positions_a_task, [&](std::int64_t begin, std::int64_t end) {
    if (alike) {
      for (std::int64_t i = begin; i < end; ++i) scale[i] = targets.counts(i) ? common : T(0);
      return;
    }
    for (std::int64_t i = begin; i < end; ++i) {
      // Not 0 · inf: an ignored position has no gradient.
      scale[i] = targets.counts(i) ? static_cast<T>(factor(i) * targets.mass(i)) : T(0);
      if (targets.smooth()) peak[i] = targets.counts(i) ? static_cast<T>(factor(i) * targets.peak(i)) : T(0);
    }
  });
  kernels::softmax<T>(axis.outer, axis.count, axis.inner, x, out, false, scale, targets.data(), peak);
  if (!targets.smooth()) return;
  parallel_for(count, positions_a_task, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) {
      if (!targets.counts(i)) continue;
      T* column = out + i / axis.inner * axis.count * axis.inner + i % axis.inner;
      for (std::int64_t k = 0; k < axis.count; ++k)
        column[k * axis.inner] -= static_cast<T>(factor(i) * targets.floor(i) * targets.weight(k));
    }
  });
}

/// A constant for each position, (N, 1, …): the mass of its target times the reduction's factor.
Tensor mass_tensor(const char* op, const Tensor& input, const Tensor& target, const Tensor& weight,
                   const ClassLoss& loss) {
  const int dim = class_dim(input.shape());
  const Axis axis = axis_of(input.shape(), dim);
  const Targets targets(op, target, weight, axis.count, loss);
  Shape shape = input.shape();
  shape[dim] = 1;
  const Tensor out = Tensor::empty(shape, {.dtype = input.dtype()});
  raw::dispatch_floating(op, out.dtype(), [&](auto zero) {
    using T = decltype(zero);
    for (std::int64_t i = 0; i < out.numel(); ++i)
      raw::data<T>(out)[i] = static_cast<T>(targets.counts(i) ? targets.mass(i) * targets.factor() : 0);
  });
  return out;
}

/// The same for every class: minus the target distribution times the factor.
Tensor minus_distribution(const char* op, const TensorSpec& input, const Tensor& target, const Tensor& weight,
                          const ClassLoss& loss) {
  const Axis axis = axis_of(input.shape, class_dim(input.shape));
  const Targets targets(op, target, weight, axis.count, loss);
  const Tensor out = full(input.shape, 0, {.dtype = input.dtype});
  raw::dispatch_floating(op, out.dtype(), [&](auto zero) {
    using T = decltype(zero);
    for (std::int64_t i = 0; i < axis.outer * axis.inner; ++i)
      if (targets.counts(i))
        raw::data<T>(out)[(i / axis.inner * axis.count + targets[i]) * axis.inner + i % axis.inner] =
            static_cast<T>(-targets.peak(i) * targets.factor());
  });
  return out;
}

/// A cotangent of the losses so that it broadcasts over the classes.
Tensor over_classes(const Tensor& g, const Shape& input, Reduction reduction) {
  if (reduction != Reduction::none) return g;
  Shape shape = input;
  shape[class_dim(input)] = 1;
  return reshape(g, shape);
}

void refuse_weight_gradient(const Vjp& v, int i) {
  if (v.needs(i)) fail<AutogradError>(v.name(), "has no gradient by weight: detach it");
}

Tensor optional_input(const Vjp& v, int i) { return i < v.count() && v.has_input(i) ? v.input(i) : Tensor(); }

/// Every reduction with and without weights, dense and flat, some targets ignored.
template <class O>
std::vector<Sample> class_samples(std::vector<O> variants, bool log_probabilities) {
  std::vector<Sample> samples;
  std::uint64_t seed = 1;
  for (O options : variants)
    for (Reduction reduction : {Reduction::none, Reduction::mean, Reduction::sum})
      for (const Shape& shape : {Shape{3, 4}, Shape{2, 3, 2, 2}, Shape{2, 17, 3}, Shape{5}}) {
        options.reduction = reduction;
        Generator generator(seed);
        const Shape positions = target_shape(shape);
        const Tensor target = randint(0, shape[class_dim(shape)], positions, {.dtype = i64}, generator);
        if (positions.numel() > 1) raw::data<std::int64_t>(target)[1] = options.ignore_index;
        const bool weighted = seed % 2 == 0;
        Tensors inputs{log_probabilities ? sample_uniform(shape, -3, -0.1, seed) : sample_normal(shape, seed), target};
        if (weighted) inputs.push_back(sample_uniform({shape[class_dim(shape)]}, 0.5, 2, seed + 1000));
        samples.push_back({fmt::format("{} {}{}", shape, to_string(AnyOptions(options)), weighted ? " weight" : ""),
                           inputs, options, 2, {0}});
        ++seed;
      }
  return samples;
}

}  // namespace

DUET_DEFINE_OP(cross_entropy, define({
    .name = "cross_entropy",
    .doc = "The cross entropy of logits and class indices.",
    .formula = "-sum_c q_c log softmax(x)_c, q = (1 - s) w_t [c = t] + s w_c / C",
    .inputs = {"input", "target", "weight?"},
    .options = &options_type<CrossEntropyOptions>(),
    .shape_rule = class_loss_rule,
    .forward = [](const Call& c) -> Tensors { return {class_loss_forward(c, true)}; },
    .vjp = [](const Vjp& v) -> Tensors {
      refuse_weight_gradient(v, 2);
      Tensors result(static_cast<std::size_t>(v.count()));
      result[0] = cross_entropy_backward(v.cotangent(), v.input(0), v.input(1), v.opt<CrossEntropyOptions>(),
                                         optional_input(v, 2));
      return result;
    },
    .saves = {save_input(0), save_input(1), save_input(2)},
    .onnx = "SoftmaxCrossEntropyLoss",
    .samples = [] {
      return class_samples<CrossEntropyOptions>({{}, {.ignore_index = 0, .label_smoothing = 0.1}}, false);
    },
}))

DUET_DEFINE_OP(cross_entropy_backward, define({
    .name = "cross_entropy_backward",
    .doc = "The gradient of cross_entropy by its logits.",
    .formula = "g (softmax(x) sum_c q_c - q)",
    .inputs = {"g", "input", "target", "weight?"},
    .options = &options_type<CrossEntropyOptions>(),
    .shape_rule = [](const ShapeCall& c) -> Specs {
      check_classes(c, 1);
      const bool each = settings(c.options).reduction == Reduction::none;
      const Shape expected = each ? target_shape(c[1].shape) : Shape{};
      if (c[0].shape != expected || c[0].dtype != c[1].dtype)
        fail<ShapeError>(c.name(), "g needs shape {} {}, got {}", expected, name(c[1].dtype), to_string(c[0]));
      return {c[1]};
    },
    .forward = [](const Call& c) -> Tensors {
      const Tensor g = raw::contiguous(c[0]), x = raw::contiguous(c[1]), out = c.empty();
      const Axis axis = axis_of(x.shape(), class_dim(x.shape()));
      const Targets targets(c.name(), c[2], c.has(3) ? c[3] : Tensor(), axis.count, settings(c.options));
      raw::dispatch_floating(c.name(), x.dtype(), [&](auto zero) {
        using T = decltype(zero);
        cross_entropy_gradient<T>(targets, axis, raw::data<T>(x), raw::data<T>(g),
                                  settings(c.options).reduction == Reduction::none, raw::data<T>(out));
      });
      return {out};
    },
    .vjp = [](const Vjp& v) -> Tensors {
      refuse_weight_gradient(v, 3);
      const CrossEntropyOptions& o = v.opt<CrossEntropyOptions>();
      const Tensor &h = v.cotangent(), x = v.input(1), target = v.input(2), weight = optional_input(v, 3);
      const int dim = class_dim(x.shape());
      Tensors result(static_cast<std::size_t>(v.count()));
      if (v.needs(0)) {
        const Tensor ones = full(v.shape(0), 1, {.dtype = x.dtype()});
        const Tensor products = h * cross_entropy_backward(ones, x, target, o, weight);
        result[0] = o.reduction == Reduction::none ? sum(products, {.dim = {dim}}) : sum(products);
      }
      if (v.needs(1)) {
        const Tensor scale = over_classes(v.input(0), x.shape(), o.reduction) *
                             mass_tensor(v.name(), x, target, weight, settings(v.options()));
        result[1] = softmax_backward(h * scale, softmax(x, {.dim = dim}), {.dim = dim});
      }
      return result;
    },
    .saves = {save_input(0, {1}), save_input(1), save_input(2), save_input(3)},
    .linear = {0},
    .samples = []() -> std::vector<Sample> {
      auto samples = class_samples<CrossEntropyOptions>({{}, {.ignore_index = 0, .label_smoothing = 0.1}}, false);
      for (std::size_t i = 0; i < samples.size(); ++i) {
        const bool each = samples[i].options.get<CrossEntropyOptions>().reduction == Reduction::none;
        const Shape shape = each ? samples[i].inputs[1].shape() : Shape{};
        samples[i].inputs.insert(samples[i].inputs.begin(), sample_normal(shape, 300 + i));
        samples[i].by = {0, 1};
      }
      return samples;
    },
}))

DUET_DEFINE_OP(nll_loss, define({
    .name = "nll_loss",
    .doc = "Minus the log-probability of the target's class.",
    .formula = "-w_t x_t",
    .inputs = {"input", "target", "weight?"},
    .options = &options_type<NllOptions>(),
    .shape_rule = class_loss_rule,
    .forward = [](const Call& c) -> Tensors { return {class_loss_forward(c, false)}; },
    .vjp = [](const Vjp& v) -> Tensors {
      refuse_weight_gradient(v, 2);
      const ClassLoss loss = settings(v.options());
      Tensors result(static_cast<std::size_t>(v.count()));
      result[0] = over_classes(v.cotangent(), v.shape(0), loss.reduction) *
                  minus_distribution(v.name(), v.spec(0), v.input(1), optional_input(v, 2), loss);
      return result;
    },
    .saves = {save_input(1), save_input(2)},
    .linear = {0},
    .onnx = "NegativeLogLikelihoodLoss",
    .samples = [] { return class_samples<NllOptions>({{}, {.ignore_index = 0}}, true); },
}))

namespace {

/// The cross entropy of targets that are themselves distributions over the classes, which lie where the input's do.
Tensor cross_entropy_of_probabilities(const Tensor& input, const Tensor& target, const CrossEntropyOptions& o,
                                      const Tensor& weight) {
  const char* op = "cross_entropy";
  if (input.rank() < 1 || target.shape() != input.shape())
    fail<ShapeError>(op, "target needs classes of i64 and shape {}, or probabilities of shape {}, got {}",
                     input.rank() < 1 ? input.shape() : target_shape(input.shape()), input.shape(),
                     to_string(spec_of(target)));
  if (o.ignore_index >= 0) fail<ValueError>(op, "ignore_index {} is for targets that are classes", o.ignore_index);
  if (!(o.label_smoothing >= 0 && o.label_smoothing <= 1))
    fail<ValueError>(op, "label_smoothing must be in [0, 1], got {}", o.label_smoothing);
  const int dim = class_dim(input.shape());
  const std::int64_t classes = input.shape()[dim];
  if (classes == 0) fail<ShapeError>(op, "needs at least one class, got input {}", input.shape());
  Tensor wanted = target;
  if (o.label_smoothing > 0)
    wanted = target * (1 - o.label_smoothing) + o.label_smoothing / static_cast<double>(classes);
  if (weight.defined()) {
    if (weight.shape() != Shape{classes})
      fail<ShapeError>(op, "weight needs shape {} for input {}, got {}", Shape{classes}, input.shape(), weight.shape());
    Shape along = Shape::filled(input.rank(), 1);
    along[dim] = classes;
    wanted = wanted * reshape(weight, along);
  }
  const Tensor losses = -sum(wanted * log_softmax(input, {.dim = dim}), {.dim = {dim}});
  return o.reduction == Reduction::none ? losses : o.reduction == Reduction::sum ? sum(losses) : mean(losses);
}

}  // namespace

Tensor cross_entropy(const Tensor& input, const Tensor& target, const CrossEntropyOptions& options,
                     const Tensor& weight) {
  if (input.defined() && target.defined() && is_floating(target.dtype()))
    return cross_entropy_of_probabilities(input, target, options, weight);
  return apply1(cross_entropy_op(), {input, target, weight}, options);
}
Tensor cross_entropy_backward(const Tensor& g, const Tensor& input, const Tensor& target,
                              const CrossEntropyOptions& options, const Tensor& weight) {
  return apply1(cross_entropy_backward_op(), {g, input, target, weight}, options);
}
Tensor nll_loss(const Tensor& input, const Tensor& target, const NllOptions& options, const Tensor& weight) {
  return apply1(nll_loss_op(), {input, target, weight}, options);
}

}  // namespace duet
