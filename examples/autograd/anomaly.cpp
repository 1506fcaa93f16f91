#include <cstdio>

#include <duet/autograd/anomaly.hpp>
#include <duet/autograd/backward.hpp>
#include <duet/core/factory.hpp>
#include <duet/nn/module.hpp>
#include <duet/ops/elementwise.hpp>
#include <duet/ops/reduce.hpp>
#include <duet/ops/shape.hpp>

using namespace duet;

// Lengths, whose gradient at length 0 is 0 / 0.
struct Lengths : nn::Module {
  using nn::Module::Module;
  Tensor forward(const Tensor& x) override { return sqrt(sum(x * x, {.dim = {1}})); }
};
struct Model : nn::Module {
  nn::Parameter scale{this, "scale", ones({3})};
  Lengths lengths{this, "lengths"};
  Tensor forward(const Tensor& x) override { return lengths(x * scale); }
};

int main() {
  Model model;
  const Tensor x = arange(0, 6, 1);
  // With stacks (the default) the message also lists who called the op that recorded it.
  const AnomalyMode anomaly({.stacks = false});
  const Tensor points = reshape(x, {2, 3}) * Tensor::from_span(std::vector<float>{0, 1}, {2, 1});
  const Tensor loss = sum(model(points));
  try {
    loss.backward();
  } catch (const AutogradError& error) {
    std::printf("%s\n", error.what());
  }
}
