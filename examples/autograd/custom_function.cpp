#include <cmath>
#include <cstdio>

#include <duet/autograd/backward.hpp>
#include <duet/autograd/custom.hpp>
#include <duet/autograd/gradcheck.hpp>
#include <duet/core/random.hpp>
#include <duet/core/raw.hpp>
#include <duet/ops/elementwise.hpp>

using namespace duet;

// As a struct: its members are options. The backward is written in ops, so every order of derivative follows.
struct Exponential {
  static constexpr const char* name = "exponential";
  double rate = 1;

  Tensor forward(FunctionContext& context, const Tensors& inputs) {
    const Tensor y = raw::clone(inputs[0]);
    for (std::int64_t i = 0; i < y.numel(); ++i) raw::data<double>(y)[i] = std::exp(rate * raw::data<double>(y)[i]);
    context.save({y});
    return y;
  }
  Tensor backward(FunctionContext& context, const Tensors& cotangents) {
    return cotangents[0] * context.saved()[0] * rate;
  }
};

int main() {
  manual_seed(0);
  const Tensor x = randn({4}, {.dtype = f64});
  const auto exponential = [](const Tensor& t) { return custom(Exponential{2}, {t})[0]; };
  std::printf("exponential: %s\n", gradcheck(exponential, {x}, {.order = 3}) ? "right to third order" : "wrong");

  // As two lambdas: the identity that reverses gradients (Ganin and Lempitsky 2015).
  const auto reverse = [](const Tensor& t) {
    return custom(
        "reverse_gradient", {t}, [](FunctionContext&, const Tensors& inputs) { return inputs[0].detach(); },
        [](FunctionContext&, const Tensors& cotangents) { return -cotangents[0]; })[0];
  };
  // A gradient that is not the function's own is what gradcheck is there to find.
  std::printf("%s\n", to_string(gradcheck(reverse, {x})).c_str());
}
