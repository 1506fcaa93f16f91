// Data with a class for each image: folders, tensors in memory, drawn digits; and the samplers that choose from them.
#include <doctest/doctest.h>

#include <cmath>
#include <fstream>
#include <set>

#include <duet/core/factory.hpp>
#include <duet/core/raw.hpp>
#include <duet/nn/data/image_folder.hpp>
#include <duet/nn/data/loader.hpp>
#include <duet/nn/data/png.hpp>
#include <duet/nn/data/synthetic_digits.hpp>
#include <duet/nn/data/tensor_set.hpp>
#include <duet/ops/shape.hpp>

#include "data/support.hpp"

using namespace duet;
namespace fs = std::filesystem;

namespace {

void put(const fs::path& path, const Tensor& image) {
  fs::create_directories(path.parent_path());
  data::write_png(path.string(), image);
}

}  // namespace

TEST_CASE("image folder: classes and images in the order of their names") {
  NEEDS_PNG();
  const TemporaryFolder folder;
  put(folder.path / "b" / "2.png", full({4, 6}, 51, {.dtype = u8}));
  put(folder.path / "b" / "10.png", full({4, 6}, 255, {.dtype = u8}));
  put(folder.path / "a" / "x.png", full({4, 6}, 102, {.dtype = u8}));
  fs::create_directories(folder.path / "empty");
  const data::ImageFolder set(folder.path.string());
  CHECK(set.classes() == std::vector<std::string>{"a", "b"});
  CHECK(set.size() == 3);
  CHECK(set.image_shape() == Shape{1, 4, 6});
  Generator random;
  const data::Sample first = set.get(0, random), second = set.get(1, random), third = set.get(2, random);
  CHECK(first.image.shape() == Shape{1, 4, 6});
  CHECK(first.image.to_vector()[7] == doctest::Approx(0.4));
  CHECK(first.target.item() == 0);
  CHECK(second.image.to_vector()[0] == doctest::Approx(1));
  CHECK(third.image.to_vector()[0] == doctest::Approx(0.2));
  CHECK(third.target.item() == 1);
  CHECK(data::ImageFolder(folder.path.string(), {.channels = 3}).get(0, random).image.shape() == Shape{3, 4, 6});
  const data::ImageFolder flat((folder.path / "b").string());
  CHECK(flat.classes() == std::vector<std::string>{""});
  CHECK(flat.size() == 2);
  data::DataLoader loader(set, {.batch_size = 3, .shuffle = false});
  for (const auto& batch : loader) CHECK(batch.target.to_vector() == std::vector<double>{0, 1, 1});
  CHECK_THROWS_AS(set.get(3, random), ValueError);
}

TEST_CASE("image folder: mixed sizes and channels, nothing to read, broken files") {
  NEEDS_PNG();
  const TemporaryFolder folder;
  const auto refusal = [&] { return message_of<Error>([&] { data::ImageFolder set(folder.path.string()); }); };
  CHECK(contains(refusal(), "has no images"));
  CHECK(contains(message_of<IoError>([&] { data::ImageFolder set(folder / "nowhere"); }), "nowhere"));
  put(folder.path / "a" / "1.png", ones({4, 6}));
  put(folder.path / "a" / "2.png", ones({4, 7}));
  CHECK(contains(refusal(), "2.png is (1, 4, 7)"));
  put(folder.path / "a" / "2.png", ones({3, 4, 6}));
  CHECK(contains(refusal(), "2.png is (3, 4, 6)"));
  std::ofstream(folder.path / "a" / "2.png") << "no image";
  CHECK(contains(refusal(), "2.png"));
}

TEST_CASE("tensor data set: rows, in memory") {
  const data::TensorDataset set(reshape(arange(0, 12), {3, 4}), arange(0, 3, 1, {.dtype = i64}));
  CHECK(set.size() == 3);
  Generator random;
  const data::Sample sample = set.get(1, random);
  CHECK(sample.image.to_vector() == std::vector<double>{4, 5, 6, 7});
  CHECK(sample.target.rank() == 0);
  CHECK(sample.image.shares_storage_with(set.images()));
  CHECK_THROWS_AS(data::TensorDataset(ones({3, 2}), ones({2})), ShapeError);
  CHECK_THROWS_AS(data::TensorDataset(ones({0, 2}), ones({0})), ValueError);
  CHECK_THROWS_AS(set.get(-1, random), ValueError);
}

TEST_CASE("samplers: permutations, replacement, weights, a function of seed and epoch") {
  const data::RandomSampler permutation(50, {.seed = 3});
  const auto first = permutation.order(0);
  CHECK(std::set<std::int64_t>(first.begin(), first.end()).size() == 50);
  CHECK(permutation.order(0) == first);
  CHECK(permutation.order(1) != first);
  CHECK(data::RandomSampler(50, {.seed = 4}).order(0) != first);
  CHECK(data::RandomSampler(50, {.num_samples = 7}).order(0).size() == 7);
  CHECK(data::SequentialSampler(3).order(5) == std::vector<std::int64_t>{0, 1, 2});
  const data::RandomSampler anew(3, {.replacement = true, .num_samples = 3000});
  std::int64_t counts[3] = {};
  for (const std::int64_t i : anew.order(0)) ++counts[i];
  for (const std::int64_t count : counts) CHECK(std::abs(static_cast<double>(count) - 1000) < 120);  // 4.6 deviations

  const data::WeightedSampler weighted({1, 0, 3}, {.num_samples = 4000});
  std::int64_t drawn[3] = {};
  for (const std::int64_t i : weighted.order(2)) ++drawn[i];
  CHECK(drawn[1] == 0);
  CHECK(std::abs(static_cast<double>(drawn[2]) - 3000) < 130);
  const auto once = data::WeightedSampler({1, 0, 3, 2}, {.num_samples = 3, .replacement = false}).order(0);
  CHECK(std::set<std::int64_t>(once.begin(), once.end()) == std::set<std::int64_t>{0, 2, 3});
  CHECK(data::balancing_weights({5, 5, 0}) == std::vector<double>{0.5, 0.5, 1});

  CHECK_THROWS_AS(data::RandomSampler(0), ValueError);
  CHECK_THROWS_AS(data::RandomSampler(3, {.num_samples = 4}), ValueError);
  CHECK_THROWS_AS(data::WeightedSampler({}), ValueError);
  CHECK_THROWS_AS(data::WeightedSampler({1, -1}), ValueError);
  CHECK_THROWS_AS(data::WeightedSampler({1, NAN}), ValueError);
  CHECK_THROWS_AS(data::WeightedSampler({1, 0, 2}, {.replacement = false}), ValueError);
  CHECK_THROWS_AS(data::balancing_weights({-1}), ValueError);
}

TEST_CASE("samplers: a loader takes its order from one, on any number of workers") {
  const data::TensorDataset set(arange(0, 10), arange(0, 10, 1, {.dtype = i64}));
  const auto sampler = std::make_shared<const data::WeightedSampler>(
      std::vector<double>{0, 0, 0, 0, 0, 0, 0, 0, 1, 1}, data::WeightedSamplerOptions{.num_samples = 6, .seed = 1});
  std::vector<std::vector<double>> seen;
  for (const int workers : {0, 3}) {
    data::DataLoader loader(set, {.batch_size = 4, .workers = workers, .sampler = sampler});
    CHECK(loader.batches() == 2);
    std::vector<double> order;
    for (int epoch = 0; epoch < 2; ++epoch)
      for (const auto& batch : loader)
        for (const double value : batch.target.to_vector()) order.push_back(value);
    CHECK(order.size() == 12);
    for (const double value : order) CHECK(value >= 8);
    seen.push_back(order);
  }
  CHECK(seen[0] == seen[1]);
}

TEST_CASE("drawn digits: all classes, each a little different, white on black, the same again") {
  const data::Sample digits = data::synthetic_digits(40);
  CHECK(digits.image.shape() == Shape{40, 1, 28, 28});
  CHECK(digits.target.to_vector()[13] == 3);
  const Tensor again = data::synthetic_digits(40).image;
  CHECK(again.to_vector() == digits.image.to_vector());
  CHECK(data::synthetic_digits(40, {.seed = 1}).image.to_vector() != digits.image.to_vector());
  for (std::int64_t i = 0; i < 40; ++i) {
    const auto pixels = select(digits.image, 0, i).to_vector();
    double sum = 0, border = 0;
    for (std::size_t k = 0; k < pixels.size(); ++k) {
      sum += pixels[k];
      if (k / 28 == 0 || k / 28 == 27 || k % 28 == 0 || k % 28 == 27) border = std::max(border, pixels[k]);
    }
    CAPTURE(i);
    CHECK(sum / 255 > 20);   // strokes of some length
    CHECK(sum / 255 < 300);  // that leave most of it black
    CHECK(border < 128);     // inside the picture
  }
  CHECK(data::synthetic_digit(7, {.size = 64}).image.shape() == Shape{1, 64, 64});
  CHECK_THROWS_AS(data::synthetic_digit(0, {.size = 4}), ValueError);
  CHECK_THROWS_AS(data::synthetic_digit(-1), ValueError);
  CHECK_THROWS_AS(data::synthetic_digits(0), ValueError);
  CHECK_THROWS_AS(data::synthetic_digits(1, {.noise = -1}), ValueError);
}
