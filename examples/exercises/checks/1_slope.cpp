// Exercise 1: the test.
#include "1_slope.hpp"

#include "check.hpp"

void run() {
  const auto cube = [](double x) { return x * x * x; };
  near("x^3 at 2", slope(cube, 2, 1e-5), 12, 1e-8);
  near("the truncation is h^2", slope(cube, 2, 0.1) - 12, 0.01, 1e-9);
  near("a constant", slope([](double) { return 4.0; }, 1, 1e-3), 0, 0);
}
