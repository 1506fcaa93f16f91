// A Wasserstein GAN with gradient penalty, small enough to read: points on a circle. The penalty differentiates a
// gradient.
#include <cstdio>

#include <duet/duet.hpp>

using namespace duet;

nn::Sequential network(std::int64_t in, std::int64_t out) {
  return nn::Sequential{nn::Linear{in, 32}, nn::Tanh{}, nn::Linear{32, 32}, nn::Tanh{}, nn::Linear{32, out}};
}

/// The real thing: points on the unit circle.
Tensor circle(std::int64_t n) {
  const Tensor angle = rand({n, 1}, {.dtype = f64}) * 6.283185307179586;
  return cat({cos(angle), sin(angle)}, 1);
}

/// (|d critic / d x| - 1)^2 on points between real and false ones: the critic shall have slope 1 there
/// (Gulrajani et al. 2017). The gradient is itself part of the graph, so the penalty has a derivative.
Tensor gradient_penalty(nn::Module& critic, const Tensor& real, const Tensor& fake) {
  const Tensor t = rand({real.size(0), 1}, {.dtype = f64});
  Tensor between = (real * t + fake * (1 - t)).detach();
  between.set_requires_grad();
  const Tensor slope = grad({sum(critic(between))}, {between}, {.create_graph = true})[0];
  const Tensor off = sqrt(sum(slope * slope, {.dim = {1}}) + 1e-12) - 1;
  return mean(off * off);
}

/// The penalty as a module, so that gradcheck finds the weights and holds the random numbers still.
struct Penalty : nn::Module {
  nn::Sequential critic{this, "critic", nn::Linear{2, 8}, nn::Tanh{}, nn::Linear{8, 1}};
  Tensor forward(const Tensor& real) override { return gradient_penalty(critic, real, real * -0.5); }
};

int main() {
  manual_seed(0);
  nn::Sequential generator = network(2, 2), critic = network(2, 1);
  generator.to(f64);
  critic.to(f64);

  // Is the derivative of the penalty right? gradcheck moves every weight of a critic (inputs 1 to 4) and looks.
  Penalty penalty;
  penalty.to(f64);
  const auto verdict = gradcheck(penalty, [](const Tensor& p) { return p; }, circle(3), {.by = {1, 2, 3, 4}});
  std::printf("gradcheck of the penalty: %s\n", name(verdict.verdict));

  optim::Adam generator_optimizer(generator.parameters(), {.lr = 2e-3, .betas = {0.5, 0.9}});
  optim::Adam critic_optimizer(critic.parameters(), {.lr = 2e-3, .betas = {0.5, 0.9}});
  const std::int64_t n = 64;
  for (int step = 0; step <= 300; ++step) {
    for (int i = 0; i < 3; ++i) {
      const Tensor x = circle(n), made = generator(randn({n, 2}, {.dtype = f64})).detach();
      critic_optimizer.zero_grad();
      (mean(critic(made)) - mean(critic(x)) + gradient_penalty(critic, x, made) * 1.0).backward();
      critic_optimizer.step();
    }
    generator_optimizer.zero_grad();
    const Tensor points = generator(randn({n, 2}, {.dtype = f64}));
    (-mean(critic(points))).backward();
    generator_optimizer.step();
    if (step % 100 == 0) {
      const Tensor radius = sqrt(sum(points * points, {.dim = {1}}));
      std::printf("step %3d  radius %.1f +- %.1f\n", step, mean(radius).item(), duet::std(radius).item());
    }
  }
}
