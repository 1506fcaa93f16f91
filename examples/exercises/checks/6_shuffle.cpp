// Exercise 6: the test.
#include "6_shuffle.hpp"

#include "check.hpp"

void run() {
  using namespace duet;
  manual_seed(0);
  for (std::int64_t r = 1; r < 4; ++r) {
    const Tensor x = randn({2, 3 * r * r, 4, 5}, {.dtype = f64});
    same("factor " + std::to_string(r), shuffle(x, r), pixel_shuffle(x, r));
  }
}
