// Transforms: image and label move together, each does what its options say, and a seed gives the same sample.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <set>

#include <duet/core/factory.hpp>
#include <duet/core/raw.hpp>
#include <duet/nn/data/crop.hpp>
#include <duet/nn/data/loader.hpp>
#include <duet/nn/data/transforms.hpp>

#include "data/support.hpp"

using namespace duet;
using namespace duet::data;

namespace {

/// Every pixel has a value of its own, and its label says which one (by 200).
LabelledImage numbered(std::int64_t height, std::int64_t width) {
  LabelledImage sample{Tensor::empty({2, height, width}), Tensor::empty({height, width}, {.dtype = u8})};
  for (std::int64_t i = 0; i < height * width; ++i) {
    raw::data<float>(sample.image)[i] = static_cast<float>(i);
    raw::data<float>(sample.image)[height * width + i] = static_cast<float>(-i);
    raw::data<std::uint8_t>(sample.label)[i] = static_cast<std::uint8_t>(i % 200);
  }
  return sample;
}

void check_together(const LabelledImage& sample) {
  const auto image = sample.image.to_vector(), label = sample.label.to_vector();
  for (std::size_t i = 0; i < label.size(); ++i) {
    REQUIRE(label[i] == std::lround(image[i]) % 200);
    REQUIRE(image[label.size() + i] == -image[i]);
  }
}

LabelledImage plain(const Tensor& image) { return {image, zeros({image.size(1), image.size(2)}, {.dtype = u8})}; }

/// The image after a transform, from a seed.
Tensor after(const Transform& transform, const Tensor& image, std::uint64_t seed = 1) {
  LabelledImage sample = plain(image);
  Generator random(seed);
  transform(sample, random);
  return sample.image;
}

double mean_of(const std::vector<double>& values) {
  double sum = 0;
  for (const double value : values) sum += value;
  return sum / static_cast<double>(values.size());
}

}  // namespace

TEST_CASE("transforms: flips, turns and crops move image and label alike, in every way there is") {
  const Transform moves = compose({random_flips(), random_quarter_turns(), random_crop(6)});
  std::set<std::pair<long, long>> orientations;
  for (std::uint64_t seed = 0; seed < 300; ++seed) {
    LabelledImage sample = numbered(9, 11);
    Generator random(seed);
    moves(sample, random);
    REQUIRE(sample.image.shape() == Shape{2, 6, 6});
    check_together(sample);
    const auto v = sample.image.to_vector();
    orientations.insert({std::lround(v[1] - v[0]), std::lround(v[6] - v[0])});
  }
  CHECK(orientations.size() == 8);
  // Without a crop sides change places, and every pixel is still there.
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    LabelledImage sample = numbered(3, 5);
    Generator random(seed);
    random_quarter_turns()(sample, random);
    CHECK(sample.label.numel() == 15);
    check_together(sample);
    std::vector<double> label = sample.label.to_vector();
    std::sort(label.begin(), label.end());
    for (int i = 0; i < 15; ++i) REQUIRE(label[static_cast<std::size_t>(i)] == i);
  }
  LabelledImage small = numbered(3, 4);
  Generator random(1);
  random_crop(10)(small, random);
  CHECK(small.label.shape() == Shape{10, 10});
  check_together(small);
}

TEST_CASE("transforms: elastic moves are as large as asked for, smooth, and the label goes along") {
  // An image of coordinates shows where each pixel came from.
  const std::int64_t size = 96;
  LabelledImage sample{Tensor::empty({1, size, size}), Tensor::empty({size, size}, {.dtype = u8})};
  std::vector<double> squares, jumps;
  for (std::uint64_t seed = 0; seed < 12; ++seed) {
    for (std::int64_t i = 0; i < size * size; ++i) {
      raw::data<float>(sample.image)[i] = static_cast<float>(i % size);
      raw::data<std::uint8_t>(sample.label)[i] = static_cast<std::uint8_t>(i % size);
    }
    LabelledImage moved = sample;
    Generator random(seed);
    random_elastic({.strength = 3, .spacing = 16})(moved, random);
    const auto from = moved.image.to_vector(), label = moved.label.to_vector();
    for (std::int64_t y = 0; y < size; ++y)
      for (std::int64_t x = 16; x < size - 16; ++x) {
        const auto at = static_cast<std::size_t>(y * size + x);
        const double move = from[at] - static_cast<double>(x);
        squares.push_back(move * move);
        jumps.push_back(std::abs(from[at + 1] - from[at] - 1));
        REQUIRE(std::abs(label[at] - from[at]) <= 0.5001);  // the nearest pixel's label
      }
  }
  CHECK(std::sqrt(mean_of(squares)) > 2.4);
  CHECK(std::sqrt(mean_of(squares)) < 3.5);
  CHECK(*std::max_element(jumps.begin(), jumps.end()) < 1);
  CHECK(after(random_elastic({.strength = 0}), sample.image).to_vector() == sample.image.to_vector());
  // Noise keeps most of its power: a mean of two neighbours along each axis would leave 4/9 of it.
  Generator random(1);
  const Tensor noise = randn({1, size, size}, {}, random);
  double before = 0, left = 0;
  for (const double value : noise.to_vector()) before += value * value;
  for (const double value : after(random_elastic({.strength = 3}), noise).to_vector()) left += value * value;
  CHECK(left / before > 0.55);
  CHECK(left / before < 0.8);
}

TEST_CASE("transforms: brightness, contrast, gamma") {
  Tensor ramp = Tensor::empty({1, 2, 8});
  for (int i = 0; i < 16; ++i) raw::data<float>(ramp)[i] = static_cast<float>(i) / 4 - 1;
  const auto before = ramp.to_vector();
  const auto offset = after(random_intensity({.brightness = 1, .contrast = 0}), ramp).to_vector();
  const auto factor = after(random_intensity({.brightness = 0, .contrast = 1}), ramp).to_vector();
  const auto bent = after(random_intensity({.brightness = 0, .contrast = 0, .gamma = 1}), ramp).to_vector();
  for (std::size_t i = 0; i < 16; ++i) {
    CHECK(offset[i] - before[i] == doctest::Approx(offset[0] - before[0]));
    CHECK(factor[i] * before[0] == doctest::Approx(factor[0] * before[i]));
  }
  CHECK(offset[0] != before[0]);
  CHECK(factor[0] != before[0]);
  CHECK(bent.front() == doctest::Approx(before.front()));
  CHECK(bent.back() == doctest::Approx(before.back()));
  CHECK(std::is_sorted(bent.begin(), bent.end()));
  CHECK(std::abs(bent[8] - before[8]) > 0.01);
  std::vector<double> offsets;
  for (std::uint64_t seed = 0; seed < 400; ++seed) {
    const double move = after(random_intensity({.brightness = 0.5, .contrast = 0}), ramp, seed).to_vector()[0] + 1;
    offsets.push_back(move * move);
  }
  CHECK(std::sqrt(mean_of(offsets)) == doctest::Approx(0.5).epsilon(0.15));
  CHECK(after(random_intensity({.brightness = 0, .contrast = 0, .gamma = 1}), full({1, 2, 2}, 3)).to_vector()[0] == 3);
}

TEST_CASE("transforms: blur and noise") {
  Tensor spike = zeros({1, 41, 41});
  raw::data<float>(spike)[20 * 41 + 20] = 1;
  double widest = 0;
  for (std::uint64_t seed = 0; seed < 30; ++seed) {
    const auto spread = after(random_blur(3), spike, seed).to_vector();
    double sum = 0, variance = 0;
    for (int i = 0; i < 41 * 41; ++i) {
      sum += spread[static_cast<std::size_t>(i)];
      variance += spread[static_cast<std::size_t>(i)] * (i % 41 - 20) * (i % 41 - 20);
    }
    CHECK(sum == doctest::Approx(1).epsilon(1e-4));
    widest = std::max(widest, std::sqrt(variance));
  }
  CHECK(widest > 2.2);
  CHECK(widest < 3.01);
  for (const double value : after(random_blur(2), full({2, 5, 6}, 3)).to_vector()) CHECK(value == doctest::Approx(3));

  double most = 0;
  for (std::uint64_t seed = 0; seed < 30; ++seed) {
    const auto noisy = after(random_noise(2), zeros({1, 40, 40}), seed).to_vector();
    std::vector<double> squares;
    for (const double value : noisy) squares.push_back(value * value);
    CHECK(std::abs(mean_of(noisy)) < 0.2);
    most = std::max(most, std::sqrt(mean_of(squares)));
  }
  CHECK(most > 1.6);
  CHECK(most < 2.2);
}

TEST_CASE("transforms: a seed gives the same sample, shares are kept, inputs stay, functions of one's own") {
  const Transform all = compose({random_flips(), random_quarter_turns(), random_crop(24), random_elastic(),
                                 sometimes(0.5, random_blur()), random_intensity({.gamma = 0.2}), random_noise()});
  const Tensor image = randn({1, 30, 30});
  const auto before = image.to_vector();
  CHECK(after(all, image, 5).to_vector() == after(all, image, 5).to_vector());
  CHECK(after(all, image, 5).to_vector() != after(all, image, 6).to_vector());
  CHECK(image.to_vector() == before);
  int done = 0;
  const Transform count = [&](LabelledImage&, Generator&) { ++done; };
  LabelledImage sample = plain(image);
  Generator random(1);
  for (int i = 0; i < 1000; ++i) sometimes(0.3, count)(sample, random);
  CHECK(done > 250);
  CHECK(done < 350);
  done = 0;
  for (int i = 0; i < 100; ++i) sometimes(0, count)(sample, random), sometimes(1, count)(sample, random);
  CHECK(done == 100);

  // In a loader: the same batches on any number of workers.
  const ImageSet images = ImageSet::generated(2, {.size = 48});
  const CropOptions options{.size = 16, .transform = compose({random_elastic(), random_noise()})};
  std::vector<std::vector<double>> batches[2];
  for (const int workers : {0, 3}) {
    DataLoader loader(CropDataset(images, images.statistics(), options), {.batch_size = 4, .workers = workers});
    for (auto& batch : loader) batches[workers > 0].push_back(batch.image.to_vector());
  }
  CHECK(batches[0] == batches[1]);
  CropOptions without = options;
  without.transform = {};
  DataLoader loader(CropDataset(images, images.statistics(), without), {.batch_size = 4, .workers = 0});
  CHECK((*loader.begin()).image.to_vector() != batches[0][0]);
}

TEST_CASE("transforms: bad input") {
  Generator random(1);
  LabelledImage bytes{zeros({1, 4, 4}, {.dtype = u8}), zeros({4, 4}, {.dtype = u8})};
  LabelledImage sizes{zeros({1, 4, 4}), zeros({4, 5}, {.dtype = u8})};
  for (const Transform& transform : {random_flips(), random_quarter_turns(), random_crop(2), random_elastic(),
                                     random_intensity(), random_blur(), random_noise()}) {
    CHECK_THROWS_AS(transform(bytes, random), DtypeError);
    CHECK_THROWS_AS(transform(sizes, random), ShapeError);
  }
  CHECK_THROWS_AS(random_crop(0), ValueError);
  CHECK_THROWS_AS(random_elastic({.strength = -1}), ValueError);
  CHECK_THROWS_AS(random_elastic({.spacing = 1}), ValueError);
  CHECK_THROWS_AS(random_intensity({.gamma = -1}), ValueError);
  CHECK_THROWS_AS(random_blur(-1), ValueError);
  CHECK_THROWS_AS(random_noise(std::nan("")), ValueError);
  CHECK_THROWS_AS(sometimes(1.5, random_noise()), ValueError);
}
