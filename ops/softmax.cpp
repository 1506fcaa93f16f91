// Softmax and log-softmax: one fused kernel forward, one backward.
#include <duet/ops/softmax.hpp>

#include <duet/ops/elementwise.hpp>
#include <duet/ops/elementwise_rules.hpp>
#include <duet/ops/kernels/softmax.hpp>
#include <duet/ops/reduce.hpp>
#include <duet/ops/reduce_rules.hpp>

namespace duet {
namespace {

Specs softmax_rule(const ShapeCall& c) {
  require_floating(c);
  for (int i = 1; i < c.count(); ++i)
    if (c[i].shape != c[0].shape)
      fail<ShapeError>(c.name(), "needs one shape, got {} {} and {} {}", input_name(c.op, 0), c[0].shape,
                       input_name(c.op, i), c[i].shape);
  if (c[0].shape.rank() > 0 || (c.opt<SoftmaxOptions>().dim != 0 && c.opt<SoftmaxOptions>().dim != -1))
    normalize_dim(c.name(), c.opt<SoftmaxOptions>().dim, c[0].shape.rank());
  return {c[0]};
}

Axis softmax_axis(const Call& c) {
  if (c[0].rank() == 0) return {};
  return axis_of(c[0].shape(), normalize_dim(c.name(), c.opt<SoftmaxOptions>().dim, c[0].rank()));
}

std::vector<Sample> softmax_samples(int inputs) {
  std::vector<Sample> samples;
  std::uint64_t seed = 1;
  const auto add = [&](const Shape& shape, std::int64_t dim) {
    Sample sample{fmt::format("{} dim {}", shape, dim), {}, SoftmaxOptions{dim}};
    for (int i = 0; i < inputs; ++i) sample.inputs.push_back(sample_normal(shape, seed++));
    samples.push_back(sample);
  };
  for (std::int64_t dim : {0, 1, 2, -1, -2, -3}) add({2, 5, 3}, dim);
  for (std::int64_t dim : {0, 1}) add({3, 17}, dim);
  for (std::int64_t dim : {0, 1}) add({2, 33}, dim);
  add({7}, 0);
  add({1, 1}, 1);
  add({2, 3, 2, 4}, 1);
  return samples;
}

OpPtr forward_op(const char* name, const char* doc, const char* formula, const char* onnx, bool log) {
  return define({
      .name = name,
      .doc = doc,
      .formula = formula,
      .inputs = {"x"},
      .options = &options_type<SoftmaxOptions>(),
      .shape_rule = softmax_rule,
      .forward = [log](const Call& c) -> Tensors {
        const Tensor x = raw::contiguous(c[0]), out = c.empty();
        const Axis a = softmax_axis(c);
        raw::dispatch_floating(c.name(), x.dtype(), [&](auto zero) {
          using T = decltype(zero);
          kernels::softmax<T>(a.outer, a.count, a.inner, raw::data<T>(x), raw::data<T>(out), log);
        });
        return {out};
      },
      .vjp = [log](const Vjp& v) -> Tensors {
        const SoftmaxOptions& o = v.opt<SoftmaxOptions>();
        return {log ? log_softmax_backward(v.cotangent(), v.output(), o)
                    : softmax_backward(v.cotangent(), v.output(), o)};
      },
      .saves = {save_output(0)},
      .onnx = onnx,
      .samples = [] { return softmax_samples(1); },
  });
}

OpPtr backward_of_softmax(const char* name, const char* doc, const char* formula, bool log,
                          Callable<Tensors(const Vjp&)> vjp) {
  return define({
      .name = name,
      .doc = doc,
      .formula = formula,
      .inputs = {"g", "y"},
      .options = &options_type<SoftmaxOptions>(),
      .shape_rule = softmax_rule,
      .forward = [log](const Call& c) -> Tensors {
        const Tensor g = raw::contiguous(c[0]), y = raw::contiguous(c[1]), out = c.empty();
        const Axis a = softmax_axis(c);
        raw::dispatch_floating(c.name(), y.dtype(), [&](auto zero) {
          using T = decltype(zero);
          kernels::softmax_backward<T>(a.outer, a.count, a.inner, raw::data<T>(g), raw::data<T>(y), raw::data<T>(out),
                                       log);
        });
        return {out};
      },
      .vjp = vjp,
      .saves = {save_input(0, {1}), save_input(1)},
      .linear = {0},
      .samples = [] { return softmax_samples(2); },
  });
}

Tensor sum_along(const Tensor& x, const SoftmaxOptions& o) {
  return x.rank() == 0 ? x : sum(x, {.dim = {o.dim}, .keepdim = true});
}

}  // namespace

DUET_DEFINE_OP(softmax, forward_op("softmax", "Positive numbers that sum to 1 along a dimension.",
                                   "e^x_i / sum_j e^x_j", "Softmax", false))
DUET_DEFINE_OP(log_softmax, forward_op("log_softmax", "The logarithm of softmax.", "x_i - log sum_j e^x_j",
                                       "LogSoftmax", true))

DUET_DEFINE_OP(softmax_backward, backward_of_softmax("softmax_backward", "The gradient of softmax, from its output.",
    "y_i (g_i - sum_j g_j y_j)", false, [](const Vjp& v) -> Tensors {
      const SoftmaxOptions& o = v.opt<SoftmaxOptions>();
      const Tensor &h = v.cotangent(), y = v.input(1);
      Tensors result{v.needs(0) ? softmax_backward(h, y, o) : Tensor(), Tensor()};
      if (v.needs(1)) {
        const Tensor g = v.input(0);
        result[1] = h * (g - sum_along(g * y, o)) - g * sum_along(h * y, o);
      }
      return result;
    }))

DUET_DEFINE_OP(log_softmax_backward, backward_of_softmax("log_softmax_backward",
    "The gradient of log_softmax, from its output.", "g_i - e^y_i sum_j g_j", true, [](const Vjp& v) -> Tensors {
      const SoftmaxOptions& o = v.opt<SoftmaxOptions>();
      const Tensor& h = v.cotangent();
      const Tensor weighted = h * exp(v.input(1));
      return {v.needs(0) ? h - sum_along(weighted, o) : Tensor(),
              v.needs(1) ? -(weighted * sum_along(v.input(0), o)) : Tensor()};
    }))

Tensor softmax(const Tensor& x, const SoftmaxOptions& options) { return apply1(softmax_op(), {x}, options); }
Tensor log_softmax(const Tensor& x, const SoftmaxOptions& options) { return apply1(log_softmax_op(), {x}, options); }
Tensor softmax_backward(const Tensor& g, const Tensor& y, const SoftmaxOptions& options) {
  return apply1(softmax_backward_op(), {g, y}, options);
}
Tensor log_softmax_backward(const Tensor& g, const Tensor& y, const SoftmaxOptions& options) {
  return apply1(log_softmax_backward_op(), {g, y}, options);
}

}  // namespace duet
