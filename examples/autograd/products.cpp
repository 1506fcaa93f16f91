#include <cstdio>

#include <duet/autograd/functional.hpp>
#include <duet/core/factory.hpp>
#include <duet/ops/elementwise.hpp>
#include <duet/ops/reduce.hpp>

using namespace duet;

int main() {
  const Tensor x = arange(1, 4, 1, {.dtype = f64}), v = linspace(1, -1, 3, {.dtype = f64});
  const auto squares = [](const Tensor& t) { return t * t; };
  const auto cubes = [](const Tensor& t) { return sum(t * t * t); };

  std::printf("J^T v     %s\n", to_string(vjp(squares, {x}, {v}).products[0]).c_str());
  std::printf("J v       %s\n", to_string(jvp(squares, {x}, {v}).products[0]).c_str());
  std::printf("H v       %s\n", to_string(hvp(cubes, {x}, {v}).products[0]).c_str());
  std::printf("jacobian\n%s\n", to_string(jacobian(squares, x)).c_str());
  std::printf("hessian\n%s\n", to_string(hessian(cubes, x)).c_str());
}
