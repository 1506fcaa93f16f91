// Filters and scores.
#include "superres/image_quality.hpp"

#include <algorithm>
#include <cmath>
#include <vector>

#include <duet/core/fail.hpp>
#include <duet/core/raw.hpp>
#include <duet/core/tape.hpp>
#include <duet/ops/conv.hpp>
#include <duet/ops/elementwise.hpp>
#include <duet/ops/matmul.hpp>
#include <duet/ops/reduce.hpp>
#include <duet/ops/shape.hpp>

namespace duet::examples {
namespace {

double cubic(double x) {
  constexpr double a = -0.5;
  x = std::abs(x);
  if (x < 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
  if (x < 2) return ((a * x - 5 * a) * x + 8 * a) * x - 4 * a;
  return 0;
}

/// Rows: small pixels; columns: what they take from each of `large` pixels.
Tensor reduction(std::int64_t large, std::int64_t scale) {
  const std::int64_t small = large / scale, used = small * scale;
  Tensor matrix = Tensor::empty({small, large}, {.dtype = f64});
  raw::fill(matrix, 0);
  double* weight = raw::data<double>(matrix);
  for (std::int64_t i = 0; i < small; ++i) {
    const double centre = (static_cast<double>(i) + 0.5) * static_cast<double>(scale) - 0.5;
    double sum = 0;
    for (std::int64_t j = std::max<std::int64_t>(0, i * scale - 2 * scale); j < std::min(used, (i + 3) * scale); ++j)
      sum += weight[i * large + j] = cubic((static_cast<double>(j) - centre) / static_cast<double>(scale));
    for (std::int64_t j = 0; j < large; ++j) weight[i * large + j] /= sum;
  }
  return matrix;
}

void check_same(const char* score, const Tensor& a, const Tensor& b) {
  if (a.shape() != b.shape()) fail<ShapeError>(score, "image {} and truth {} differ in shape", a.shape(), b.shape());
}

}  // namespace

Tensor reduce_bicubic(const Tensor& plane, std::int64_t scale) {
  if (plane.rank() != 2 || scale < 2 || plane.size(0) < scale || plane.size(1) < scale)
    fail<ValueError>("reduce_bicubic", "cannot make {} {} times smaller", plane.shape(), scale);
  const NoGradGuard no_grad;
  const Tensor rows = reduction(plane.size(0), scale), columns = reduction(plane.size(1), scale);
  return to(matmul(matmul(rows, to(plane, f64)), columns, {.transpose_b = true}), f32);
}

double psnr(const Tensor& image, const Tensor& truth) {
  check_same("psnr", image, truth);
  const NoGradGuard no_grad;
  return -10 * std::log10(std::max(1e-20, mean(square(to(image, f64) - to(truth, f64))).item()));
}

double ssim(const Tensor& image, const Tensor& truth) {
  check_same("ssim", image, truth);
  constexpr std::int64_t window = 11;
  if (image.rank() != 2 || image.size(0) < window || image.size(1) < window)
    fail<ShapeError>("ssim", "needs planes of at least {0} x {0}, got {1}", window, image.shape());
  const NoGradGuard no_grad;
  Tensor kernel = Tensor::empty({1, 1, window, window}, {.dtype = f64});
  double sum = 0;
  for (std::int64_t i = 0; i < window * window; ++i) {
    const auto y = static_cast<double>(i / window - 5), x = static_cast<double>(i % window - 5);
    sum += raw::data<double>(kernel)[i] = std::exp(-(y * y + x * x) / (2 * 1.5 * 1.5));
  }
  kernel = kernel / sum;
  const auto blurred = [&](const Tensor& plane) {
    return conv2d(reshape(plane, {1, 1, plane.size(0), plane.size(1)}), kernel);
  };
  const Tensor x = to(image, f64), y = to(truth, f64);
  const Tensor mean_x = blurred(x), mean_y = blurred(y);
  const Tensor var_x = blurred(x * x) - mean_x * mean_x, var_y = blurred(y * y) - mean_y * mean_y;
  const Tensor both = blurred(x * y) - mean_x * mean_y;
  constexpr double c1 = 0.01 * 0.01, c2 = 0.03 * 0.03;
  return mean((2.0 * mean_x * mean_y + c1) * (2.0 * both + c2) /
              ((mean_x * mean_x + mean_y * mean_y + c1) * (var_x + var_y + c2)))
      .item();
}

}  // namespace duet::examples
