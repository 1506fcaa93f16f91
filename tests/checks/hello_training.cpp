// What tests/checks/compile_budget.sh compiles: a program that trains one layer.
#include <cstdio>

#include <duet/duet.hpp>

int main() {
  duet::manual_seed(0);
  duet::nn::Conv2d layer{1, 1, 3, {.padding = 1}};
  duet::optim::SGD optimizer(layer.parameters(), {.lr = 0.1});
  const duet::Tensor x = duet::randn({4, 1, 16, 16}), target = tanh(x);
  for (int step = 0; step < 10; ++step) {
    optimizer.zero_grad();
    const duet::Tensor loss = mse_loss(layer(x), target);
    loss.backward();
    optimizer.step();
    std::printf("%d %.4f\n", step, loss.item());
  }
}
