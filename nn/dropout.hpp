// Dropout as modules: random zeros in training, nothing in evaluation. They draw from default_generator().
#pragma once

#include <duet/nn/module.hpp>

namespace duet::nn {

/// In training, each element zero with probability p and the others divided by 1 − p (Srivastava et al. 2014).
/// ValueError for a p outside [0, 1].
struct Dropout : Module {
  explicit Dropout(double share = 0.5) : Dropout(nullptr, "", share) {}
  Dropout(Module* parent, std::string name, double share = 0.5);
  Tensor forward(const Tensor& x) override;
  std::string describe() const override;
  double p;
};

/// The same for whole channels of x (N, C, …) (Tompson et al. 2015).
struct Dropout2d : Module {
  explicit Dropout2d(double share = 0.5) : Dropout2d(nullptr, "", share) {}
  Dropout2d(Module* parent, std::string name, double share = 0.5);
  Tensor forward(const Tensor& x) override;
  std::string describe() const override;
  double p;
};

}  // namespace duet::nn
