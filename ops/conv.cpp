// The triple as ops. Its table of derivatives is closed; d is the cotangent, what arrives at the op's output:
//
//     op                    by its first input    by its second input
//     conv(x, w)            conv_transpose(d, w)  conv_weight(x, d)
//     conv_transpose(y, w)  conv(d, w)            conv_weight(d, y)
//     conv_weight(x, y)     conv_transpose(y, d)  conv(x, d)
//
// with the geometry handed on unchanged, and a bias differentiates to a sum. make_conv, make_transpose and make_weight
// below are these three lines; everything else here is shapes.
//
// x is always the large side and y the small one, as in T (ops/conv.hpp). To its users conv_transpose calls its input
// x, as everybody does, so that the "x" of its OpDef is T's y. A variable g is a geometry.
#include <duet/ops/conv.hpp>

#include <duet/ops/conv_samples.hpp>  // ConvCall and its sisters: a user's options, or a geometry
#include <duet/ops/define.hpp>
#include <duet/ops/kernels/conv.hpp>
#include <duet/ops/reduce.hpp>
#include <duet/ops/shape.hpp>

namespace duet {
namespace {

template <int N>
constexpr const char* conv_name = N == 1 ? "conv1d" : N == 2 ? "conv2d" : "conv3d";
template <int N>
constexpr const char* transpose_name = N == 1 ? "conv_transpose1d" : N == 2 ? "conv_transpose2d" : "conv_transpose3d";
template <int N>
constexpr const char* weight_name = N == 1 ? "conv1d_weight" : N == 2 ? "conv2d_weight" : "conv3d_weight";

// Geometries.

/// The geometry of a call whose inputs have shapes a and b: the one that it carries, or what its options come to.
template <int N>
ConvGeometry geometry_of(const ConvCall<N>& call, const Shape& a, const Shape& b) {
  return call.geometry ? *call.geometry : conv_geometry<N>(conv_name<N>, a, b, call.options);
}
template <int N>
ConvGeometry geometry_of(const ConvTransposeCall<N>& call, const Shape& a, const Shape& b) {
  return call.geometry ? *call.geometry : conv_transpose_geometry<N>(transpose_name<N>, a, b, call.options);
}
/// The weight op's tensors give both sides; options give how they are joined, and must be able to give y's size.
template <int N>
ConvGeometry geometry_of(const ConvWeightCall<N>& call, const Shape& x, const Shape& y) {
  if (call.geometry) return *call.geometry;
  const char* op = weight_name<N>;
  if (y.rank() != N + 2) fail<ShapeError>(op, "y needs {} dimensions, got {}", N + 2, y);
  if (x.rank() == N + 2 && call.options.groups >= 1 && x[1] % call.options.groups != 0)
    fail<ShapeError>(op, "groups {} must divide the {} channels of x {}", call.options.groups, x[1], x);
  Shape weight{y[1], x.rank() < 2 || call.options.groups < 1 ? 0 : x[1] / call.options.groups};
  for (int i = 0; i < N; ++i) weight.push_back(call.kernel_size[i]);
  const ConvGeometry geometry = conv_geometry<N>(op, x, weight, call.options);
  if (geometry.small_shape(x[0]) != y)
    fail<ShapeError>(op, "y {} is not what conv of x {} with kernel {} gives, which is {}", y, x,
                     Shape(std::span<const std::int64_t>(Extent<N>(call.kernel_size).data(), N)),
                     geometry.small_shape(x[0]));
  return geometry;
}

// Shape rules: whichever way the geometry came, the tensors must have its shapes.

void require_shape(const ShapeCall& call, int i, const Shape& wanted) {
  if (call[i].shape != wanted)
    fail<ShapeError>(call.name(), "{} must be {}, got {}", input_name(call.op, i), wanted, call[i].shape);
}

std::int64_t batch_of(const ShapeCall& call) {
  if (call[0].shape.empty()) fail<ShapeError>(call.name(), "{} is a scalar", input_name(call.op, 0));
  return call[0].shape[0];
}

template <int N>
Specs conv_rule(const ShapeCall& c) {
  const Dtype dtype = require_floating(c);
  const ConvGeometry g = geometry_of(c.opt<ConvCall<N>>(), c[0].shape, c[1].shape);
  g.validate(c.name());
  const std::int64_t batch = batch_of(c);
  require_shape(c, 0, g.large_shape(batch));
  require_shape(c, 1, g.weight_shape());
  if (c.has(2)) require_shape(c, 2, {g.small_channels});
  return {{g.small_shape(batch), dtype}};
}

template <int N>
Specs transpose_rule(const ShapeCall& c) {
  const Dtype dtype = require_floating(c);
  const ConvGeometry g = geometry_of(c.opt<ConvTransposeCall<N>>(), c[0].shape, c[1].shape);
  g.validate(c.name());
  const std::int64_t batch = batch_of(c);
  require_shape(c, 0, g.small_shape(batch));
  require_shape(c, 1, g.weight_shape());
  if (c.has(2)) require_shape(c, 2, {g.large_channels});
  return {{g.large_shape(batch), dtype}};
}

template <int N>
Specs weight_rule(const ShapeCall& c) {
  const Dtype dtype = require_floating(c);
  const ConvGeometry g = geometry_of(c.opt<ConvWeightCall<N>>(), c[0].shape, c[1].shape);
  g.validate(c.name());
  const std::int64_t batch = batch_of(c);
  require_shape(c, 0, g.large_shape(batch));
  require_shape(c, 1, g.small_shape(batch));
  return {{g.weight_shape(), dtype}};
}

// Forward, and the one derivative that is not of the triple.

/// Dense inputs and the geometry, handed to one of the three kernels.
template <class Options, class Kernel>
Tensors run(const Call& c, Kernel kernel) {
  const ConvGeometry g = geometry_of(c.opt<Options>(), c[0].shape(), c[1].shape());
  const Tensor a = raw::contiguous(c[0]), b = raw::contiguous(c[1]);
  const Tensor bias = c.has(2) ? raw::contiguous(c[2]) : Tensor();
  const Tensor out = c.empty();
  raw::dispatch_floating(c.name(), out.dtype(), [&](auto zero) {
    using T = decltype(zero);
    kernel(g, a.shape()[0], raw::data<T>(a), raw::data<T>(b), bias.defined() ? raw::data<T>(bias) : nullptr,
           raw::data<T>(out));
  });
  return {out};
}

/// The gradient by the bias: what reaches each channel.
Tensor channel_sum(const Tensor& gradient) {
  Dims dims{0};
  for (int i = 2; i < gradient.rank(); ++i) dims.push_back(i);
  return sum(gradient, {.dim = dims});
}

}  // namespace

// The ops. The ranks differ in names alone, so each is written once, for N spatial axes. First the three as functions
// of a call that carries options or a geometry: what the public functions call, and what the derivatives call.

template <int N>
Tensor conv_primitive(const Tensor& x, const Tensor& w, const Tensor& bias, const ConvCall<N>& call);
template <int N>
Tensor transpose_primitive(const Tensor& y, const Tensor& w, const Tensor& bias, const ConvTransposeCall<N>& call);
template <int N>
Tensor weight_primitive(const Tensor& x, const Tensor& y, const ConvWeightCall<N>& call);

namespace {

template <int N>
OpPtr make_conv() {
  return define({
      .name = conv_name<N>,
      .doc = "Cross-correlates x with weight: T differentiated by its small side.",
      .formula = "y[n,k,s] = bias[k] + sum_{c,t} x[n, c, s*stride - padding + t*dilation] * weight[k,c,t]",
      .inputs = {"x", "weight", "bias?"},
      .options = &options_type<ConvCall<N>>(),
      .shape_rule = conv_rule<N>,
      .forward = [](const Call& c) {
        return run<ConvCall<N>>(c, [](auto&&... args) { kernels::conv(args...); });
      },
      .vjp = [](const Vjp& v) -> Tensors {
        const ConvGeometry g = geometry_of(v.opt<ConvCall<N>>(), v.shape(0), v.shape(1));
        const Tensor& cotangent = v.cotangent();
        return {v.needs(0) ? transpose_primitive<N>(cotangent, v.input(1), {}, {.geometry = g}) : Tensor(),
                v.needs(1) ? weight_primitive<N>(v.input(0), cotangent, {.geometry = g}) : Tensor(),
                v.needs(2) ? channel_sum(cotangent) : Tensor()};
      },
      .saves = {save_input(0, {1}), save_input(1, {0})},
      .linear = {0, 1},
      .dual = transpose_name<N>,
      .onnx = "Conv",
      .source = "Dumoulin and Visin 2016, arXiv:1603.07285",
      .samples = conv_samples<N>,
  });
}

template <int N>
OpPtr make_transpose() {
  return define({
      .name = transpose_name<N>,
      .doc = "Scatters x through weight: T differentiated by its large side, the adjoint of conv.",
      .formula = "y[n,c,l] = bias[c] + sum of x[n,k,s] * weight[k,c,t] over l = s*stride - padding + t*dilation",
      .inputs = {"x", "weight", "bias?"},
      .options = &options_type<ConvTransposeCall<N>>(),
      .shape_rule = transpose_rule<N>,
      .forward = [](const Call& c) {
        return run<ConvTransposeCall<N>>(c, [](auto&&... args) { kernels::conv_transpose(args...); });
      },
      .vjp = [](const Vjp& v) -> Tensors {
        const ConvGeometry g = geometry_of(v.opt<ConvTransposeCall<N>>(), v.shape(0), v.shape(1));
        const Tensor& cotangent = v.cotangent();
        return {v.needs(0) ? conv_primitive<N>(cotangent, v.input(1), {}, {.geometry = g}) : Tensor(),
                v.needs(1) ? weight_primitive<N>(cotangent, v.input(0), {.geometry = g}) : Tensor(),
                v.needs(2) ? channel_sum(cotangent) : Tensor()};
      },
      .saves = {save_input(0, {1}), save_input(1, {0})},
      .linear = {0, 1},
      .dual = conv_name<N>,
      .onnx = "ConvTranspose",
      .source = "Dumoulin and Visin 2016, arXiv:1603.07285",
      .samples = conv_transpose_samples<N>,
  });
}

template <int N>
OpPtr make_weight() {
  return define({
      .name = weight_name<N>,
      .doc = "Correlates the two sides of a convolution: T differentiated by its weight.",
      .formula = "w[k,c,t] = sum_{n,s} x[n, c, s*stride - padding + t*dilation] * y[n,k,s]",
      .inputs = {"x", "y"},
      .options = &options_type<ConvWeightCall<N>>(),
      .shape_rule = weight_rule<N>,
      .forward = [](const Call& c) {
        return run<ConvWeightCall<N>>(c, [](const ConvGeometry& g, std::int64_t batch, const auto* x, const auto* y,
                                            const auto*, auto* w) { kernels::conv_weight(g, batch, x, y, w); });
      },
      .vjp = [](const Vjp& v) -> Tensors {
        const ConvGeometry g = geometry_of(v.opt<ConvWeightCall<N>>(), v.shape(0), v.shape(1));
        const Tensor& cotangent = v.cotangent();
        return {v.needs(0) ? transpose_primitive<N>(v.input(1), cotangent, {}, {.geometry = g}) : Tensor(),
                v.needs(1) ? conv_primitive<N>(v.input(0), cotangent, {}, {.geometry = g}) : Tensor()};
      },
      .saves = {save_input(0, {1}), save_input(1, {0})},
      .linear = {0, 1},
      .source = "Dumoulin and Visin 2016, arXiv:1603.07285",
      .samples = conv_weight_samples<N>,
  });
}

template <int N>
const OpPtr& conv_op() {
  static const OpPtr op = make_conv<N>();
  return op;
}
template <int N>
const OpPtr& transpose_op() {
  static const OpPtr op = make_transpose<N>();
  return op;
}
template <int N>
const OpPtr& weight_op() {
  static const OpPtr op = make_weight<N>();
  return op;
}

/// Runs f on x with a batch dimension of one if x came without.
template <int N, class F>
Tensor batched(const Tensor& x, F f) {
  if (!x.defined() || x.rank() != N + 1) return f(x);
  Shape shape = x.shape();
  shape.insert(0, 1);
  const Tensor y = f(reshape(x, shape));
  shape = y.shape();
  shape.erase(0);
  return reshape(y, shape);
}

}  // namespace

template <int N>
Tensor conv_primitive(const Tensor& x, const Tensor& w, const Tensor& bias, const ConvCall<N>& call) {
  return apply1(conv_op<N>(), {x, w, bias}, call);
}
template <int N>
Tensor transpose_primitive(const Tensor& y, const Tensor& w, const Tensor& bias, const ConvTransposeCall<N>& call) {
  return apply1(transpose_op<N>(), {y, w, bias}, call);
}
template <int N>
Tensor weight_primitive(const Tensor& x, const Tensor& y, const ConvWeightCall<N>& call) {
  return apply1(weight_op<N>(), {x, y}, call);
}

// The public names, which differ by rank alone.
#define DUET_CONV(N)                                                                                                   \
  const OpPtr& conv##N##d_op() { return conv_op<N>(); }                                                                \
  const OpPtr& conv_transpose##N##d_op() { return transpose_op<N>(); }                                                 \
  const OpPtr& conv##N##d_weight_op() { return weight_op<N>(); }                                                       \
  Tensor conv##N##d(const Tensor& x, const Tensor& weight, const Tensor& bias, const Conv##N##dOptions& options) {     \
    return batched<N>(x, [&](const Tensor& b) { return conv_primitive<N>(b, weight, bias, {.options = options}); });   \
  }                                                                                                                    \
  Tensor conv##N##d(const Tensor& x, const Tensor& weight, const Conv##N##dOptions& options) {                         \
    return conv##N##d(x, weight, Tensor(), options);                                                                   \
  }                                                                                                                    \
  Tensor conv##N##d(const Tensor& x, const Tensor& weight, const Tensor& bias, const ConvGeometry& geometry) {         \
    return conv_primitive<N>(x, weight, bias, {.geometry = geometry});                                                 \
  }                                                                                                                    \
  Tensor conv_transpose##N##d(const Tensor& x, const Tensor& weight, const Tensor& bias,                               \
                              const ConvTranspose##N##dOptions& options) {                                             \
    return batched<N>(                                                                                                 \
        x, [&](const Tensor& b) { return transpose_primitive<N>(b, weight, bias, {.options = options}); });            \
  }                                                                                                                    \
  Tensor conv_transpose##N##d(const Tensor& x, const Tensor& weight, const ConvTranspose##N##dOptions& options) {      \
    return conv_transpose##N##d(x, weight, Tensor(), options);                                                         \
  }                                                                                                                    \
  Tensor conv_transpose##N##d(const Tensor& x, const Tensor& weight, const Tensor& bias,                               \
                              const ConvGeometry& geometry) {                                                          \
    return transpose_primitive<N>(x, weight, bias, {.geometry = geometry});                                            \
  }                                                                                                                    \
  Tensor conv##N##d_weight(const Tensor& x, const Tensor& y, const Extent<N>& kernel_size,                             \
                           const Conv##N##dOptions& options) {                                                         \
    return weight_primitive<N>(x, y, {.kernel_size = kernel_size, .options = options});                                \
  }                                                                                                                    \
  Tensor conv##N##d_weight(const Tensor& x, const Tensor& y, const ConvGeometry& geometry) {                           \
    return weight_primitive<N>(x, y, {.geometry = geometry});                                                          \
  }
DUET_CONV(1)
DUET_CONV(2)
DUET_CONV(3)
#undef DUET_CONV

}  // namespace duet
