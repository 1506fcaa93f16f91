#include <cstdio>

#include <duet/autograd/backward.hpp>
#include <duet/autograd/hooks.hpp>
#include <duet/core/factory.hpp>
#include <duet/nn/conv.hpp>
#include <duet/ops/elementwise.hpp>
#include <duet/ops/reduce.hpp>

using namespace duet;

int main() {
  Tensor x = ones({2}, {.dtype = f64, .requires_grad = true});
  const Tensor y = x * 3.0;

  // On a tensor: sees the whole gradient once a backward, and may return another.
  HookHandle halve = register_hook(y, [](const Tensor& gradient) { return gradient * 0.5; });
  retain_grad(y);
  sum(y * y).backward();
  std::printf("by y, halved  %s\n", to_string(y.grad()).c_str());
  std::printf("by x          %s\n", to_string(x.grad()).c_str());
  halve.remove();

  // After a leaf's gradient was added up: an optimizer step that needs no room for all gradients at once.
  register_post_accumulate_hook(x, [](const Tensor& leaf) {
    std::printf("by x in all   %s\n", to_string(leaf.grad()).c_str());
    Tensor(leaf).set_grad({});
  });
  sum(x * 2.0).backward();
  std::printf("grad() is %s\n", x.grad().defined() ? "there" : "gone");

  // On a module: before and after forward, before and after backward.
  nn::Conv1d conv{1, 1, 3, {.padding = 1}};
  auto forward = conv.register_forward_hook([](nn::Module& module, const Tensor& in, const Tensor& out) {
    std::printf("%s: %s -> %s\n", module.kind().c_str(), to_string(in.shape()).c_str(), to_string(out.shape()).c_str());
    return out * 2.0;  // takes the output's place; a hook that returns nothing leaves it
  });
  auto backward = conv.register_backward_hook([](const Tensor& by_input, const Tensor& by_output) {
    std::printf("backward: %s -> %s\n", to_string(by_output.shape()).c_str(), to_string(by_input.shape()).c_str());
  });
  sum(conv(ones({1, 1, 8}, {.requires_grad = true}))).backward();
  forward.remove();
  backward.remove();
  conv(ones({1, 1, 8}));
}
