// Activation functions as modules, for Sequential; the functions themselves are in ops/activation.hpp.
#pragma once

#include <duet/nn/module.hpp>

namespace duet::nn {

/// Hands x through.
struct Identity : Module {
  using Module::Module;
  Tensor forward(const Tensor& x) override { return x; }
};

struct ReLU : Module {
  using Module::Module;
  Tensor forward(const Tensor& x) override;
};

struct Sigmoid : Module {
  using Module::Module;
  Tensor forward(const Tensor& x) override;
};

struct Tanh : Module {
  using Module::Module;
  Tensor forward(const Tensor& x) override;
};

struct SiLU : Module {
  using Module::Module;
  Tensor forward(const Tensor& x) override;
};

struct Mish : Module {
  using Module::Module;
  Tensor forward(const Tensor& x) override;
};

struct SELU : Module {
  using Module::Module;
  Tensor forward(const Tensor& x) override;
};

struct Hardsigmoid : Module {
  using Module::Module;
  Tensor forward(const Tensor& x) override;
};

struct Hardswish : Module {
  using Module::Module;
  Tensor forward(const Tensor& x) override;
};

struct LeakyReLU : Module {
  explicit LeakyReLU(double slope = 0.01);
  LeakyReLU(Module* parent, std::string name, double slope = 0.01);
  Tensor forward(const Tensor& x) override;
  std::string describe() const override;
  double negative_slope;
};

struct ELU : Module {
  explicit ELU(double scale = 1);
  ELU(Module* parent, std::string name, double scale = 1);
  Tensor forward(const Tensor& x) override;
  std::string describe() const override;
  double alpha;
};

struct GELU : Module {
  explicit GELU(bool by_tanh = false);
  GELU(Module* parent, std::string name, bool by_tanh = false);
  Tensor forward(const Tensor& x) override;
  std::string describe() const override;
  bool approximate_tanh;
};

struct Softplus : Module {
  explicit Softplus(double sharpness = 1, double linear_above = 20);
  Softplus(Module* parent, std::string name, double sharpness = 1, double linear_above = 20);
  Tensor forward(const Tensor& x) override;
  std::string describe() const override;
  double beta, threshold;
};

struct Hardtanh : Module {
  explicit Hardtanh(double least = -1, double most = 1);
  Hardtanh(Module* parent, std::string name, double least = -1, double most = 1);
  Tensor forward(const Tensor& x) override;
  std::string describe() const override;
  double min_val, max_val;
};

struct Softmax : Module {
  explicit Softmax(std::int64_t along = -1);
  Softmax(Module* parent, std::string name, std::int64_t along = -1);
  Tensor forward(const Tensor& x) override;
  std::string describe() const override;
  std::int64_t dim;
};

struct LogSoftmax : Module {
  explicit LogSoftmax(std::int64_t along = -1);
  LogSoftmax(Module* parent, std::string name, std::int64_t along = -1);
  Tensor forward(const Tensor& x) override;
  std::string describe() const override;
  std::int64_t dim;
};

}  // namespace duet::nn
