// The triple as ops. Its table of derivatives is closed; g is the cotangent, what arrives at the op's output:
//
//     op                    by its first input    by its second input
//     conv(x, w)            conv_transpose(g, w)  conv_weight(x, g)
//     conv_transpose(y, w)  conv(g, w)            conv_weight(g, y)
//     conv_weight(x, y)     conv_transpose(y, g)  conv(x, g)
//
// with the geometry handed on unchanged, and a bias differentiates to a sum. make_conv, make_transpose and make_weight
// below are these three lines. How a call comes to its geometry, and what shapes that asks for, is in conv_rules.cpp;
// the arithmetic is in kernels/conv.hpp.
//
// x is always the large side and y the small one, as in T (ops/conv.hpp). To its users conv_transpose calls its input
// x, as everybody does, so that the "x" of its OpDef is T's y.
#include <duet/ops/conv.hpp>

#include <duet/ops/conv_rules.hpp>
#include <duet/ops/kernels/conv.hpp>
#include <duet/ops/reduce.hpp>
#include <duet/ops/shape.hpp>

namespace duet {
namespace {

/// Dense inputs and the geometry, handed to one of the three kernels.
template <class Options, class Kernel>
Tensors run(const Call& c, Kernel kernel) {
  const ConvGeometry geometry = geometry_of(c.opt<Options>(), c[0].shape(), c[1].shape());
  const Tensor a = raw::contiguous(c[0]), b = raw::contiguous(c[1]);
  const Tensor bias = c.has(2) ? raw::contiguous(c[2]) : Tensor();
  const Tensor out = c.empty();
  raw::dispatch_floating(c.name(), out.dtype(), [&](auto zero) {
    using T = decltype(zero);
    kernel(geometry, a.shape()[0], raw::data<T>(a), raw::data<T>(b), bias.defined() ? raw::data<T>(bias) : nullptr,
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

// The ops. The ranks differ in names alone, so each is written once, for N spatial axes. First the three as functions
// of a call that carries options or a geometry: what the public functions call, and what the derivatives call.

template <int N>
Tensor conv_primitive(const Tensor& x, const Tensor& w, const Tensor& bias, const ConvCall<N>& call);
template <int N>
Tensor transpose_primitive(const Tensor& y, const Tensor& w, const Tensor& bias, const ConvTransposeCall<N>& call);
template <int N>
Tensor weight_primitive(const Tensor& x, const Tensor& y, const ConvWeightCall<N>& call);

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
        const ConvGeometry geometry = geometry_of(v.opt<ConvCall<N>>(), v.shape(0), v.shape(1));
        const Tensor& cotangent = v.cotangent();
        return {v.needs(0) ? transpose_primitive<N>(cotangent, v.input(1), {}, {.geometry = geometry}) : Tensor(),
                v.needs(1) ? weight_primitive<N>(v.input(0), cotangent, {.geometry = geometry}) : Tensor(),
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
        const ConvGeometry geometry = geometry_of(v.opt<ConvTransposeCall<N>>(), v.shape(0), v.shape(1));
        const Tensor& cotangent = v.cotangent();
        return {v.needs(0) ? conv_primitive<N>(cotangent, v.input(1), {}, {.geometry = geometry}) : Tensor(),
                v.needs(1) ? weight_primitive<N>(cotangent, v.input(0), {.geometry = geometry}) : Tensor(),
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
        return run<ConvWeightCall<N>>(
            c, [](const ConvGeometry& geometry, std::int64_t batch, const auto* x, const auto* y, const auto* /*bias*/,
                  auto* w) { kernels::conv_weight(geometry, batch, x, y, w); });
      },
      .vjp = [](const Vjp& v) -> Tensors {
        const ConvGeometry geometry = geometry_of(v.opt<ConvWeightCall<N>>(), v.shape(0), v.shape(1));
        const Tensor& cotangent = v.cotangent();
        return {v.needs(0) ? transpose_primitive<N>(v.input(1), cotangent, {}, {.geometry = geometry}) : Tensor(),
                v.needs(1) ? conv_primitive<N>(v.input(0), cotangent, {}, {.geometry = geometry}) : Tensor()};
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
