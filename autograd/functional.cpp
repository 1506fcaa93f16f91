// Products first; Jacobian and Hessian are their rows.
#include <duet/autograd/functional.hpp>

#include <algorithm>

#include <duet/autograd/backward.hpp>
#include <duet/core/factory.hpp>
#include <duet/core/fail.hpp>
#include <duet/core/raw.hpp>
#include <duet/core/tape.hpp>

namespace duet {
namespace {

/// The inputs as places to differentiate by: leaves of their own, or themselves where their graph must go on.
Tensors sources_of(const Tensors& inputs, bool keep_graph) {
  Tensors sources;
  for (const Tensor& input : inputs) {
    Tensor source = input.defined() && !(keep_graph && input.requires_grad()) ? input.detach() : input;
    if (source.defined() && is_floating(source.dtype()) && !source.requires_grad()) source.set_requires_grad();
    sources.push_back(source);
  }
  return sources;
}

Tensors zeros_for_undefined(Tensors gradients, const Tensors& like) {
  for (std::size_t i = 0; i < gradients.size(); ++i)
    if (!gradients[i].defined() && like[i].defined()) gradients[i] = zeros_like(like[i]);
  return gradients;
}

/// grad() that takes outputs off the tape for zero, and inputs without gradients.
Tensors gradients_of(const Tensors& outputs, const Tensors& sources, const Tensors& cotangents, bool create_graph,
                     bool retain_graph) {
  Tensors recorded, chosen;
  for (std::size_t j = 0; j < outputs.size(); ++j)
    if (outputs[j].requires_grad()) {
      recorded.push_back(outputs[j]);
      if (!cotangents.empty()) chosen.push_back(cotangents[j]);
    }
  Tensors gradients(sources.size());
  if (!recorded.empty())
    gradients = grad(recorded, sources,
                     {.create_graph = create_graph, .retain_graph = retain_graph, .allow_unused = true, .cotangents = chosen});
  return zeros_for_undefined(std::move(gradients), sources);
}

void require_fit(const char* name, const char* what, const Tensors& vectors, const Tensors& like) {
  if (vectors.size() != like.size())
    fail<AutogradError>(name, "{} {} for {} tensors", vectors.size(), what, like.size());
  for (std::size_t i = 0; i < vectors.size(); ++i)
    if (vectors[i].defined() && to_string(spec_of(vectors[i])) != to_string(spec_of(like[i])))
      fail<AutogradError>(name, "{} {} {} does not fit {}", what, i, to_string(spec_of(vectors[i])), to_string(spec_of(like[i])));
}

Tensors detached(Tensors tensors, bool keep) {
  for (Tensor& tensor : tensors)
    if (tensor.defined() && !keep) tensor = tensor.detach();
  return tensors;
}

Tensor scalar_output(const char* name, const Tensors& outputs) {
  if (outputs.size() != 1 || outputs[0].numel() != 1)
    fail<AutogradError>(name, "needs a function of one scalar output, got {} outputs, the first {}", outputs.size(),
                        outputs.empty() ? "absent" : to_string(spec_of(outputs[0])));
  return outputs[0];
}

/// Row r of the Jacobian of `output` by each source, for every r, as tensors of shape output + source.
Tensors rows(const Tensor& output, const Tensors& sources) {
  Tensors result;
  for (const Tensor& source : sources) {
    Shape shape = output.shape();
    for (const std::int64_t size : source.shape()) shape.push_back(size);
    result.push_back(zeros(shape, {.dtype = source.dtype()}));
  }
  if (!output.requires_grad()) return result;
  for (std::int64_t r = 0; r < output.numel(); ++r) {
    Tensor one = zeros(output.shape(), {.dtype = output.dtype()});
    Tensor place = raw::view(one, {}, {}, r);
    raw::fill(place, 1);
    const Tensors gradients = gradients_of({output}, sources, {one}, false, true);
    for (std::size_t i = 0; i < sources.size(); ++i) {
      Tensor row = raw::view(result[i], sources[i].shape(), contiguous_strides(sources[i].shape()), r * sources[i].numel());
      raw::copy(gradients[i], row);
    }
  }
  return result;
}

}  // namespace

Product vjp_function(const TensorsFunction& function, const Tensors& inputs, const Tensors& cotangents,
                     const ProductOptions& options) {
  const EnableGradGuard recording;
  const Tensors sources = sources_of(inputs, options.create_graph);
  const Tensors outputs = function(sources);
  if (!cotangents.empty()) require_fit("vjp", "cotangents", cotangents, outputs);
  Tensors products = gradients_of(outputs, sources, cotangents, options.create_graph, options.create_graph);
  return {detached(outputs, options.create_graph), std::move(products)};
}

Product jvp_function(const TensorsFunction& function, const Tensors& inputs, const Tensors& tangents,
                     const ProductOptions& options) {
  require_fit("jvp", "tangents", tangents, inputs);
  const EnableGradGuard recording;
  const Tensors sources = sources_of(inputs, options.create_graph);
  const Tensors outputs = function(sources);
  // The vjp is linear in its cotangents, so they may have any value; zeros keep it finite.
  Tensors cotangents;
  for (const Tensor& output : outputs) {
    Tensor cotangent = zeros_like(output);
    if (is_floating(output.dtype())) cotangent.set_requires_grad();
    cotangents.push_back(cotangent);
  }
  const Tensors pulled = gradients_of(outputs, sources, cotangents, true, true);
  Tensors products = gradients_of(pulled, cotangents, tangents, options.create_graph, options.create_graph);
  return {detached(outputs, options.create_graph), std::move(products)};
}

Product hvp_function(const TensorsFunction& function, const Tensors& inputs, const Tensors& vectors,
                     const ProductOptions& options) {
  require_fit("hvp", "vectors", vectors, inputs);
  const EnableGradGuard recording;
  const Tensors sources = sources_of(inputs, options.create_graph);
  const Tensor output = scalar_output("hvp", function(sources));
  const Tensors gradients = gradients_of({output}, sources, {ones_like(output)}, true, true);
  Tensors products = gradients_of(gradients, sources, vectors, options.create_graph, options.create_graph);
  return {detached({output}, options.create_graph), std::move(products)};
}

std::vector<Tensors> jacobian_function(const TensorsFunction& function, const Tensors& inputs) {
  const EnableGradGuard recording;
  const Tensors sources = sources_of(inputs, false);
  std::vector<Tensors> result;
  for (const Tensor& output : function(sources)) result.push_back(rows(output, sources));
  return result;
}

std::vector<Tensors> hessian_function(const TensorsFunction& function, const Tensors& inputs) {
  const EnableGradGuard recording;
  const Tensors sources = sources_of(inputs, false);
  const Tensor output = scalar_output("hessian", function(sources));
  std::vector<Tensors> result;
  for (const Tensor& gradient : gradients_of({output}, sources, {ones_like(output)}, true, true))
    result.push_back(rows(gradient, sources));
  return result;
}

}  // namespace duet
