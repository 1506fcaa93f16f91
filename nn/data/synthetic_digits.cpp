// Each digit is a few curves in the unit square; a pixel is as bright as it is near to one of them.
#include <duet/nn/data/synthetic_digits.hpp>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <vector>

#include <duet/core/fail.hpp>
#include <duet/core/raw.hpp>

namespace duet::data {
namespace {

struct Point {
  double x, y;  // x to the right, y down, both 0 to 1
};
using Path = std::vector<Point>;

/// Part of an ellipse about (x, y), from one angle to another in degrees; 0 points right, 90 down.
Path arc(double x, double y, double radius_x, double radius_y, double from, double to) {
  Path path;
  constexpr int pieces = 20;
  for (int i = 0; i <= pieces; ++i) {
    const double angle = (from + (to - from) * i / pieces) * 3.14159265358979 / 180;
    path.push_back({x + radius_x * std::cos(angle), y + radius_y * std::sin(angle)});
  }
  return path;
}

Path joined(Path a, const Path& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

/// The strokes of a digit. `variant` chooses between ways of writing it.
std::vector<Path> strokes_of(std::int64_t digit, bool variant) {
  switch (digit) {
    case 0:
      return {arc(0.5, 0.5, 0.3, 0.45, 0, 360)};
    case 1:
      if (variant) return {{{0.5, 0.05}, {0.5, 0.95}}};
      return {{{0.32, 0.25}, {0.54, 0.05}, {0.54, 0.95}}};
    case 2:
      return {joined(arc(0.5, 0.3, 0.29, 0.25, 180, 390), {{0.22, 0.95}, {0.82, 0.95}})};
    case 3:
      return {joined(arc(0.47, 0.27, 0.28, 0.22, 200, 450), arc(0.47, 0.72, 0.32, 0.24, -90, 160))};
    case 4:
      if (variant) return {{{0.25, 0.05}, {0.22, 0.55}, {0.8, 0.55}}, {{0.7, 0.05}, {0.68, 0.95}}};
      return {{{0.65, 0.95}, {0.65, 0.05}, {0.18, 0.66}, {0.85, 0.66}}};
    case 5:
      return {joined({{0.76, 0.05}, {0.3, 0.05}, {0.27, 0.46}}, arc(0.48, 0.66, 0.3, 0.28, -120, 150))};
    case 6:
      return {joined({{0.66, 0.05}, {0.4, 0.3}}, joined({{0.26, 0.55}}, arc(0.5, 0.7, 0.26, 0.24, 190, 560)))};
    case 7:
      if (variant) return {{{0.2, 0.06}, {0.8, 0.06}, {0.4, 0.95}}, {{0.32, 0.5}, {0.72, 0.5}}};
      return {{{0.2, 0.06}, {0.8, 0.06}, {0.4, 0.95}}};
    case 8:
      return {arc(0.5, 0.27, 0.24, 0.22, 90, 450), arc(0.5, 0.72, 0.29, 0.24, -90, 270)};
    default:
      return {joined(arc(0.5, 0.3, 0.26, 0.24, 0, 360), {{0.76, 0.3}, {0.7, 0.65}, {0.56, 0.95}})};
  }
}

/// The square of the distance from p to a piece of line.
double squared_distance(const Point& p, const Point& a, const Point& b) {
  const double dx = b.x - a.x, dy = b.y - a.y, length = dx * dx + dy * dy;
  const double t = length == 0 ? 0 : std::clamp(((p.x - a.x) * dx + (p.y - a.y) * dy) / length, 0.0, 1.0);
  const double x = p.x - a.x - t * dx, y = p.y - a.y - t * dy;
  return x * x + y * y;
}

/// The hand that writes: points of the unit square to pixels.
struct Hand {
  double slant, turn, width, height, x, y, bend_x, bend_y, phase, pen;
};

Hand draw_hand(double size, Generator& random) {
  const auto around = [&](double mean, double spread) { return mean + spread * (2 * random.uniform() - 1); };
  return {.slant = around(0.1, 0.25),
          .turn = around(0, 0.14),
          .width = size * around(0.62, 0.12),
          .height = size * around(0.68, 0.08),
          .x = size * around(0.5, 0.05),
          .y = size * around(0.5, 0.05),
          .bend_x = around(0, 0.06),
          .bend_y = around(0, 0.06),
          .phase = around(0, 3.14),
          .pen = size * around(0.046, 0.018)};
}

Point place(const Point& p, const Hand& hand) {
  const double u = p.x - 0.5 + hand.bend_x * std::sin(5 * p.y + hand.phase);
  const double v = p.y - 0.5 + hand.bend_y * std::sin(5 * p.x - hand.phase);
  const double x = hand.width * (u - hand.slant * v), y = hand.height * v;
  return {hand.x + x * std::cos(hand.turn) - y * std::sin(hand.turn),
          hand.y + x * std::sin(hand.turn) + y * std::cos(hand.turn)};
}

void check(const SyntheticDigitOptions& options) {
  if (options.size < 8 || options.size > 1024)
    fail<ValueError>("synthetic_digit", "size must be 8 to 1024, got {}", options.size);
  if (!(options.noise >= 0 && options.noise <= 1))
    fail<ValueError>("synthetic_digit", "noise must be 0 to 1, got {}", options.noise);
}

}  // namespace

SyntheticDigit synthetic_digit(std::int64_t index, const SyntheticDigitOptions& options) {
  check(options);
  if (index < 0) fail<ValueError>("synthetic_digit", "index must not be negative, got {}", index);
  Generator random = sample_generator(options.seed, 1, index);
  const std::int64_t size = options.size, label = index % 10;
  const Hand hand = draw_hand(static_cast<double>(size), random);
  std::vector<Path> strokes = strokes_of(label, random.uniform() < 0.5);
  for (Path& path : strokes)
    for (Point& point : path) point = place(point, hand);
  SyntheticDigit digit{Tensor::empty({1, size, size}, {.dtype = u8}), label};
  std::uint8_t* pixels = raw::data<std::uint8_t>(digit.image);
  for (std::int64_t i = 0; i < size * size; ++i) {
    const Point p{static_cast<double>(i % size) + 0.5, static_cast<double>(i / size) + 0.5};
    double nearest = 1e30;
    for (const Path& path : strokes)
      for (std::size_t k = 0; k + 1 < path.size(); ++k)
        nearest = std::min(nearest, squared_distance(p, path[k], path[k + 1]));
    const double ink = std::clamp(0.5 + hand.pen - std::sqrt(nearest), 0.0, 1.0);  // an edge as wide as a pixel
    pixels[i] =
        static_cast<std::uint8_t>(std::lround(255 * std::clamp(ink + options.noise * random.normal(), 0.0, 1.0)));
  }
  return digit;
}

Sample synthetic_digits(std::int64_t count, const SyntheticDigitOptions& options) {
  check(options);
  if (count < 1) fail<ValueError>("synthetic_digits", "count must be at least 1, got {}", count);
  Sample all{Tensor::empty({count, 1, options.size, options.size}, {.dtype = u8}),
             Tensor::empty({count}, {.dtype = i64})};
  const std::int64_t pixels = options.size * options.size;
  for (std::int64_t i = 0; i < count; ++i) {
    const SyntheticDigit digit = synthetic_digit(i, options);
    std::memcpy(raw::data<std::uint8_t>(all.image) + i * pixels, raw::data<std::uint8_t>(digit.image),
                static_cast<std::size_t>(pixels));
    raw::data<std::int64_t>(all.target)[i] = digit.label;
  }
  return all;
}

}  // namespace duet::data
