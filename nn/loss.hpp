// Losses as modules: an op of ops/loss.hpp with its options, called with an input and a target.
#pragma once

#include <duet/nn/module.hpp>
#include <duet/ops/loss.hpp>
#include <duet/ops/loss_composed.hpp>

namespace duet::nn {

/// What takes an input and a target, of shapes as the op says.
class Loss : public Module {
 public:
  using Module::Module;
  Tensor operator()(const Tensor& input, const Tensor& target);

 protected:
  virtual Tensor loss(const Tensor& input, const Tensor& target) = 0;
};

/// A loss whose op has options of type O and nothing else.
template <class O, Tensor (*function)(const Tensor&, const Tensor&, const O&)>
class LossOf : public Loss {
 public:
  explicit LossOf(const O& given = {}) : options(given) {}
  LossOf(Module* parent, std::string name, const O& given = {}) : Loss(parent, std::move(name)), options(given) {}
  std::string describe() const override { return to_string(AnyOptions(options)); }
  O options;

 protected:
  Tensor loss(const Tensor& input, const Tensor& target) override { return function(input, target, options); }
};

/// duet::mse_loss() of input and target.
struct MSELoss : LossOf<LossOptions, mse_loss> {
  using LossOf::LossOf;
};
/// duet::l1_loss() of input and target.
struct L1Loss : LossOf<LossOptions, l1_loss> {
  using LossOf::LossOf;
};
/// duet::smooth_l1_loss() of input and target.
struct SmoothL1Loss : LossOf<SmoothL1Options, smooth_l1_loss> {
  using LossOf::LossOf;
};
/// duet::huber_loss() of input and target.
struct HuberLoss : LossOf<HuberOptions, huber_loss> {
  using LossOf::LossOf;
};
/// duet::kl_div() of input and target.
struct KLDivLoss : LossOf<KlDivOptions, kl_div> {
  using LossOf::LossOf;
};
/// duet::dice_loss() of input and target.
struct DiceLoss : LossOf<DiceOptions, dice_loss> {
  using LossOf::LossOf;
};
/// duet::dice_bce_loss() of input and target.
struct DiceBCELoss : LossOf<DiceOptions, dice_bce_loss> {
  using LossOf::LossOf;
};
/// duet::focal_loss() of input and target.
struct FocalLoss : LossOf<FocalOptions, focal_loss> {
  using LossOf::LossOf;
};

/// A loss with weights: of elements (weight) and, for logits, of positives (pos_weight); of classes for the losses of
/// classes. They are buffers, saved with the state under PyTorch's names.
template <class O, Tensor (*function)(const Tensor&, const Tensor&, const O&, const Tensor&)>
class WeightedLossOf : public Loss {
 public:
  explicit WeightedLossOf(const O& given = {}, const Tensor& weights = {})
      : WeightedLossOf(nullptr, "", given, weights) {}
  WeightedLossOf(Module* parent, std::string name, const O& given = {}, const Tensor& weights = {})
      : Loss(parent, std::move(name)), options(given), weight(this, "weight", weights) {}
  std::string describe() const override { return to_string(AnyOptions(options)); }
  O options;
  Buffer weight;

 protected:
  Tensor loss(const Tensor& input, const Tensor& target) override { return function(input, target, options, weight); }
};

/// duet::binary_cross_entropy() of input and target.
struct BCELoss : WeightedLossOf<LossOptions, binary_cross_entropy> {
  using WeightedLossOf::WeightedLossOf;
};
/// duet::cross_entropy() of input and target.
struct CrossEntropyLoss : WeightedLossOf<CrossEntropyOptions, cross_entropy> {
  using WeightedLossOf::WeightedLossOf;
};
/// duet::nll_loss() of input and target.
struct NLLLoss : WeightedLossOf<NllOptions, nll_loss> {
  using WeightedLossOf::WeightedLossOf;
};

/// duet::binary_cross_entropy_with_logits() of input and target.
class BCEWithLogitsLoss : public Loss {
 public:
  explicit BCEWithLogitsLoss(const LossOptions& given = {}, const Tensor& weights = {}, const Tensor& positives = {})
      : BCEWithLogitsLoss(nullptr, "", given, weights, positives) {}
  BCEWithLogitsLoss(Module* parent, std::string name, const LossOptions& given = {}, const Tensor& weights = {},
                    const Tensor& positives = {});
  std::string describe() const override;
  LossOptions options;
  Buffer weight, pos_weight;

 protected:
  Tensor loss(const Tensor& input, const Tensor& target) override;
};

}  // namespace duet::nn
