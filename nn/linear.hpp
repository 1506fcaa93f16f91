// The fully connected layer.
#pragma once

#include <duet/nn/module.hpp>

namespace duet::nn {

struct LinearOptions {
  bool bias = true;
};

/// y = x · weightᵀ + bias over the last dimension: x (…, in), weight (out, in), bias (out). Both begin uniform within
/// ±1/sqrt(in).
class Linear : public Module {
 public:
  using Options = LinearOptions;
  Linear(std::int64_t in_features, std::int64_t out_features, const Options& options = {})
      : Linear(nullptr, "", in_features, out_features, options) {}
  Linear(Module* parent, std::string name, std::int64_t in_features, std::int64_t out_features,
         const Options& options = {});
  Tensor forward(const Tensor& x) override;
  std::string describe() const override;

  Parameter weight, bias;
};

}  // namespace duet::nn
