// Ellipses at places that do not touch, drawn one after the other with soft edges.
#include <duet/nn/data/synthetic_shapes.hpp>

#include <algorithm>
#include <cmath>
#include <vector>

#include <duet/core/fail.hpp>
#include <duet/core/raw.hpp>
#include <duet/nn/data/dataset.hpp>
#include <duet/nn/data/image_set.hpp>

namespace duet::data {
namespace {

constexpr double pi = 3.14159265358979;

/// What is drawn: a class, or a disc that looks a little like class 3 and is background.
enum class Kind { plain = 1, striped = 2, rimmed = 3, lure = 0 };

struct Body {
  Kind kind;
  double y, x, length, width, angle, brightness, phase;
};

/// Places bodies by trial, until as many have their place as the area wants or too many found none.
std::vector<Body> place_bodies(double size, Generator& random) {
  struct Wanted {
    Kind kind;
    double density, least, most;  // bodies in 256 x 256 pixels; half axes
  };
  const Wanted wanted[] = {
      {Kind::plain, 11, 13, 24}, {Kind::striped, 9, 11, 20}, {Kind::rimmed, 11, 3.6, 5}, {Kind::lure, 6, 3, 5}};
  std::vector<Body> bodies;
  for (const Wanted& w : wanted) {
    const auto count = static_cast<int>(std::lround(w.density * size * size / 65536));
    for (int tries = 0, placed = 0; placed < count && tries < 60 * count; ++tries) {
      Body body{.kind = w.kind,
                .y = size * random.uniform(),
                .x = size * random.uniform(),
                .length = w.least + (w.most - w.least) * random.uniform(),
                .width = 0,
                .angle = pi * random.uniform(),
                .brightness = 0.03 * random.normal(),
                .phase = 2 * pi * random.uniform()};
      body.width = body.length * (w.most < 10 ? 1 : 0.65 + 0.35 * random.uniform());
      const bool free = std::none_of(bodies.begin(), bodies.end(), [&](const Body& other) {
        return std::hypot(other.y - body.y, other.x - body.x) < other.length + body.length + 3;
      });
      if (!free) continue;
      bodies.push_back(body);
      ++placed;
    }
  }
  return bodies;
}

/// The brightness of a body at a place inside it: `depth` pixels from its edge, `along` its long axis.
double brightness_of(const Body& body, double depth, double along) {
  switch (body.kind) {
    case Kind::plain:
      return 0.68 + body.brightness;
    case Kind::striped:
      return 0.33 + body.brightness + 0.13 * std::sin(along * 1.3 + body.phase);
    case Kind::rimmed:
      return depth < 1.6 ? 0.14 : 0.84 + body.brightness;
    default:
      return 0.82 + body.brightness;
  }
}

void draw(const Body& body, std::int64_t size, std::vector<float>& image, std::uint8_t* label) {
  const double reach = body.length + 2, c = std::cos(body.angle), s = std::sin(body.angle);
  const auto low = [&](double at) { return std::max<std::int64_t>(0, static_cast<std::int64_t>(at - reach)); };
  const auto high = [&](double at) { return std::min<std::int64_t>(size - 1, static_cast<std::int64_t>(at + reach)); };
  for (std::int64_t y = low(body.y); y <= high(body.y); ++y)
    for (std::int64_t x = low(body.x); x <= high(body.x); ++x) {
      const double dy = static_cast<double>(y) - body.y, dx = static_cast<double>(x) - body.x;
      const double along = dx * c + dy * s, across = dy * c - dx * s;
      const double depth = (1 - std::hypot(along / body.length, across / body.width)) * body.width;
      const double share = std::clamp(depth + 0.5, 0.0, 1.0);
      if (share == 0) continue;
      float& pixel = image[static_cast<std::size_t>(y * size + x)];
      pixel = static_cast<float>(static_cast<double>(pixel) * (1 - share) + share * brightness_of(body, depth, along));
      if (depth >= 0) label[y * size + x] = static_cast<std::uint8_t>(body.kind);
    }
}

}  // namespace

LabelledImage synthetic_shapes(std::int64_t index, const SyntheticShapesOptions& options) {
  const std::int64_t size = options.size;
  if (size < 64 || size > 16384) fail<ValueError>("synthetic_shapes", "size must be 64 to 16384, got {}", size);
  if (!(options.noise >= 0 && options.noise <= 1))
    fail<ValueError>("synthetic_shapes", "noise must be 0 to 1, got {}", options.noise);
  Generator random = sample_generator(options.seed ^ 0x5EA9E5, 0, index);
  std::vector<float> image(static_cast<std::size_t>(size * size), 0.5f);
  LabelledImage result{Tensor::empty({1, size, size}, {.dtype = u8}), Tensor::empty({size, size}, {.dtype = u8})};
  raw::fill(result.label, 0);
  for (const Body& body : place_bodies(static_cast<double>(size), random))
    draw(body, size, image, raw::data<std::uint8_t>(result.label));
  // Light: two slow waves across the image.
  const double tilt = 2 * pi * random.uniform(), first = 2 * pi * random.uniform(), second = 2 * pi * random.uniform();
  std::uint8_t* pixels = raw::data<std::uint8_t>(result.image);
  for (std::int64_t i = 0; i < size * size; ++i) {
    const double y = static_cast<double>(i / size) / static_cast<double>(size),
                 x = static_cast<double>(i % size) / static_cast<double>(size);
    const double light = 1 + 0.12 * std::sin(2.5 * (x * std::cos(tilt) + y * std::sin(tilt)) + first) +
                         0.05 * std::sin(9 * (y * std::cos(tilt) - x * std::sin(tilt)) + second);
    const double value =
        static_cast<double>(image[static_cast<std::size_t>(i)]) * light + options.noise * random.normal();
    pixels[i] = static_cast<std::uint8_t>(std::lround(255 * std::clamp(value, 0.0, 1.0)));
  }
  return result;
}

}  // namespace duet::data
