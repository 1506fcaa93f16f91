// Names, attributes and constants of the graph.
#include <duet/onnx/graph.hpp>

#include <algorithm>
#include <unordered_set>

#include <duet/core/factory.hpp>
#include <duet/core/fail.hpp>
#include <duet/core/raw.hpp>

namespace duet::onnx_export {

int onnx_type(Dtype dtype) {
  constexpr int types[] = {::onnx::TensorProto::FLOAT, ::onnx::TensorProto::DOUBLE, ::onnx::TensorProto::INT64,
                           ::onnx::TensorProto::UINT8};
  return types[static_cast<int>(dtype)];
}

std::string Graph::fresh(const std::string& stem) {
  const int count = names_[stem]++;
  return count == 0 ? stem : fmt::format("{}_{}", stem, count);
}

std::string Graph::node(const std::string& type, const std::vector<std::string>& inputs, const Attributes& attributes,
                        std::string output) {
  const std::string name = fresh(scope.empty() ? type : scope + "/" + type);
  if (output.empty()) output = name + "_output";
  ::onnx::NodeProto& node = *proto.add_node();
  node.set_op_type(type);
  node.set_name(name);
  for (const std::string& input : inputs) node.add_input(input);
  while (node.input_size() > 0 && node.input(node.input_size() - 1).empty()) node.mutable_input()->RemoveLast();
  node.add_output(output);
  for (const auto& [key, value] : attributes) {
    ::onnx::AttributeProto& attribute = *node.add_attribute();
    attribute.set_name(key);
    if (const auto* integer = std::get_if<std::int64_t>(&value)) {
      attribute.set_type(::onnx::AttributeProto::INT);
      attribute.set_i(*integer);
    } else if (const auto* real = std::get_if<double>(&value)) {
      attribute.set_type(::onnx::AttributeProto::FLOAT);
      attribute.set_f(static_cast<float>(*real));
    } else if (const auto* text = std::get_if<std::string>(&value)) {
      attribute.set_type(::onnx::AttributeProto::STRING);
      attribute.set_s(*text);
    } else {
      attribute.set_type(::onnx::AttributeProto::INTS);
      for (const std::int64_t each : std::get<Integers>(value)) attribute.add_ints(each);
    }
  }
  return output;
}

std::string Graph::constant(const Tensor& tensor, std::string name) {
  name = fresh(name.empty() ? "constant" : name);
  constants_.emplace(name, tensor);
  order_.push_back(name);
  return name;
}
std::string Graph::integers(const Integers& values) {
  return constant(Tensor::from_span(std::span<const std::int64_t>(values), {static_cast<std::int64_t>(values.size())}));
}
std::string Graph::scalar(double value, Dtype dtype) { return constant(Tensor::scalar(value, {.dtype = dtype})); }

Tensor Graph::constant_behind(const std::string& name) const {
  const auto found = constants_.find(name);
  return found == constants_.end() ? Tensor() : found->second;
}

void Graph::finish() {
  std::unordered_set<std::string> read;
  for (const ::onnx::NodeProto& node : proto.node())
    for (const std::string& input : node.input()) read.insert(input);
  for (const std::string& name : order_) {
    if (!read.contains(name)) continue;
    const Tensor dense = raw::contiguous(constants_.at(name));
    ::onnx::TensorProto& tensor = *proto.add_initializer();
    tensor.set_name(name);
    tensor.set_data_type(onnx_type(dense.dtype()));
    for (const std::int64_t size : dense.shape()) tensor.add_dims(size);
    tensor.set_raw_data(raw::data<std::byte>(dense), static_cast<std::size_t>(dense.bytes()));
  }
}

void Conversion::refuse(const std::string& why) const {
  fail<ValueError>(
      "save_onnx", "{}{} cannot be exported: {}; its inputs are {}", call.op,
      call.scope.empty() ? std::string() : fmt::format(" (in {})", call.scope), why,
      call.inputs.empty() || !call.inputs[0].defined() ? std::string("none") : to_string(spec_of(call.inputs[0])));
}

}  // namespace duet::onnx_export
