// The gradient of the scores' sum by the input holds each sample's own gradient in its row.
#include <duet/nn/gradient_penalty.hpp>

#include <duet/autograd/backward.hpp>
#include <duet/core/fail.hpp>
#include <duet/core/tape.hpp>
#include <duet/ops/elementwise.hpp>
#include <duet/ops/reduce.hpp>
#include <duet/ops/shape.hpp>

namespace duet::nn {
namespace {

/// The gradient of the critic's scores by x: (N, elements of a sample). Recorded if the caller records; it is there
/// without that too, so that a penalty can be watched in evaluation.
Tensor gradient_by_sample(const char* name, const Callable<Tensor(const Tensor&)>& critic, Tensor x) {
  const bool recording = grad_enabled();
  const EnableGradGuard enable;
  x.set_requires_grad();
  const Tensor gradient = grad({sum(critic(x))}, {x}, {.create_graph = recording, .allow_unused = true})[0];
  if (!gradient.defined()) fail<AutogradError>(name, "the critic's scores do not depend on its input");
  return recording ? flatten(gradient, 1) : flatten(gradient, 1).detach();
}

void require_batch(const char* name, const Tensor& x) {
  if (x.rank() < 2) fail<ShapeError>(name, "samples need a batch dimension and at least one more, got {}", x.shape());
}

}  // namespace

Tensor gradient_penalty(const Callable<Tensor(const Tensor&)>& critic, const Tensor& real, const Tensor& fake,
                        const GradientPenaltyOptions& options, Generator& generator) {
  require_batch("gradient_penalty", real);
  if (real.shape() != fake.shape())
    fail<ShapeError>("gradient_penalty", "real and fake need one shape, got {} and {}", real.shape(), fake.shape());
  Shape each = Shape::filled(real.rank(), 1);
  each[0] = real.size(0);
  const Tensor share = rand(each, {.dtype = real.dtype()}, generator);
  const Tensor between = lerp(fake.detach(), real.detach(), share).detach();
  const Tensor lengths = norm(gradient_by_sample("gradient_penalty", critic, between), {.dim = {1}});
  return mean(square(lengths - options.target)) * options.weight;
}

Tensor r1_penalty(const Callable<Tensor(const Tensor&)>& critic, const Tensor& real, double weight) {
  require_batch("r1_penalty", real);
  const Tensor gradient = gradient_by_sample("r1_penalty", critic, real.detach());
  return mean(sum(square(gradient), {.dim = {1}})) * (weight / 2);
}

}  // namespace duet::nn
