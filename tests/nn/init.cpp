// Initial values: moments and ranges of the random ones, exact values of the others.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>

#include <duet/core/factory.hpp>
#include <duet/core/raw.hpp>
#include <duet/nn/init.hpp>
#include <duet/ops/conv.hpp>

using namespace duet;
namespace init = nn::init;

namespace {

struct Moments {
  double mean = 0, deviation = 0, least = 0, most = 0;
};

Moments moments(const Tensor& tensor) {
  const auto values = tensor.to_vector();
  Moments m;
  for (const double v : values) m.mean += v / static_cast<double>(values.size());
  for (const double v : values) m.deviation += (v - m.mean) * (v - m.mean) / static_cast<double>(values.size());
  m.deviation = std::sqrt(m.deviation);
  m.least = *std::min_element(values.begin(), values.end());
  m.most = *std::max_element(values.begin(), values.end());
  return m;
}

}  // namespace

TEST_CASE("init: moments are those of the papers") {
  manual_seed(3);
  const Tensor w = zeros({64, 32, 3, 3});
  const double fan_in = 32 * 9, fan_out = 64 * 9;
  const auto about = [](double value) { return doctest::Approx(value).epsilon(0.03); };
  init::kaiming_normal_(w, {.nonlinearity = init::Nonlinearity::relu});
  CHECK(moments(w).deviation == about(std::sqrt(2 / fan_in)));
  init::kaiming_uniform_(w, {.a = 0.2, .mode = init::FanMode::fan_out});
  CHECK(moments(w).deviation == about(std::sqrt(2 / 1.04 / fan_out)));
  CHECK(moments(w).most <= std::sqrt(3.0) * std::sqrt(2 / 1.04 / fan_out));
  init::xavier_normal_(w, 2);
  CHECK(moments(w).deviation == about(2 * std::sqrt(2 / (fan_in + fan_out))));
  init::xavier_uniform_(w);
  CHECK(moments(w).deviation == about(std::sqrt(2 / (fan_in + fan_out))));
  init::uniform_(w, -1, 3);
  CHECK(moments(w).mean == about(1));
  CHECK(moments(w).least >= -1);
  init::normal_(w, 5, 0.5);
  CHECK(moments(w).mean == about(5));
  CHECK(moments(w).deviation == about(0.5));
}

TEST_CASE("init: the truncated normal follows the distribution inside and never leaves it") {
  manual_seed(4);
  const Tensor w = zeros({40000}, {.dtype = f64});
  init::trunc_normal_(w, 1, 2, -1, 5);
  // A standard normal cut at -1 and 2: moments by the density phi and mass Phi.
  const auto phi = [](double z) { return std::exp(-z * z / 2) / std::sqrt(2 * M_PI); };
  const auto mass = 0.5 * (std::erfc(-2 / std::sqrt(2.0)) - std::erfc(1 / std::sqrt(2.0)));
  const double mean = (phi(-1) - phi(2)) / mass;
  const double variance = 1 + (-1 * phi(-1) - 2 * phi(2)) / mass - mean * mean;
  CHECK(moments(w).mean == doctest::Approx(1 + 2 * mean).epsilon(0.02));
  CHECK(moments(w).deviation == doctest::Approx(2 * std::sqrt(variance)).epsilon(0.02));
  CHECK(moments(w).least >= -1);
  CHECK(moments(w).most <= 5);
  init::trunc_normal_(w, 0, 1, 4, 5);
  CHECK(moments(w).least >= 4);
  CHECK(moments(w).mean == doctest::Approx(4.2256).epsilon(0.01));
  CHECK_THROWS_AS(init::trunc_normal_(w, 0, 1, 50, 51), ValueError);
}

TEST_CASE("init: an orthogonal weight has orthonormal rows or columns") {
  manual_seed(5);
  for (const Shape& shape : {Shape{6, 20}, Shape{20, 6}, Shape{8, 2, 2, 2}}) {
    const Tensor w = zeros(shape, {.dtype = f64});
    init::orthogonal_(w, 3);
    const std::int64_t rows = shape[0], columns = w.numel() / rows;
    const auto v = w.to_vector();
    const bool wide = rows <= columns;
    const std::int64_t few = std::min(rows, columns), many = std::max(rows, columns);
    for (std::int64_t i = 0; i < few; ++i)
      for (std::int64_t j = 0; j < few; ++j) {
        double dot = 0;
        for (std::int64_t k = 0; k < many; ++k)
          dot += wide ? v[static_cast<std::size_t>(i * columns + k)] * v[static_cast<std::size_t>(j * columns + k)]
                      : v[static_cast<std::size_t>(k * columns + i)] * v[static_cast<std::size_t>(k * columns + j)];
        CHECK(dot == doctest::Approx(i == j ? 9.0 : 0.0).epsilon(1e-12));
      }
  }
}

TEST_CASE("init: a dirac convolution hands channels through, per group") {
  const Tensor w = ones({4, 2, 3, 3});
  init::dirac_(w, 2);
  const Tensor x = randn({1, 4, 5, 5});
  CHECK(conv2d(x, w, {.padding = 1, .groups = 2}).to_vector() == x.to_vector());
}

TEST_CASE("init: a bilinear transposed convolution interpolates") {
  for (const std::int64_t k : {3, 4}) {
    const Tensor w = zeros({2, 1, k, k}, {.dtype = f64});
    init::bilinear_(w);
    // A ramp stays a ramp away from the borders.
    Tensor ramp = zeros({1, 2, 6, 6}, {.dtype = f64});
    for (std::int64_t i = 0; i < 72; ++i) raw::data<double>(ramp)[i] = static_cast<double>(i % 6);
    const Tensor y = conv_transpose2d(ramp, w, {.stride = 2, .padding = k == 3 ? 1 : 1, .groups = 2});
    const std::int64_t width = y.size(-1);
    const auto v = y.to_vector();
    const auto row = static_cast<std::size_t>(width * (width / 2));
    for (std::size_t j = 4; j < 8; ++j) CHECK(v[row + j] - v[row + j - 1] == doctest::Approx(0.5));
  }
  CHECK_THROWS_AS(init::bilinear_(zeros({2, 3, 4, 4})), ShapeError);
}

TEST_CASE("init: ICNR filters of one output pixel start alike") {
  manual_seed(6);
  const Tensor w = zeros({8, 3, 3, 3});
  init::icnr_(w, 2);
  const auto v = w.to_vector();
  for (std::size_t i = 0; i < 27; ++i) {
    CHECK(v[i] == v[27 * 3 + i]);
    CHECK(v[27 * 4 + i] == v[27 * 7 + i]);
  }
  CHECK(v[0] != v[27 * 4]);
  CHECK_THROWS_AS(init::icnr_(w, 3), ValueError);
}

TEST_CASE("init: fills reach leaves that require gradients, raise the version, and refuse integers") {
  Tensor w = zeros({3}).set_requires_grad();
  const auto version = w.version();
  init::constant_(w, 2);
  CHECK(w.to_vector() == std::vector<double>{2, 2, 2});
  CHECK(w.version() > version);
  CHECK_THROWS_AS(init::uniform_(zeros({3}, {.dtype = i64})), DtypeError);
  CHECK_THROWS_AS(init::uniform_(w, 1, 0), ValueError);
  CHECK_THROWS_AS(init::normal_(w, 0, -1), ValueError);
  CHECK_THROWS_AS(init::kaiming_normal_(w), ShapeError);
}
