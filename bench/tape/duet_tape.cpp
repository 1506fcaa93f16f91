// What recording and walking the tape cost in Duet. Its peer is libtorch_tape.cpp.
#include <duet/autograd/backward.hpp>
#include <duet/core/factory.hpp>
#include <duet/core/parallel.hpp>
#include <duet/ops/elementwise.hpp>

#include "workloads.hpp"

namespace {
struct Duet {
  static constexpr const char* name = "duet";
  using Tensor = duet::Tensor;
  using NoGrad = duet::NoGradGuard;
  static Tensor leaf(std::int64_t n) { return duet::ones({n}, {.requires_grad = true}); }
  static Tensor neg(const Tensor& a) { return duet::neg(a); }
  static Tensor add(const Tensor& a, const Tensor& b) { return duet::add(a, b); }
  static Tensor mul(const Tensor& a, const Tensor& b) { return duet::mul(a, b); }
  static Tensor mul_scalar(const Tensor& a, double b) { return a * b; }
  static void backward(const Tensor& y, std::int64_t n) { y.backward(duet::ones({n})); }
  static void zero_grad(Tensor& t) { t.set_grad({}); }
};
}  // namespace

int main() {
  duet::set_num_threads(1);
  run_tape_benchmark<Duet>();
}
