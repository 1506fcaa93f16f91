// nn::fuse: the same outputs with fewer layers, and what it has to leave alone.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>

#include <duet/core/random.hpp>
#include <duet/core/tape.hpp>
#include <duet/nn/activation.hpp>
#include <duet/nn/container.hpp>
#include <duet/nn/conv.hpp>
#include <duet/nn/fuse.hpp>
#include <duet/nn/init.hpp>
#include <duet/nn/models/unet.hpp>
#include <duet/nn/norm.hpp>
#include <duet/ops/elementwise.hpp>

using namespace duet;

namespace {

/// Statistics and affine parameters of every norm, away from what they begin as.
void disturb_norms(nn::Module& model) {
  const NoGradGuard no_grad;
  const auto fill = [](Tensor tensor, double low, double high) { nn::init::uniform_(tensor, low, high); };
  for (const auto& [name, tensor] : model.state_dict()) {
    if (name.ends_with("running_mean")) fill(tensor, -0.5, 0.5);
    if (name.ends_with("running_var")) fill(tensor, 0.3, 2);
    if (name.find("bn") == std::string::npos) continue;
    if (name.ends_with("weight")) fill(tensor, 0.5, 1.5);
    if (name.ends_with("bias")) fill(tensor, -0.3, 0.3);
  }
}

/// The greatest difference, over the greatest value.
double difference(const Tensor& a, const Tensor& b) {
  const auto x = a.to_vector(), y = b.to_vector();
  REQUIRE(x.size() == y.size());
  double most = 0, scale = 0;
  for (std::size_t i = 0; i < x.size(); ++i) {
    most = std::max(most, std::abs(x[i] - y[i]));
    scale = std::max(scale, std::abs(y[i]));
  }
  return most / scale;
}

/// Two norms read the same convolution; a third stands where nothing is known in front of it.
struct Branching : nn::Module {
  nn::Conv2d conv{this, "conv", 2, 3, 3, {.padding = 1}};
  nn::BatchNorm2d bn{this, "bn", 3}, other{this, "other", 3};
  nn::Conv2d last{this, "last", 3, 3, 1};
  nn::BatchNorm2d bn_last{this, "bn_last", 3};
  bool add_last = false;
  Tensor forward(const Tensor& x) override {
    const Tensor y = conv(x), z = last(bn(y) + other(y));
    return add_last ? bn_last(z) + z : bn_last(z);
  }
};

}  // namespace

TEST_CASE("a fused U-Net gives the same outputs to 1e-5, without its norms") {
  manual_seed(3);
  nn::UNet model(nn::UNetOptions{.base_channels = 6, .depth = 3});
  disturb_norms(model);
  model.eval();
  const Tensor x = randn({2, 1, 17, 20});
  const NoGradGuard no_grad;
  const Tensor before = model(x);
  CHECK(nn::fuse(model, x) == 10);
  CHECK(difference(model(x), before) < 1e-5);
  for (const auto& [name, tensor] : model.state_dict()) CHECK(name.find("bn") == std::string::npos);
  CHECK(nn::fuse(model, x) == 0);
  CHECK(difference(model(x), before) < 1e-5);
}

TEST_CASE("transposed convolutions with groups fold by output channel") {
  manual_seed(4);
  nn::Sequential model(nn::ConvTranspose2d(4, 6, 3, {.stride = 2, .groups = 2, .bias = false}), nn::BatchNorm2d(6),
                       nn::ReLU(), nn::Conv2d(6, 4, 3, {.groups = 2}), nn::BatchNorm2d(4, {.affine = false}));
  disturb_norms(model);
  model.to(f64).eval();
  const Tensor x = randn({2, 4, 5, 6}, {.dtype = f64});
  const NoGradGuard no_grad;
  const Tensor before = model(x);
  CHECK(nn::fuse(model, x) == 2);
  CHECK(difference(model(x), before) < 1e-13);
}

TEST_CASE("what something else reads stays as it is") {
  manual_seed(5);
  const Tensor x = randn({1, 2, 6, 6});
  const NoGradGuard no_grad;
  for (const bool add_last : {false, true}) {
    Branching model;
    model.add_last = add_last;
    disturb_norms(model);
    CHECK_THROWS_AS(nn::fuse(model, x), ValueError);  // in training
    model.eval();
    const Tensor before = model(x);
    CHECK(nn::fuse(model, x) == (add_last ? 0 : 1));
    CHECK(difference(model(x), before) < 1e-5);
    CHECK(model.bn.running_mean.defined());
  }
}
