// Losses. Prediction and target must have one shape: a target that would broadcast is a ShapeError, never a silent
// average over the wrong pairs. f32 or f64, one dtype (DtypeError); class indices are i64. The result is a scalar, or
// with Reduction::none the losses of the elements.
#pragma once

#include <duet/core/options.hpp>
#include <duet/core/tensor.hpp>

namespace duet {

/// What becomes of the losses of the elements.
enum class Reduction { none, mean, sum };

inline void visit_reduction(FieldVisitor& visitor, Reduction& value) {
  static constexpr const char* names[] = {"none", "mean", "sum"};
  visitor.choice("reduction", value, names);
}  ///< the field `reduction` of options

struct LossOptions {
  Reduction reduction = Reduction::mean;
  void fields(FieldVisitor& visitor) { visit_reduction(visitor, reduction); }
};

/// (input − target)².
Tensor mse_loss(const Tensor& input, const Tensor& target, const LossOptions& options = {});
/// |input − target|.
Tensor l1_loss(const Tensor& input, const Tensor& target, const LossOptions& options = {});

struct SmoothL1Options {
  Reduction reduction = Reduction::mean;
  double beta = 1;  ///< not negative (ValueError); 0 gives l1_loss
  void fields(FieldVisitor& visitor) {
    visit_reduction(visitor, reduction);
    visitor.field("beta", beta);
  }
};
/// With d = |input − target|: d² / (2 beta) below beta, d − beta / 2 above.
Tensor smooth_l1_loss(const Tensor& input, const Tensor& target, const SmoothL1Options& options = {});

struct HuberOptions {
  Reduction reduction = Reduction::mean;
  double delta = 1;  ///< positive (ValueError)
  void fields(FieldVisitor& visitor) {
    visit_reduction(visitor, reduction);
    visitor.field("delta", delta);
  }
};
/// d² / 2 below delta, delta (d − delta / 2) above (Huber 1964).
Tensor huber_loss(const Tensor& input, const Tensor& target, const HuberOptions& options = {});

/// −(t log x + (1 − t) log(1 − x)) of probabilities x, logarithms held above −100. `weight` scales the elements'
/// losses and broadcasts to them.
Tensor binary_cross_entropy(const Tensor& input, const Tensor& target, const LossOptions& options = {},
                            const Tensor& weight = {});
/// The same of logits, without overflow: (1 − t) x + (1 + (p − 1) t) log(1 + e^−x), where p, pos_weight, is the weight
/// of positives. Both weights broadcast to the input's shape.
Tensor binary_cross_entropy_with_logits(const Tensor& input, const Tensor& target, const LossOptions& options = {},
                                        const Tensor& weight = {}, const Tensor& pos_weight = {});
/// g (sigmoid(input) − target), where g is a number or one for each element: the gradient of the unweighted loss.
Tensor binary_cross_entropy_with_logits_backward(const Tensor& g, const Tensor& input, const Tensor& target);

enum class KlReduction { none, mean, sum, batchmean };
struct KlDivOptions {
  KlReduction reduction = KlReduction::mean;  ///< batchmean divides by the first size, as the divergence is defined
  bool log_target = false;                    ///< the target is given as logarithms too
  void fields(FieldVisitor& visitor) {
    static constexpr const char* names[] = {"none", "mean", "sum", "batchmean"};
    visitor.choice("reduction", reduction, names);
    visitor.field("log_target", log_target);
  }
};
/// t (log t − input), where the input holds logarithms of probabilities (Kullback and Leibler 1951).
Tensor kl_div(const Tensor& input, const Tensor& target, const KlDivOptions& options = {});

struct CrossEntropyOptions {
  std::int64_t ignore_index = -100;  ///< positions with this target do not count
  Reduction reduction = Reduction::mean;
  double label_smoothing = 0;  ///< share of the target that is spread over all classes, in [0, 1] (ValueError)
  void fields(FieldVisitor& visitor) {
    visitor.field("ignore_index", ignore_index);
    visit_reduction(visitor, reduction);
    visitor.field("label_smoothing", label_smoothing);
  }
};
/// The cross entropy of logits (N, C, …) and classes (N, …) i64, or (C) and a scalar. `weight` (C) scales the classes;
/// the mean divides by the weights of the targets. ValueError for a class out of range; no gradient by `weight`
/// (AutogradError). A floating target of the input's shape holds probabilities of the classes instead: it is
/// differentiable too, and the mean is over the positions.
Tensor cross_entropy(const Tensor& input, const Tensor& target, const CrossEntropyOptions& options = {},
                     const Tensor& weight = {});
/// The gradient by the logits, in their shape, g being the loss's cotangent.
Tensor cross_entropy_backward(const Tensor& g, const Tensor& input, const Tensor& target,
                              const CrossEntropyOptions& options, const Tensor& weight = {});

struct NllOptions {
  std::int64_t ignore_index = -100;
  Reduction reduction = Reduction::mean;
  void fields(FieldVisitor& visitor) {
    visitor.field("ignore_index", ignore_index);
    visit_reduction(visitor, reduction);
  }
};
/// Minus the entry of the target's class, of log-probabilities (N, C, …); else as cross_entropy.
Tensor nll_loss(const Tensor& input, const Tensor& target, const NllOptions& options = {}, const Tensor& weight = {});

struct DiceOptions {
  double smooth = 1;  ///< added above and below the fraction line; makes empty masks score 1
  void fields(FieldVisitor& visitor) { visitor.field("smooth", smooth); }
};
/// 1 − (2 Σ p t + smooth) / (Σ p + Σ t + smooth), p = sigmoid(logits), summed over everything but the first
/// dimension, averaged over that (Milletari et al. 2016, without their squares). Rank at least 1 (ShapeError).
Tensor dice_loss(const Tensor& logits, const Tensor& target, const DiceOptions& options = {});
/// dice_loss + binary_cross_entropy_with_logits.
Tensor dice_bce_loss(const Tensor& logits, const Tensor& target, const DiceOptions& options = {});

}  // namespace duet
