// Training with fewer multiplications in the convolutions, against training without.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include <duet/autograd/gradcheck.hpp>
#include <duet/core/factory.hpp>
#include <duet/core/random.hpp>
#include <duet/core/tape.hpp>
#include <duet/nn/models/unet.hpp>
#include <duet/nn/optim/optimizers.hpp>
#include <duet/ops/conv.hpp>
#include <duet/ops/elementwise.hpp>
#include <duet/ops/fast_convolutions.hpp>
#include <duet/ops/loss.hpp>
#include <duet/ops/reduce.hpp>

using namespace duet;

namespace {

constexpr std::int64_t size = 64, images = 16, batch = 4;

/// Bright discs on a noisy ground, and where they are.
struct Discs {
  std::vector<float> image, mask;
  Discs() {
    std::uint32_t state = 12345;
    const auto draw = [&] { return static_cast<float>((state = state * 1664525u + 1013904223u) >> 8) / 16777216.0f; };
    for (std::int64_t n = 0; n < images; ++n) {
      float at[3][3];
      for (auto& disc : at) {
        disc[0] = draw() * size;
        disc[1] = draw() * size;
        disc[2] = 4 + 8 * draw();
      }
      for (std::int64_t y = 0; y < size; ++y)
        for (std::int64_t x = 0; x < size; ++x) {
          bool inside = false;
          for (const auto& disc : at)
            inside = inside || std::hypot(static_cast<float>(y) - disc[0], static_cast<float>(x) - disc[1]) < disc[2];
          mask.push_back(inside ? 1.0f : 0.0f);
          image.push_back((inside ? 0.4f : 0.0f) + draw());
        }
    }
  }
};

/// The mean loss of the last tenth of 300 steps.
double train(const Discs& discs, std::uint64_t seed, bool fast) {
  const FastConvolutionsGuard guard(fast);
  manual_seed(seed);
  nn::UNet model({.in_channels = 1, .out_channels = 1, .base_channels = 16, .depth = 3});
  optim::Adam optimizer(model.parameters(), {.lr = 1e-3});
  constexpr int steps = 300;
  double last = 0;
  for (int step = 0; step < steps; ++step) {
    const std::int64_t at = step * batch % images * size * size;
    const auto part = [&](const std::vector<float>& values) {
      return Tensor::from_span(std::span(values).subspan(static_cast<std::size_t>(at), batch * size * size),
                               {batch, 1, size, size});
    };
    optimizer.zero_grad();
    const Tensor loss = binary_cross_entropy_with_logits(model(part(discs.image)), part(discs.mask));
    loss.backward();
    optimizer.step();
    if (step >= steps * 9 / 10) last += loss.item() / (steps / 10);
  }
  return last;
}

}  // namespace

TEST_CASE("derivatives hold with fast convolutions and without, in both precisions, to second order") {
  for (const Dtype dtype : {f32, f64}) {
    const Tensor x = randn({2, 32, 32, 32}, {.dtype = dtype}), narrow = randn({4, 32, 16, 16}, {.dtype = dtype}),
                 w3 = randn({32, 32, 3, 3}, {.dtype = dtype}), w4 = randn({32, 32, 4, 4}, {.dtype = dtype});
    std::vector<Tensor> results[2];
    for (const bool fast : {false, true}) {
      const FastConvolutionsGuard guard(fast);
      const auto same = [](const Tensor& a, const Tensor& w) { return conv2d(a, w, {.padding = 1}); };
      const auto up = [](const Tensor& a, const Tensor& w) {
        return conv_transpose2d(a, w, {.stride = 2, .padding = 1});
      };
      const GradcheckOptions options{.order = 2, .linear = {0, 1}, .allow_float32 = true};
      const GradcheckResult first = gradcheck(same, {x, w3}, options), second = gradcheck(up, {narrow, w4}, options);
      CHECK_MESSAGE(first, to_string(first));
      CHECK_MESSAGE(second, to_string(second));
      results[fast] = {same(x, w3), up(narrow, w4)};
    }
    // In f32 other sums were made, so both ways were taken; f64 has one.
    for (std::size_t i = 0; i < 2; ++i) CHECK((amax(abs(results[0][i] - results[1][i])).item() > 0) == (dtype == f32));
  }
}

TEST_SUITE("long") {
  TEST_CASE("a U-Net reaches the same loss with fast convolutions within the noise of seeds") {
    const Discs discs;
    std::vector<double> direct, fast;
    for (std::uint64_t seed : {1, 2, 3, 4}) {
      direct.push_back(train(discs, seed, false));
      fast.push_back(train(discs, seed, true));
      MESSAGE("seed ", seed, ": direct ", direct.back(), ", fast ", fast.back());
      CHECK(direct.back() != fast.back());  // else the fast path was not taken
    }
    const auto mean = [](const std::vector<double>& values) {
      double sum = 0;
      for (double value : values) sum += value;
      return sum / static_cast<double>(values.size());
    };
    const auto [least, most] = std::minmax_element(direct.begin(), direct.end());
    CHECK(std::abs(mean(fast) - mean(direct)) <= *most - *least);
  }
}
