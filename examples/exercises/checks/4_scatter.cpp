// Exercise 4: the test.
#include "4_scatter.hpp"

#include "check.hpp"

void run() {
  using namespace duet;
  manual_seed(0);
  for (std::int64_t stride = 1; stride < 4; ++stride)
    for (std::int64_t padding = 0; padding < 2; ++padding) {
      const Tensor x = to(randint(-5, 6, {4, 5}), f64), w = to(randint(-5, 6, {3, 4}), f64);
      const Tensor truth =
          conv_transpose2d(reshape(x, {1, 1, 4, 5}), reshape(w, {1, 1, 3, 4}), {.stride = stride, .padding = padding});
      same("stride " + std::to_string(stride) + ", padding " + std::to_string(padding), scatter(x, w, stride, padding),
           reshape(truth, {truth.size(2), truth.size(3)}));
    }
}
