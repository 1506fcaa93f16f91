// Losses in terms of other ops.
#include <duet/ops/loss_composed.hpp>

#include <duet/core/factory.hpp>
#include <duet/core/fail.hpp>
#include <duet/ops/activation.hpp>
#include <duet/ops/elementwise.hpp>
#include <duet/ops/reduce.hpp>
#include <duet/ops/shape.hpp>

namespace duet {

Tensor focal_loss(const Tensor& logits, const Tensor& target, const FocalOptions& options) {
  if (!(options.gamma >= 0)) fail<ValueError>("focal_loss", "gamma must not be negative, got {}", options.gamma);
  Tensor losses = binary_cross_entropy_with_logits(logits, target, {Reduction::none});
  if (options.gamma > 0) {
    const Tensor p = sigmoid(logits);
    losses = losses * pow(p + target - p * target * 2.0, options.gamma);
  }
  if (options.alpha >= 0) losses = losses * (target * (2 * options.alpha - 1) + (1 - options.alpha));
  return options.reduction == Reduction::none  ? losses
         : options.reduction == Reduction::sum ? sum(losses)
                                               : mean(losses);
}

Tensor gan_discriminator_loss(const Tensor& real, const Tensor& fake, GanLoss loss) {
  switch (loss) {
    case GanLoss::vanilla:
      return binary_cross_entropy_with_logits(real, ones_like(real)) +
             binary_cross_entropy_with_logits(fake, zeros_like(fake));
    case GanLoss::least_squares: return (mean(square(real - 1.0)) + mean(square(fake))) * 0.5;
    case GanLoss::hinge: return mean(relu(1.0 - real)) + mean(relu(1.0 + fake));
    default: return mean(fake) - mean(real);
  }
}

Tensor gan_generator_loss(const Tensor& fake, GanLoss loss) {
  switch (loss) {
    case GanLoss::vanilla: return binary_cross_entropy_with_logits(fake, ones_like(fake));
    case GanLoss::least_squares: return mean(square(fake - 1.0)) * 0.5;
    default: return -mean(fake);
  }
}

Tensor total_variation(const Tensor& x) {
  if (x.rank() < 2) fail<ShapeError>("total_variation", "x needs at least 2 dimensions, got {}", x.shape());
  const std::int64_t height = x.size(-2), width = x.size(-1);
  std::int64_t images = 1;
  for (int i = 0; i + 2 < x.rank(); ++i) images *= x.shape()[i];
  const Tensor down = slice(x, -2, 1, height) - slice(x, -2, 0, height - 1);
  const Tensor across = slice(x, -1, 1, width) - slice(x, -1, 0, width - 1);
  return (sum(abs(down)) + sum(abs(across))) * (1.0 / static_cast<double>(images));
}

}  // namespace duet
