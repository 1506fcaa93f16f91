// Each module calls its op.
#include <duet/nn/activation.hpp>

#include <fmt/format.h>

#include <duet/ops/activation.hpp>
#include <duet/ops/softmax.hpp>

namespace duet::nn {

Tensor ReLU::forward(const Tensor& x) { return relu(x); }
Tensor Sigmoid::forward(const Tensor& x) { return sigmoid(x); }
Tensor Tanh::forward(const Tensor& x) { return tanh(x); }
Tensor SiLU::forward(const Tensor& x) { return silu(x); }
Tensor Mish::forward(const Tensor& x) { return mish(x); }
Tensor SELU::forward(const Tensor& x) { return selu(x); }
Tensor Hardsigmoid::forward(const Tensor& x) { return hardsigmoid(x); }
Tensor Hardswish::forward(const Tensor& x) { return hardswish(x); }

Tensor LeakyReLU::forward(const Tensor& x) { return leaky_relu(x, {.negative_slope = negative_slope}); }
std::string LeakyReLU::describe() const { return fmt::format("negative_slope={}", negative_slope); }

Tensor ELU::forward(const Tensor& x) { return elu(x, {.alpha = alpha}); }
std::string ELU::describe() const { return fmt::format("alpha={}", alpha); }

Tensor GELU::forward(const Tensor& x) {
  return gelu(x, {.approximate = approximate_tanh ? GeluApproximation::tanh : GeluApproximation::none});
}
std::string GELU::describe() const { return fmt::format("approximate={}", approximate_tanh ? "tanh" : "none"); }

Tensor Softplus::forward(const Tensor& x) { return softplus(x, {.beta = beta, .threshold = threshold}); }
std::string Softplus::describe() const { return fmt::format("beta={}, threshold={}", beta, threshold); }

Tensor Hardtanh::forward(const Tensor& x) { return hardtanh(x, {.min_val = min_val, .max_val = max_val}); }
std::string Hardtanh::describe() const { return fmt::format("min_val={}, max_val={}", min_val, max_val); }

Tensor Softmax::forward(const Tensor& x) { return softmax(x, {.dim = dim}); }
std::string Softmax::describe() const { return fmt::format("dim={}", dim); }

Tensor LogSoftmax::forward(const Tensor& x) { return log_softmax(x, {.dim = dim}); }
std::string LogSoftmax::describe() const { return fmt::format("dim={}", dim); }

}  // namespace duet::nn
