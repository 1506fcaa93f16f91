// What gradcheck checks: a function at a point, and from it the problem one order up. Internal to autograd/.
#pragma once

#include <string>
#include <vector>

#include <duet/autograd/gradcheck.hpp>

namespace duet {

/// A function at a point, with the names that a report uses.
struct GradcheckProblem {
  TensorsFunction function;
  Tensors inputs;
  std::vector<int> by;
  std::vector<bool> linear = {};  // one an input
  std::vector<std::string> input_names = {}, output_names = {};
};

/// Whether gradients exist for this tensor's type.
bool is_differentiable(const Tensor& tensor);

/// Checks what the user gave; the inputs become copies. Throws as gradcheck_function says.
GradcheckProblem gradcheck_problem(const TensorsFunction& function, const Tensors& inputs, const GradcheckOptions& options);

/// (inputs, cotangents) -> gradients: the problem one order up. `outputs` are the present one's, recorded.
GradcheckProblem next_order(const GradcheckProblem& problem, const Tensors& outputs, std::uint64_t seed);

}  // namespace duet
