// Sums, means, extremes: reductions that are one fold, and the folding of tensors that all reductions use. Those
// derived from several folds are in reduce_statistics.cpp.
#include <duet/ops/reduce.hpp>

#include <duet/ops/compare.hpp>
#include <duet/ops/elementwise.hpp>
#include <duet/ops/elementwise_rules.hpp>
#include <duet/ops/reduce_rules.hpp>
#include <duet/ops/shape.hpp>

namespace duet {

using kernels::Fold;

Shape reduced_shape(const Shape& shape, const Dims& dims, bool keepdim) {
  Shape result;
  for (int i = 0; i < shape.rank(); ++i) {
    if (!dims.contains(i))
      result.push_back(shape[i]);
    else if (keepdim)
      result.push_back(1);
  }
  return result;
}

Tensor keep_dims(const Tensor& reduced, const Shape& x, const Dims& dims) {
  const Shape kept = reduced_shape(x, dims, true);
  return reduced.shape() == kept ? reduced : reshape(reduced, kept);
}

std::int64_t reduced_count(const Shape& shape, const Dims& dims) {
  Shape reduced;
  for (int i = 0; i < shape.rank(); ++i)
    if (dims.contains(i)) reduced.push_back(shape[i]);
  return reduced.numel();
}

Tensor rows_of(const Tensor& x, const Dims& dims) {
  Shape shape, strides;
  for (int pass = 0; pass < 2; ++pass)
    for (int i = 0; i < x.rank(); ++i)
      if (dims.contains(i) == (pass == 1)) {
        shape.push_back(x.shape()[i]);
        strides.push_back(x.strides()[i]);
      }
  return raw::contiguous(raw::view(x, shape, strides));
}

Axis axis_of(const Shape& shape, int dim) {
  Axis axis;
  for (int i = 0; i < shape.rank(); ++i) (i < dim ? axis.outer : i == dim ? axis.count : axis.inner) *= shape[i];
  return axis;
}

Tensor fold_tensor(Fold fold, const Tensor& x, const Dims& dims, bool keepdim, double scale) {
  Tensor from = raw::contiguous(x);
  Shape sizes = from.shape();
  const Shape target = reduced_shape(sizes, dims, keepdim);
  // Neighbouring reduced dimensions are one axis; from the last to the first, each pass folds one.
  int end = sizes.rank();
  bool first_pass = true;
  while (end > 0 || first_pass) {
    while (end > 0 && !dims.contains(end - 1)) --end;
    int begin = end;
    while (begin > 0 && dims.contains(begin - 1)) --begin;
    bool more = false;
    for (int i = 0; i < begin; ++i) more = more || dims.contains(i);
    if (begin == end && !first_pass) break;
    Axis axis;
    for (int i = 0; i < sizes.rank(); ++i)
      (i < begin ? axis.outer : i < end ? axis.count : axis.inner) *= sizes[i];
    for (int i = begin; i < end; ++i) sizes[i] = 1;
    Tensor out = Tensor::empty(more ? sizes : target, {.dtype = x.dtype()});
    raw::dispatch_floating("reduce", x.dtype(), [&](auto zero) {
      using T = decltype(zero);
      kernels::reduce<T>(fold, axis.outer, axis.count, axis.inner, raw::data<T>(from), raw::data<T>(out),
                         more ? 1 : scale);
    });
    from = out;
    // What remains are sums of sums.
    if (fold == Fold::sum_square || fold == Fold::sum_abs) fold = Fold::sum;
    first_pass = false;
    end = begin;
  }
  return from;
}

namespace {

Dims dims_of(const Vjp& v) { return normalize_dims(v.name(), v.opt<ReduceOptions>().dim, v.shape(0).rank()); }
Dims dims_of(const Call& c) { return normalize_dims(c.name(), c.opt<ReduceOptions>().dim, c[0].rank()); }

Specs reduce_rule(const ShapeCall& call) {
  const ReduceOptions& o = call.opt<ReduceOptions>();
  const Dims dims = normalize_dims(call.name(), o.dim, call[0].shape.rank());
  return {{reduced_shape(call[0].shape, dims, o.keepdim), call[0].dtype}};
}

/// Integers in any order of magnitude add up in i64.
template <class T, class R, class F>
void fold_integers(const Tensor& x, const Dims& dims, const Tensor& out, R start, F join) {
  const Tensor rows = rows_of(x, dims);
  const std::int64_t count = reduced_count(x.shape(), dims);
  const T* from = raw::data<T>(rows);
  R* to = raw::data<R>(out);
  for (std::int64_t i = 0; i < out.numel(); ++i) {
    R total = start;
    for (std::int64_t j = 0; j < count; ++j) total = join(total, from[i * count + j]);
    to[i] = total;
  }
}

std::vector<Sample> reduce_samples() {
  const Shape x{2, 3, 4, 2};
  std::vector<Sample> samples;
  std::uint64_t seed = 1;
  for (const Dims& dims : {Dims{}, Dims{0}, Dims{1}, Dims{-1}, Dims{0, 2}, Dims{1, 2, 3}})
    for (bool keepdim : {false, true}) {
      const ReduceOptions options{.dim = dims, .keepdim = keepdim};
      samples.push_back({fmt::format("{} {}", x, to_string(AnyOptions(options))), {sample_normal(x, seed++)}, options});
    }
  samples.push_back({"channels of a batch", {sample_normal({2, 17, 3}, 90)}, ReduceOptions{.dim = {0, 2}}});
  samples.push_back({"a row of 33", {sample_normal({3, 33}, 91)}, ReduceOptions{.dim = {1}}});
  samples.push_back({"a scalar", {sample_normal({}, 92)}, ReduceOptions{}});
  return samples;
}

/// amax and amin.
OpPtr extreme_op(const char* name, const char* doc, const char* formula, const char* onnx, Fold fold) {
  return define({
      .name = name,
      .doc = doc,
      .formula = formula,
      .inputs = {"x"},
      .options = &options_type<ReduceOptions>(),
      .shape_rule = [](const ShapeCall& c) -> Specs {
        require_floating(c);
        const Dims dims = normalize_dims(c.name(), c.opt<ReduceOptions>().dim, c[0].shape.rank());
        if (reduced_count(c[0].shape, dims) == 0)
          fail<ShapeError>(c.name(), "no elements to choose from: x {}, dim {}", c[0].shape, dims);
        return reduce_rule(c);
      },
      .forward = [fold](const Call& c) -> Tensors {
        return {fold_tensor(fold, c[0], dims_of(c), c.opt<ReduceOptions>().keepdim)};
      },
      .vjp = [](const Vjp& v) -> Tensors {
        const Dims dims = dims_of(v);
        const Tensor chosen = eq(v.input(0), keep_dims(v.output(), v.shape(0), dims));
        const Tensor one = scalar_like(v.cotangent(), 1);
        const Tensor count = sum(where(chosen, one, 0.0), {.dim = dims, .keepdim = true});
        return {where(chosen, keep_dims(v.cotangent(), v.shape(0), dims) / count, 0.0)};
      },
      .saves = {save_input(0), save_output(0)},
      .onnx = onnx,
      .samples = reduce_samples,
  });
}

OpPtr truth_op(const char* name, const char* doc, bool every) {
  return define({
      .name = name,
      .doc = doc,
      .inputs = {"x"},
      .options = &options_type<ReduceOptions>(),
      .shape_rule = [](const ShapeCall& c) -> Specs { return {{reduce_rule(c)[0].shape, u8}}; },
      .forward = [every](const Call& c) -> Tensors {
        const Tensor out = c.empty();
        raw::dispatch_all(c[0].dtype(), [&](auto zero) {
          using T = decltype(zero);
          fold_integers<T, std::uint8_t>(c[0], dims_of(c), out, every ? 1 : 0, [every](std::uint8_t so_far, T x) {
            return static_cast<std::uint8_t>(every ? so_far && x != T(0) : so_far || x != T(0));
          });
        });
        return {out};
      },
      .samples = reduce_samples,
  });
}

}  // namespace

DUET_DEFINE_OP(sum, define({
    .name = "sum",
    .doc = "The sum over dimensions.",
    .formula = "sum_i x_i",
    .inputs = {"x"},
    .options = &options_type<ReduceOptions>(),
    .shape_rule = [](const ShapeCall& c) -> Specs {
      Specs specs = reduce_rule(c);
      if (!is_floating(specs[0].dtype)) specs[0].dtype = i64;
      return specs;
    },
    .forward = [](const Call& c) -> Tensors {
      const Dims dims = dims_of(c);
      if (is_floating(c[0].dtype())) return {fold_tensor(Fold::sum, c[0], dims, c.opt<ReduceOptions>().keepdim)};
      const Tensor out = c.empty();
      const auto add_up = [](std::int64_t a, auto b) {
        return static_cast<std::int64_t>(static_cast<std::uint64_t>(a) + static_cast<std::uint64_t>(b));
      };
      if (c[0].dtype() == i64)
        fold_integers<std::int64_t, std::int64_t>(c[0], dims, out, 0, add_up);
      else
        fold_integers<std::uint8_t, std::int64_t>(c[0], dims, out, 0, add_up);
      return {out};
    },
    .vjp = [](const Vjp& v) -> Tensors {
      return {expand(keep_dims(v.cotangent(), v.shape(0), dims_of(v)), v.shape(0))};
    },
    .linear = {0},
    .onnx = "ReduceSum",
    .samples = reduce_samples,
}))

DUET_DEFINE_OP(mean, define({
    .name = "mean",
    .doc = "The mean over dimensions.",
    .formula = "(1/n) sum_i x_i",
    .inputs = {"x"},
    .options = &options_type<ReduceOptions>(),
    .shape_rule = [](const ShapeCall& c) -> Specs {
      require_floating(c);
      return reduce_rule(c);
    },
    .forward = [](const Call& c) -> Tensors {
      const Dims dims = dims_of(c);
      return {fold_tensor(Fold::sum, c[0], dims, c.opt<ReduceOptions>().keepdim,
                          1.0 / static_cast<double>(reduced_count(c[0].shape(), dims)))};
    },
    .vjp = [](const Vjp& v) -> Tensors {
      const Dims dims = dims_of(v);
      const Tensor g = v.cotangent() * (1.0 / static_cast<double>(reduced_count(v.shape(0), dims)));
      return {expand(keep_dims(g, v.shape(0), dims), v.shape(0))};
    },
    .linear = {0},
    .onnx = "ReduceMean",
    .samples = reduce_samples,
}))

DUET_DEFINE_OP(amax, extreme_op("amax", "The largest element over dimensions.", "max_i x_i", "ReduceMax", Fold::max))
DUET_DEFINE_OP(amin, extreme_op("amin", "The smallest element over dimensions.", "min_i x_i", "ReduceMin", Fold::min))
DUET_DEFINE_OP(all, truth_op("all", "Whether all elements over dimensions are not 0.", true))
DUET_DEFINE_OP(any, truth_op("any", "Whether any element over dimensions is not 0.", false))

Tensor sum(const Tensor& x, const ReduceOptions& options) { return apply1(sum_op(), {x}, options); }
Tensor mean(const Tensor& x, const ReduceOptions& options) { return apply1(mean_op(), {x}, options); }
Tensor amax(const Tensor& x, const ReduceOptions& options) { return apply1(amax_op(), {x}, options); }
Tensor amin(const Tensor& x, const ReduceOptions& options) { return apply1(amin_op(), {x}, options); }
Tensor all(const Tensor& x, const ReduceOptions& options) { return apply1(all_op(), {x}, options); }
Tensor any(const Tensor& x, const ReduceOptions& options) { return apply1(any_op(), {x}, options); }

}  // namespace duet
