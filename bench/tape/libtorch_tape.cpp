// The same chains in libtorch.
#include <torch/torch.h>

#include "workloads.hpp"

namespace {
struct Torch {
  static constexpr const char* name = "libtorch";
  using Tensor = torch::Tensor;
  using NoGrad = torch::NoGradGuard;
  static Tensor leaf(std::int64_t n) { return torch::ones({n}, torch::requires_grad()); }
  static Tensor neg(const Tensor& a) { return torch::neg(a); }
  static Tensor add(const Tensor& a, const Tensor& b) { return torch::add(a, b); }
  static Tensor mul(const Tensor& a, const Tensor& b) { return torch::mul(a, b); }
  static Tensor mul_scalar(const Tensor& a, double b) { return a * b; }
  static void backward(const Tensor& y, std::int64_t n) { y.backward(torch::ones({n})); }
  static void zero_grad(Tensor& t) { t.mutable_grad() = Tensor(); }
};
}  // namespace

int main() {
  torch::set_num_threads(1);
  run_tape_benchmark<Torch>();
}
