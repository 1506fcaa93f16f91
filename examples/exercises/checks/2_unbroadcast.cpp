// Exercise 2: the test.
#include "2_unbroadcast.hpp"

#include "check.hpp"

void run() {
  using namespace duet;
  manual_seed(0);
  for (const Shape& shape : {Shape{3, 1}, Shape{1, 4}, Shape{1, 1}, Shape{3, 4}}) {
    Tensor x = zeros(shape, {.dtype = f64, .requires_grad = true});
    const Tensor g = to(randint(-5, 6, {3, 4}), f64);
    sum(expand(x, {3, 4}) * g).backward();
    same("as the tape has it, " + to_string(shape), unbroadcast(g, shape), x.grad());
  }
}
