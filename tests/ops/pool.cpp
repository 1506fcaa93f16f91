// Max pooling against a loop over windows, in exact numbers, on every table; and what its indices mean.
#include <doctest/doctest.h>

#include <cmath>
#include <limits>

#include <duet/autograd/backward.hpp>
#include <duet/core/random.hpp>
#include <duet/ops/kernels/simd.hpp>
#include <duet/ops/pool.hpp>
#include <duet/ops/shape.hpp>

using namespace duet;

namespace {

struct Window {
  double value = -std::numeric_limits<double>::infinity();
  std::int64_t index = -1;
};

/// The maximum of the window of output (i, j) of plane p of x (P, H, W), and its place.
Window window_max(const Tensor& x, const MaxPoolOptions<2>& o, std::int64_t p, std::int64_t i, std::int64_t j) {
  const std::vector<double> values = x.to_vector();
  const std::int64_t height = x.size(1), width = x.size(2);
  Window best;
  for (std::int64_t u = 0; u < o.kernel_size[0]; ++u)
    for (std::int64_t v = 0; v < o.kernel_size[1]; ++v) {
      const std::int64_t h = i * o.stride[0] - o.padding[0] + u * o.dilation[0], w = j * o.stride[1] - o.padding[1] + v * o.dilation[1];
      if (h < 0 || h >= height || w < 0 || w >= width) continue;
      const double value = values[static_cast<std::size_t>((p * height + h) * width + w)];
      if (value > best.value || std::isnan(value) || best.index < 0) best = {value, h * width + w};
    }
  return best;
}

}  // namespace

TEST_CASE("max_pool2d takes the first greatest element of each window") {
  const kernels::Simd before = kernels::active_simd();
  Generator random(3);
  for (kernels::Simd simd : kernels::available_simd()) {
    kernels::set_active_simd(simd);
    for (Dtype dtype : {f32, f64})
      for (const auto& [shape, o] : std::vector<std::pair<Shape, MaxPoolOptions<2>>>{
               {{3, 16, 33}, {.kernel_size = 2, .stride = 2}},
               {{2, 7, 66}, {.kernel_size = 2, .stride = 2, .ceil_mode = true}},
               {{2, 9, 70}, {.kernel_size = 3, .stride = 2, .padding = 1}},
               {{2, 12, 37}, {.kernel_size = {2, 3}, .stride = {1, 1}, .padding = {0, 1}, .dilation = {3, 2}}},
               {{1, 20, 20}, {.kernel_size = 17, .stride = 3, .padding = 8, .ceil_mode = true}},
               {{2, 10, 11}, {.kernel_size = 1, .stride = 4}}}) {
        // Few distinct values: many are equal, and the first must win.
        const Tensor x = to(randint(0, 4, shape, {.dtype = i64}, random), dtype);
        const auto [y, indices] = max_pool2d_with_indices(x, o);
        for (std::int64_t p = 0; p < shape[0]; ++p)
          for (std::int64_t i = 0; i < y.size(1); ++i)
            for (std::int64_t j = 0; j < y.size(2); ++j) {
              const Window expected = window_max(x, o, p, i, j);
              const std::size_t at = static_cast<std::size_t>((p * y.size(1) + i) * y.size(2) + j);
              REQUIRE(y.to_vector()[at] == expected.value);
              REQUIRE(indices.to_vector()[at] == static_cast<double>(expected.index));
            }
      }
  }
  kernels::set_active_simd(before);
}

TEST_CASE("the gradient of max_pool2d lands on the maxima and is zero elsewhere") {
  const kernels::Simd before = kernels::active_simd();
  Generator random(4);
  for (kernels::Simd simd : kernels::available_simd()) {
    kernels::set_active_simd(simd);
    for (const auto& [shape, o] : std::vector<std::pair<Shape, MaxPoolOptions<2>>>{
             {{3, 7, 71}, {.kernel_size = 2, .stride = 2}}, {{2, 9, 40}, {.kernel_size = 3, .stride = 2, .padding = 1}}}) {
      Tensor x = randn(shape, {}, random);
      x.set_requires_grad();
      const auto [y, indices] = max_pool2d_with_indices(x, o);
      const Tensor cotangent = randn(y.shape(), {}, random);
      std::vector<double> expected(static_cast<std::size_t>(x.numel()), 0);
      const std::vector<double> places = indices.to_vector(), weights = cotangent.to_vector();
      const std::int64_t plane = shape[1] * shape[2], outputs = y.size(1) * y.size(2);
      for (std::int64_t i = 0; i < y.numel(); ++i)
        expected[static_cast<std::size_t>(i / outputs * plane) + static_cast<std::size_t>(places[static_cast<std::size_t>(i)])] +=
            weights[static_cast<std::size_t>(i)];
      const std::vector<double> got = grad({y}, {x}, {.cotangents = {cotangent}})[0].to_vector();
      for (std::size_t i = 0; i < got.size(); ++i) REQUIRE(got[i] == doctest::Approx(expected[i]).epsilon(1e-6));
    }
  }
  kernels::set_active_simd(before);
}

TEST_CASE("max_pool2d hands NaN and minus infinity on") {
  const double inf = std::numeric_limits<double>::infinity(), nan = std::numeric_limits<double>::quiet_NaN();
  const Tensor x = Tensor::from_span(std::vector<double>{-inf, -inf, 1, nan, -inf, -inf, 3, 2}, {1, 2, 4});
  const auto [y, indices] = max_pool2d_with_indices(x, {.kernel_size = 2});
  CHECK(y.to_vector()[0] == -inf);
  CHECK(std::isnan(y.to_vector()[1]));
  CHECK(indices.to_vector() == std::vector<double>{0, 3});
}

TEST_CASE("windows may step by 2^31 and no further") {
  const Tensor x = Tensor::from_span(std::vector<float>{3, 1}, {1, 2});
  const std::int64_t most = std::int64_t{1} << 31;
  CHECK(max_pool1d(x, {.kernel_size = 1, .stride = most, .dilation = most}).to_vector() == std::vector<double>{3});
  CHECK_THROWS_AS(max_pool1d(x, {.kernel_size = 1, .stride = most + 1}), ValueError);
  CHECK_THROWS_AS(max_pool1d(x, {.kernel_size = 1, .dilation = most + 1}), ValueError);
}

TEST_CASE("with ceil_mode a window may reach over the end, by less than a stride") {
  const Tensor x = Tensor::from_span(std::vector<float>{1, 3, 2}, {1, 3});
  CHECK(max_pool1d(x, {.kernel_size = 4, .stride = 2, .ceil_mode = true}).to_vector() == std::vector<double>{3});
  CHECK_THROWS_AS(max_pool1d(x, {.kernel_size = 5, .stride = 2, .ceil_mode = true}), ShapeError);
}

TEST_CASE("a window in the padding alone, a tap outside its window: errors") {
  const Tensor x = Tensor::from_span(std::vector<float>(3, 1), {1, 3});
  CHECK_THROWS_AS(max_pool1d(x, {.kernel_size = 2, .padding = 1, .dilation = 4}), ValueError);
  CHECK_THROWS_AS(max_pool1d(x, {.kernel_size = 4}), ShapeError);
  CHECK_THROWS_AS(max_pool1d(x, {.kernel_size = 0}), ValueError);
  CHECK_THROWS_AS(max_pool2d(x, 2), ShapeError);
  const PoolGeometry geometry = max_pool_geometry<1>("test", {1, 3}, {.kernel_size = 3});
  const Tensor bad = Tensor::from_span(std::vector<std::uint8_t>{3}, {1, 1});
  CHECK_THROWS_AS(max_pool_gather(x, bad, geometry), ValueError);
  CHECK_THROWS_AS(max_pool_indices(bad, geometry), ValueError);
}
