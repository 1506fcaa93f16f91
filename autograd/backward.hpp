// Walking the tape backwards: backward() into the leaves, grad() for chosen tensors.
#pragma once

#include <optional>

#include <duet/core/tape.hpp>
#include <duet/core/tensor.hpp>

namespace duet {

struct BackwardOptions {
  bool create_graph = false;              ///< record the backward pass, so that it can be differentiated
  std::optional<bool> retain_graph = {};  ///< keep what was saved; default: create_graph
};

struct GradOptions {
  bool create_graph = false;              ///< record the backward pass, so that it can be differentiated
  std::optional<bool> retain_graph = {};  ///< keep what was saved; default: create_graph
  bool allow_unused = false;              ///< a structural zero is given as an undefined tensor
  Tensors cotangents = {};                ///< one an output; empty: ones, for outputs of one element
};

/// The gradients of sum_j <cotangent_j, output_j> by each input, without touching any grad(). Runs only what lies
/// between outputs and inputs. Throws AutogradError for an output that requires no gradient, an input that no output
/// depends on (unless allow_unused), a missing or ill-shaped cotangent, or a graph whose saved tensors a backward
/// already freed.
Tensors grad(const Tensors& outputs, const Tensors& inputs, const GradOptions& options = {});

/// backward() of several outputs at once: gradients are added to the grad() of every leaf reached.
void backward(const Tensors& outputs, const Tensors& cotangents = {}, const BackwardOptions& options = {});

}  // namespace duet
