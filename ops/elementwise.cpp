// Elementwise arithmetic: values and derivatives. Functions of one tensor are rows of a table (elementwise_rules.hpp).
#include <duet/ops/elementwise.hpp>

#include <cmath>
#include <limits>

#include <duet/ops/compare.hpp>
#include <duet/ops/elementwise_rules.hpp>

namespace duet {

using kernels::Map;

namespace {

Callable<Tensors(const Call&)> binary_forward(Map map) {
  return [map](const Call& c) -> Tensors { return {run_map(c.name(), map, {c[0], c[1]}, c.spec().shape)}; };
}

/// The part of a cotangent that belongs to the larger (or smaller) of two tensors; ties are shared in halves.
Tensor winners(const Tensor& g, const Tensor& mine, const Tensor& other, bool larger) {
  const Tensor wins = larger ? gt(mine, other) : lt(mine, other);
  return where(wins, g, where(eq(mine, other), g * 0.5, 0.0));
}

OpPtr extremum_op(const char* name, const char* doc, const char* onnx, Map map, bool larger) {
  return define({
      .name = name,
      .doc = doc,
      .formula = larger ? "max(a, b)" : "min(a, b)",
      .inputs = {"a", "b"},
      .shape_rule = broadcast_rule,
      .forward = binary_forward(map),
      .vjp = [larger](const Vjp& v) -> Tensors {
        const Tensor a = v.input(0), b = v.input(1);
        return {v.needs(0) ? sum_to(winners(v.cotangent(), a, b, larger), v.shape(0)) : Tensor(),
                v.needs(1) ? sum_to(winners(v.cotangent(), b, a, larger), v.shape(1)) : Tensor()};
      },
      .saves = {save_input(0), save_input(1)},
      .onnx = onnx,
      .samples = [] { return binary_samples(normal_domain, normal_domain); },
  });
}

Tensor pow_gradient_by_x(const Vjp& v, const Tensor& g) {
  const Tensor x = v.input(0);
  if (v.has_input(1)) {
    // At an exponent of 0 the power is 1 whatever x is, also where x^-1 is infinite.
    const Tensor exponent = v.input(1);
    return sum_to(g * where(eq(exponent, 0.0), 0.0, exponent * pow(x, exponent - 1.0)), v.shape(0));
  }
  const double exponent = v.opt<PowOptions>().exponent;
  if (exponent == 0) return {};
  if (exponent == 1) return g;
  return exponent == 2 ? g * (x * 2.0) : g * (pow(x, exponent - 1) * exponent);
}

Tensor pow_forward(const Call& c) {
  const Shape& shape = c.spec().shape;
  if (c.has(1)) return run_map(c.name(), Map::pow, {c[0], c[1]}, shape);
  const double exponent = c.opt<PowOptions>().exponent;
  if (exponent == 1) return raw::clone(c[0]);
  const Map map = exponent == 2      ? Map::square
                  : exponent == 3    ? Map::cube
                  : exponent == -1   ? Map::reciprocal
                                     : Map::pow_scalar;
  return run_map(c.name(), map, {c[0]}, shape, {.p = exponent});
}

std::vector<Sample> pow_samples() {
  std::vector<Sample> samples =
      unary_samples(positive_domain, {PowOptions{2}, PowOptions{3}, PowOptions{-1.5}, PowOptions{0.5}, PowOptions{0}});
  for (Sample& one : binary_samples(positive_domain, normal_domain)) {
    one.options = PowOptions{};
    samples.push_back(one);
  }
  return samples;
}

/// One element chosen by a condition of any integer type.
template <class C, class T>
void choose(const Tensor& condition, const Tensor& x, const Tensor& y, const Tensor& out) {
  Tensor held[3];
  const kernels::Operand operands[] = {operand(condition, out.shape(), held[0]), operand(x, out.shape(), held[1]),
                                       operand(y, out.shape(), held[2])};
  T* to = raw::data<T>(out);
  kernels::for_rows(out.shape(), operands, 3, [&](const kernels::Rows& rows) {
    for (std::int64_t r = 0; r < rows.rows; ++r) {
      const C* c = static_cast<const C*>(operands[0].data) + rows.offset[0] + r * rows.row_stride[0];
      const T* a = static_cast<const T*>(operands[1].data) + rows.offset[1] + r * rows.row_stride[1];
      const T* b = static_cast<const T*>(operands[2].data) + rows.offset[2] + r * rows.row_stride[2];
      T* row = to + rows.out + r * rows.n;
      const int sc = rows.step[0], sa = rows.step[1], sb = rows.step[2];
      for (std::int64_t i = 0; i < rows.n; ++i) row[i] = c[i * sc] != 0 ? a[i * sa] : b[i * sb];
    }
  });
}

Specs where_rule(const ShapeCall& c) {
  if (is_floating(c[0].dtype)) fail<DtypeError>(c.name(), "condition needs u8 or i64, got {}", to_string(c[0]));
  if (c[1].dtype != c[2].dtype)
    fail<DtypeError>(c.name(), "needs one dtype, got x {} and y {}", to_string(c[1]), to_string(c[2]));
  const Shape values = broadcast_shapes(c.name(), c[1].shape, c[2].shape);
  return {{broadcast_shapes(c.name(), c[0].shape, values), c[1].dtype}};
}

std::vector<Sample> where_samples() {
  std::vector<Sample> samples = binary_samples(normal_domain, normal_domain);
  std::uint64_t seed = 50;
  for (Sample& one : samples) {
    const Shape shape = broadcast_shapes("where", one.inputs[0].shape(), one.inputs[1].shape());
    one.inputs.insert(one.inputs.begin(), gt(sample_normal(shape, seed++), 0.0));
  }
  return samples;
}

Kernel clamp_kernel(const AnyOptions& options) {
  constexpr double infinity = std::numeric_limits<double>::infinity();
  const ClampOptions& o = options.get<ClampOptions>();
  return {Map::clamp, {o.min.value_or(-infinity), o.max.value_or(infinity)}};
}

}  // namespace

DUET_DEFINE_OP(add, define({
    .name = "add",
    .doc = "The sum of two tensors, element by element.",
    .formula = "a + b",
    .inputs = {"a", "b"},
    .shape_rule = broadcast_rule,
    .forward = binary_forward(Map::add),
    .vjp = [](const Vjp& v) -> Tensors {
      const Tensor& g = v.cotangent();
      return {v.needs(0) ? sum_to(g, v.shape(0)) : Tensor(), v.needs(1) ? sum_to(g, v.shape(1)) : Tensor()};
    },
    .onnx = "Add",
    .samples = [] { return binary_samples(normal_domain, normal_domain); },
}))

DUET_DEFINE_OP(sub, define({
    .name = "sub",
    .doc = "The difference of two tensors, element by element.",
    .formula = "a - b",
    .inputs = {"a", "b"},
    .shape_rule = broadcast_rule,
    .forward = binary_forward(Map::sub),
    .vjp = [](const Vjp& v) -> Tensors {
      const Tensor& g = v.cotangent();
      return {v.needs(0) ? sum_to(g, v.shape(0)) : Tensor(), v.needs(1) ? -sum_to(g, v.shape(1)) : Tensor()};
    },
    .onnx = "Sub",
    .samples = [] { return binary_samples(normal_domain, normal_domain); },
}))

DUET_DEFINE_OP(mul, define({
    .name = "mul",
    .doc = "The product of two tensors, element by element.",
    .formula = "a * b",
    .inputs = {"a", "b"},
    .shape_rule = broadcast_rule,
    .forward = binary_forward(Map::mul),
    .vjp = [](const Vjp& v) -> Tensors {
      const Tensor& g = v.cotangent();
      return {v.needs(0) ? sum_to(g * v.input(1), v.shape(0)) : Tensor(),
              v.needs(1) ? sum_to(g * v.input(0), v.shape(1)) : Tensor()};
    },
    .saves = {save_input(0, {1}), save_input(1, {0})},
    .linear = {0, 1},
    .onnx = "Mul",
    .samples = [] { return binary_samples(normal_domain, normal_domain); },
}))

DUET_DEFINE_OP(div, define({
    .name = "div",
    .doc = "The quotient of two tensors, element by element.",
    .formula = "a / b",
    .inputs = {"a", "b"},
    .shape_rule = broadcast_floating_rule,
    .forward = binary_forward(Map::div),
    .vjp = [](const Vjp& v) -> Tensors {
      const Tensor by_a = v.cotangent() / v.input(1);
      return {v.needs(0) ? sum_to(by_a, v.shape(0)) : Tensor(),
              v.needs(1) ? -sum_to(by_a * v.output(), v.shape(1)) : Tensor()};
    },
    .saves = {save_input(1), save_output(0, {1})},
    .linear = {0},
    .onnx = "Div",
    .samples = [] { return binary_samples(normal_domain, positive_domain); },
}))

DUET_DEFINE_OP(maximum, extremum_op("maximum", "The larger of two, element by element.", "Max", Map::maximum, true))
DUET_DEFINE_OP(minimum, extremum_op("minimum", "The smaller of two, element by element.", "Min", Map::minimum, false))

DUET_DEFINE_OP(pow, define({
    .name = "pow",
    .doc = "x to the power of a number, or of a second tensor.",
    .formula = "x ^ exponent",
    .inputs = {"x", "exponent?"},
    .options = &options_type<PowOptions>(),
    .shape_rule = [](const ShapeCall& c) -> Specs {
      const Dtype dtype = require_floating(c);
      return {{c.has(1) ? broadcast_shapes(c.name(), c[0].shape, c[1].shape) : c[0].shape, dtype}};
    },
    .forward = [](const Call& c) -> Tensors { return {pow_forward(c)}; },
    .vjp = [](const Vjp& v) -> Tensors {
      const Tensor& g = v.cotangent();
      Tensors gradients{v.needs(0) ? pow_gradient_by_x(v, g) : Tensor()};
      if (v.count() < 2) return gradients;
      gradients.emplace_back();
      if (v.needs(1)) {
        // 0^e stays 0: a logarithm of 1 in its place gives the zero without a NaN.
        const Tensor x = v.input(0), safe = where(eq(x, 0.0), 1.0, x);
        gradients[1] = sum_to(g * v.output() * log(safe), v.shape(1));
      }
      return gradients;
    },
    .saves = {save_input(0), save_input(1, {0}), save_output(0, {1})},
    .onnx = "Pow",
    .samples = pow_samples,
}))

DUET_DEFINE_OP(where, define({
    .name = "where",
    .doc = "Elements of x where a condition is not 0, else of y.",
    .formula = "condition ? x : y",
    .inputs = {"condition", "x", "y"},
    .shape_rule = where_rule,
    .forward = [](const Call& c) -> Tensors {
      const Tensor out = c.empty();
      raw::dispatch_all(out.dtype(), [&](auto zero) {
        using T = decltype(zero);
        c[0].dtype() == u8 ? choose<std::uint8_t, T>(c[0], c[1], c[2], out)
                           : choose<std::int64_t, T>(c[0], c[1], c[2], out);
      });
      return {out};
    },
    .vjp = [](const Vjp& v) -> Tensors {
      const Tensor& g = v.cotangent();
      const Tensor condition = v.input(0);
      return {Tensor(), v.needs(1) ? sum_to(where(condition, g, 0.0), v.shape(1)) : Tensor(),
              v.needs(2) ? sum_to(where(condition, 0.0, g), v.shape(2)) : Tensor()};
    },
    .saves = {save_input(0)},
    .onnx = "Where",
    .samples = where_samples,
}))

DUET_DEFINE_OP(lerp, define({
    .name = "lerp",
    .doc = "Linear interpolation between two tensors.",
    .formula = "start + weight * (end - start)",
    .inputs = {"start", "end", "weight"},
    .shape_rule = broadcast_floating_rule,
    .forward = [](const Call& c) -> Tensors {
      return {run_map(c.name(), Map::lerp, {c[0], c[1], c[2]}, c.spec().shape)};
    },
    .vjp = [](const Vjp& v) -> Tensors {
      const Tensor& g = v.cotangent();
      return {v.needs(0) ? sum_to(g * (1.0 - v.input(2)), v.shape(0)) : Tensor(),
              v.needs(1) ? sum_to(g * v.input(2), v.shape(1)) : Tensor(),
              v.needs(2) ? sum_to(g * (v.input(1) - v.input(0)), v.shape(2)) : Tensor()};
    },
    .saves = {save_input(0, {2}), save_input(1, {2}), save_input(2, {0, 1})},
    .linear = {0, 1},
    .samples = [] {
      std::vector<Sample> samples = binary_samples(normal_domain, normal_domain);
      for (std::size_t i = 0; i < samples.size(); ++i)
        samples[i].inputs.push_back(sample_uniform(samples[i].inputs[i % 2].shape(), -0.2, 1.2, 70 + i));
      return samples;
    },
}))

DUET_DEFINE_OP(neg, unary_op({.name = "neg", .doc = "The negative of a tensor.", .formula = "-x", .kernel = {Map::neg},
    .derivative = [](const Vjp&, const Tensor& g) { return -g; }, .onnx = "Neg", .integers = true}))

DUET_DEFINE_OP(abs, unary_op({.name = "abs", .doc = "The absolute value.", .formula = "|x|", .kernel = {Map::abs},
    .derivative = [](const Vjp& v, const Tensor& g) { return g * sign(v.input(0)); },
    .saves = {save_input(0)}, .domain = off_zero_domain, .onnx = "Abs", .integers = true}))

DUET_DEFINE_OP(sign, unary_op({.name = "sign", .doc = "The sign, -1, 0 or 1. Its gradient is zero.", .formula = "x / |x|",
    .kernel = {Map::sign}, .derivative = [](const Vjp&, const Tensor&) { return Tensor(); },
    .domain = off_zero_domain, .onnx = "Sign", .integers = true}))

DUET_DEFINE_OP(square, unary_op({.name = "square", .doc = "The square of each element.", .formula = "x * x",
    .kernel = {Map::square}, .derivative = [](const Vjp& v, const Tensor& g) { return g * (v.input(0) * 2.0); },
    .saves = {save_input(0)}, .integers = true}))

DUET_DEFINE_OP(reciprocal, unary_op({.name = "reciprocal", .doc = "One over each element.", .formula = "1 / x",
    .kernel = {Map::reciprocal}, .derivative = [](const Vjp& v, const Tensor& g) { return -g * square(v.output()); },
    .saves = {save_output(0)}, .domain = positive_domain, .onnx = "Reciprocal"}))

DUET_DEFINE_OP(sqrt, unary_op({.name = "sqrt", .doc = "The square root.", .formula = "sqrt(x)", .kernel = {Map::sqrt},
    .derivative = [](const Vjp& v, const Tensor& g) { return g / (v.output() * 2.0); },
    .saves = {save_output(0)}, .domain = positive_domain, .onnx = "Sqrt"}))

DUET_DEFINE_OP(rsqrt, unary_op({.name = "rsqrt", .doc = "One over the square root.", .formula = "1 / sqrt(x)",
    .kernel = {Map::rsqrt},
    .derivative = [](const Vjp& v, const Tensor& g) { return g * (pow(v.output(), 3) * -0.5); },
    .saves = {save_output(0)}, .domain = positive_domain}))

DUET_DEFINE_OP(exp, unary_op({.name = "exp", .doc = "The exponential function.", .formula = "e^x", .kernel = {Map::exp},
    .derivative = [](const Vjp& v, const Tensor& g) { return g * v.output(); },
    .saves = {save_output(0)}, .onnx = "Exp"}))

DUET_DEFINE_OP(log, unary_op({.name = "log", .doc = "The natural logarithm.", .formula = "log(x)", .kernel = {Map::log},
    .derivative = [](const Vjp& v, const Tensor& g) { return g / v.input(0); },
    .saves = {save_input(0)}, .domain = positive_domain, .onnx = "Log"}))

DUET_DEFINE_OP(log1p, unary_op({.name = "log1p", .doc = "The logarithm of 1 + x, exact for small x.",
    .formula = "log(1 + x)", .kernel = {Map::log1p},
    .derivative = [](const Vjp& v, const Tensor& g) { return g / (v.input(0) + 1.0); },
    .saves = {save_input(0)}, .domain = positive_domain}))

DUET_DEFINE_OP(sin, unary_op({.name = "sin", .doc = "The sine.", .formula = "sin(x)", .kernel = {Map::sin},
    .derivative = [](const Vjp& v, const Tensor& g) { return g * cos(v.input(0)); },
    .saves = {save_input(0)}, .onnx = "Sin"}))

DUET_DEFINE_OP(cos, unary_op({.name = "cos", .doc = "The cosine.", .formula = "cos(x)", .kernel = {Map::cos},
    .derivative = [](const Vjp& v, const Tensor& g) { return -(g * sin(v.input(0))); },
    .saves = {save_input(0)}, .onnx = "Cos"}))

DUET_DEFINE_OP(clamp, unary_op({.name = "clamp", .doc = "Elements brought into a range.", .formula = "min(max, max(min, x))",
    .kernel = {Map::clamp},
    .derivative = [](const Vjp& v, const Tensor& g) {
      const Parameters range = clamp_kernel(v.options()).parameters;
      return inside_or_at(g, v.input(0), {.low = range.p, .high = range.q});
    },
    .saves = {save_input(0)}, .domain = off_zero_domain, .onnx = "Clip", .options = &options_type<ClampOptions>(),
    .kernel_of = clamp_kernel,
    .sampled_options = {ClampOptions{.min = 0.0}, ClampOptions{.max = 0.0}, ClampOptions{.min = 0.0, .max = 9.0}},
    .check = [](const char* name, const AnyOptions& options) {
      const ClampOptions& o = options.get<ClampOptions>();
      if (!o.min && !o.max) fail<ValueError>(name, "needs min or max or both");
    }}))

namespace {
Kernel range_kernel(const AnyOptions& options, Map map) {
  const RangeOptions& o = options.get<RangeOptions>();
  return {map, {o.low, o.high}};
}
}  // namespace

DUET_DEFINE_OP(inside, backward_op({.name = "inside", .doc = "g where y lies between two bounds, else 0.",
    .formula = "low < y < high ? g : 0", .kernel = {Map::inside}, .self = inside_op, .domain = off_zero_domain,
    .options = &options_type<RangeOptions>(),
    .kernel_of = [](const AnyOptions& options) { return range_kernel(options, Map::inside); },
    .sampled_options = {RangeOptions{0, 9}, RangeOptions{-9, 0}, RangeOptions{-9, 9}}}))

DUET_DEFINE_OP(inside_or_at, backward_op({.name = "inside_or_at", .doc = "g where y lies in a closed range, else 0.",
    .formula = "low <= y <= high ? g : 0", .kernel = {Map::inside_or_at}, .self = inside_or_at_op,
    .domain = off_zero_domain, .options = &options_type<RangeOptions>(),
    .kernel_of = [](const AnyOptions& options) { return range_kernel(options, Map::inside_or_at); },
    .sampled_options = {RangeOptions{0, 9}, RangeOptions{-9, 0}, RangeOptions{-9, 9}}}))

Tensor scalar_like(const Tensor& like, double value) {
  const bool fits = like.dtype() == u8 ? value >= 0 && value <= 255 : std::abs(value) < 0x1p63;
  if (!is_floating(like.dtype()) && (value != std::floor(value) || !fits))
    fail<DtypeError>("scalar", "{} does not fit the tensor's dtype: {}", value, to_string(spec_of(like)));
  return Tensor::scalar(value, {.dtype = like.dtype()});
}

Tensor add(const Tensor& a, const Tensor& b) { return apply1(add_op(), {a, b}); }
Tensor sub(const Tensor& a, const Tensor& b) { return apply1(sub_op(), {a, b}); }
Tensor mul(const Tensor& a, const Tensor& b) { return apply1(mul_op(), {a, b}); }
Tensor div(const Tensor& a, const Tensor& b) { return apply1(div_op(), {a, b}); }
Tensor maximum(const Tensor& a, const Tensor& b) { return apply1(maximum_op(), {a, b}); }
Tensor minimum(const Tensor& a, const Tensor& b) { return apply1(minimum_op(), {a, b}); }
Tensor pow(const Tensor& x, double exponent) { return apply1(pow_op(), {x}, PowOptions{exponent}); }
Tensor pow(const Tensor& x, const Tensor& exponent) { return apply1(pow_op(), {x, exponent}, PowOptions{}); }
Tensor pow(double x, const Tensor& exponent) { return pow(scalar_like(exponent, x), exponent); }
Tensor where(const Tensor& condition, const Tensor& x, const Tensor& y) {
  return apply1(where_op(), {condition, x, y});
}
Tensor where(const Tensor& condition, const Tensor& x, double y) { return where(condition, x, scalar_like(x, y)); }
Tensor where(const Tensor& condition, double x, const Tensor& y) { return where(condition, scalar_like(y, x), y); }
Tensor lerp(const Tensor& start, const Tensor& end, const Tensor& weight) {
  return apply1(lerp_op(), {start, end, weight});
}
Tensor lerp(const Tensor& start, const Tensor& end, double weight) {
  return lerp(start, end, scalar_like(start, weight));
}
Tensor neg(const Tensor& x) { return apply1(neg_op(), {x}); }
Tensor abs(const Tensor& x) { return apply1(abs_op(), {x}); }
Tensor sign(const Tensor& x) { return apply1(sign_op(), {x}); }
Tensor square(const Tensor& x) { return apply1(square_op(), {x}); }
Tensor reciprocal(const Tensor& x) { return apply1(reciprocal_op(), {x}); }
Tensor sqrt(const Tensor& x) { return apply1(sqrt_op(), {x}); }
Tensor rsqrt(const Tensor& x) { return apply1(rsqrt_op(), {x}); }
Tensor exp(const Tensor& x) { return apply1(exp_op(), {x}); }
Tensor log(const Tensor& x) { return apply1(log_op(), {x}); }
Tensor log1p(const Tensor& x) { return apply1(log1p_op(), {x}); }
Tensor sin(const Tensor& x) { return apply1(sin_op(), {x}); }
Tensor cos(const Tensor& x) { return apply1(cos_op(), {x}); }
Tensor clamp(const Tensor& x, const ClampOptions& options) { return apply1(clamp_op(), {x}, options); }
Tensor inside(const Tensor& g, const Tensor& y, const RangeOptions& options) {
  return apply1(inside_op(), {g, y}, options);
}
Tensor inside_or_at(const Tensor& g, const Tensor& y, const RangeOptions& options) {
  return apply1(inside_or_at_op(), {g, y}, options);
}

}  // namespace duet
