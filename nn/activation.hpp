// Activation functions as modules, for Sequential; the functions themselves are in ops/activation.hpp.
#pragma once

#include <duet/nn/module.hpp>

namespace duet::nn {

/// Hands x through.
struct Identity : Module {
  using Module::Module;
  Tensor forward(const Tensor& x) override { return x; }
};

/// duet::relu() of x.
struct ReLU : Module {
  using Module::Module;
  Tensor forward(const Tensor& x) override;
};

/// duet::sigmoid() of x.
struct Sigmoid : Module {
  using Module::Module;
  Tensor forward(const Tensor& x) override;
};

/// duet::tanh() of x.
struct Tanh : Module {
  using Module::Module;
  Tensor forward(const Tensor& x) override;
};

/// duet::silu() of x.
struct SiLU : Module {
  using Module::Module;
  Tensor forward(const Tensor& x) override;
};

/// duet::mish() of x.
struct Mish : Module {
  using Module::Module;
  Tensor forward(const Tensor& x) override;
};

/// duet::selu() of x.
struct SELU : Module {
  using Module::Module;
  Tensor forward(const Tensor& x) override;
};

/// duet::hardsigmoid() of x.
struct Hardsigmoid : Module {
  using Module::Module;
  Tensor forward(const Tensor& x) override;
};

/// duet::hardswish() of x.
struct Hardswish : Module {
  using Module::Module;
  Tensor forward(const Tensor& x) override;
};

/// duet::leaky_relu() of x.
struct LeakyReLU : Module {
  explicit LeakyReLU(double slope = 0.01);
  LeakyReLU(Module* parent, std::string name, double slope = 0.01);
  Tensor forward(const Tensor& x) override;
  std::string describe() const override;
  double negative_slope;
};

/// duet::elu() of x.
struct ELU : Module {
  explicit ELU(double scale = 1);
  ELU(Module* parent, std::string name, double scale = 1);
  Tensor forward(const Tensor& x) override;
  std::string describe() const override;
  double alpha;
};

/// duet::gelu() of x.
struct GELU : Module {
  explicit GELU(bool by_tanh = false);
  GELU(Module* parent, std::string name, bool by_tanh = false);
  Tensor forward(const Tensor& x) override;
  std::string describe() const override;
  bool approximate_tanh;
};

/// duet::softplus() of x.
struct Softplus : Module {
  explicit Softplus(double sharpness = 1, double linear_above = 20);
  Softplus(Module* parent, std::string name, double sharpness = 1, double linear_above = 20);
  Tensor forward(const Tensor& x) override;
  std::string describe() const override;
  double beta, threshold;
};

/// duet::hardtanh() of x.
struct Hardtanh : Module {
  explicit Hardtanh(double least = -1, double most = 1);
  Hardtanh(Module* parent, std::string name, double least = -1, double most = 1);
  Tensor forward(const Tensor& x) override;
  std::string describe() const override;
  double min_val, max_val;
};

/// duet::softmax() of x.
struct Softmax : Module {
  explicit Softmax(std::int64_t along = -1);
  Softmax(Module* parent, std::string name, std::int64_t along = -1);
  Tensor forward(const Tensor& x) override;
  std::string describe() const override;
  std::int64_t dim;
};

/// duet::log_softmax() of x.
struct LogSoftmax : Module {
  explicit LogSoftmax(std::int64_t along = -1);
  LogSoftmax(Module* parent, std::string name, std::int64_t along = -1);
  Tensor forward(const Tensor& x) override;
  std::string describe() const override;
  std::int64_t dim;
};

}  // namespace duet::nn
