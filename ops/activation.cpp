// Activations: for each a row with its kernel and derivative, and a row for the fused derivative with the second one.
#include <duet/ops/activation.hpp>

#include <cmath>

#include <duet/core/factory.hpp>
#include <duet/ops/compare.hpp>
#include <duet/ops/elementwise.hpp>
#include <duet/ops/elementwise_rules.hpp>

namespace duet {

using kernels::Map;

namespace {

// Klambauer et al. 2017, equation 14.
constexpr double selu_alpha = 1.6732632423543772848, selu_scale = 1.0507009873554804934;

Kernel leaky_kernel(const AnyOptions& o, Map map) { return {map, {o.get<LeakyReluOptions>().negative_slope}}; }
/// Whether the output of leaky_relu is above 0 just where its input is. The gradient then reads the output, which the
/// next layer keeps anyway.
bool keeps_sign(const AnyOptions& o) { return o.get<LeakyReluOptions>().negative_slope >= 0; }
Kernel elu_kernel(const AnyOptions& o, Map map) { return {map, {o.get<EluOptions>().alpha, 1}}; }
Kernel softplus_kernel(const AnyOptions& o, Map map) {
  return {map, {o.get<SoftplusOptions>().beta, o.get<SoftplusOptions>().threshold}};
}
bool exact(const AnyOptions& o) { return o.get<GeluOptions>().approximate == GeluApproximation::none; }

/// g times the second derivative of scale · elu: scale · alpha · e^y below 0. The clamp keeps e^y from overflowing
/// where its factor is zero.
Tensor elu_second(const Tensor& g, const Tensor& y, double factor) {
  return inside_or_at(g * factor, y, {.low = -INFINITY, .high = 0}) * exp(clamp(y, {.max = 0.0}));
}

/// The second derivative of gelu: of x Φ(x), phi(x) (2 − x²); of the approximation, by the chain rule with
/// u = k (x + a x³), t = tanh(u).
Tensor gelu_second(const Tensor& x, bool is_exact) {
  if (is_exact) return exp(square(x) * -0.5) * ((2.0 - square(x)) / std::sqrt(2 * M_PI));
  const double k = std::sqrt(2 / M_PI), a = 0.044715;
  const Tensor u1 = square(x) * (3 * a * k) + k, u2 = x * (6 * a * k);
  const Tensor t = tanh(x * (square(x) * (a * k) + k)), t1 = 1.0 - square(t);
  return t1 * (u1 + x * (u2 * 0.5 - t * square(u1)));
}

Tensor silu_second(const Tensor& x) {
  const Tensor s = sigmoid(x);
  return s * (1.0 - s) * (x * (1.0 - s * 2.0) + 2.0);
}

/// With w = tanh(softplus(x)), w' = (1 − w²) s: (x w)'' = 2 w' + x w''.
Tensor mish_second(const Tensor& x) {
  const Tensor s = sigmoid(x), w = tanh(softplus(x)), w1 = (1.0 - square(w)) * s;
  return w1 * (x * (1.0 - s - w * s * 2.0) + 2.0);
}

std::vector<AnyOptions> leaky_samples() { return {LeakyReluOptions{}, LeakyReluOptions{0.2}, LeakyReluOptions{-0.5}}; }
std::vector<AnyOptions> elu_samples() { return {EluOptions{}, EluOptions{0.5}, EluOptions{2}}; }
std::vector<AnyOptions> softplus_samples() {
  return {SoftplusOptions{}, SoftplusOptions{2}, SoftplusOptions{.beta = 0.5, .threshold = 0}};
}
std::vector<AnyOptions> gelu_samples() { return {GeluOptions{}, GeluOptions{GeluApproximation::tanh}}; }
/// Inputs off the corners of hardsigmoid and hardswish, at -3 and 3.
Tensor hard_domain(const Shape& shape, std::uint64_t seed) {
  return clamp(sample_normal(shape, seed) * 2.0, {.min = -2.9, .max = 2.9}) +
         where(gt(sample_normal(shape, seed + 1000), 1.0), 7.0, zeros_like(sample_normal(shape, seed)));
}

}  // namespace

DUET_DEFINE_OP(relu, unary_op({.name = "relu", .doc = "The positive part.", .formula = "max(0, x)",
    .kernel = {Map::relu}, .derivative = [](const Vjp& v, const Tensor& g) { return relu_backward(g, v.output()); },
    .saves = {save_output(0)}, .domain = off_zero_domain, .onnx = "Relu"}))
DUET_DEFINE_OP(relu_backward, backward_op({.name = "relu_backward", .doc = "The gradient of relu, from its output.",
    .formula = "y > 0 ? g : 0", .kernel = {Map::relu_backward}, .self = relu_backward_op,
    .domain = off_zero_domain}))

DUET_DEFINE_OP(sigmoid, unary_op({.name = "sigmoid", .doc = "The logistic function.", .formula = "1 / (1 + e^-x)",
    .kernel = {Map::sigmoid},
    .derivative = [](const Vjp& v, const Tensor& g) { return sigmoid_backward(g, v.output()); },
    .saves = {save_output(0)}, .onnx = "Sigmoid"}))
DUET_DEFINE_OP(sigmoid_backward, backward_op({.name = "sigmoid_backward",
    .doc = "The gradient of sigmoid, from its output.", .formula = "g y (1 - y)", .kernel = {Map::sigmoid_backward},
    .self = sigmoid_backward_op,
    .second = [](const Vjp& v, const Tensor& h) { return h * v.input(0) * (1.0 - v.input(1) * 2.0); }}))

DUET_DEFINE_OP(tanh, unary_op({.name = "tanh", .doc = "The hyperbolic tangent.", .formula = "tanh(x)",
    .kernel = {Map::tanh},
    .derivative = [](const Vjp& v, const Tensor& g) { return tanh_backward(g, v.output()); },
    .saves = {save_output(0)}, .onnx = "Tanh"}))
DUET_DEFINE_OP(tanh_backward, backward_op({.name = "tanh_backward", .doc = "The gradient of tanh, from its output.",
    .formula = "g (1 - y^2)", .kernel = {Map::tanh_backward}, .self = tanh_backward_op,
    .second = [](const Vjp& v, const Tensor& h) { return h * v.input(0) * (v.input(1) * -2.0); }}))

DUET_DEFINE_OP(leaky_relu, unary_op({.name = "leaky_relu", .doc = "The positive part and a share of the negative one.",
    .formula = "x > 0 ? x : negative_slope x", .kernel = {Map::leaky_relu},
    .derivative = [](const Vjp& v, const Tensor& g) {
      return leaky_relu_backward(g, keeps_sign(v.options()) ? v.output() : v.input(0), v.opt<LeakyReluOptions>());
    },
    .saves = {save_input(0, {0}, [](const AnyOptions& o, int) { return !keeps_sign(o); }),
              save_output(0, {0}, [](const AnyOptions& o, int) { return keeps_sign(o); })},
    .domain = off_zero_domain, .onnx = "LeakyRelu",
    .options = &options_type<LeakyReluOptions>(),
    .kernel_of = [](const AnyOptions& o) { return leaky_kernel(o, Map::leaky_relu); },
    .sampled_options = leaky_samples()}))
DUET_DEFINE_OP(leaky_relu_backward, backward_op({.name = "leaky_relu_backward", .doc = "The gradient of leaky_relu.",
    .formula = "y > 0 ? g : negative_slope g", .kernel = {Map::leaky_relu_backward}, .self = leaky_relu_backward_op,
    .domain = off_zero_domain, .options = &options_type<LeakyReluOptions>(),
    .kernel_of = [](const AnyOptions& o) { return leaky_kernel(o, Map::leaky_relu_backward); },
    .sampled_options = leaky_samples()}))

DUET_DEFINE_OP(elu, unary_op({.name = "elu", .doc = "The exponential linear unit.",
    .formula = "x > 0 ? x : alpha (e^x - 1)", .kernel = {Map::elu},
    .derivative = [](const Vjp& v, const Tensor& g) { return elu_backward(g, v.input(0), v.opt<EluOptions>()); },
    .saves = {save_input(0)}, .domain = off_zero_domain, .onnx = "Elu", .options = &options_type<EluOptions>(),
    .kernel_of = [](const AnyOptions& o) { return elu_kernel(o, Map::elu); },
    .sampled_options = elu_samples(), .source = "Clevert et al. 2016, arXiv:1511.07289"}))
DUET_DEFINE_OP(elu_backward, backward_op({.name = "elu_backward", .doc = "The gradient of elu.",
    .formula = "y > 0 ? g : g alpha e^y", .kernel = {Map::elu_backward}, .self = elu_backward_op,
    .second = [](const Vjp& v, const Tensor& h) {
      return elu_second(h * v.input(0), v.input(1), v.opt<EluOptions>().alpha);
    },
    .domain = off_zero_domain, .options = &options_type<EluOptions>(),
    .kernel_of = [](const AnyOptions& o) { return elu_kernel(o, Map::elu_backward); },
    .sampled_options = elu_samples()}))

DUET_DEFINE_OP(selu, unary_op({.name = "selu", .doc = "The self-normalising exponential linear unit.",
    .formula = "scale (x > 0 ? x : alpha (e^x - 1))", .kernel = {Map::elu, {selu_alpha, selu_scale}},
    .derivative = [](const Vjp& v, const Tensor& g) { return selu_backward(g, v.input(0)); },
    .saves = {save_input(0)}, .domain = off_zero_domain, .onnx = "Selu",
    .source = "Klambauer et al. 2017, arXiv:1706.02515"}))
DUET_DEFINE_OP(selu_backward, backward_op({.name = "selu_backward", .doc = "The gradient of selu.",
    .formula = "scale (y > 0 ? g : g alpha e^y)", .kernel = {Map::elu_backward, {selu_alpha, selu_scale}},
    .self = selu_backward_op,
    .second = [](const Vjp& v, const Tensor& h) {
      return elu_second(h * v.input(0), v.input(1), selu_alpha * selu_scale);
    },
    .domain = off_zero_domain}))

DUET_DEFINE_OP(gelu, unary_op({.name = "gelu", .doc = "x times the normal distribution function of x.",
    .formula = "x Phi(x)", .kernel = {Map::gelu},
    .derivative = [](const Vjp& v, const Tensor& g) { return gelu_backward(g, v.input(0), v.opt<GeluOptions>()); },
    .saves = {save_input(0)}, .onnx = "Gelu", .options = &options_type<GeluOptions>(),
    .kernel_of = [](const AnyOptions& o) { return Kernel{exact(o) ? Map::gelu : Map::gelu_tanh}; },
    .sampled_options = gelu_samples(), .source = "Hendrycks and Gimpel 2016, arXiv:1606.08415"}))
DUET_DEFINE_OP(gelu_backward, backward_op({.name = "gelu_backward", .doc = "The gradient of gelu.",
    .formula = "g (Phi(y) + y phi(y))", .kernel = {Map::gelu_backward}, .self = gelu_backward_op,
    .second = [](const Vjp& v, const Tensor& h) {
      return h * v.input(0) * gelu_second(v.input(1), exact(v.options()));
    },
    .options = &options_type<GeluOptions>(),
    .kernel_of = [](const AnyOptions& o) { return Kernel{exact(o) ? Map::gelu_backward : Map::gelu_tanh_backward}; },
    .sampled_options = gelu_samples()}))

DUET_DEFINE_OP(silu, unary_op({.name = "silu", .doc = "x times the logistic function of x.",
    .formula = "x / (1 + e^-x)", .kernel = {Map::silu},
    .derivative = [](const Vjp& v, const Tensor& g) { return silu_backward(g, v.input(0)); },
    .saves = {save_input(0)}, .source = "Elfwing et al. 2018, arXiv:1702.03118"}))
DUET_DEFINE_OP(silu_backward, backward_op({.name = "silu_backward", .doc = "The gradient of silu.",
    .formula = "g s (1 + y (1 - s)), s = sigmoid(y)", .kernel = {Map::silu_backward}, .self = silu_backward_op,
    .second = [](const Vjp& v, const Tensor& h) { return h * v.input(0) * silu_second(v.input(1)); }}))

DUET_DEFINE_OP(mish, unary_op({.name = "mish", .doc = "x times tanh of softplus of x.",
    .formula = "x tanh(log(1 + e^x))", .kernel = {Map::mish},
    .derivative = [](const Vjp& v, const Tensor& g) { return mish_backward(g, v.input(0)); },
    .saves = {save_input(0)}, .onnx = "Mish", .source = "Misra 2019, arXiv:1908.08681"}))
DUET_DEFINE_OP(mish_backward, backward_op({.name = "mish_backward", .doc = "The gradient of mish.",
    .formula = "g (w + y (1 - w^2) sigmoid(y)), w = tanh(softplus(y))", .kernel = {Map::mish_backward},
    .self = mish_backward_op,
    .second = [](const Vjp& v, const Tensor& h) { return h * v.input(0) * mish_second(v.input(1)); }}))

DUET_DEFINE_OP(softplus, unary_op({.name = "softplus", .doc = "A smooth positive part.",
    .formula = "log(1 + e^(beta x)) / beta", .kernel = {Map::softplus},
    .derivative = [](const Vjp& v, const Tensor& g) {
      return softplus_backward(g, v.input(0), v.opt<SoftplusOptions>());
    },
    .saves = {save_input(0)}, .domain = off_zero_domain, .onnx = "Softplus",
    .options = &options_type<SoftplusOptions>(),
    .kernel_of = [](const AnyOptions& o) { return softplus_kernel(o, Map::softplus); },
    .sampled_options = {SoftplusOptions{}, SoftplusOptions{2}, SoftplusOptions{.beta = 0.5, .threshold = 30}}}))
DUET_DEFINE_OP(softplus_backward, backward_op({.name = "softplus_backward", .doc = "The gradient of softplus.",
    .formula = "g sigmoid(beta y)", .kernel = {Map::softplus_backward}, .self = softplus_backward_op,
    .second = [](const Vjp& v, const Tensor& h) {
      const SoftplusOptions& o = v.opt<SoftplusOptions>();
      const Tensor y = v.input(1), s = sigmoid(y * o.beta);
      return where(gt(y * o.beta, o.threshold), 0.0, h * v.input(0) * sigmoid_backward(full_like(s, o.beta), s));
    },
    .domain = off_zero_domain, .options = &options_type<SoftplusOptions>(),
    .kernel_of = [](const AnyOptions& o) { return softplus_kernel(o, Map::softplus_backward); },
    .sampled_options = softplus_samples()}))

DUET_DEFINE_OP(hardtanh, unary_op({.name = "hardtanh", .doc = "Elements brought into a range.",
    .formula = "min(max_val, max(min_val, x))", .kernel = {Map::clamp},
    .derivative = [](const Vjp& v, const Tensor& g) {
      const HardtanhOptions& o = v.opt<HardtanhOptions>();
      return inside(g, v.input(0), {.low = o.min_val, .high = o.max_val});
    },
    .saves = {save_input(0)}, .domain = off_zero_domain, .onnx = "Clip", .options = &options_type<HardtanhOptions>(),
    .kernel_of = [](const AnyOptions& o) {
      return Kernel{Map::clamp, {o.get<HardtanhOptions>().min_val, o.get<HardtanhOptions>().max_val}};
    },
    .sampled_options = {HardtanhOptions{0, 9}, HardtanhOptions{-9, 0}, HardtanhOptions{-9, 9}},
    .check = [](const char* name, const AnyOptions& options) {
      const HardtanhOptions& o = options.get<HardtanhOptions>();
      if (o.min_val > o.max_val) fail<ValueError>(name, "min_val {} is greater than max_val {}", o.min_val, o.max_val);
    }}))

DUET_DEFINE_OP(hardsigmoid, unary_op({.name = "hardsigmoid", .doc = "A piecewise linear sigmoid.",
    .formula = "min(1, max(0, x / 6 + 1/2))", .kernel = {Map::hardsigmoid},
    .derivative = [](const Vjp& v, const Tensor& g) {
      return inside(g, v.input(0), {.low = -3, .high = 3}) * (1.0 / 6);
    },
    .saves = {save_input(0)}, .domain = hard_domain, .onnx = "HardSigmoid"}))

DUET_DEFINE_OP(hardswish, unary_op({.name = "hardswish", .doc = "x times hardsigmoid of x.",
    .formula = "x hardsigmoid(x)", .kernel = {Map::hardswish},
    .derivative = [](const Vjp& v, const Tensor& g) { return hardswish_backward(g, v.input(0)); },
    .saves = {save_input(0)}, .domain = hard_domain, .onnx = "HardSwish",
    .source = "Howard et al. 2019, arXiv:1905.02244"}))
DUET_DEFINE_OP(hardswish_backward, backward_op({.name = "hardswish_backward", .doc = "The gradient of hardswish.",
    .formula = "y < -3 ? 0 : y > 3 ? g : g (y / 3 + 1/2)", .kernel = {Map::hardswish_backward},
    .self = hardswish_backward_op,
    .second = [](const Vjp& v, const Tensor& h) {
      return inside(h * v.input(0), v.input(1), {.low = -3, .high = 3}) * (1.0 / 3);
    },
    .domain = hard_domain}))

Tensor relu(const Tensor& x) { return apply1(relu_op(), {x}); }
Tensor sigmoid(const Tensor& x) { return apply1(sigmoid_op(), {x}); }
Tensor tanh(const Tensor& x) { return apply1(tanh_op(), {x}); }
Tensor silu(const Tensor& x) { return apply1(silu_op(), {x}); }
Tensor mish(const Tensor& x) { return apply1(mish_op(), {x}); }
Tensor selu(const Tensor& x) { return apply1(selu_op(), {x}); }
Tensor hardsigmoid(const Tensor& x) { return apply1(hardsigmoid_op(), {x}); }
Tensor hardswish(const Tensor& x) { return apply1(hardswish_op(), {x}); }
Tensor leaky_relu(const Tensor& x, const LeakyReluOptions& options) { return apply1(leaky_relu_op(), {x}, options); }
Tensor elu(const Tensor& x, const EluOptions& options) { return apply1(elu_op(), {x}, options); }
Tensor gelu(const Tensor& x, const GeluOptions& options) { return apply1(gelu_op(), {x}, options); }
Tensor softplus(const Tensor& x, const SoftplusOptions& options) { return apply1(softplus_op(), {x}, options); }
Tensor hardtanh(const Tensor& x, const HardtanhOptions& options) { return apply1(hardtanh_op(), {x}, options); }

Tensor relu_backward(const Tensor& g, const Tensor& y) { return apply1(relu_backward_op(), {g, y}); }
Tensor sigmoid_backward(const Tensor& g, const Tensor& y) { return apply1(sigmoid_backward_op(), {g, y}); }
Tensor tanh_backward(const Tensor& g, const Tensor& y) { return apply1(tanh_backward_op(), {g, y}); }
Tensor leaky_relu_backward(const Tensor& g, const Tensor& y, const LeakyReluOptions& options) {
  return apply1(leaky_relu_backward_op(), {g, y}, options);
}
Tensor elu_backward(const Tensor& g, const Tensor& y, const EluOptions& options) {
  return apply1(elu_backward_op(), {g, y}, options);
}
Tensor selu_backward(const Tensor& g, const Tensor& y) { return apply1(selu_backward_op(), {g, y}); }
Tensor gelu_backward(const Tensor& g, const Tensor& y, const GeluOptions& options) {
  return apply1(gelu_backward_op(), {g, y}, options);
}
Tensor silu_backward(const Tensor& g, const Tensor& y) { return apply1(silu_backward_op(), {g, y}); }
Tensor mish_backward(const Tensor& g, const Tensor& y) { return apply1(mish_backward_op(), {g, y}); }
Tensor softplus_backward(const Tensor& g, const Tensor& y, const SoftplusOptions& options) {
  return apply1(softplus_backward_op(), {g, y}, options);
}
Tensor hardswish_backward(const Tensor& g, const Tensor& y) { return apply1(hardswish_backward_op(), {g, y}); }

}  // namespace duet
