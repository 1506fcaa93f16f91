#include <cstdio>

#include <duet/autograd/custom.hpp>
#include <duet/autograd/gradcheck.hpp>
#include <duet/autograd/taylor.hpp>
#include <duet/core/factory.hpp>
#include <duet/core/random.hpp>
#include <duet/nn/conv.hpp>
#include <duet/nn/gradcheck.hpp>
#include <duet/ops/activation.hpp>
#include <duet/ops/conv.hpp>
#include <duet/ops/elementwise.hpp>
#include <duet/ops/reduce.hpp>

using namespace duet;

int main() {
  manual_seed(0);
  const Tensor x = randn({1, 2, 5, 5}, {.dtype = f64}), w = randn({2, 3, 3, 3}, {.dtype = f64});

  // A function, to third order. It is linear in both inputs: differences with step 1 are exact.
  const auto up = [](const Tensor& a, const Tensor& b) { return conv_transpose2d(a, b, {.stride = 2, .output_padding = 1}); };
  const GradcheckResult third = gradcheck(up, {x, w}, {.order = 3, .linear = {0, 1}});
  std::printf("conv_transpose2d: %s at order %d, error below 1e-12: %s\n", name(third.verdict), third.order,
              third.error < 1e-12 ? "yes" : "no");

  // A model: input and every parameter, by name.
  nn::Conv2d model{2, 3, 3};
  model.to(f64);
  const auto loss = [](const Tensor& y) { return mean(y * y); };
  std::printf("model: %s\n", name(gradcheck(model, loss, x, {.order = 2}).verdict));

  // A gradient that is wrong by one part in a thousand.
  const auto wrong = [](const Tensor& t) {
    return custom(
        "wrong", {t}, [](FunctionContext& c, const Tensors& in) { c.save(in); return in[0] * in[0]; },
        [](FunctionContext& c, const Tensors& g) { return g[0] * c.saved()[0] * 2.002; })[0];
  };
  const Tensor points = linspace(1, 2, 3, {.dtype = f64});
  std::printf("%s\n", to_string(gradcheck(wrong, {points})).c_str());

  // A kink is told from a mistake.
  std::printf("relu at 0: %s\n", name(gradcheck([](const Tensor& t) { return relu(t); }, {zeros({2}, {.dtype = f64})}).verdict));

  // The second witness: the remainder of a Taylor polynomial falls with the right power of h.
  const Tensor direction = linspace(-1, 1, 3, {.dtype = f64});
  const auto cube = [](const Tensor& t) { return t * t * t; };
  std::printf("slopes: %.1f, with two derivatives %.1f\n", taylor_test(cube, points, direction).slope,
              taylor_test(cube, points, direction, {.order = 2}).slope);
}
