// Elementwise ops, comparisons and reductions.
#include <duet/core/factory.hpp>
#include <duet/onnx/graph.hpp>

namespace duet::onnx_export {
namespace {

using C = const Conversion&;

/// The op that the OpDef names, without options.
std::string plain(C c) { return c.last(c.call.onnx, c.inputs); }

std::string compared(C c, const std::string& type, bool negated) {
  std::string truth = c.node(type, c.inputs);
  if (negated) truth = c.node("Not", {truth});
  return c.last("Cast", {truth}, {{"to", std::int64_t{onnx_type(u8)}}});
}

std::string clipped(C c, const char* low, const char* high) {
  const auto bound = [&](const char* name) {
    return c.fields().reals.contains(name) ? c.graph.scalar(c.fields().real(name), c.dtype()) : std::string();
  };
  return c.last("Clip", {c.inputs[0], bound(low), bound(high)});
}

std::string number(C c, double value) { return c.graph.scalar(value, c.dtype()); }

std::string gelu(C c) {
  const std::string& x = c.inputs[0];
  std::string inner;
  if (c.fields().words.at("approximate") == "tanh") {
    const std::string cube = c.node("Mul", {c.node("Mul", {x, x}), x});
    const std::string sum = c.node("Add", {x, c.node("Mul", {cube, number(c, 0.044715)})});
    inner = c.node("Tanh", {c.node("Mul", {sum, number(c, 0.7978845608028654)})});
  } else {
    inner = c.node("Erf", {c.node("Mul", {x, number(c, 0.7071067811865476)})});
  }
  const std::string half = c.node("Mul", {x, number(c, 0.5)});
  return c.last("Mul", {half, c.node("Add", {inner, number(c, 1)})});
}

std::string softplus(C c) {
  const double beta = c.fields().real("beta");
  if (beta == 1) return c.last("Softplus", {c.inputs[0]});
  const std::string inner = c.node("Softplus", {c.node("Mul", {c.inputs[0], number(c, beta)})});
  return c.last("Div", {inner, number(c, beta)});
}

std::string power(C c) {
  return c.last("Pow", {c.inputs[0], c.has(1) ? c.inputs[1] : number(c, c.fields().real("exponent"))});
}

std::string reduced(C c) {
  Integers axes = c.fields().integers.at("dim");
  if (c.dtype() != f32 && c.dtype() != f64) c.refuse("it reduces integers");
  if (axes.empty())
    for (int i = 0; i < c.shape().rank(); ++i) axes.push_back(i);
  const Attribute keep{"keepdims", c.fields().integer("keepdim")};
  if (c.call.op == "sum") return c.last("ReduceSum", {c.inputs[0], c.graph.integers(axes)}, {keep});
  const std::string type = c.call.op == "amax" ? "ReduceMax" : c.call.op == "amin" ? "ReduceMin" : c.call.onnx;
  return c.last(type, {c.inputs[0]}, {{"axes", axes}, keep});
}

}  // namespace

std::span<const ConverterRow> elementwise_converters() {
  static constexpr ConverterRow rows[] = {
      {"add", plain},
      {"sub", plain},
      {"mul", plain},
      {"div", plain},
      {"neg", plain},
      {"abs", plain},
      {"sign", plain},
      {"reciprocal", plain},
      {"sqrt", plain},
      {"exp", plain},
      {"log", plain},
      {"sin", plain},
      {"cos", plain},
      {"relu", plain},
      {"sigmoid", plain},
      {"tanh", plain},
      {"selu", plain},
      {"clone", plain},
      {"maximum", [](C c) { return c.last("Max", c.inputs); }},
      {"minimum", [](C c) { return c.last("Min", c.inputs); }},
      {"pow", power},
      {"square",
       [](C c) {
         return c.last("Mul", {c.inputs[0], c.inputs[0]});
       }},
      {"rsqrt", [](C c) { return c.last("Reciprocal", {c.node("Sqrt", c.inputs)}); }},
      {"log1p",
       [](C c) {
         return c.last("Log", {c.node("Add", {c.inputs[0], number(c, 1)})});
       }},
      {"lerp",
       [](C c) {
         const std::string way = c.node("Sub", {c.inputs[1], c.inputs[0]});
         return c.last("Add", {c.inputs[0], c.node("Mul", {way, c.inputs[2]})});
       }},
      {"where",
       [](C c) {
         const std::string truth = c.node("Cast", {c.inputs[0]}, {{"to", std::int64_t{::onnx::TensorProto::BOOL}}});
         return c.last("Where", {truth, c.inputs[1], c.inputs[2]});
       }},
      {"eq", [](C c) { return compared(c, "Equal", false); }},
      {"ne", [](C c) { return compared(c, "Equal", true); }},
      {"lt", [](C c) { return compared(c, "Less", false); }},
      {"gt", [](C c) { return compared(c, "Greater", false); }},
      {"le", [](C c) { return compared(c, "LessOrEqual", false); }},
      {"ge", [](C c) { return compared(c, "GreaterOrEqual", false); }},
      {"clamp", [](C c) { return clipped(c, "min", "max"); }},
      {"hardtanh", [](C c) { return clipped(c, "min_val", "max_val"); }},
      {"leaky_relu",
       [](C c) {
         return c.last("LeakyRelu", c.inputs, {{"alpha", c.fields().real("negative_slope")}});
       }},
      {"elu",
       [](C c) {
         return c.last("Elu", c.inputs, {{"alpha", c.fields().real("alpha")}});
       }},
      {"silu",
       [](C c) {
         return c.last("Mul", {c.inputs[0], c.node("Sigmoid", c.inputs)});
       }},
      {"mish",
       [](C c) {
         return c.last("Mul", {c.inputs[0], c.node("Tanh", {c.node("Softplus", c.inputs)})});
       }},
      {"gelu", gelu},
      {"softplus", softplus},
      {"hardsigmoid",
       [](C c) {
         return c.last("HardSigmoid", c.inputs, {{"alpha", 1.0 / 6}, {"beta", 0.5}});
       }},
      {"hardswish",
       [](C c) {
         return c.last("Mul", {c.inputs[0], c.node("HardSigmoid", c.inputs, {{"alpha", 1.0 / 6}, {"beta", 0.5}})});
       }},
      {"sum", reduced},
      {"mean", reduced},
      {"amax", reduced},
      {"amin", reduced},
      {"prod", reduced},
      {"logsumexp", reduced},
      {"softmax",
       [](C c) {
         return c.last("Softmax", c.inputs, {{"axis", c.fields().integer("dim")}});
       }},
      {"log_softmax",
       [](C c) {
         return c.last("LogSoftmax", c.inputs, {{"axis", c.fields().integer("dim")}});
       }},
  };
  return rows;
}

}  // namespace duet::onnx_export
