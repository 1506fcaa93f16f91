// A case of an op: outputs, gradients, and gradients of gradients.
#include <fmt/format.h>

#include <duet/autograd/backward.hpp>
#include <duet/core/factory.hpp>
#include <duet/ops/registry.hpp>

#include "attributes.hpp"
#include "functional.hpp"
#include "golden.hpp"

namespace golden {
namespace {

using namespace duet;

/// Whether an optional input is there, if attributes say so: by a boolean of its name, or `affine` for both.
std::optional<bool> told(const Json& attributes, const std::string& input) {
  if (attributes.contains(input) && attributes[input].is_boolean()) return attributes[input].get<bool>();
  const bool affine = input == "weight" || input == "bias";
  if (affine && attributes.contains("affine")) return attributes["affine"].get<bool>();
  return std::nullopt;
}

/// For each input of the op, which of the case's inputs it is, or -1. Optional ones that attributes say nothing of
/// are filled from the left with what others leave.
std::vector<int> assign_inputs(const OpDef& op, const Case& one, AttributeReader& reader) {
  std::vector<int> assigned;
  if (!op.inputs.empty() && op.inputs.back().ends_with("…")) {
    for (int i = 0; i < one.inputs; ++i) assigned.push_back(i);
    return assigned;
  }
  int free = one.inputs;
  for (const std::string& input : op.inputs) {
    const bool optional = input.ends_with('?');
    const auto said = told(one.attributes, optional ? input.substr(0, input.size() - 1) : input);
    if (!optional || said.value_or(false)) --free;
  }
  if (one.attributes.contains("affine")) reader.accept("affine");
  int next = 0;
  for (const std::string& input : op.inputs) {
    const bool optional = input.ends_with('?');
    const std::string name = optional ? input.substr(0, input.size() - 1) : input;
    const auto said = told(one.attributes, name);
    if (said && one.attributes.contains(name)) reader.accept(name);
    const bool here = !optional || said.value_or(free > 0);
    if (here && optional && !said) --free;
    assigned.push_back(here ? next++ : -1);
  }
  if (next != one.inputs)
    throw Mismatch(fmt::format("{} inputs given, {} takes {} with these attributes", one.inputs, op.name, next));
  return assigned;
}

/// PyTorch knows that |x| has no second derivative and answers with a "zero tensor", whose memory it never writes; a
/// file made from that memory holds whatever lay there (values of 1e257 among them). These are checked against zeros.
bool unwritten(const std::string& op) { return op == "abs" || op == "l1_loss"; }

Tensor leaf(const Tensor& value) {
  Tensor result = value.detach();
  result.set_requires_grad();
  return result;
}

/// Runs what the case names: one of PyTorch's functions, or an op of the registry.
Tensors outputs_of(const Case& one, const Tensors& given) {
  const std::string name = canonical(one.op);
  AttributeReader reader(one.attributes);
  if (const Functional function = find_functional(name)) {
    const Tensors outputs = function(given, reader);
    reader.refuse_unknown();
    return outputs;
  }
  const OpPtr op = find_op(name);
  if (!op) throw Mismatch(fmt::format("no op '{}' in the registry, and no function of that name", one.op));
  const std::vector<int> assigned = assign_inputs(*op, one, reader);
  AnyOptions options;
  if (op->options != nullptr) {
    options = AnyOptions(*op->options);
    options.visit_mutable(reader);
  }
  reader.refuse_unknown();
  Tensors inputs;
  for (const int i : assigned) inputs.push_back(i < 0 ? Tensor() : given[static_cast<std::size_t>(i)]);
  return apply(op, inputs, options);
}

}  // namespace

void run_op_case(File& file, const Case& one) {
  const std::string prefix = one.id + ".";
  Tensors given;
  for (int i = 0; i < one.inputs; ++i) given.push_back(file.get(fmt::format("{}in.{}", prefix, i)));
  for (const int i : one.differentiable) given[static_cast<std::size_t>(i)] = leaf(given[static_cast<std::size_t>(i)]);

  const Tensors outputs = outputs_of(one, given);
  if (static_cast<int>(outputs.size()) < one.outputs)
    throw Mismatch(fmt::format("{} outputs, expected {}", outputs.size(), one.outputs));
  Tensors differentiated, cotangents;
  std::vector<int> cotangent_of;
  for (int j = 0; j < one.outputs; ++j) {
    const Tensor& output = outputs[static_cast<std::size_t>(j)];
    compare(fmt::format("output {}", j), output, file.get(fmt::format("{}out.{}", prefix, j)), one.tolerance);
    const Tensor cotangent = file.find(fmt::format("{}cot.{}", prefix, j));
    if (!cotangent.defined() || one.differentiable.empty()) continue;
    differentiated.push_back(output);
    cotangents.push_back(one.second ? leaf(cotangent) : cotangent);
    cotangent_of.push_back(j);
  }

  if (!one.differentiable.empty()) {
    Tensors by;
    for (const int i : one.differentiable) by.push_back(given[static_cast<std::size_t>(i)]);
    const Tensors gradients =
        grad(differentiated, by, {.create_graph = one.second, .allow_unused = true, .cotangents = cotangents});
    Tensors chosen, second_cotangents;
    for (std::size_t k = 0; k < by.size(); ++k) {
      const int i = one.differentiable[k];
      compare(fmt::format("gradient by input {}", i), gradients[k], file.get(fmt::format("{}grad.{}", prefix, i)),
              one.tolerance);
      if (!one.second) continue;
      const Tensor cotangent = file.get(fmt::format("{}cot2.{}", prefix, i));
      if (!gradients[k].defined() || !gradients[k].requires_grad()) continue;
      chosen.push_back(gradients[k]);
      second_cotangents.push_back(cotangent);
    }
    if (one.second) {
      Tensors sources = by;
      sources.insert(sources.end(), cotangents.begin(), cotangents.end());
      const Tensors second = chosen.empty()
                                 ? Tensors(sources.size())
                                 : grad(chosen, sources, {.allow_unused = true, .cotangents = second_cotangents});
      for (std::size_t k = 0; k < sources.size(); ++k) {
        const std::string name =
            k < by.size() ? std::to_string(one.differentiable[k]) : fmt::format("cot.{}", cotangent_of[k - by.size()]);
        Tensor expected = file.get(fmt::format("{}grad2.{}", prefix, name));
        if (k < by.size() && unwritten(one.op)) expected = zeros_like(expected);
        compare(fmt::format("second gradient by {}", name), second[k], expected, one.tolerance);
      }
    }
  }
  const auto unread = file.unread(prefix);
  if (!unread.empty()) throw Mismatch(fmt::format("tensor '{}' was not checked", unread[0]));
}

}  // namespace golden
