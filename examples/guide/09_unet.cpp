// A U-Net in thirty lines, trained to find the membranes between cells in images that a generator draws.
#include <cstdio>

#include <duet/duet.hpp>

using namespace duet;

/// Twice: convolution, normalisation, activation. The size stays.
struct Block : nn::Module {
  nn::Conv2d first, second;
  nn::BatchNorm2d norm1, norm2;
  Block(Module* parent, std::string name, std::int64_t in, std::int64_t out)
      : Module(parent, name),
        first{this, "first", in, out, 3, {.padding = 1}},
        second{this, "second", out, out, 3, {.padding = 1}},
        norm1{this, "norm1", out},
        norm2{this, "norm2", out} {}
  Tensor forward(const Tensor& x) override { return relu(norm2(second(relu(norm1(first(x)))))); }
};

/// Down twice and up twice; what a level saw on the way down stands beside what comes up.
struct SmallUNet : nn::Module {
  Block top{this, "top", 1, 8}, middle{this, "middle", 8, 16}, bottom{this, "bottom", 16, 32};
  nn::ConvTranspose2d up1{this, "up1", 32, 16, 2, {.stride = 2}}, up2{this, "up2", 16, 8, 2, {.stride = 2}};
  Block join1{this, "join1", 32, 16}, join2{this, "join2", 16, 8};
  nn::Conv2d head{this, "head", 8, 1, 1};
  Tensor forward(const Tensor& x) override {
    const Tensor a = top(x), b = middle(max_pool2d(a, 2)), c = bottom(max_pool2d(b, 2));
    const Tensor d = join1(cat({b, up1(c)}, 1));
    return head(join2(cat({a, up2(d)}, 1)));
  }
};

/// `count` images of a seed: (N, 1, 64, 64) of mean 0 and deviation 1, and 1 where a membrane is.
std::pair<Tensor, Tensor> images(std::int64_t first, std::int64_t count) {
  Tensors image, label;
  for (std::int64_t i = 0; i < count; ++i) {
    const auto drawn = data::synthetic_membrane(first + i, {.size = 64, .cell = 20});
    image.push_back(to(drawn.image, f64));
    label.push_back(unsqueeze(to(eq(drawn.label, 0), f64), 0));
  }
  const Tensor x = stack(image);
  return {(x - mean(x)) / duet::std(x), stack(label)};
}

int main() {
  manual_seed(0);
  SmallUNet model;
  model.to(f64);
  std::printf("%lld numbers to train\n", static_cast<long long>(model.parameter_count()));
  optim::Adam optimizer(model.parameters(), {.lr = 1e-2});
  const auto [x, truth] = images(0, 8);
  for (int step = 0; step <= 30; ++step) {
    optimizer.zero_grad();
    const Tensor loss = binary_cross_entropy_with_logits(model(x), truth);
    loss.backward();
    optimizer.step();
    if (step % 10 == 0) std::printf("step %2d  loss %.2f\n", step, loss.item());
  }

  // Images that it has not seen.
  model.eval();
  const NoGradGuard no_grad;
  const auto [fresh, wanted] = images(100, 8);
  const Tensor found = to(gt(model(fresh), 0), f64);
  const double both = sum(found * wanted).item(), either = sum(maximum(found, wanted)).item();
  std::printf("on fresh images: accuracy %.2f, membrane IoU %.2f\n", mean(to(eq(found, wanted), f64)).item(),
              both / either);
}
