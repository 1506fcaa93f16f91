// A small classifier of points, trained, saved and loaded again: the skeleton of a project of one's own.
#include <cstdio>

#include <duet/duet.hpp>

using namespace duet;

struct Classifier : nn::Module {
  nn::Linear hidden{this, "hidden", 2, 64};
  nn::Linear out{this, "out", 64, 1};
  Tensor forward(const Tensor& x) override { return out(relu(hidden(x))); }
};

/// Points in a square, and whether they lie in a ring.
data::Sample points(std::int64_t count) {
  const Tensor x = rand({count, 2}) * 4 - 2;
  const Tensor radius = sqrt(sum(x * x, {.dim = {1}, .keepdim = true}));
  return {x, to(lt(abs(radius - 1.2), Tensor::scalar(0.5)), f32)};
}

int main() {
  manual_seed(0);
  Classifier model;
  optim::Adam optimizer(model.parameters(), {.lr = 3e-2});
  for (int step = 0; step <= 900; ++step) {
    const auto [x, target] = points(128);
    optimizer.zero_grad();
    const Tensor loss = binary_cross_entropy_with_logits(model(x), target);
    loss.backward();
    optimizer.step();
    if (step % 300 == 0) std::printf("step %3d  loss %.3f\n", step, loss.item());
  }
  save_safetensors("starter.safetensors", model.state_dict());

  Classifier again;
  again.load_state_dict(load_safetensors("starter.safetensors").tensors);
  const NoGradGuard no_grad;
  const auto [x, target] = points(2000);
  const Tensor right = to(eq(to(gt(again(x), Tensor::scalar(0)), f32), target), f32);
  std::printf("right: %.1f %%\n", 100 * mean(right).item());
  return mean(right).item() > 0.9 ? 0 : 1;
}
