// Derivatives of functions as values: vjp, jvp, jacobian, hessian, hvp. The functions are any callable of tensors
// (autograd/function.hpp); what they close over is differentiated through but not by.
#pragma once

#include <vector>

#include <duet/autograd/function.hpp>
#include <duet/core/tensor.hpp>

namespace duet {

/// A function's outputs, and with them products of its Jacobian.
struct Product {
  Tensors outputs;
  Tensors products;  ///< vjp, hvp: one an input. jvp: one an output
};

struct ProductOptions {
  bool create_graph = false;  ///< the products can be differentiated again, by the inputs and by the vectors
};

Product vjp_function(const TensorsFunction& function, const Tensors& inputs, const Tensors& cotangents,
                     const ProductOptions& options = {});  ///< what vjp() calls
Product jvp_function(const TensorsFunction& function, const Tensors& inputs, const Tensors& tangents,
                     const ProductOptions& options = {});  ///< what jvp() calls
Product hvp_function(const TensorsFunction& function, const Tensors& inputs, const Tensors& vectors,
                     const ProductOptions& options = {});                                        ///< what hvp() calls
std::vector<Tensors> jacobian_function(const TensorsFunction& function, const Tensors& inputs);  ///< see jacobians()
std::vector<Tensors> hessian_function(const TensorsFunction& function, const Tensors& inputs);   ///< see hessians()

/// sum_j J_ji^T cotangent_j for each input i, in its shape: one backward. Empty cotangents: ones, for outputs of one element. Zeros
/// for an input on which nothing depends. AutogradError for a cotangent that does not fit its output.
template <class F>
Product vjp(F&& function, const Tensors& inputs, const Tensors& cotangents = {}, const ProductOptions& options = {}) {
  return vjp_function(tensors_function(std::forward<F>(function)), inputs, cotangents, options);
}

/// sum_i J_ji tangent_i for each output j, by differentiating a vjp by its cotangent (Townsend 2017): two backwards,
/// whatever the number of outputs. Tangents have their inputs' shapes and dtypes (AutogradError).
template <class F>
Product jvp(F&& function, const Tensors& inputs, const Tensors& tangents, const ProductOptions& options = {}) {
  return jvp_function(tensors_function(std::forward<F>(function)), inputs, tangents, options);
}

/// H v for a function of one scalar output (AutogradError for another), without forming H.
template <class F>
Product hvp(F&& function, const Tensors& inputs, const Tensors& vectors, const ProductOptions& options = {}) {
  return hvp_function(tensors_function(std::forward<F>(function)), inputs, vectors, options);
}

/// jacobians(f, inputs)[j][i] has the shape of output j followed by that of input i; one backward per element of the
/// outputs. The result is off the tape. Throws what the function throws.
template <class F>
std::vector<Tensors> jacobians(F&& function, const Tensors& inputs) {
  return jacobian_function(tensors_function(std::forward<F>(function)), inputs);
}
/// The Jacobian of a function of one tensor by it; of its first output, if it has several. See jacobians().
template <class F>
Tensor jacobian(F&& function, const Tensor& input) {
  return jacobian_function(tensors_function(std::forward<F>(function)), Tensors{input}).at(0).at(0);
}

/// hessians(f, inputs)[i][k] has the shape of input i followed by that of input k, for a function of one scalar output
/// (AutogradError for another). The result is off the tape.
template <class F>
std::vector<Tensors> hessians(F&& function, const Tensors& inputs) {
  return hessian_function(tensors_function(std::forward<F>(function)), inputs);
}
template <class F>
Tensor hessian(F&& function, const Tensor& input) {
  return hessian_function(tensors_function(std::forward<F>(function)), Tensors{input}).at(0).at(0);
}  ///< the Hessian of a function of one tensor by it; see hessians()

}  // namespace duet
