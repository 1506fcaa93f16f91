// Exercise 5: the test.
#include "5_weight.hpp"

#include "check.hpp"

void run() {
  using namespace duet;
  manual_seed(0);
  for (std::int64_t stride = 1; stride < 4; ++stride) {
    const Tensor x = to(randint(-5, 6, {1, 1, 9, 8}), f64);
    Tensor w = zeros({1, 1, 3, 3}, {.dtype = f64, .requires_grad = true});
    const Tensor y = conv2d(x, w, {.stride = stride});
    const Tensor g = to(randint(-5, 6, y.shape()), f64);
    sum(y * g).backward();
    same("stride " + std::to_string(stride),
         weight_gradient(reshape(x, {9, 8}), reshape(g, {g.size(2), g.size(3)}), 3, stride), reshape(w.grad(), {3, 3}));
  }
}
