// Reductions made of several folds: variance, norms, log-sum-exp, products, running sums, positions of extremes.
#include <algorithm>
#include <cmath>

#include <duet/core/factory.hpp>
#include <duet/core/parallel.hpp>
#include <duet/ops/compare.hpp>
#include <duet/ops/elementwise.hpp>
#include <duet/ops/elementwise_rules.hpp>
#include <duet/ops/kernels/softmax.hpp>
#include <duet/ops/reduce.hpp>
#include <duet/ops/reduce_rules.hpp>
#include <duet/ops/shape.hpp>

namespace duet {

using kernels::Fold;
using kernels::Map;

namespace {

template <class O>
Dims dims_of(const Vjp& v) {
  return normalize_dims(v.name(), v.opt<O>().dim, v.shape(0).rank());
}
template <class O>
Dims dims_of(const Call& c) {
  return normalize_dims(c.name(), c.opt<O>().dim, c[0].rank());
}

template <class O>
Specs reduce_rule_of(const ShapeCall& c) {
  const Dtype dtype = require_floating(c);
  const O& o = c.opt<O>();
  return {{reduced_shape(c[0].shape, normalize_dims(c.name(), o.dim, c[0].shape.rank()), o.keepdim), dtype}};
}

/// Every set of dimensions worth a sample, with the options that `set` makes of it.
template <class O>
std::vector<Sample> samples_of(std::vector<O> variants, Domain domain, const Shape& x = {2, 3, 4, 2}) {
  std::vector<Sample> samples;
  std::uint64_t seed = 1;
  for (O options : variants) {
    for (const Dims& dims : {Dims{}, Dims{0}, Dims{-1}, Dims{0, 2}, Dims{1, 2, 3}}) {
      options.dim = dims;
      options.keepdim = seed % 2 == 0;
      samples.push_back({to_string(AnyOptions(options)), {domain(x, seed++)}, options});
    }
    options.keepdim = false;
    options.dim = {1};
    samples.push_back({fmt::format("17 channels {}", to_string(AnyOptions(options))), {domain({2, 17, 2}, seed++)}, options});
    samples.push_back({fmt::format("a row of 33 {}", to_string(AnyOptions(options))), {domain({2, 33}, seed++)}, options});
  }
  return samples;
}

// --- variance ---

double variance_factor(const VarOptions& o, std::int64_t count) {
  const double divisor = static_cast<double>(count) - static_cast<double>(o.correction.value_or(o.unbiased ? 1 : 0));
  return divisor > 0 ? 1 / divisor : NAN;
}

/// x - mean, centred again, so that a mean far from zero costs no digits: rounded to f32, one of 1e4 is off by 5e-4.
Tensor centred(const char* op, const Tensor& x, const Dims& dims) {
  Tensor distance = x;
  for (int pass = 0; pass < 2; ++pass) {
    const Tensor mean = fold_tensor(Fold::sum, distance, dims, true, 1 / static_cast<double>(reduced_count(x.shape(), dims)));
    distance = run_map(op, Map::sub, {distance, mean}, x.shape());
  }
  return distance;
}

Tensor variance(const char* op, const Tensor& x, const Dims& dims, const VarOptions& o) {
  return fold_tensor(Fold::sum_square, centred(op, x, dims), dims, o.keepdim,
                     variance_factor(o, reduced_count(x.shape(), dims)));
}

/// g times the gradient of the variance by x, 2 / (n - 1) (x - mean), over a divisor of the reduced shape.
Tensor variance_gradient(const Vjp& v, const Tensor& g, const Tensor& divisor = {}) {
  const VarOptions& o = v.opt<VarOptions>();
  const Dims dims = dims_of<VarOptions>(v);
  const Tensor x = v.input(0);
  const double factor = 2 * variance_factor(o, reduced_count(x.shape(), dims));
  const ReduceOptions over{.dim = dims, .keepdim = true};
  Tensor distance = x - mean(x, over);
  distance = distance - mean(distance, over);
  if (divisor.defined()) distance = distance / keep_dims(divisor, x.shape(), dims);
  return keep_dims(g, x.shape(), dims) * (distance * factor);
}

// --- norms ---

/// (sum m^p)^(1/p) of magnitudes m (of x itself where p is 2), and the sum.
Tensor power_mean(const char* op, const Tensor& magnitudes, const Dims& dims, double p, Tensor& total) {
  const Tensor powers = p == 2 ? Tensor() : run_map(op, Map::pow_scalar, {magnitudes}, magnitudes.shape(), {.p = p});
  total = fold_tensor(p == 2 ? Fold::sum_square : Fold::sum, p == 2 ? magnitudes : powers, dims, true);
  return p == 2 ? run_map(op, Map::sqrt, {total}, total.shape())
                : run_map(op, Map::pow_scalar, {total}, total.shape(), {.p = 1 / p});
}

/// The same where powers may leave the range of the dtype: then of magnitudes over the largest.
Tensor norm_of_powers(const char* op, const Tensor& x, const Dims& dims, double p, bool keepdim) {
  const Tensor magnitudes = p == 2 ? x : run_map(op, Map::abs, {x}, x.shape());
  Tensor total, y = power_mean(op, magnitudes, dims, p, total);
  const double least = x.dtype() == f32 ? 1e-30 : 1e-280;
  bool in_range = true;
  for (const double v : total.to_vector()) in_range &= v >= least && !std::isinf(v);
  if (!in_range && x.numel() > 0) {
    const Tensor most = fold_tensor(Fold::max, run_map(op, Map::abs, {x}, x.shape()), dims, true);
    const Tensor scale = where(logical_and(isfinite(most), gt(most, 0.0)), most, 1.0);
    y = power_mean(op, run_map(op, Map::div, {magnitudes, scale}, x.shape()), dims, p, total);
    y = run_map(op, Map::mul, {y, scale}, y.shape());
  }
  return keepdim ? y : reshape(y, reduced_shape(x.shape(), dims, false));
}

Tensor power_norm(const char* op, const Tensor& x, const Dims& dims, const NormOptions& o) {
  if (o.p == 1) return fold_tensor(Fold::sum_abs, x, dims, o.keepdim);
  if (o.p != 0 && !std::isinf(o.p)) return norm_of_powers(op, x, dims, o.p, o.keepdim);
  const Tensor magnitudes = run_map(op, Map::abs, {x}, x.shape());
  if (o.p != 0) return fold_tensor(o.p > 0 ? Fold::max : Fold::min, magnitudes, dims, o.keepdim);
  // The magnitudes are ours to overwrite.
  raw::dispatch_floating(op, x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    T* values = raw::data<T>(magnitudes);
    for (std::int64_t i = 0; i < magnitudes.numel(); ++i) values[i] = values[i] == T(0) ? T(0) : T(1);
  });
  return fold_tensor(Fold::sum, magnitudes, dims, o.keepdim);
}

Tensor norm_gradient(const Vjp& v) {
  const NormOptions& o = v.opt<NormOptions>();
  const Dims dims = dims_of<NormOptions>(v);
  if (o.p == 0) return {};
  const Tensor x = v.input(0), g = keep_dims(v.cotangent(), v.shape(0), dims);
  if (o.p == 1) return g * sign(x);
  // Computed again rather than saved: p = 1 does not read it.
  const Tensor y = norm(x, {.p = o.p, .dim = dims, .keepdim = true}), zero = eq(y, 0.0);
  if (std::isinf(o.p)) {
    const Tensor chosen = eq(abs(x), y);
    const Tensor count = sum(where(chosen, scalar_like(x, 1), 0.0), {.dim = dims, .keepdim = true});
    return where(chosen, g / count, 0.0) * sign(x);
  }
  // Of x / y, which is within 1, rather than of x and y, whose powers may not be within the dtype.
  const Tensor ratio = x / where(zero, 1.0, y);
  if (o.p == 2) return g * ratio;
  // |x|^(p-1) would be infinite at 0 for p < 1, where the gradient is taken as 0.
  const Tensor nonzero = ne(x, 0.0);
  return where(zero, 0.0, g) * sign(x) * pow(where(nonzero, abs(ratio), 1.0), o.p - 1);
}

// --- products ---

/// x with the reduced dimensions last and flat: (kept…, n).
Tensor reduced_last(const Tensor& x, const Dims& dims) {
  Dims order;
  Shape shape;
  for (int i = 0; i < x.rank(); ++i)
    if (!dims.contains(i)) order.push_back(i), shape.push_back(x.shape()[i]);
  for (int i = 0; i < x.rank(); ++i)
    if (dims.contains(i)) order.push_back(i);
  shape.push_back(reduced_count(x.shape(), dims));
  return reshape(permute(x, order), shape);
}

/// Back from (kept…, n) to x's shape.
Tensor reduced_back(const Tensor& rows, const Shape& shape, const Dims& dims) {
  Dims order;
  Shape permuted;
  for (int pass = 0; pass < 2; ++pass)
    for (int i = 0; i < shape.rank(); ++i)
      if (dims.contains(i) == (pass == 1)) order.push_back(i), permuted.push_back(shape[i]);
  Dims inverse = Shape::filled(shape.rank(), 0);
  for (int i = 0; i < order.rank(); ++i) inverse[static_cast<int>(order[i])] = i;
  return permute(reshape(rows, permuted), inverse);
}

/// For each element of a row the product of the others, by halves: those of the left half times the whole right one,
/// and back. No division, so zeros are no special case, at any order.
Tensor products_of_others(const Tensor& rows) {
  const std::int64_t n = rows.shape().back(), half = n / 2;
  if (n == 1) return ones_like(rows);
  const Tensor left = slice(rows, -1, 0, half), right = slice(rows, -1, half, n);
  const ReduceOptions last{.dim = {-1}, .keepdim = true};
  return cat({products_of_others(left) * prod(right, last), products_of_others(right) * prod(left, last)}, -1);
}

// --- positions of extremes ---

template <class T>
void find_extremes(const Axis& axis, const T* x, std::int64_t* out, bool largest) {
  const std::int64_t grain = std::max<std::int64_t>(1, 16384 / std::max<std::int64_t>(1, axis.count));
  parallel_for(axis.outer * axis.inner, grain, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t u = begin; u < end; ++u) {
      const T* column = x + u / axis.inner * axis.count * axis.inner + u % axis.inner;
      std::int64_t best = 0;
      for (std::int64_t j = 1; j < axis.count; ++j) {
        const T a = column[j * axis.inner], b = column[best * axis.inner];
        if (b != b) break;  // the first NaN stays
        if (a != a || (largest ? a > b : a < b)) best = j;
      }
      out[u] = best;
    }
  });
}

OpPtr position_op(const char* name, const char* doc, const char* onnx, bool largest) {
  return define({
      .name = name,
      .doc = doc,
      .inputs = {"x"},
      .options = &options_type<ArgOptions>(),
      .shape_rule = [](const ShapeCall& c) -> Specs {
        const ArgOptions& o = c.opt<ArgOptions>();
        const Shape& x = c[0].shape;
        Dims dims;
        if (o.dim)
          dims.push_back(normalize_dim(c.name(), *o.dim, x.rank()));
        else
          for (int i = 0; i < x.rank(); ++i) dims.push_back(i);
        if (reduced_count(x, dims) == 0)
          fail<ShapeError>(c.name(), "no elements to choose from: x {}, dim {}", x, dims);
        return {{reduced_shape(x, dims, o.keepdim), i64}};
      },
      .forward = [largest](const Call& c) -> Tensors {
        const ArgOptions& o = c.opt<ArgOptions>();
        const Tensor x = raw::contiguous(c[0]), out = c.empty();
        const Axis axis = o.dim ? axis_of(x.shape(), normalize_dim(c.name(), *o.dim, x.rank()))
                                : Axis{1, x.numel(), 1};
        raw::dispatch_all(x.dtype(), [&](auto zero) {
          using T = decltype(zero);
          find_extremes<T>(axis, raw::data<T>(x), raw::data<std::int64_t>(out), largest);
        });
        return {out};
      },
      .onnx = onnx,
      .samples = []() -> std::vector<Sample> {
        std::vector<Sample> samples;
        std::uint64_t seed = 1;
        for (bool keepdim : {false, true})
          for (std::optional<std::int64_t> dim : {std::optional<std::int64_t>(), std::optional<std::int64_t>(0),
                                                  std::optional<std::int64_t>(1), std::optional<std::int64_t>(-1)})
            for (const Shape& shape : {Shape{3, 17}, Shape{2, 4, 33}}) {
              const ArgOptions options{.dim = dim, .keepdim = keepdim};
              samples.push_back({fmt::format("{} {}", shape, to_string(AnyOptions(options))),
                                 {sample_normal(shape, seed++)},
                                 options});
            }
        return samples;
      },
  });
}

}  // namespace

DUET_DEFINE_OP(var, define({
    .name = "var",
    .doc = "The variance over dimensions.",
    .formula = "sum_i (x_i - mean)^2 / (n - 1)",
    .inputs = {"x"},
    .options = &options_type<VarOptions>(),
    .shape_rule = reduce_rule_of<VarOptions>,
    .forward = [](const Call& c) -> Tensors {
      return {variance(c.name(), c[0], dims_of<VarOptions>(c), c.opt<VarOptions>())};
    },
    .vjp = [](const Vjp& v) -> Tensors { return {variance_gradient(v, v.cotangent())}; },
    .saves = {save_input(0)},
    .samples = [] { return samples_of<VarOptions>({{}, {.unbiased = false}, {.correction = 0}}, normal_domain); },
}))

DUET_DEFINE_OP(std, define({
    .name = "std",
    .doc = "The standard deviation over dimensions.",
    .formula = "sqrt(sum_i (x_i - mean)^2 / (n - 1))",
    .inputs = {"x"},
    .options = &options_type<VarOptions>(),
    .shape_rule = reduce_rule_of<VarOptions>,
    .forward = [](const Call& c) -> Tensors {
      const VarOptions& o = c.opt<VarOptions>();
      const Dims dims = dims_of<VarOptions>(c);
      const double factor = std::sqrt(variance_factor(o, reduced_count(c[0].shape(), dims)));
      const Tensor root = norm_of_powers(c.name(), centred(c.name(), c[0], dims), dims, 2, o.keepdim);
      return {run_map(c.name(), Map::mul, {root, Tensor::scalar(factor, {.dtype = root.dtype()})}, root.shape())};
    },
    .vjp = [](const Vjp& v) -> Tensors {
      const Tensor y = v.output(), zero = eq(y, 0.0);
      return {variance_gradient(v, where(zero, 0.0, v.cotangent() * 0.5), where(zero, 1.0, y))};
    },
    .saves = {save_input(0), save_output(0)},
    // Of two elements it is |a - b| / sqrt(2), whose second derivative is zero and says nothing.
    .samples = [] { return samples_of<VarOptions>({{}, {.unbiased = false}}, normal_domain, {3, 3, 2, 3}); },
}))

DUET_DEFINE_OP(norm, define({
    .name = "norm",
    .doc = "The p-norm over dimensions.",
    .formula = "(sum_i |x_i|^p)^(1/p)",
    .inputs = {"x"},
    .options = &options_type<NormOptions>(),
    .shape_rule = [](const ShapeCall& c) -> Specs {
      if (std::isnan(c.opt<NormOptions>().p)) fail<ValueError>(c.name(), "p must be a number, got NaN");
      return reduce_rule_of<NormOptions>(c);
    },
    .forward = [](const Call& c) -> Tensors {
      return {power_norm(c.name(), c[0], dims_of<NormOptions>(c), c.opt<NormOptions>())};
    },
    .vjp = [](const Vjp& v) -> Tensors { return {norm_gradient(v)}; },
    .saves = {save_input(0)},
    .onnx = "ReduceL2",
    .samples = [] {
      return samples_of<NormOptions>({{}, {.p = 1}, {.p = 3}, {.p = INFINITY}, {.p = -INFINITY}}, off_zero_domain);
    },
}))

DUET_DEFINE_OP(logsumexp, define({
    .name = "logsumexp",
    .doc = "The logarithm of a sum of exponentials over dimensions.",
    .formula = "log sum_i e^x_i",
    .inputs = {"x"},
    .options = &options_type<ReduceOptions>(),
    .shape_rule = reduce_rule_of<ReduceOptions>,
    .forward = [](const Call& c) -> Tensors {
      const Dims dims = dims_of<ReduceOptions>(c);
      const Tensor rows = rows_of(c[0], dims), out = c.empty();
      const std::int64_t count = reduced_count(c[0].shape(), dims);
      raw::dispatch_floating(c.name(), out.dtype(), [&](auto zero) {
        using T = decltype(zero);
        kernels::log_sum_exp<T>(out.numel(), count, 1, raw::data<T>(rows), raw::data<T>(out));
      });
      return {out};
    },
    .vjp = [](const Vjp& v) -> Tensors {
      const Dims dims = dims_of<ReduceOptions>(v);
      // The softmax, from the maximum rather than from the output: rounded to f32, an output of 1e4 is off by 5e-4.
      if (v.shape(0).numel() == 0) return {Tensor()};
      const Tensor x = v.input(0), most = amax(x.detach(), {.dim = dims, .keepdim = true});
      const Tensor powers = exp(x - where(isfinite(most), most, 0.0));
      return {keep_dims(v.cotangent(), v.shape(0), dims) * (powers / sum(powers, {.dim = dims, .keepdim = true}))};
    },
    .saves = {save_input(0)},
    .onnx = "ReduceLogSumExp",
    .samples = [] { return samples_of<ReduceOptions>({{}, {}}, normal_domain); },
}))

DUET_DEFINE_OP(prod, define({
    .name = "prod",
    .doc = "The product over dimensions.",
    .formula = "prod_i x_i",
    .inputs = {"x"},
    .options = &options_type<ReduceOptions>(),
    .shape_rule = reduce_rule_of<ReduceOptions>,
    .forward = [](const Call& c) -> Tensors {
      return {fold_tensor(Fold::prod, c[0], dims_of<ReduceOptions>(c), c.opt<ReduceOptions>().keepdim)};
    },
    .vjp = [](const Vjp& v) -> Tensors {
      const Dims dims = dims_of<ReduceOptions>(v);
      if (v.shape(0).numel() == 0) return {};
      const Tensor others = reduced_back(products_of_others(reduced_last(v.input(0), dims)), v.shape(0), dims);
      return {keep_dims(v.cotangent(), v.shape(0), dims) * others};
    },
    .saves = {save_input(0)},
    .onnx = "ReduceProd",
    .samples = []() -> std::vector<Sample> {
      std::vector<Sample> samples;
      std::uint64_t seed = 1;
      for (bool keepdim : {false, true})
        for (const Dims& dims : {Dims{}, Dims{0}, Dims{1}, Dims{-1}, Dims{0, 2}, Dims{1, 2}}) {
          const Tensor x = sample_uniform({2, 3, 2}, 0.5, 1.5, seed++);
          // One zero, then two: their derivatives are no special case.
          if (seed % 3 > 0) raw::data<double>(x)[1] = 0;
          if (seed % 3 > 1) raw::data<double>(x)[4] = 0;
          const ReduceOptions options{.dim = dims, .keepdim = keepdim};
          samples.push_back({to_string(AnyOptions(options)), {x}, options});
        }
      samples.push_back({"a row of 17", {sample_uniform({2, 17}, 0.7, 1.3, 90)}, ReduceOptions{.dim = {1}}});
      return samples;
    },
}))

DUET_DEFINE_OP(cumsum, define({
    .name = "cumsum",
    .doc = "Running sums along a dimension.",
    .formula = "y_i = sum_{j <= i} x_j",
    .inputs = {"x"},
    .options = &options_type<CumsumOptions>(),
    .shape_rule = [](const ShapeCall& c) -> Specs {
      normalize_dim(c.name(), c.opt<CumsumOptions>().dim, c[0].shape.rank());
      require_floating(c);
      return {c[0]};
    },
    .forward = [](const Call& c) -> Tensors {
      const CumsumOptions& o = c.opt<CumsumOptions>();
      const Tensor x = raw::contiguous(c[0]), out = c.empty();
      const Axis axis = axis_of(x.shape(), normalize_dim(c.name(), o.dim, x.rank()));
      raw::dispatch_floating(c.name(), x.dtype(), [&](auto zero) {
        using T = decltype(zero);
        const std::int64_t grain = std::max<std::int64_t>(1, 16384 / std::max<std::int64_t>(1, axis.count));
        parallel_for(axis.outer * axis.inner, grain, [&](std::int64_t begin, std::int64_t end) {
          for (std::int64_t u = begin; u < end; ++u) {
            const std::int64_t first = u / axis.inner * axis.count * axis.inner + u % axis.inner;
            double total = 0;
            for (std::int64_t j = 0; j < axis.count; ++j) {
              const std::int64_t at = first + (o.reverse ? axis.count - 1 - j : j) * axis.inner;
              total += static_cast<double>(raw::data<T>(x)[at]);
              raw::data<T>(out)[at] = static_cast<T>(total);
            }
          }
        });
      });
      return {out};
    },
    .vjp = [](const Vjp& v) -> Tensors {
      const CumsumOptions& o = v.opt<CumsumOptions>();
      return {cumsum(v.cotangent(), {.dim = o.dim, .reverse = !o.reverse})};
    },
    .linear = {0},
    .onnx = "CumSum",
    .samples = []() -> std::vector<Sample> {
      std::vector<Sample> samples;
      std::uint64_t seed = 1;
      for (bool reverse : {false, true})
        for (const auto& [shape, dim] : {std::pair<Shape, std::int64_t>{{2, 3, 4}, 0}, {{2, 3, 4}, 1}, {{2, 3, 4}, -1},
                                         {{17, 2}, 0}, {{33}, 0}, {{1, 5}, 0}}) {
          const CumsumOptions options{.dim = dim, .reverse = reverse};
          samples.push_back({fmt::format("{} {}", shape, to_string(AnyOptions(options))), {sample_normal(shape, seed++)}, options});
        }
      return samples;
    },
}))

DUET_DEFINE_OP(argmax, position_op("argmax", "Where the first largest element lies.", "ArgMax", true))
DUET_DEFINE_OP(argmin, position_op("argmin", "Where the first smallest element lies.", "ArgMin", false))

Tensor var(const Tensor& x, const VarOptions& options) { return apply1(var_op(), {x}, options); }
Tensor std(const Tensor& x, const VarOptions& options) { return apply1(std_op(), {x}, options); }
Tensor norm(const Tensor& x, const NormOptions& options) { return apply1(norm_op(), {x}, options); }
Tensor logsumexp(const Tensor& x, const ReduceOptions& options) { return apply1(logsumexp_op(), {x}, options); }
Tensor prod(const Tensor& x, const ReduceOptions& options) { return apply1(prod_op(), {x}, options); }
Tensor cumsum(const Tensor& x, const CumsumOptions& options) { return apply1(cumsum_op(), {x}, options); }
Tensor argmax(const Tensor& x, const ArgOptions& options) { return apply1(argmax_op(), {x}, options); }
Tensor argmin(const Tensor& x, const ArgOptions& options) { return apply1(argmin_op(), {x}, options); }

}  // namespace duet
