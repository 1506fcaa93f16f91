// A gradient three ways: by hand, by the tape, by finite differences; and how wrong the last one is.
#include <cmath>
#include <cstdio>

#include <duet/duet.hpp>

using namespace duet;

Tensor f(const Tensor& x) { return sum(tanh(x) * x); }

int main() {
  manual_seed(0);  // where random numbers begin: the same in every run. randn draws normal ones.
  Tensor x = randn({5}, {.dtype = f64, .requires_grad = true});
  const Tensor direction = randn({5}, {.dtype = f64});

  // By hand: d/dx (x tanh x) = tanh x + x (1 - tanh^2 x). Along a direction: the inner product with it.
  // x.detach() has the values of x and is not on the tape: what is computed from it has no derivative.
  const Tensor t = tanh(x.detach());
  const double by_hand = sum((t + x.detach() * (1 - t * t)) * direction).item();
  // backward() adds gradients to x.grad(); grad(outputs, inputs) returns them.
  const double by_tape = sum(grad({f(x)}, {x})[0] * direction).item();
  std::printf("by hand %.12f\nby tape %.12f\n\n", by_hand, by_tape);

  // Central differences: the truncation falls with h^2, the rounding of f rises with 1/h.
  std::printf("     h      error of (f(x + h d) - f(x - h d)) / 2h\n");
  for (int digits = 1; digits <= 12; ++digits) {
    const double h = std::pow(10, -digits);
    const double difference = (f(x.detach() + direction * h).item() - f(x.detach() - direction * h).item()) / (2 * h);
    std::printf("1e-%02d      about 1e%+d\n", digits,
                static_cast<int>(std::lround(std::log10(std::abs(difference - by_hand) + 1e-17))));
  }

  // gradcheck chooses the step, compares every entry, goes to any order, and says what it found.
  const auto verdict = gradcheck(f, {x}, {.order = 2});
  std::printf("\ngradcheck: %s at order %d\n", name(verdict.verdict), verdict.order);
  const auto halved = gradcheck([](const Tensor& v) { return f(v) + f(v.detach()); }, {x});
  std::printf("with half of the derivative cut off: %s, the tape says %.4f, differences say %.4f\n",
              name(halved.verdict), halved.analytic, halved.numeric);
}
