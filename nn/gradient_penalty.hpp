// Penalties on the gradient of a critic by its input, which keep a GAN's training steady. They need a backward pass
// that is recorded, so they are no op.
#pragma once

#include <duet/core/callable.hpp>
#include <duet/core/random.hpp>
#include <duet/core/tensor.hpp>

namespace duet::nn {

struct GradientPenaltyOptions {
  double weight = 10;  ///< the lambda that multiplies the penalty
  double target = 1;   ///< the norm that is wanted
};

/// weight · mean((‖∇critic(x̂)‖ − target)²), x̂ = u · real + (1 − u) · fake with one u, uniform in [0, 1), for each
/// sample (Gulrajani et al. 2017, arXiv:1704.00028). The norm is over everything but the first dimension. real and fake
/// are of one shape (ShapeError) with a batch dimension and are taken as constants; gradients flow into what the critic
/// holds.
Tensor gradient_penalty(const Callable<Tensor(const Tensor&)>& critic, const Tensor& real, const Tensor& fake,
                        const GradientPenaltyOptions& options = {}, Generator& generator = default_generator());

/// weight / 2 · mean(‖∇critic(real)‖²) (R1; Mescheder et al. 2018, arXiv:1801.04406). `real`, of two
/// dimensions or more (ShapeError), is taken as a constant.
Tensor r1_penalty(const Callable<Tensor(const Tensor&)>& critic, const Tensor& real, double weight = 10);

}  // namespace duet::nn
