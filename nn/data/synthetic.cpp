// The generator: a jittered Voronoi tessellation whose borders are bent by smooth noise. The distance of a pixel to
// the nearest border says what it is (Worley, "A cellular texture basis function", SIGGRAPH 1996, in the exact form
// with bisectors).
#include <duet/nn/data/synthetic.hpp>

#include <algorithm>
#include <cmath>
#include <utility>
#include <vector>

#include <duet/core/fail.hpp>
#include <duet/core/random.hpp>
#include <duet/core/raw.hpp>
#include <duet/nn/data/dataset.hpp>
#include <duet/nn/data/image_set.hpp>

namespace duet::data {
namespace {

using Plane = std::vector<float>;

double smoothstep(double low, double high, double x) {
  const double t = std::clamp((x - low) / (high - low), 0.0, 1.0);
  return t * t * (3 - 2 * t);
}

/// Smooth random values: normal numbers on a lattice of `scale` pixels, blended between.
class SmoothNoise {
 public:
  SmoothNoise(std::int64_t size, double scale, Generator& random)
      : scale_(scale), side_(static_cast<std::size_t>(static_cast<double>(size) / scale) + 3), values_(side_ * side_) {
    for (double& value : values_) value = random.normal();
  }
  double operator()(double y, double x) const {
    const double v = std::max(y / scale_, 0.0), u = std::max(x / scale_, 0.0);
    const auto row = std::min(static_cast<std::size_t>(v), side_ - 2),
               column = std::min(static_cast<std::size_t>(u), side_ - 2);
    const double a = smoothstep(0, 1, v - static_cast<double>(row)),
                 b = smoothstep(0, 1, u - static_cast<double>(column));
    const double* at = &values_[row * side_ + column];
    return (at[0] * (1 - b) + at[1] * b) * (1 - a) + (at[side_] * (1 - b) + at[side_ + 1] * b) * a;
  }

 private:
  double scale_;
  std::size_t side_;
  std::vector<double> values_;
};

struct Cell {
  double y, x;
  double brightness;
};

/// The cell that a point lies in, and how far the nearest border is.
struct Place {
  const Cell* cell;
  double border;
};

/// Cell centres: one in each square of a lattice, jittered, and a third of them left out, so that sizes vary.
class Tessellation {
 public:
  Tessellation(std::int64_t size, double distance, Generator& random)
      : step_(distance * 0.82), side_(static_cast<std::int64_t>(static_cast<double>(size) / step_) + 2 * margin + 1) {
    for (std::int64_t i = 0; i < side_ * side_; ++i) {
      const double y = (static_cast<double>(i / side_ - margin) + 0.1 + 0.8 * random.uniform()) * step_;
      const double x = (static_cast<double>(i % side_ - margin) + 0.1 + 0.8 * random.uniform()) * step_;
      const bool present = random.uniform() < 0.67;
      cells_.push_back({y, x, present ? 0.66 + 0.055 * random.normal() : -1});
    }
  }
  Place operator()(double y, double x) const {
    const auto row = static_cast<std::int64_t>(std::floor(y / step_)) + margin;
    const auto column = static_cast<std::int64_t>(std::floor(x / step_)) + margin;
    const Cell* nearest = nullptr;
    double best = 1e30;
    around(row, column, [&](const Cell& cell) {
      const double d = square(cell.y - y) + square(cell.x - x);
      if (d < best) {
        best = d;
        nearest = &cell;
      }
    });
    double border = 1e30;
    around(row, column, [&](const Cell& cell) {
      if (&cell == nearest) return;
      // The distance to the line half-way between the two centres.
      const double d = square(cell.y - y) + square(cell.x - x);
      border =
          std::min(border, (d - best) / (2 * std::sqrt(square(cell.y - nearest->y) + square(cell.x - nearest->x))));
    });
    return {nearest, border};
  }

 private:
  static constexpr std::int64_t margin = 4, reach = 3;
  static double square(double x) { return x * x; }
  template <class Visit>
  void around(std::int64_t row, std::int64_t column, Visit visit) const {
    for (std::int64_t i = std::max<std::int64_t>(row - reach, 0); i <= std::min(row + reach, side_ - 1); ++i)
      for (std::int64_t j = std::max<std::int64_t>(column - reach, 0); j <= std::min(column + reach, side_ - 1); ++j) {
        const Cell& cell = cells_[static_cast<std::size_t>(i * side_ + j)];
        if (cell.brightness >= 0) visit(cell);
      }
  }

  double step_;
  std::int64_t side_;
  std::vector<Cell> cells_;
};

/// An ellipse inside a cell: a mitochondrion (dark, with a darker rim and folds) or a vesicle (a thin dark ring).
struct Organelle {
  double y, x, angle, half_length, half_width;
  bool vesicle;
};

std::vector<Organelle> scatter_organelles(std::int64_t size, Generator& random) {
  std::vector<Organelle> organelles;
  const double area = static_cast<double>(size) * static_cast<double>(size);
  const auto count = static_cast<std::int64_t>(area / 1500);
  for (std::int64_t i = 0; i < count; ++i) {
    const bool vesicle = random.uniform() < 0.6;
    const double y = random.uniform() * static_cast<double>(size), x = random.uniform() * static_cast<double>(size);
    const double angle = 3.14159265358979 * random.uniform();
    const double width = vesicle ? 2 + 1.5 * random.uniform() : 4 + 3 * random.uniform();
    const double length = width * (1 + (vesicle ? 0.2 : 0.9) * random.uniform());
    organelles.push_back({y, x, angle, length, width, vesicle});
  }
  return organelles;
}

/// Draws an organelle where it lies well inside a cell: it must not look like the membrane that it touches.
void draw(const Organelle& organelle, std::int64_t size, const Plane& border, Plane& image) {
  const double reach = organelle.half_length + 3, c = std::cos(organelle.angle), s = std::sin(organelle.angle);
  const auto low = [&](double at) { return std::max<std::int64_t>(0, static_cast<std::int64_t>(at - reach)); };
  const auto high = [&](double at) { return std::min<std::int64_t>(size - 1, static_cast<std::int64_t>(at + reach)); };
  const auto centre =
      static_cast<std::size_t>(static_cast<std::int64_t>(organelle.y) * size + static_cast<std::int64_t>(organelle.x));
  if (border[centre] < organelle.half_length + 3.5) return;
  for (std::int64_t y = low(organelle.y); y <= high(organelle.y); ++y)
    for (std::int64_t x = low(organelle.x); x <= high(organelle.x); ++x) {
      const double dy = static_cast<double>(y) - organelle.y, dx = static_cast<double>(x) - organelle.x;
      const double along = (dx * c + dy * s) / organelle.half_length, across = (dy * c - dx * s) / organelle.half_width;
      const double depth = (1 - std::sqrt(along * along + across * across)) * organelle.half_width;  // pixels inside
      float& pixel = image[static_cast<std::size_t>(y * size + x)];
      const double rim = smoothstep(-0.8, 0.2, depth) * (1 - smoothstep(0.9, 1.9, depth));
      double darker = 0.27 * rim;
      if (!organelle.vesicle)
        darker += smoothstep(0, 1, depth) * (0.15 + 0.07 * std::sin(along * organelle.half_length * 2.1));
      pixel -= static_cast<float>(darker);
    }
}

/// A Gaussian blur, rows then columns.
void blur(Plane& image, std::int64_t size, double deviation) {
  const auto reach = static_cast<std::int64_t>(std::ceil(3 * deviation));
  std::vector<double> weight;
  double sum = 0;
  for (std::int64_t k = -reach; k <= reach; ++k) {
    weight.push_back(std::exp(-static_cast<double>(k * k) / (2 * deviation * deviation)));
    sum += weight.back();
  }
  Plane other(image.size());
  const auto pass = [&](const Plane& from, Plane& to, std::int64_t step, std::int64_t line) {
    for (std::int64_t i = 0; i < size; ++i)
      for (std::int64_t j = 0; j < size; ++j) {
        double value = 0;
        for (std::int64_t k = -reach; k <= reach; ++k) {
          const std::int64_t at = std::clamp<std::int64_t>(j + k, 0, size - 1);
          value += weight[static_cast<std::size_t>(k + reach)] * from[static_cast<std::size_t>(i * line + at * step)];
        }
        to[static_cast<std::size_t>(i * line + j * step)] = static_cast<float>(value / sum);
      }
  };
  pass(image, other, 1, size);
  pass(other, image, size, 1);
}

}  // namespace

LabelledImage synthetic_membrane(std::int64_t index, const SyntheticOptions& options) {
  const std::int64_t size = options.size;
  if (size < 16 || size > 16384) fail<ValueError>("synthetic_membrane", "size must be 16 to 16384, got {}", size);
  if (!(options.cell >= 8 && options.cell <= 1024))
    fail<ValueError>("synthetic_membrane", "cell must be 8 to 1024 pixels, got {}", options.cell);
  if (!(options.noise >= 0 && options.noise <= 1))
    fail<ValueError>("synthetic_membrane", "noise must be 0 to 1, got {}", options.noise);
  Generator random = sample_generator(options.seed, 0, index);
  const Tessellation cells(size, options.cell, random);
  const SmoothNoise bend_y(size, options.cell * 0.7, random), bend_x(size, options.cell * 0.7, random);
  const SmoothNoise ripple_y(size, options.cell * 0.25, random), ripple_x(size, options.cell * 0.25, random);
  const SmoothNoise thickness(size, options.cell * 1.2, random), light(size, static_cast<double>(size) / 2.5, random);
  const SmoothNoise grain(size, 3, random), fade(size, options.cell * 0.6, random);

  const auto count = static_cast<std::size_t>(size * size);
  Plane image(count), border(count);
  LabelledImage result{Tensor::empty({1, size, size}, {.dtype = u8}), Tensor::empty({size, size}, {.dtype = u8})};
  std::uint8_t* label = raw::data<std::uint8_t>(result.label);
  for (std::int64_t i = 0; i < size * size; ++i) {
    const auto y = static_cast<double>(i / size), x = static_cast<double>(i % size);
    const Place place = cells(y + options.cell * 0.2 * bend_y(y, x) + options.cell * 0.05 * ripple_y(y, x),
                              x + options.cell * 0.2 * bend_x(y, x) + options.cell * 0.05 * ripple_x(y, x));
    // Half the membrane's thickness in pixels; where it is thick, the gap between cells is filled with dark matter.
    const double half = std::clamp(2.1 + 0.7 * thickness(y, x), 1.3, 5.0);
    const double dark = 0.40 + 0.09 * std::clamp(fade(y, x), -1.5, 1.5);  // some membranes are faint
    const auto at = static_cast<std::size_t>(i);
    border[at] = static_cast<float>(place.border);
    label[i] = place.border >= half;
    image[at] = static_cast<float>(place.cell->brightness + 0.035 * grain(y, x) -
                                   dark * (1 - smoothstep(half - 1.4, half + 0.6, place.border)));
  }
  for (const Organelle& organelle : scatter_organelles(size, random)) draw(organelle, size, border, image);
  blur(image, size, 0.9);
  std::uint8_t* pixels = raw::data<std::uint8_t>(result.image);
  for (std::int64_t i = 0; i < size * size; ++i) {
    const double lit = image[static_cast<std::size_t>(i)] *
                           (1 + 0.09 * light(static_cast<double>(i / size), static_cast<double>(i % size))) +
                       options.noise * random.normal();
    pixels[i] = static_cast<std::uint8_t>(std::lround(255 * std::clamp(lit, 0.0, 1.0)));
  }
  return result;
}

}  // namespace duet::data
