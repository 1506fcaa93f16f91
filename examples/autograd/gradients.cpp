#include <cstdio>

#include <duet/autograd/backward.hpp>
#include <duet/core/factory.hpp>
#include <duet/ops/elementwise.hpp>
#include <duet/ops/reduce.hpp>

using namespace duet;

int main() {
  const Tensor x = arange(1, 4, 1, {.dtype = f64, .requires_grad = true});

  // backward() adds to the grad() of every leaf.
  sum(x * x).backward();
  sum(x * x).backward();
  std::printf("twice 2x      %s\n", to_string(x.grad()).c_str());

  // grad() returns gradients and leaves grad() alone; with create_graph they can be differentiated again.
  const Tensor y = sum(x * x * x);
  const Tensor first = grad({y}, {x}, {.create_graph = true})[0];
  const Tensor second = grad({sum(first)}, {x}, {.create_graph = true})[0];
  const Tensor third = grad({sum(second)}, {x})[0];
  std::printf("3x^2          %s\n", to_string(first.detach()).c_str());
  std::printf("6x            %s\n", to_string(second.detach()).c_str());
  std::printf("6             %s\n", to_string(third).c_str());

  // A graph is freed as a backward passes it, unless it is told to stay.
  const Tensor loss = sum(x * x);
  loss.backward({}, {.retain_graph = true});
  loss.backward();
  try {
    loss.backward();
  } catch (const AutogradError& error) {
    std::printf("%s\n", error.what());
  }
}
