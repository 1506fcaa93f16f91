// Activation functions, element by element, and the fused derivatives that their gradients call. x has any shape, the
// result x's shape and dtype; f32 and f64 only (DtypeError).
#pragma once

#include <duet/core/options.hpp>
#include <duet/core/tensor.hpp>

namespace duet {

/// max(0, x) (Nair and Hinton 2010); the gradient at 0 is 0. Saves its output, which the next layer keeps anyway.
Tensor relu(const Tensor& x);
/// 1 / (1 + e^−x).
Tensor sigmoid(const Tensor& x);
Tensor tanh(const Tensor& x);  ///< the hyperbolic tangent
/// x · sigmoid(x) (Elfwing et al. 2018; "swish").
Tensor silu(const Tensor& x);
/// x · tanh(log(1 + e^x)) (Misra 2019).
Tensor mish(const Tensor& x);
/// 1.0507 · elu(x, 1.6733): the self-normalising unit (Klambauer et al. 2017).
Tensor selu(const Tensor& x);
/// x / 6 + 1/2, brought into [0, 1] (Howard et al. 2019).
Tensor hardsigmoid(const Tensor& x);
/// x · hardsigmoid(x) (Howard et al. 2019).
Tensor hardswish(const Tensor& x);

struct LeakyReluOptions {
  double negative_slope = 0.01;
  void fields(FieldVisitor& visitor) { visitor.field("negative_slope", negative_slope); }
};
/// x where positive, else negative_slope · x (Maas et al. 2013).
Tensor leaky_relu(const Tensor& x, const LeakyReluOptions& options = {});

struct EluOptions {
  double alpha = 1;
  void fields(FieldVisitor& visitor) { visitor.field("alpha", alpha); }
};
/// x where positive, else alpha · (e^x − 1) (Clevert et al. 2016).
Tensor elu(const Tensor& x, const EluOptions& options = {});

enum class GeluApproximation { none, tanh };
struct GeluOptions {
  GeluApproximation approximate = GeluApproximation::none;
  void fields(FieldVisitor& visitor) {
    static constexpr const char* names[] = {"none", "tanh"};
    visitor.choice("approximate", approximate, names);
  }
};
/// x · Φ(x), Φ the normal distribution function, or its approximation by tanh (Hendrycks and Gimpel 2016).
Tensor gelu(const Tensor& x, const GeluOptions& options = {});

struct SoftplusOptions {
  double beta = 1;
  double threshold = 20;  ///< above beta · x = threshold it is x itself
  void fields(FieldVisitor& visitor) {
    visitor.field("beta", beta);
    visitor.field("threshold", threshold);
  }
};
/// log(1 + e^(beta x)) / beta (Dugas et al. 2001).
Tensor softplus(const Tensor& x, const SoftplusOptions& options = {});

struct HardtanhOptions {
  double min_val = -1, max_val = 1;
  void fields(FieldVisitor& visitor) {
    visitor.field("min_val", min_val);
    visitor.field("max_val", max_val);
  }
};
/// x brought into [min_val, max_val]; the gradient passes strictly inside. ValueError if min_val > max_val.
Tensor hardtanh(const Tensor& x, const HardtanhOptions& options = {});

// The cotangent g times the derivative, in one pass. y is the activation's output for relu, sigmoid and tanh, and its
// input for the others; shapes (ShapeError) and dtypes (DtypeError) of g and y agree.
Tensor relu_backward(const Tensor& g, const Tensor& y);                                         ///< g · its slope
Tensor sigmoid_backward(const Tensor& g, const Tensor& y);                                      ///< g · its slope
Tensor tanh_backward(const Tensor& g, const Tensor& y);                                         ///< g · its slope
Tensor leaky_relu_backward(const Tensor& g, const Tensor& y, const LeakyReluOptions& options);  ///< g · its slope
Tensor elu_backward(const Tensor& g, const Tensor& y, const EluOptions& options);               ///< g · its slope
Tensor selu_backward(const Tensor& g, const Tensor& y);                                         ///< g · its slope
Tensor gelu_backward(const Tensor& g, const Tensor& y, const GeluOptions& options);             ///< g · its slope
Tensor silu_backward(const Tensor& g, const Tensor& y);                                         ///< g · its slope
Tensor mish_backward(const Tensor& g, const Tensor& y);                                         ///< g · its slope
Tensor softplus_backward(const Tensor& g, const Tensor& y, const SoftplusOptions& options);     ///< g · its slope
Tensor hardswish_backward(const Tensor& g, const Tensor& y);                                    ///< g · its slope

}  // namespace duet
