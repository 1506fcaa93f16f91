// Each module calls its op.
#include <duet/nn/activation.hpp>

#include <utility>

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

LeakyReLU::LeakyReLU(double slope) : negative_slope(slope) {}
LeakyReLU::LeakyReLU(Module* parent, std::string name, double slope)
    : Module(parent, std::move(name)), negative_slope(slope) {}
Tensor LeakyReLU::forward(const Tensor& x) { return leaky_relu(x, {.negative_slope = negative_slope}); }
std::string LeakyReLU::describe() const { return fmt::format("negative_slope={}", negative_slope); }

ELU::ELU(double scale) : alpha(scale) {}
ELU::ELU(Module* parent, std::string name, double scale) : Module(parent, std::move(name)), alpha(scale) {}
Tensor ELU::forward(const Tensor& x) { return elu(x, {.alpha = alpha}); }
std::string ELU::describe() const { return fmt::format("alpha={}", alpha); }

GELU::GELU(bool by_tanh) : approximate_tanh(by_tanh) {}
GELU::GELU(Module* parent, std::string name, bool by_tanh)
    : Module(parent, std::move(name)), approximate_tanh(by_tanh) {}
Tensor GELU::forward(const Tensor& x) {
  return gelu(x, {.approximate = approximate_tanh ? GeluApproximation::tanh : GeluApproximation::none});
}
std::string GELU::describe() const { return fmt::format("approximate={}", approximate_tanh ? "tanh" : "none"); }

Softplus::Softplus(double sharpness, double linear_above) : beta(sharpness), threshold(linear_above) {}
Softplus::Softplus(Module* parent, std::string name, double sharpness, double linear_above)
    : Module(parent, std::move(name)), beta(sharpness), threshold(linear_above) {}
Tensor Softplus::forward(const Tensor& x) { return softplus(x, {.beta = beta, .threshold = threshold}); }
std::string Softplus::describe() const { return fmt::format("beta={}, threshold={}", beta, threshold); }

Hardtanh::Hardtanh(double least, double most) : min_val(least), max_val(most) {}
Hardtanh::Hardtanh(Module* parent, std::string name, double least, double most)
    : Module(parent, std::move(name)), min_val(least), max_val(most) {}
Tensor Hardtanh::forward(const Tensor& x) { return hardtanh(x, {.min_val = min_val, .max_val = max_val}); }
std::string Hardtanh::describe() const { return fmt::format("min_val={}, max_val={}", min_val, max_val); }

Softmax::Softmax(std::int64_t along) : dim(along) {}
Softmax::Softmax(Module* parent, std::string name, std::int64_t along) : Module(parent, std::move(name)), dim(along) {}
Tensor Softmax::forward(const Tensor& x) { return softmax(x, {.dim = dim}); }
std::string Softmax::describe() const { return fmt::format("dim={}", dim); }

LogSoftmax::LogSoftmax(std::int64_t along) : dim(along) {}
LogSoftmax::LogSoftmax(Module* parent, std::string name, std::int64_t along)
    : Module(parent, std::move(name)), dim(along) {}
Tensor LogSoftmax::forward(const Tensor& x) { return log_softmax(x, {.dim = dim}); }
std::string LogSoftmax::describe() const { return fmt::format("dim={}", dim); }

}  // namespace duet::nn
