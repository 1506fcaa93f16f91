// Losses that are written in other ops, and get their derivatives of every order from them: focal loss, the losses of
// generator and discriminator, total variation. (The gradient penalty needs a backward pass: nn/gradient_penalty.hpp.)
// f32 or f64 (DtypeError); results are scalars.
#pragma once

#include <duet/ops/loss.hpp>

namespace duet {

struct FocalOptions {
  double alpha = 0.25;  ///< weight of positives, 1 − alpha that of negatives; negative: no weights
  double gamma = 2;     ///< not negative (ValueError); 0 gives the cross entropy
  Reduction reduction = Reduction::mean;
  void fields(FieldVisitor& visitor) {
    visitor.field("alpha", alpha);
    visitor.field("gamma", gamma);
    visit_reduction(visitor, reduction);
  }
};
/// (1 − q)^gamma · cross entropy, q the probability given to the truth: hard examples count more (Lin et al. 2017,
/// arXiv:1708.02002). Logits and targets in [0, 1] of one shape (ShapeError).
Tensor focal_loss(const Tensor& logits, const Tensor& target, const FocalOptions& options = {});

/// How a discriminator's scores become losses.
enum class GanLoss {
  vanilla,        ///< cross entropy, the generator's not saturating (Goodfellow et al. 2014, arXiv:1406.2661)
  least_squares,  ///< (Mao et al. 2017, arXiv:1611.04076)
  hinge,          ///< (Lim and Ye 2017, arXiv:1705.02894)
  wasserstein,    ///< the critic's scores themselves (Arjovsky et al. 2017, arXiv:1701.07875)
};
/// What a discriminator minimises, from its scores of real and of generated samples (any shapes), averaged over each.
Tensor gan_discriminator_loss(const Tensor& real, const Tensor& fake, GanLoss loss = GanLoss::vanilla);
/// What a generator minimises, from the scores of its samples (any shape), averaged.
Tensor gan_generator_loss(const Tensor& fake, GanLoss loss = GanLoss::vanilla);

/// The sum of |differences| between neighbours along the last two dimensions of x (…, H, W), over the number of images
/// (Rudin, Osher and Fatemi 1992, anisotropic). ShapeError below two dimensions.
Tensor total_variation(const Tensor& x);

}  // namespace duet
