// Internal: an ONNX graph in the making, and what turns traced calls into its nodes.
#pragma once

#include <onnx/onnx_pb.h>

#include <string>
#include <unordered_map>
#include <variant>
#include <vector>

#include <duet/onnx/trace.hpp>

namespace duet::onnx_export {

using Integers = std::vector<std::int64_t>;

struct Attribute {
  std::string name;
  std::variant<std::int64_t, double, std::string, Integers> value;
};
using Attributes = std::vector<Attribute>;

int onnx_type(Dtype dtype);

class Graph {
 public:
  ::onnx::GraphProto proto;

  /// Adds a node of one output, named `output`; "" makes a name. Absent inputs are "". Returns the output's name.
  std::string node(const std::string& type, const std::vector<std::string>& inputs, const Attributes& attributes = {},
                   std::string output = {});
  /// Values that are known now.
  std::string constant(const Tensor& tensor, std::string name = {});
  std::string integers(const Integers& values);
  std::string scalar(double value, Dtype dtype);
  /// The tensor behind a name that constant() gave, or an undefined one.
  Tensor constant_behind(const std::string& name) const;
  /// Writes the constants that some node reads into the graph.
  void finish();

  std::string scope;  ///< the module that the nodes to come belong to

 private:
  std::string fresh(const std::string& stem);
  std::unordered_map<std::string, Tensor> constants_;
  std::vector<std::string> order_;
  std::unordered_map<std::string, int> names_;
};

/// One traced call on its way into the graph.
struct Conversion {
  Graph& graph;
  const TracedCall& call;   ///< at the example's sizes
  const TracedCall& other;  ///< at the larger ones
  std::vector<std::string> inputs;
  std::string output;  ///< the name that the first output has to get; empty: any
  bool fold = false;   ///< the batch norm may go into the convolution before it: nobody else reads that one's output

  const Fields& fields() const { return call.fields; }
  const Shape& shape(std::size_t i = 0) const { return call.inputs[i].shape(); }
  Dtype dtype() const { return call.inputs[0].dtype(); }
  bool has(std::size_t i) const { return i < inputs.size() && !inputs[i].empty(); }
  std::string node(const std::string& type, const std::vector<std::string>& in,
                   const Attributes& attributes = {}) const {
    return graph.node(type, in, attributes);
  }
  /// The node that gives the call's output.
  std::string last(const std::string& type, const std::vector<std::string>& in,
                   const Attributes& attributes = {}) const {
    return graph.node(type, in, attributes, output);
  }
  /// ValueError: this call has no form in a file.
  [[noreturn]] void refuse(const std::string& why) const;
};

/// Adds the nodes of a call; gives the name of its first output.
using Converter = std::string (*)(const Conversion&);
struct ConverterRow {
  const char* op;
  Converter convert;
};
std::span<const ConverterRow> elementwise_converters();
std::span<const ConverterRow> shape_converters();
std::span<const ConverterRow> layer_converters();

}  // namespace duet::onnx_export
