// Layer and RMS normalisation: statistics of trailing dimensions, and a weight for each of their elements.
#include <duet/ops/elementwise.hpp>
#include <duet/ops/norm.hpp>
#include <duet/ops/norm_core.hpp>
#include <duet/ops/reduce.hpp>
#include <duet/ops/shape.hpp>

namespace duet {

using kernels::NormGeometry;

namespace {

/// x as rows of normalized_shape: (outer, 1, inner) with one group.
NormGeometry layer_geometry(const char* op, const Shape& x, const Shape& normalized) {
  const int leading = x.rank() - normalized.rank();
  bool fits = !normalized.empty() && leading >= 0;
  for (int i = 0; i < normalized.rank() && fits; ++i) fits = x[leading + i] == normalized[i];
  if (!fits) fail<ShapeError>(op, "x {} does not end in normalized_shape {}", x, normalized);
  NormGeometry geometry{.batch = 1, .channels = 1, .length = 1, .groups = 1};
  for (int i = 0; i < x.rank(); ++i) (i < leading ? geometry.batch : geometry.length) *= x[i];
  return geometry;
}

Specs layer_rule(const ShapeCall& c) {
  const Dtype dtype = require_floating(c);
  const Shape& normalized = c.opt<LayerNormOptions>().normalized_shape;
  const NormGeometry geometry = layer_geometry(c.name(), c[0].shape, normalized);
  for (int i = 1; i <= 2; ++i)
    if (c.has(i) && c[i].shape != normalized)
      fail<ShapeError>(c.name(), "{} needs normalized_shape {}, got {}", input_name(c.op, i), normalized, c[i].shape);
  const TensorSpec statistics{{geometry.batch, 1}, dtype};
  return {c[0], statistics, statistics};
}

Tensors layer_forward(const Call& c) {
  const LayerNormOptions& o = c.opt<LayerNormOptions>();
  const NormGeometry geometry = layer_geometry(c.name(), c[0].shape(), o.normalized_shape);
  const Tensor x = raw::contiguous(c[0]), out = c.empty();
  const GroupStatistics statistics = group_statistics(geometry, x, o.eps);
  const auto by_element = [&](int i, double absent) {
    if (c.has(i)) return raw::contiguous(c[i]);
    Tensor same = Tensor::empty({geometry.length}, {.dtype = x.dtype()});
    raw::fill(same, absent);
    return same;
  };
  const Tensor weight = by_element(1, 1), bias = by_element(2, 0);
  raw::dispatch_floating(c.name(), x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    kernels::norm_affine_by_element<T>(geometry, raw::data<T>(x), statistics.mean.data(), statistics.inverse_deviation.data(),
                                       raw::data<T>(weight), raw::data<T>(bias), raw::data<T>(out));
  });
  return {out, from_doubles(statistics.mean, c.spec(1)), from_doubles(statistics.inverse_deviation, c.spec(2))};
}

/// The sum over the dimensions in front of normalized_shape.
Tensor leading_sum(const Tensor& x, const Shape& normalized) {
  Dims dims;
  for (int i = 0; i < x.rank() - normalized.rank(); ++i) dims.push_back(i);
  return dims.empty() ? x : sum(x, {.dim = dims});
}

Tensors layer_vjp(const Vjp& v) {
  const LayerNormOptions& o = v.opt<LayerNormOptions>();
  Tensors result(static_cast<std::size_t>(v.count()));
  const Tensor& g = v.cotangent();
  if (!g.defined()) return result;
  if (v.needs(0)) {
    const NormGeometry geometry = layer_geometry(v.name(), v.shape(0), o.normalized_shape);
    const Shape rows{geometry.batch, 1, geometry.length};
    const Tensor h = v.has_input(1) ? g * v.input(1) : g;
    result[0] = reshape(normalize_backward(reshape(h, rows), reshape(v.input(0), rows), {}, v.output(1), v.output(2),
                                           {.num_groups = 1, .eps = o.eps}).x,
                        v.shape(0));
  }
  if (v.needs(1)) result[1] = leading_sum(g * layer_norm(v.input(0), {}, {}, o), o.normalized_shape);
  if (v.needs(2)) result[2] = leading_sum(g, o.normalized_shape);
  return result;
}

Sample layer_sample(const char* name, const Shape& x, const Shape& normalized, bool affine, std::uint64_t seed, double eps = 1e-5) {
  return {name,
          {sample_normal(x, seed), affine ? sample_uniform(normalized, 0.5, 1.5, seed + 1) : Tensor(),
           affine ? sample_normal(normalized, seed + 2) : Tensor()},
          LayerNormOptions{normalized, eps}};
}

}  // namespace

const OpPtr& layer_norm_op() {
  static const OpPtr op = define({
      .name = "layer_norm",
      .doc = "Normalises over the trailing dimensions, with a weight and a bias for each of their elements.",
      .formula = "(x - mean) / sqrt(var + eps) * weight + bias",
      .inputs = {"x", "weight?", "bias?"},
      .options = &options_type<LayerNormOptions>(),
      .shape_rule = layer_rule,
      .forward = layer_forward,
      .vjp = layer_vjp,
      .saves = {save_input(0, {0, 1}), save_input(1, {0}), save_output(1, {0}), save_output(2, {0})},
      .constant_outputs = {1, 2},
      .onnx = "LayerNormalization",
      .source = "Ba, Kiros and Hinton 2016",
      .samples = []() -> std::vector<Sample> {
        return {layer_sample("last", {2, 3, 5}, {5}, true, 1),
                layer_sample("last_plain", {2, 3, 5}, {5}, false, 11),
                layer_sample("two", {2, 3, 5}, {3, 5}, true, 21),
                layer_sample("two_plain", {2, 3, 5}, {3, 5}, false, 31),
                layer_sample("whole", {3, 4}, {3, 4}, true, 41),
                layer_sample("vector", {6}, {6}, true, 51),
                layer_sample("eps", {3, 4}, {4}, true, 61, 1e-1),
                layer_sample("width", {2, 33}, {33}, true, 71),
                layer_sample("channels", {17, 4}, {4}, true, 81),
                layer_sample("odd", {2, 17}, {17}, true, 91),
                layer_sample("four", {2, 2, 3, 4}, {3, 4}, true, 101),
                layer_sample("one_row", {1, 7}, {7}, false, 111)};
      },
  });
  return op;
}

Tensor layer_norm(const Tensor& x, const Tensor& weight, const Tensor& bias, const LayerNormOptions& options) {
  return apply1(layer_norm_op(), {x, weight, bias}, options);
}

Tensor rms_norm(const Tensor& x, const Tensor& weight, const LayerNormOptions& options) {
  if (!x.defined()) fail<ValueError>("rms_norm", "x is undefined");
  const NormGeometry geometry = layer_geometry("rms_norm", x.shape(), options.normalized_shape);
  if (weight.defined() && weight.shape() != options.normalized_shape)
    fail<ShapeError>("rms_norm", "weight needs normalized_shape {}, got {}", options.normalized_shape, weight.shape());
  const Tensor rows = reshape(x, {geometry.batch, geometry.length});
  const Tensor scaled = rows * rsqrt(mean(square(rows), {.dim = {1}, .keepdim = true}) + options.eps);
  const Tensor y = reshape(scaled, x.shape());
  return weight.defined() ? y * weight : y;
}

}  // namespace duet
