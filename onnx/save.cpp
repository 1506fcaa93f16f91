// Trace twice, convert call by call, check, write.
#include <duet/onnx/save.hpp>

#include <onnx/checker.h>

#include <algorithm>

#include <duet/core/fail.hpp>
#include <duet/core/platform.hpp>
#include <duet/core/tape.hpp>
#include <duet/core/version.hpp>
#include <duet/onnx/graph.hpp>
#include <duet/ops/index.hpp>

namespace duet {
namespace {

using namespace onnx_export;

constexpr const char* op = "save_onnx";
constexpr int opset = 13, ir_version = 7;

/// Puts a module and all below into evaluation mode for the length of a scope.
class EvaluationMode {
 public:
  explicit EvaluationMode(nn::Module& module) {
    for (auto& [name, each] : module.named_modules()) before_.emplace_back(each, each->is_training());
    module.eval();
  }
  ~EvaluationMode() {
    // A module's train() reaches all below it, and those come after it in the list.
    for (auto& [module, training] : before_) module->train(training);
  }
  EvaluationMode(const EvaluationMode&) = delete;
  EvaluationMode& operator=(const EvaluationMode&) = delete;

 private:
  std::vector<std::pair<nn::Module*, bool>> before_;
};

/// The examples with every dynamic dimension twice as long.
Tensors enlarged(const Tensors& examples, const std::vector<int>& dynamic) {
  const NoGradGuard no_grad;
  Tensors larger;
  for (const Tensor& example : examples) {
    Shape repeats = Shape::filled(example.rank(), 1);
    for (const int dim : dynamic) {
      if (dim < 0) fail<ValueError>(op, "dynamic dimensions count from 0, got {}", dim);
      if (dim < example.rank()) repeats[dim] = 2;
    }
    larger.push_back(repeat(example, repeats));
  }
  return larger;
}

class Exporter {
 public:
  Exporter(const nn::Module& module, const Trace& small, const Trace& large, const OnnxOptions& options)
      : small_(small), large_(large), options_(options) {
    for (const auto& tensors : {module.named_parameters(), module.named_buffers()})
      for (const auto& [name, tensor] : tensors) parameter_names_.emplace(tensor.impl().get(), name);
    for (const TracedCall& call : small.calls)
      for (const std::string& source : call.sources) ++readers_[source];
    for (const std::string& source : small.output_sources) ++readers_[source];
  }

  ::onnx::ModelProto run() {
    names_.emplace("", "");
    for (std::size_t i = 0; i < small_.inputs.size(); ++i) {
      names_.emplace(fmt::format("input {}", i), options_.input_names[i]);
      describe(*graph_.proto.add_input(), options_.input_names[i], small_.inputs[i].shape(), large_.inputs[i].shape(),
               small_.inputs[i].dtype());
    }
    for (std::size_t k = 0; k < small_.constants.size(); ++k) {
      const auto found = parameter_names_.find(small_.constants[k].impl().get());
      names_.emplace(fmt::format("constant {}", k),
                     graph_.constant(small_.constants[k], found == parameter_names_.end() ? "" : found->second));
    }
    for (std::size_t i = 0; i < small_.calls.size(); ++i) convert(i);
    for (std::size_t j = 0; j < small_.outputs.size(); ++j) {
      graph_.scope.clear();
      const std::string& name = options_.output_names[j];
      const std::string value = name_of(small_.output_sources[j], "the result");
      if (value != name) graph_.node("Identity", {value}, {}, name);
      describe(*graph_.proto.add_output(), name, small_.outputs[j].shape(), large_.outputs[j].shape(),
               small_.outputs[j].dtype());
    }
    graph_.finish();
    ::onnx::ModelProto model;
    model.set_ir_version(ir_version);
    model.set_producer_name("duet");
    model.set_producer_version(DUET_VERSION);
    auto& imported = *model.add_opset_import();
    imported.set_domain("");
    imported.set_version(opset);
    graph_.proto.set_name("duet");
    *model.mutable_graph() = std::move(graph_.proto);
    return model;
  }

 private:
  const std::string& name_of(const std::string& source, const std::string& reader) const {
    const auto found = names_.find(source);
    if (found == names_.end()) {
      const auto call = static_cast<std::size_t>(std::stoul(source.substr(5)));
      fail<ValueError>(op, "{} reads a second output of {}, which has no form in ONNX here", reader,
                       small_.calls[call].op);
    }
    return found->second;
  }

  void convert(std::size_t i) {
    const TracedCall &call = small_.calls[i], &other = large_.calls[i];
    graph_.scope = call.scope;
    const std::string source = fmt::format("call {} output 0", i);
    Conversion conversion{.graph = graph_, .call = call, .other = other, .inputs = {}, .output = {}};
    for (const std::string& input : call.sources) conversion.inputs.push_back(name_of(input, call.op));
    // A result that is an op's output has its own name from the start; one that two results name has the first.
    for (std::size_t j = 0; j < small_.output_sources.size() && conversion.output.empty(); ++j)
      if (small_.output_sources[j] == source) conversion.output = options_.output_names[j];
    conversion.fold = options_.fold_batch_norm && !call.sources.empty() && readers_[call.sources[0]] == 1;
    for (const auto& rows : {elementwise_converters(), shape_converters(), layer_converters()})
      for (const ConverterRow& row : rows)
        if (row.op == call.op) {
          names_.emplace(source, row.convert(conversion));
          return;
        }
    conversion.refuse(call.onnx.empty() ? "it has no form in ONNX" : "Duet does not write " + call.onnx);
  }

  /// Sizes that differ between the runs stay open; one that is an input's has its name.
  void describe(::onnx::ValueInfoProto& value, const std::string& name, const Shape& shape, const Shape& larger,
                Dtype dtype) const {
    value.set_name(name);
    auto& type = *value.mutable_type()->mutable_tensor_type();
    type.set_elem_type(onnx_type(dtype));
    type.mutable_shape();
    for (int i = 0; i < shape.rank(); ++i) {
      auto& dim = *type.mutable_shape()->add_dim();
      if (shape[i] == larger[i])
        dim.set_dim_value(shape[i]);
      else if (i < small_.inputs[0].rank() && shape[i] == small_.inputs[0].shape()[i] &&
               larger[i] == large_.inputs[0].shape()[i])
        dim.set_dim_param(i == 0 ? "batch" : fmt::format("size{}", i));
      else
        dim.set_dim_param(fmt::format("{}_size{}", name, i));
    }
  }

  const Trace &small_, &large_;
  const OnnxOptions& options_;
  Graph graph_;
  std::unordered_map<const TensorImpl*, std::string> parameter_names_;
  std::unordered_map<std::string, std::string> names_;  // of sources in the graph
  std::unordered_map<std::string, int> readers_;
};

}  // namespace

void save_onnx(const std::string& path, nn::Module& module, const Tensor& example, const OnnxOptions& options) {
  const auto forward = [&](const Tensors& inputs) -> Tensors { return {module(inputs[0])}; };
  save_onnx(path, module, Tensors{example}, forward, options);
}

void save_onnx(const std::string& path, nn::Module& module, const Tensors& examples,
               FunctionRef<Tensors(const Tensors&)> forward, const OnnxOptions& options) {
  for (const Tensor& example : examples)
    if (!example.defined()) fail<ValueError>(op, "an example is undefined");
  if (examples.empty() || options.input_names.size() != examples.size())
    fail<ValueError>(op, "{} examples, {} input names", examples.size(), options.input_names.size());
  const EvaluationMode evaluation(module);
  const Trace small = trace(examples, forward);
  const Trace large = trace(enlarged(examples, options.dynamic), forward);
  require_same_path(small, large);
  if (options.output_names.size() != small.outputs.size())
    fail<ValueError>(op, "{} results, {} output names", small.outputs.size(), options.output_names.size());
  const ::onnx::ModelProto model = Exporter(module, small, large, options).run();
  try {
    ::onnx::checker::check_model(model);
  } catch (const std::exception& error) {
    fail<ValueError>(op, "ONNX's checker refuses the file: {}", error.what());
  }
  std::string bytes;
  if (!model.SerializeToString(&bytes))
    fail<ValueError>(op, "the weights take more than the 2 GB that an ONNX file can hold");
  AtomicFile file(op, path);
  file.write(bytes.data(), static_cast<std::int64_t>(bytes.size()));
  file.commit();
}

}  // namespace duet
