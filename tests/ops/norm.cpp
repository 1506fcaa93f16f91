// Normalisation against plain double loops, where the data is hard: large means, long rows, many rows; and the running
// statistics.
#include <doctest/doctest.h>

#include <cmath>

#include <duet/core/parallel.hpp>
#include <duet/core/random.hpp>
#include <duet/core/tape.hpp>
#include <duet/ops/activation.hpp>
#include <duet/ops/kernels/simd.hpp>
#include <duet/ops/norm.hpp>
#include <duet/ops/registry.hpp>
#include <duet/ops/shape.hpp>

using namespace duet;

namespace {

/// Mean and biased variance of channel c of x (N, C, S), by two passes in long double.
std::pair<double, double> channel_moments(const Tensor& x, std::int64_t c) {
  const std::vector<double> values = select(x, 1, c).to_vector();
  long double mean = 0, var = 0;
  for (double v : values) mean += v;
  mean /= static_cast<long double>(values.size());
  for (double v : values) var += (v - mean) * (v - mean);
  return {static_cast<double>(mean), static_cast<double>(var / static_cast<long double>(values.size()))};
}

Tensor shifted_normal(const Shape& shape, double mean, double deviation) {
  Generator random(7);
  Tensor x = randn(shape, {}, random);
  float* values = x.mutable_data<float>();
  for (std::int64_t i = 0; i < x.numel(); ++i) values[i] = static_cast<float>(mean + deviation * values[i]);
  return x;
}

}  // namespace

TEST_CASE("batch_norm in f32 keeps its digits under a large mean, on every table and number of threads") {
  const int threads = num_threads();
  const kernels::Simd before = kernels::active_simd();
  for (const Shape& shape : {Shape{2, 3, 40000}, Shape{64, 5, 7}, Shape{301, 4, 1}, Shape{600, 20, 9}, Shape{1, 5, 70}}) {
    const Tensor x = shifted_normal(shape, 1e4, 1), zero = Tensor::from_span(std::vector<float>(shape[1], 0), {shape[1]});
    std::vector<double> first;
    for (kernels::Simd simd : kernels::available_simd()) {
      kernels::set_active_simd(simd);
      for (int count : {1, 3}) {
        set_num_threads(count);
        const auto [y, mean, var] = batch_norm(x, zero, zero, {}, {}, {.training = true, .momentum = 1});
        const std::vector<double> got = y.to_vector();
        if (count == 1) first = got;
        CHECK(got == first);
        for (std::int64_t c = 0; c < shape[1]; ++c) {
          const auto [true_mean, true_var] = channel_moments(x, c);
          CHECK(mean.to_vector()[c] == doctest::Approx(true_mean).epsilon(1e-7));
          const double n = static_cast<double>(shape[0] * shape[2]);
          CHECK(var.to_vector()[c] == doctest::Approx(true_var * n / (n - 1)).epsilon(2e-6));
          const std::vector<double> in = select(x, 1, c).to_vector(), out = select(y, 1, c).to_vector();
          double worst = 0;
          for (std::size_t i = 0; i < in.size(); ++i)
            worst = std::max(worst, std::abs(out[i] - (in[i] - true_mean) / std::sqrt(true_var + 1e-5)));
          CHECK(worst < 2e-6);
        }
      }
    }
  }
  kernels::set_active_simd(before);
  set_num_threads(threads);
}

TEST_CASE("batch_norm_relu lets gradients pass where its output is above 0, bit for bit, on every table") {
  const kernels::Simd before = kernels::active_simd();
  for (const kernels::Simd simd : kernels::available_simd())
    for (const Shape& shape : {Shape{2, 3, 40000}, Shape{64, 5, 7}, Shape{301, 4, 1}, Shape{600, 20, 9}, Shape{1, 5, 70}})
      for (const double mean : {0.0, 1000.0}) {
        kernels::set_active_simd(simd);
        const Tensor x = shifted_normal(shape, mean, 1), g = shifted_normal(shape, 0.25, 1);
        const Tensor w = shifted_normal({shape[1]}, 1, 0.2), b = shifted_normal({shape[1]}, 0, 0.5);
        const Tensors out = apply(find_op("batch_norm_relu"), {x, {}, {}, w, b}, BatchNormReluOptions{});
        const auto got = normalize_backward(g, x, w, out[3], out[4], {}, out[5]);
        const auto wanted = normalize_backward(relu_backward(g, out[0]), x, w, out[3], out[4], {});
        CHECK(got.x.to_vector() == wanted.x.to_vector());
        CHECK(got.weight.to_vector() == wanted.weight.to_vector());
        CHECK(got.bias.to_vector() == wanted.bias.to_vector());
        const std::vector<double> y = out[0].to_vector();
        const std::vector<double> apart = relu(batch_norm(x, {}, {}, w, b, {.training = true}).y).to_vector();
        double off = 0;
        for (std::size_t i = 0; i < y.size(); ++i) off = std::max(off, std::abs(y[i] - apart[i]));
        CHECK(off < 2e-6);
      }
  kernels::set_active_simd(before);
}

TEST_CASE("running statistics move by momentum, and eval uses them") {
  const Tensor x = Tensor::from_span(std::vector<double>{1, 2, 3, 6}, {4, 1});
  const Tensor mean = Tensor::from_span(std::vector<double>{1}, {1}), var = Tensor::from_span(std::vector<double>{2}, {1});
  const auto trained = batch_norm(x, mean, var, {}, {}, {.training = true, .momentum = 0.25});
  CHECK(trained.running_mean.item() == doctest::Approx(0.75 * 1 + 0.25 * 3));
  CHECK(trained.running_var.item() == doctest::Approx(0.75 * 2 + 0.25 * 14.0 / 3));
  CHECK(mean.item() == 1);
  const auto evaluated = batch_norm(x, mean, var, {}, {}, {.eps = 2});
  CHECK(evaluated.y.to_vector() == std::vector<double>{0, 0.5, 1, 2.5});
  CHECK(evaluated.running_mean.item() == 1);
}

TEST_CASE("no gradient flows through statistics") {
  Tensor x = Tensor::from_span(std::vector<double>{1, 2, 3, 6}, {4, 1});
  x.set_requires_grad();
  const Tensor mean = Tensor::from_span(std::vector<double>{1}, {1}), var = Tensor::from_span(std::vector<double>{2}, {1});
  const auto result = batch_norm(x, mean, var, {}, {}, {.training = true});
  CHECK(result.y.requires_grad());
  CHECK_FALSE(result.running_mean.requires_grad());
  CHECK_FALSE(result.running_var.requires_grad());
}

TEST_CASE("normalising one value is an error") {
  const Tensor x = Tensor::from_span(std::vector<double>{1, 2, 3}, {1, 3});
  CHECK_THROWS_AS(batch_norm(x, {}, {}, {}, {}, {.training = true}), ValueError);
  CHECK_THROWS_AS(batch_norm(x, {}, {}), ValueError);
  CHECK_THROWS_AS(group_norm(x, {}, {}, {.num_groups = 3}), ValueError);
  CHECK_THROWS_AS(group_norm(x, {}, {}, {.num_groups = 2}), ValueError);
  CHECK_THROWS_AS(batch_norm({}, {}, {}), ValueError);
  CHECK_THROWS_AS(batch_norm_relu(x, {}, {}), ValueError);
}
