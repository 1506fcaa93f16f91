// Convolutions, normalisations, pools and matrix products.
#include <algorithm>
#include <cmath>

#include <duet/core/factory.hpp>
#include <duet/core/raw.hpp>
#include <duet/onnx/graph.hpp>

namespace duet::onnx_export {
namespace {

using C = const Conversion&;

/// The spatial dimensions of (N, C, S…); refuses inputs without a batch.
int spatial(C c, int rank) {
  if (c.shape().rank() != rank + 2) c.refuse("it needs a batch dimension and channels here");
  return rank;
}

Integers twice(const Integers& values) {
  Integers both = values;
  both.insert(both.end(), values.begin(), values.end());
  return both;
}

std::string conv(C c) {
  if (!c.fields().has("stride")) c.refuse("it was called with a geometry instead of options");
  const int rank = spatial(c, c.call.inputs[1].rank() - 2);
  const Integers& dilation = c.fields().integers.at("dilation");
  Integers kernel, pads = twice(c.fields().integers.at("padding"));
  for (int i = 0; i < rank; ++i) kernel.push_back(c.call.inputs[1].shape()[i + 2]);
  const auto word = c.fields().words.find("padding");
  if (word != c.fields().words.end())
    for (int i = 0; i < rank; ++i) {  // "same" puts the odd element behind
      const auto k = static_cast<std::size_t>(i);
      const std::int64_t total = word->second == "same" ? dilation[k] * (kernel[k] - 1) : 0;
      pads[k] = total / 2;
      pads[k + static_cast<std::size_t>(rank)] = total - total / 2;
    }
  return c.last("Conv", c.inputs,
                {{"kernel_shape", kernel},
                 {"strides", c.fields().integers.at("stride")},
                 {"pads", pads},
                 {"dilations", dilation},
                 {"group", c.fields().integer("groups")}});
}

std::string conv_transpose(C c) {
  if (!c.fields().has("stride")) c.refuse("it was called with a geometry instead of options");
  spatial(c, c.call.inputs[1].rank() - 2);
  Integers kernel;
  for (int i = 2; i < c.call.inputs[1].rank(); ++i) kernel.push_back(c.call.inputs[1].shape()[i]);
  if (c.fields().integers.at("output_padding") != c.other.fields.integers.at("output_padding"))
    c.refuse("its output_padding depends on the size: give an example whose sizes halve without a remainder");
  return c.last("ConvTranspose", c.inputs,
                {{"kernel_shape", kernel},
                 {"strides", c.fields().integers.at("stride")},
                 {"pads", twice(c.fields().integers.at("padding"))},
                 {"output_padding", c.fields().integers.at("output_padding")},
                 {"dilations", c.fields().integers.at("dilation")},
                 {"group", c.fields().integer("groups")}});
}

// --- normalisations ---

std::string filled(C c, std::int64_t count, double value) {
  return c.graph.constant(full({count}, value, {.dtype = c.dtype()}));
}

/// Puts scale and shift into the convolution that the last node is, if its weights are known; whether that was done.
bool fold(C c, const std::vector<Tensor>& statistics) {
  if (!c.fold || c.graph.proto.node_size() == 0) return false;
  ::onnx::NodeProto& node = *c.graph.proto.mutable_node(c.graph.proto.node_size() - 1);
  const bool transposed = node.op_type() == "ConvTranspose";
  if ((node.op_type() != "Conv" && !transposed) || node.output(0) != c.inputs[0]) return false;
  const Tensor weight = c.graph.constant_behind(node.input(1));
  Tensor bias =
      node.input_size() > 2 ? c.graph.constant_behind(node.input(2)) : zeros({c.shape()[1]}, {.dtype = c.dtype()});
  if (!weight.defined() || !bias.defined()) return false;
  if (transposed && weight.shape()[1] != c.shape()[1]) return false;  // groups
  const auto mean = statistics[0].to_vector(), variance = statistics[1].to_vector(), gain = statistics[2].to_vector(),
             shift = statistics[3].to_vector();
  const auto channels = static_cast<std::size_t>(c.shape()[1]);
  std::vector<double> factor(channels), values = weight.to_vector(), biases = bias.to_vector();
  for (std::size_t k = 0; k < channels; ++k) {
    factor[k] = gain[k] / std::sqrt(variance[k] + c.fields().real("eps"));
    biases[k] = (biases[k] - mean[k]) * factor[k] + shift[k];
  }
  const std::size_t inner = values.size() / static_cast<std::size_t>(weight.shape()[0]);
  const std::size_t taps = inner / static_cast<std::size_t>(weight.shape()[1]);
  for (std::size_t i = 0; i < values.size(); ++i) values[i] *= factor[transposed ? i / taps % channels : i / inner];
  const auto as = [&](const std::vector<double>& from, const Shape& shape) {
    const Tensor exact = Tensor::from_span(std::span<const double>(from), shape);
    Tensor tensor = Tensor::empty(shape, {.dtype = c.dtype()});
    raw::copy(exact, tensor);
    return tensor;
  };
  node.set_input(1, c.graph.constant(as(values, weight.shape()), node.input(1) + "_folded"));
  const std::string folded = c.graph.constant(as(biases, {c.shape()[1]}), c.graph.scope + ".bias_folded");
  if (node.input_size() > 2)
    node.set_input(2, folded);
  else
    node.add_input(folded);
  if (!c.output.empty()) node.set_output(0, c.output);
  return true;
}

std::string batch_norm(C c) {
  if (c.fields().flag("training")) c.refuse("it normalises by the batch's own statistics");
  const std::int64_t channels = c.shape()[1];
  const std::string gain = c.has(3) ? c.inputs[3] : filled(c, channels, 1),
                    shift = c.has(4) ? c.inputs[4] : filled(c, channels, 0);
  std::vector<Tensor> statistics;
  for (const std::string& name : {c.inputs[1], c.inputs[2], gain, shift})
    statistics.push_back(c.graph.constant_behind(name));
  const bool known = std::all_of(statistics.begin(), statistics.end(), [](const Tensor& t) { return t.defined(); });
  if (known && fold(c, statistics)) return c.graph.proto.node(c.graph.proto.node_size() - 1).output(0);
  return c.last("BatchNormalization", {c.inputs[0], gain, shift, c.inputs[1], c.inputs[2]},
                {{"epsilon", c.fields().real("eps")}});
}

std::string instance_norm(C c) {
  const std::int64_t channels = c.shape()[1];
  return c.last(
      "InstanceNormalization",
      {c.inputs[0], c.has(1) ? c.inputs[1] : filled(c, channels, 1), c.has(2) ? c.inputs[2] : filled(c, channels, 0)},
      {{"epsilon", c.fields().real("eps")}});
}

/// x scaled and shifted by a vector along its dimension 1.
std::string affine(C c, std::string x) {
  const Integers form = [&] {
    Integers sizes(static_cast<std::size_t>(c.shape().rank() - 1), 1);
    sizes[0] = c.shape()[1];
    return sizes;
  }();
  if (c.has(1)) x = c.node("Mul", {x, c.node("Reshape", {c.inputs[1], c.graph.integers(form)})});
  if (c.has(2)) x = c.node("Add", {x, c.node("Reshape", {c.inputs[2], c.graph.integers(form)})});
  return c.last("Identity", {x});
}

/// Each group as one channel of an instance norm.
std::string group_norm(C c) {
  const std::int64_t groups = c.fields().integer("num_groups");
  const std::string joined = c.node("Reshape", {c.inputs[0], c.graph.integers({0, groups, -1})});
  const std::string normal = c.node("InstanceNormalization", {joined, filled(c, groups, 1), filled(c, groups, 0)},
                                    {{"epsilon", c.fields().real("eps")}});
  return affine(c, c.node("Reshape", {normal, c.node("Shape", {c.inputs[0]})}));
}

/// By its formula: opset 13 has no layer norm.
std::string layer_norm(C c) {
  Integers axes;
  const auto count = static_cast<std::int64_t>(c.fields().integers.at("normalized_shape").size());
  for (std::int64_t i = -count; i < 0; ++i) axes.push_back(i);
  const Attribute over{"axes", axes};
  const std::string centred = c.node("Sub", {c.inputs[0], c.node("ReduceMean", {c.inputs[0]}, {over})});
  const std::string variance = c.node("ReduceMean", {c.node("Mul", {centred, centred})}, {over});
  const std::string eps = c.graph.scalar(c.fields().real("eps"), c.dtype());
  std::string y = c.node("Div", {centred, c.node("Sqrt", {c.node("Add", {variance, eps})})});
  if (c.has(1)) y = c.node("Mul", {y, c.inputs[1]});
  if (c.has(2)) y = c.node("Add", {y, c.inputs[2]});
  return c.last("Identity", {y});
}

// --- pools ---

Integers strides(C c) {
  Integers result = c.fields().integers.at("stride");
  for (std::size_t i = 0; i < result.size(); ++i)
    if (result[i] == 0) result[i] = c.fields().integers.at("kernel_size")[i];
  return result;
}

std::string max_pool(C c) {
  const Integers& kernel = c.fields().integers.at("kernel_size");
  spatial(c, static_cast<int>(kernel.size()));
  return c.last("MaxPool", {c.inputs[0]},
                {{"kernel_shape", kernel},
                 {"strides", strides(c)},
                 {"pads", twice(c.fields().integers.at("padding"))},
                 {"dilations", c.fields().integers.at("dilation")},
                 {"ceil_mode", c.fields().integer("ceil_mode")}});
}

std::string avg_pool(C c) {
  const Integers& kernel = c.fields().integers.at("kernel_size");
  spatial(c, static_cast<int>(kernel.size()));
  if (c.fields().flag("ceil_mode")) c.refuse("runtimes do not agree on ceil_mode");
  if (c.fields().has("divisor_override")) c.refuse("opset 13 has no divisor_override");
  return c.last("AveragePool", {c.inputs[0]},
                {{"kernel_shape", kernel},
                 {"strides", strides(c)},
                 {"pads", twice(c.fields().integers.at("padding"))},
                 {"count_include_pad", c.fields().integer("count_include_pad")}});
}

std::string adaptive_pool(C c) {
  const int rank = spatial(c, static_cast<int>(c.fields().integers.at("output_size").size()));
  const bool average = c.call.op.starts_with("adaptive_avg");
  const Shape &in = c.shape(), &out = c.call.outputs[0].shape(), &in2 = c.other.inputs[0].shape(),
              &out2 = c.other.outputs[0].shape();
  Integers window;
  bool global = true;
  for (int i = 2; i < rank + 2; ++i) {
    global = global && out[i] == 1 && out2[i] == 1;
    window.push_back(in[i] / out[i]);
  }
  if (global) return c.last(average ? "GlobalAveragePool" : "GlobalMaxPool", {c.inputs[0]});
  for (int i = 2; i < rank + 2; ++i)
    if (in[i] != window[static_cast<std::size_t>(i - 2)] * out[i] ||
        in2[i] != window[static_cast<std::size_t>(i - 2)] * out2[i])
      c.refuse("its windows differ from each other, or follow the size");
  return c.last(average ? "AveragePool" : "MaxPool", {c.inputs[0]}, {{"kernel_shape", window}, {"strides", window}});
}

// --- products ---

std::string swapped(C c, std::size_t i) {
  Integers order;
  const int rank = c.shape(i).rank();
  for (int d = 0; d < rank; ++d) order.push_back(d);
  std::swap(order[order.size() - 1], order[order.size() - 2]);
  return c.node("Transpose", {c.inputs[i]}, {{"perm", order}});
}

std::string matmul(C c) {
  const auto operand = [&](std::size_t i, const char* flag) {
    return c.fields().flag(flag) && c.shape(i).rank() > 1 ? swapped(c, i) : c.inputs[i];
  };
  return c.last("MatMul", {operand(0, "transpose_a"), operand(1, "transpose_b")});
}

std::string linear(C c) {
  if (c.shape().rank() == 2) return c.last("Gemm", c.inputs, {{"transB", std::int64_t{1}}});
  const std::string product = c.node("MatMul", {c.inputs[0], swapped(c, 1)});
  return c.has(2) ? c.last("Add", {product, c.inputs[2]}) : c.last("Identity", {product});
}

}  // namespace

std::span<const ConverterRow> layer_converters() {
  static constexpr ConverterRow rows[] = {
      {"conv1d", conv},
      {"conv2d", conv},
      {"conv3d", conv},
      {"conv_transpose1d", conv_transpose},
      {"conv_transpose2d", conv_transpose},
      {"conv_transpose3d", conv_transpose},
      {"batch_norm", batch_norm},
      {"instance_norm", instance_norm},
      {"group_norm", group_norm},
      {"layer_norm", layer_norm},
      {"max_pool1d", max_pool},
      {"max_pool2d", max_pool},
      {"max_pool3d", max_pool},
      {"avg_pool1d", avg_pool},
      {"avg_pool2d", avg_pool},
      {"avg_pool3d", avg_pool},
      {"adaptive_avg_pool1d", adaptive_pool},
      {"adaptive_avg_pool2d", adaptive_pool},
      {"adaptive_avg_pool3d", adaptive_pool},
      {"adaptive_max_pool1d", adaptive_pool},
      {"adaptive_max_pool2d", adaptive_pool},
      {"adaptive_max_pool3d", adaptive_pool},
      {"matmul", matmul},
      {"linear", linear},
  };
  return rows;
}

}  // namespace duet::onnx_export
