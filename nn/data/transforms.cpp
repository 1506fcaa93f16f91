// Moves look backwards: each pixel of the result asks where it comes from.
#include <duet/nn/data/transforms.hpp>

#include <algorithm>
#include <cmath>

#include <duet/core/fail.hpp>
#include <duet/core/raw.hpp>
#include <duet/nn/data/crop.hpp>

namespace duet::data {
namespace {

void check(const char* op, const LabelledImage& sample) {
  if (sample.image.dtype() != f32 || sample.label.dtype() != u8)
    fail<DtypeError>(op, "needs an image of f32 and a label of u8, got {} and {}", name(sample.image.dtype()),
                     name(sample.label.dtype()));
  if (sample.image.rank() != 3 || sample.label.rank() != 2 || sample.image.numel() == 0 ||
      sample.image.size(1) != sample.label.size(0) || sample.image.size(2) != sample.label.size(1))
    fail<ShapeError>(op, "needs (channels, height, width) and (height, width) of one size, got {} and {}",
                     sample.image.shape(), sample.label.shape());
}

void require(bool good, const char* op, const char* what, double value) {
  if (!good) fail<ValueError>(op, "{} is out of range: {}", what, value);
}

/// Turns and mirrors without a crop: sides may change places.
LabelledImage moved(const LabelledImage& sample, bool transpose, bool flip_y, bool flip_x) {
  const std::int64_t height = sample.label.size(0), width = sample.label.size(1);
  const std::int64_t rows = transpose ? width : height, columns = transpose ? height : width;
  LabelledImage out{Tensor::empty({sample.image.size(0), rows, columns}),
                    Tensor::empty({rows, columns}, {.dtype = u8})};
  const Tensor image = raw::contiguous(sample.image), label = raw::contiguous(sample.label);
  const auto move = [&](const auto* from, auto* to) {
    for (std::int64_t y = 0; y < rows; ++y)
      for (std::int64_t x = 0; x < columns; ++x) {
        const std::int64_t v = flip_y ? rows - 1 - y : y, u = flip_x ? columns - 1 - x : x;
        *to++ = transpose ? from[u * width + v] : from[v * width + u];
      }
  };
  for (std::int64_t c = 0; c < sample.image.size(0); ++c)
    move(raw::data<float>(image) + c * height * width, raw::data<float>(out.image) + c * height * width);
  move(raw::data<std::uint8_t>(label), raw::data<std::uint8_t>(out.label));
  return out;
}

/// A smooth field: cubic B-splines over normal numbers on a lattice, of deviation 1.
class SmoothField {
 public:
  SmoothField(std::int64_t height, std::int64_t width, double spacing, Generator& random)
      : spacing_(spacing), columns_(static_cast<std::int64_t>(static_cast<double>(width) / spacing) + 4) {
    const std::int64_t rows = static_cast<std::int64_t>(static_cast<double>(height) / spacing) + 4;
    for (std::int64_t i = 0; i < rows * columns_; ++i) values_.push_back(random.normal());
    // The deviation of a blend of independent numbers, at the lattice's points: (1/6)² + (4/6)² + (1/6)², along both
    // axes.
    for (double& value : values_) value /= 0.5;
    for (std::int64_t x = 0; x < width; ++x) across_.push_back(blend_at(x));
  }
  /// The field's values along row y.
  std::vector<double> row(std::int64_t y) const {
    const Blend down = blend_at(y);
    std::vector<double> lattice(static_cast<std::size_t>(columns_)), out;
    for (std::size_t j = 0; j < lattice.size(); ++j)
      for (std::size_t i = 0; i < 4; ++i) lattice[j] += down.weight[i] * values_[(down.first + i) * lattice.size() + j];
    for (const Blend& blend : across_) {
      double sum = 0;
      for (std::size_t j = 0; j < 4; ++j) sum += blend.weight[j] * lattice[blend.first + j];
      out.push_back(sum);
    }
    return out;
  }

 private:
  /// Four points of the lattice, and what each contributes.
  struct Blend {
    std::size_t first;
    double weight[4];
  };
  Blend blend_at(std::int64_t at) const {
    const double place = static_cast<double>(at) / spacing_, whole = std::floor(place), t = place - whole;
    return {static_cast<std::size_t>(whole),
            {(1 - t) * (1 - t) * (1 - t) / 6, (3 * t * t * t - 6 * t * t + 4) / 6,
             (-3 * t * t * t + 3 * t * t + 3 * t + 1) / 6, t * t * t / 6}};
  }
  double spacing_;
  std::int64_t columns_;
  std::vector<double> values_;
  std::vector<Blend> across_;
};

/// The four pixels of a line between which a place lies, and what each contributes to a cubic through them (Keys,
/// "Cubic convolution interpolation", 1981): a mean of two neighbours would blur what it reads.
struct Reading {
  std::int64_t at[4], nearest;
  float weight[4];
  Reading(double place, std::int64_t length) {
    const double whole = std::floor(place);
    const auto t = static_cast<float>(place - whole);
    const auto first = static_cast<std::int64_t>(whole) - 1;
    for (int i = 0; i < 4; ++i) at[i] = reflect(first + i, length);
    nearest = t < 0.5f ? at[1] : at[2];
    weight[0] = ((2 - t) * t - 1) * t / 2;
    weight[1] = ((3 * t - 5) * t * t + 2) / 2;
    weight[2] = ((4 - 3 * t) * t + 1) * t / 2;
    weight[3] = (t - 1) * t * t / 2;
  }
};

/// Rows of an image blurred along one axis, reflected at the ends.
void blur_lines(const Tensor& from, Tensor& to, const std::vector<float>& weight, bool along_x) {
  const std::int64_t channels = from.size(0), height = from.size(1), width = from.size(2);
  const auto reach = static_cast<std::int64_t>(weight.size()) / 2;
  const float* in = raw::data<float>(from);
  float* out = raw::data<float>(to);
  const std::int64_t length = along_x ? width : height, stride = along_x ? 1 : width;
  for (std::int64_t c = 0; c < channels; ++c)
    for (std::int64_t y = 0; y < height; ++y)
      for (std::int64_t x = 0; x < width; ++x) {
        const std::int64_t at = along_x ? x : y, line = c * height * width + (along_x ? y * width : x);
        float sum = 0;
        for (std::int64_t k = -reach; k <= reach; ++k)
          sum += weight[static_cast<std::size_t>(k + reach)] * in[line + reflect(at + k, length) * stride];
        out[line + at * stride] = sum;
      }
}

}  // namespace

Transform compose(std::vector<Transform> transforms) {
  return [list = std::move(transforms)](LabelledImage& sample, Generator& random) {
    for (const Transform& transform : list) transform(sample, random);
  };
}

Transform sometimes(double probability, Transform transform) {
  require(probability >= 0 && probability <= 1, "sometimes", "the probability", probability);
  return [=](LabelledImage& sample, Generator& random) {
    if (random.uniform() < probability) transform(sample, random);
  };
}

Transform random_flips() {
  return [](LabelledImage& sample, Generator& random) {
    check("random_flips", sample);
    const bool y = random.integer(0, 2) == 1, x = random.integer(0, 2) == 1;
    if (y || x) sample = moved(sample, false, y, x);
  };
}

Transform random_quarter_turns() {
  return [](LabelledImage& sample, Generator& random) {
    check("random_quarter_turns", sample);
    const std::int64_t turns = random.integer(0, 4);
    if (turns != 0) sample = moved(sample, turns % 2 == 1, turns >= 2, turns == 1 || turns == 2);
  };
}

Transform random_crop(std::int64_t size) {
  require(size >= 1, "random_crop", "the size", static_cast<double>(size));
  return [=](LabelledImage& sample, Generator& random) {
    check("random_crop", sample);
    const auto start = [&](std::int64_t n) {
      return random.integer(std::min<std::int64_t>(0, n - size), std::max<std::int64_t>(0, n - size) + 1);
    };
    CropPlace place;
    place.top = start(sample.label.size(0));
    place.left = start(sample.label.size(1));
    const Shape planes{1, sample.label.size(0), sample.label.size(1)};
    sample.image = crop(sample.image, size, place);
    const Tensor label = raw::contiguous(sample.label);
    sample.label =
        raw::view(crop(raw::view(label, planes, contiguous_strides(planes)), size, place), {size, size}, {size, 1});
  };
}

Transform random_elastic(const ElasticOptions& options) {
  require(options.strength >= 0 && options.strength <= 1000, "random_elastic", "strength", options.strength);
  require(options.spacing >= 4 && options.spacing <= 1e6, "random_elastic", "spacing", options.spacing);
  return [=](LabelledImage& sample, Generator& random) {
    check("random_elastic", sample);
    const std::int64_t height = sample.label.size(0), width = sample.label.size(1), plane = height * width;
    const SmoothField down(height, width, options.spacing, random), across(height, width, options.spacing, random);
    const Tensor image = raw::contiguous(sample.image), label = raw::contiguous(sample.label);
    LabelledImage out{Tensor::empty(image.shape()), Tensor::empty(label.shape(), {.dtype = u8})};
    const float* from = raw::data<float>(image);
    float* to = raw::data<float>(out.image);
    for (std::int64_t y = 0; y < height; ++y) {
      const std::vector<double> dy = down.row(y), dx = across.row(y);
      for (std::int64_t x = 0; x < width; ++x) {
        const double v = static_cast<double>(y) + options.strength * dy[static_cast<std::size_t>(x)];
        const double u = static_cast<double>(x) + options.strength * dx[static_cast<std::size_t>(x)];
        const Reading rows(v, height), columns(u, width);
        for (std::int64_t c = 0; c < image.size(0); ++c) {
          float sum = 0;
          for (int i = 0; i < 4; ++i)
            for (int j = 0; j < 4; ++j)
              sum += rows.weight[i] * columns.weight[j] * from[c * plane + rows.at[i] * width + columns.at[j]];
          to[c * plane + y * width + x] = sum;
        }
        raw::data<std::uint8_t>(out.label)[y * width + x] =
            raw::data<std::uint8_t>(label)[rows.nearest * width + columns.nearest];
      }
    }
    sample = out;
  };
}

Transform random_intensity(const IntensityOptions& options) {
  for (const double strength : {options.brightness, options.contrast, options.gamma})
    require(strength >= 0 && strength <= 100, "random_intensity", "a strength", strength);
  return [=](LabelledImage& sample, Generator& random) {
    check("random_intensity", sample);
    const double offset = options.brightness * random.normal();
    const double factor = std::exp(options.contrast * random.normal());
    const double exponent = std::exp(options.gamma * random.normal());
    sample.image = raw::clone(sample.image);
    float* values = raw::data<float>(sample.image);
    const auto [least, most] = std::minmax_element(values, values + sample.image.numel());
    const auto low = static_cast<double>(*least), range = static_cast<double>(*most) - low;
    for (std::int64_t i = 0; i < sample.image.numel(); ++i) {
      auto value = static_cast<double>(values[i]);
      if (options.gamma > 0 && range > 0) value = low + range * std::pow((value - low) / range, exponent);
      values[i] = static_cast<float>(value * factor + offset);
    }
  };
}

Transform random_blur(double most) {
  require(most >= 0 && most <= 100, "random_blur", "the deviation", most);
  return [=](LabelledImage& sample, Generator& random) {
    check("random_blur", sample);
    const double deviation = most * random.uniform();
    if (deviation < 0.05) return;  // nothing that f32 would show
    const auto reach = static_cast<std::int64_t>(std::ceil(3 * deviation));
    std::vector<float> weight;
    double sum = 0;
    for (std::int64_t k = -reach; k <= reach; ++k) {
      const double value = std::exp(-static_cast<double>(k * k) / (2 * deviation * deviation));
      weight.push_back(static_cast<float>(value));
      sum += value;
    }
    for (float& value : weight) value = static_cast<float>(static_cast<double>(value) / sum);
    const Tensor image = raw::contiguous(sample.image);
    Tensor half = Tensor::empty(image.shape()), out = Tensor::empty(image.shape());
    blur_lines(image, half, weight, true);
    blur_lines(half, out, weight, false);
    sample.image = out;
  };
}

Transform random_noise(double most) {
  require(most >= 0 && most <= 1000, "random_noise", "the deviation", most);
  return [=](LabelledImage& sample, Generator& random) {
    check("random_noise", sample);
    const auto deviation = static_cast<float>(most * random.uniform());
    const Tensor noise = randn(sample.image.shape(), {}, random);
    sample.image = raw::clone(sample.image);
    for (std::int64_t i = 0; i < noise.numel(); ++i)
      raw::data<float>(sample.image)[i] += deviation * raw::data<float>(noise)[i];
  };
}

}  // namespace duet::data
