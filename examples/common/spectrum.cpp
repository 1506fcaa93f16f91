// Fourier transforms of small blocks as matrix products.
#include "common/spectrum.hpp"

#include <algorithm>
#include <cmath>
#include <vector>

#include <duet/core/callable.hpp>
#include <duet/core/fail.hpp>
#include <duet/core/raw.hpp>
#include <duet/core/tape.hpp>
#include <duet/ops/elementwise.hpp>
#include <duet/ops/matmul.hpp>
#include <duet/ops/reduce.hpp>

namespace duet::examples {
namespace {

constexpr double two_pi = 6.283185307179586;

/// Rows: frequencies −n/2 … n/2−1; columns: places. Cosines, or sines.
Tensor waves(std::int64_t n, bool sine) {
  Tensor matrix = Tensor::empty({n, n}, {.dtype = f64});
  for (std::int64_t k = 0; k < n; ++k)
    for (std::int64_t x = 0; x < n; ++x) {
      const double phase = two_pi * static_cast<double>((k - n / 2) * x) / static_cast<double>(n);
      raw::data<double>(matrix)[k * n + x] = sine ? std::sin(phase) : std::cos(phase);
    }
  return matrix;
}

std::vector<double> hann(std::int64_t block) {
  std::vector<double> weights;
  for (std::int64_t i = 0; i < block; ++i)
    weights.push_back(0.5 - 0.5 * std::cos(two_pi * (static_cast<double>(i) + 0.5) / static_cast<double>(block)));
  return weights;
}

/// The half-overlapping blocks of a plane, windowed: (count, block, block) f64.
Tensor blocks_of(const Tensor& plane, std::int64_t block) {
  const std::vector<double> values = plane.to_vector();
  const std::int64_t height = plane.size(0), width = plane.size(1), step = block / 2;
  const std::int64_t rows = (height - block) / step + 1, columns = (width - block) / step + 1;
  Tensor out = Tensor::empty({rows * columns, block, block}, {.dtype = f64});
  double* to = raw::data<double>(out);
  const std::vector<double> window = hann(block);
  for (std::int64_t b = 0; b < rows * columns; ++b)
    for (std::int64_t y = 0; y < block; ++y)
      for (std::int64_t x = 0; x < block; ++x)
        *to++ = window[static_cast<std::size_t>(y)] * window[static_cast<std::size_t>(x)] *
                values[static_cast<std::size_t>((b / columns * step + y) * width + b % columns * step + x)];
  return out;
}

constexpr std::int64_t reach = 4;  // bins around a frequency that are looked at

/// Calls visit(at) for each frequency of a pattern of period `stride`; at(dy, dx) is the power beside it.
void for_each_pattern(const Tensor& spectrum, std::int64_t stride,
                      FunctionRef<void(FunctionRef<double(std::int64_t, std::int64_t)>)> visit) {
  const std::int64_t n = spectrum.size(0);
  if (spectrum.rank() != 2 || n != spectrum.size(1) || stride < 2 || n % stride != 0)
    fail<ValueError>("checkerboard", "stride {} does not divide the sides of {}", stride, spectrum.shape());
  const std::vector<double> power = spectrum.to_vector();
  const auto place = [n](std::int64_t k) { return ((k + n / 2) % n + n) % n; };  // frequencies repeat after n
  for (std::int64_t j = 0; j < stride; ++j)
    for (std::int64_t i = 0; i < stride; ++i)
      if (i != 0 || j != 0)
        visit([&](std::int64_t dy, std::int64_t dx) {
          return power[static_cast<std::size_t>(place(j * n / stride + dy) * n + place(i * n / stride + dx))];
        });
}

}  // namespace

Tensor power_spectrum(const Tensor& plane, std::int64_t block) {
  if (plane.rank() != 2 || block < 8 || block % 2 != 0 || plane.size(0) < block || plane.size(1) < block)
    fail<ValueError>("power_spectrum", "needs a plane of at least {0} x {0}, block even, got {1}", block,
                     plane.shape());
  const NoGradGuard no_grad;
  const Tensor cosine = waves(block, false), sine = waves(block, true), x = blocks_of(plane, block);
  // (C − iS) X (C − iS)ᵀ
  const Tensor left_c = matmul(cosine, x), left_s = matmul(sine, x);
  const Tensor re = matmul(left_c, cosine, {.transpose_b = true}) - matmul(left_s, sine, {.transpose_b = true});
  const Tensor im = matmul(left_c, sine, {.transpose_b = true}) + matmul(left_s, cosine, {.transpose_b = true});
  return mean(square(re) + square(im), {.dim = {0}});
}

double checkerboard_decibels(const Tensor& spectrum, std::int64_t stride) {
  double peak = 0, around = 0;
  for_each_pattern(spectrum, stride, [&](FunctionRef<double(std::int64_t, std::int64_t)> at) {
    peak += at(0, 0);
    double sum = 0;
    int count = 0;
    // The window spreads a peak over one neighbour to each side.
    for (std::int64_t dy = -reach; dy <= reach; ++dy)
      for (std::int64_t dx = -reach; dx <= reach; ++dx)
        if (std::max(std::abs(dy), std::abs(dx)) >= 2) {
          sum += at(dy, dx);
          ++count;
        }
    around += sum / count;
  });
  constexpr double nothing = 1e-30;  // below it both are rounding
  return 10 * std::log10((peak + nothing) / (around + nothing));
}

double checkerboard_strength(const Tensor& spectrum, std::int64_t stride) {
  double power = 0;
  for_each_pattern(spectrum, stride, [&](FunctionRef<double(std::int64_t, std::int64_t)> at) {
    for (std::int64_t dy = -reach; dy <= reach; ++dy)
      for (std::int64_t dx = -reach; dx <= reach; ++dx) power += at(dy, dx);
  });
  double window = 0;  // Parseval: the power over all frequencies is n² · the windowed plane's sum of squares
  for (const double weight : hann(spectrum.size(0))) window += weight * weight;
  const auto n = static_cast<double>(spectrum.size(0));
  return std::sqrt(power) / (n * window);
}

}  // namespace duet::examples
