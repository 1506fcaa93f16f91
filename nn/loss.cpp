// Losses as modules: what their users need not compile.
#include <duet/nn/loss.hpp>

namespace duet::nn {

Tensor Loss::operator()(const Tensor& input, const Tensor& target) {
  return call([&](const Tensor& x, const Tensor& t) { return loss(x, t); }, input, target);
}

BCEWithLogitsLoss::BCEWithLogitsLoss(Module* parent, std::string name, const LossOptions& given, const Tensor& weights,
                                     const Tensor& positives)
    : Loss(parent, std::move(name)),
      options(given),
      weight(this, "weight", weights),
      pos_weight(this, "pos_weight", positives) {}

std::string BCEWithLogitsLoss::describe() const { return to_string(AnyOptions(options)); }

Tensor BCEWithLogitsLoss::loss(const Tensor& input, const Tensor& target) {
  return binary_cross_entropy_with_logits(input, target, options, weight, pos_weight);
}

}  // namespace duet::nn
