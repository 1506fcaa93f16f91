// gradcheck of a whole module: by its input and by every named parameter.
#pragma once

#include <type_traits>
#include <utility>

#include <duet/autograd/gradcheck.hpp>
#include <duet/nn/module.hpp>

namespace duet {

GradcheckResult gradcheck_module(nn::Module& model, const Callable<Tensor(const Tensor&)>& loss, const Tensor& x,
                                 const GradcheckOptions& options);  ///< what gradcheck() of a model calls

/// Checks the derivatives of loss(model(x)) by x (where it is floating) and by every distinct parameter that requires a
/// gradient, under their names. Input 0 is x, input k the k-th of them. Every call of the model starts from the same
/// buffers and the same state of default_generator(); both, and every parameter and its grad(), are afterwards what
/// they were. The model must be f64: model.to(f64). What gradcheck of a function throws.
template <class Model, class Loss>
  requires std::is_base_of_v<nn::Module, Model>
GradcheckResult gradcheck(Model& model, Loss loss, const Tensor& x, const GradcheckOptions& options = {}) {
  return gradcheck_module(model, [&](const Tensor& input) { return loss(model(input)); }, x, options);
}

}  // namespace duet
