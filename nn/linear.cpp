// Linear.
#include <duet/nn/linear.hpp>

#include <duet/nn/layer.hpp>
#include <duet/ops/matmul.hpp>

namespace duet::nn {

Linear::Linear(Module* parent, std::string name, std::int64_t in_features, std::int64_t out_features,
               const Options& options)
    : Module(parent, std::move(name)), weight(this, "weight"), bias(this, "bias") {
  require_at_least("Linear", "in_features", in_features, 1);
  require_at_least("Linear", "out_features", out_features, 1);
  weight = uniform_weight({out_features, in_features});
  if (options.bias) bias = uniform_bias(out_features, weight.shape());
}

Tensor Linear::forward(const Tensor& x) { return linear(x, weight, bias); }

std::string Linear::describe() const {
  return fmt::format("{}, {}, bias={}", weight.size(1), weight.size(0), bias.defined());
}

}  // namespace duet::nn
