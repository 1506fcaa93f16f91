// What the picture programs compute with: distances, filters, spectra, overlaps, tables.
#include <doctest/doctest.h>

#include <cmath>

#include <duet/core/factory.hpp>
#include <duet/core/random.hpp>
#include <duet/core/raw.hpp>
#include <duet/ops/elementwise.hpp>
#include <duet/ops/matmul.hpp>
#include <duet/ops/reduce.hpp>
#include <duet/ops/shape.hpp>

#include "checkerboard/checkerboard.hpp"
#include "common/canvas.hpp"
#include "common/metrics.hpp"
#include "common/report.hpp"
#include "common/run.hpp"
#include "common/spectrum.hpp"
#include "data/support.hpp"
#include "digits/digit_training.hpp"
#include "digits/judge.hpp"
#include "gan/gan_training.hpp"
#include "superres/image_quality.hpp"
#include "superres/superres_training.hpp"

using namespace duet;
using namespace duet::examples;

TEST_CASE("judge: eigenvalues of a symmetric matrix put it together again") {
  manual_seed(1);
  const Tensor a = randn({7, 7}, {.dtype = f64}), symmetric = a + transpose(a, 0, 1);
  const Eigen eigen = eigen_symmetric(symmetric);
  const Tensor values = Tensor::from_span(eigen.values, {7});
  const Tensor again = matmul(eigen.vectors * values, eigen.vectors, {.transpose_b = true});
  CHECK(amax(abs(again - symmetric)).item() < 1e-12);
  const Tensor unit = matmul(eigen.vectors, eigen.vectors, {.transpose_b = true});
  CHECK(amax(abs(unit - eye(7, {.dtype = f64}))).item() < 1e-13);
  const Eigen known = eigen_symmetric(Tensor::from_span(std::vector<double>{2, 1, 1, 2}, {2, 2}));
  CHECK(known.values[0] + known.values[1] == doctest::Approx(4));
  CHECK(known.values[0] * known.values[1] == doctest::Approx(3));
  CHECK_THROWS_AS(eigen_symmetric(ones({2, 3}, {.dtype = f64})), ShapeError);
}

TEST_CASE("judge: the Fréchet distance of shifted and stretched sets is known") {
  manual_seed(2);
  const Tensor x = randn({500, 3}, {.dtype = f64});
  CHECK(std::abs(frechet_distance(x, x)) < 1e-9);
  const Tensor shift = Tensor::from_span(std::vector<double>{1, -2, 0.5}, {3});
  CHECK(frechet_distance(x, x + shift) == doctest::Approx(1 + 4 + 0.25));
  // Covariances A and 4A: tr(A + 4A − 2·2A) = tr A, and the mean doubles.
  const Tensor mean_of = mean(x, {.dim = {0}});
  const double expected = sum(var(x, {.dim = {0}})).item() + sum(square(mean_of)).item();
  CHECK(frechet_distance(x, x * 2.0) == doctest::Approx(expected));
  CHECK_THROWS_AS(frechet_distance(x, ones({5, 2}, {.dtype = f64})), ShapeError);
  CHECK_THROWS_AS(frechet_distance(x, ones({1, 3}, {.dtype = f64})), ValueError);
}

TEST_CASE("digits: a warp by nothing is none, a quarter turn is one, a shift moves") {
  manual_seed(3);
  const Tensor image = rand({1, 5, 5});
  CHECK(warp_image(image, 0, 1, 0, 0, 0).to_vector() == image.to_vector());
  const auto before = image.to_vector(), moved = warp_image(image, 0, 1, 1, 2, -1).to_vector();
  for (std::size_t y = 0; y < 5; ++y)
    for (std::size_t x = 0; x < 5; ++x)
      CHECK(moved[y * 5 + x] == doctest::Approx(y >= 2 && x >= 1 ? before[(y - 2) * 5 + x - 1] : -1));
  const auto turned = warp_image(image, 1.5707963267948966, 1, 0, 0, 0).to_vector();
  for (std::size_t y = 0; y < 5; ++y)
    for (std::size_t x = 0; x < 5; ++x)
      CHECK(turned[y * 5 + x] == doctest::Approx(before[(4 - x) * 5 + y]).epsilon(1e-5));
}

TEST_CASE("digits: confusions, their accuracy and their picture") {
  Sight sight;
  sight.classes = {0, 1, 1, 2};
  const Confusions counts = confusions_of(sight, Tensor::from_span(std::vector<std::int64_t>{0, 1, 2, 2}, {4}), 3);
  CHECK(counts == Confusions{{1, 0, 0}, {0, 1, 0}, {0, 1, 1}});
  CHECK(accuracy_of(counts) == 0.75);
  CHECK(confusion_picture(counts).shape() == Shape{3, 144, 144});
}

TEST_CASE("superres: reducing keeps constants and straight lines, and lets nothing alias") {
  for (const std::int64_t scale : {2, 4}) {
    const Tensor flat = reduce_bicubic(full({16, 24}, 0.3), scale);
    CHECK(flat.shape() == Shape{16 / scale, 24 / scale});
    for (const double value : flat.to_vector()) CHECK(value == doctest::Approx(0.3));
    const auto line = reduce_bicubic(expand(reshape(arange(0, 32), {1, 32}), {32, 32}), scale).to_vector();
    const auto width = static_cast<std::size_t>(32 / scale);
    for (std::size_t x = 4; x < width - 4; ++x)
      CHECK(line[width * 4 + x] == doctest::Approx((static_cast<double>(x) + 0.5) * static_cast<double>(scale) - 0.5));
  }
  Tensor stripes = zeros({16, 16});
  for (std::int64_t i = 0; i < 256; i += 2) raw::data<float>(stripes)[i] = 1;
  const auto reduced = reduce_bicubic(stripes, 2).to_vector();
  for (std::size_t x = 2; x < 6; ++x) CHECK(reduced[8 * 2 + x] == doctest::Approx(0.5).epsilon(0.15));
  CHECK_THROWS_AS(reduce_bicubic(ones({3, 1}), 2), ValueError);
}

TEST_CASE("superres: PSNR and SSIM of known pairs") {
  manual_seed(4);
  const Tensor a = rand({32, 32});
  CHECK(psnr(a, a + 0.1) == doctest::Approx(20).epsilon(1e-4));
  CHECK(ssim(a, a) == doctest::Approx(1));
  CHECK(ssim(a, rand({32, 32})) < 0.2);
  // Constants differ in their means alone: (2mn + c) / (m² + n² + c).
  CHECK(ssim(full({16, 16}, 0.4), full({16, 16}, 0.6)) ==
        doctest::Approx((2 * 0.24 + 1e-4) / (0.16 + 0.36 + 1e-4)).epsilon(1e-6));
  CHECK_THROWS_AS(psnr(a, ones({2, 2})), ShapeError);
  CHECK_THROWS_AS(ssim(ones({8, 8}), ones({8, 8})), ShapeError);
}

TEST_CASE("superres: on smooth images only nets that begin without a pattern leave none") {
  manual_seed(6);
  const Tensor large = clamp(0.5 + 0.2 * randn({128, 128}), {.min = 0, .max = 1});
  const std::vector<ImagePair> pairs{{"a", large, reduce_bicubic(large, 2)}};
  CHECK(smoothed(pairs[0].small).shape() == Shape{64, 64});
  const auto pattern_of = [&](FunctionRef<Tensor(const Tensor&)> way) { return quality_of(pairs, 2, way).pattern; };
  CHECK(pattern_of([](const Tensor& small) { return enlarge_bicubic(small, 2); }) < 0.05);
  for (const nn::Upsampler way : nn::all_upsamplers) {
    CAPTURE(nn::name(way));
    const auto pattern = [&](bool smooth) {
      nn::SuperResolution net({.width = 16, .upsampler = way, .smooth_init = smooth});
      return pattern_of([&](const Tensor& small) { return enlarge(net, small); });
    };
    CHECK(pattern(true) < 0.5);
    if (way == nn::Upsampler::pixel_shuffle || way == nn::Upsampler::transposed) CHECK(pattern(false) > 2);
  }
}

TEST_CASE("superres: patches of both sizes show the same place, however turned") {
  // The large image of a small one that is repeated: then reduction by means gives the patch back.
  std::vector<ImagePair> pairs{{"a", Tensor(), rand({12, 10})}};
  Tensor large = Tensor::empty({24, 20});
  for (std::int64_t i = 0; i < 480; ++i)
    raw::data<float>(large)[i] = raw::data<float>(pairs[0].small)[i / 40 * 10 + i % 20 / 2];
  pairs[0].large = large;
  const PatchPairs patches(pairs, 2, 6, 40);
  for (std::int64_t i = 0; i < 40; ++i) {
    Generator random(static_cast<std::uint64_t>(i));
    const data::Sample sample = patches.get(i, random);
    CHECK(sample.target.shape() == Shape{1, 12, 12});
    for (std::int64_t k = 0; k < 144; ++k)
      REQUIRE(raw::data<float>(sample.target)[k] == raw::data<float>(sample.image)[k / 24 * 6 + k % 12 / 2]);
  }
  CHECK_THROWS_WITH_AS(PatchPairs(pairs, 2, 11, 1), doctest::Contains("does not fit into a"), ValueError);
}

TEST_CASE("spectrum: a wave has its power at its frequency, and only a checkerboard stands out as one") {
  Tensor wave = Tensor::empty({64, 64}, {.dtype = f64});
  for (std::int64_t i = 0; i < 4096; ++i)
    raw::data<double>(wave)[i] =
        std::cos(6.283185307179586 * (8 * static_cast<double>(i / 64) + 12 * static_cast<double>(i % 64)) / 64);
  const Tensor power = power_spectrum(wave);
  CHECK(argmax(power).item() == (32 - 8) * 64 + 32 - 12);
  const double total = sum(power).item();
  double near = 0;
  for (std::int64_t y = -1; y <= 1; ++y)
    for (std::int64_t x = -1; x <= 1; ++x)
      near += power.to_vector()[static_cast<std::size_t>((32 - 8 + y) * 64 + 32 - 12 + x)];
  CHECK(near * 2 == doctest::Approx(total).epsilon(1e-3));  // it and its mirror
  manual_seed(5);
  const Tensor noise = randn({256, 256}, {.dtype = f64});
  CHECK(std::abs(checkerboard_decibels(power_spectrum(noise), 2)) < 3);
  for (const std::int64_t stride : {2, 4}) {
    Tensor pattern = raw::clone(noise);
    for (std::int64_t i = 0; i < pattern.numel(); ++i)
      if (i / 256 % stride == 0 && i % 256 % stride == 0) raw::data<double>(pattern)[i] += 1;
    CHECK(checkerboard_decibels(power_spectrum(pattern), stride) > 6);
  }
  // ±a, on something that is smooth; then a at every fourth pixel of both axes, whose 15 waves have a / 16 each.
  Tensor board = Tensor::empty({128, 128}, {.dtype = f64}), dots = zeros({128, 128}, {.dtype = f64});
  for (std::int64_t i = 0; i < board.numel(); ++i) {
    const std::int64_t y = i / 128, x = i % 128;
    raw::data<double>(board)[i] = ((x + y) % 2 == 0 ? 0.01 : -0.01) + std::cos(static_cast<double>(x + 2 * y) / 30);
    if (x % 4 == 0 && y % 4 == 0) raw::data<double>(dots)[i] = 0.16;
  }
  CHECK(checkerboard_strength(power_spectrum(board), 2) == doctest::Approx(0.01).epsilon(1e-3));
  CHECK(checkerboard_strength(power_spectrum(dots), 4) == doctest::Approx(0.01 * std::sqrt(15)).epsilon(1e-3));
  CHECK_THROWS_AS(power_spectrum(ones({32, 64})), ValueError);
  CHECK_THROWS_AS(checkerboard_decibels(power, 3), ValueError);
}

TEST_CASE("checkerboard: overlaps are counted right, and every cure cures") {
  for (const auto& [kernel, stride] : {std::pair<std::int64_t, std::int64_t>{3, 2}, {5, 3}, {4, 2}}) {
    const Tensor map = overlap_map(kernel, stride, 4);
    const std::int64_t side = 3 * stride + kernel;
    REQUIRE(map.shape() == Shape{side, side});
    for (std::int64_t i = 0; i < side * side; ++i) {
      std::int64_t count = 0;
      for (std::int64_t t = 0; t < 16; ++t) {
        const std::int64_t dy = i / side - t / 4 * stride, dx = i % side - t % 4 * stride;
        count += dy >= 0 && dy < kernel && dx >= 0 && dx < kernel;
      }
      REQUIRE(map.to_vector()[static_cast<std::size_t>(i)] == static_cast<double>(count));
    }
  }
  CHECK(overlap_ratio(4, 2) == 1);
  CHECK(overlap_ratio(3, 2) == 4);
  CHECK(std::isinf(overlap_ratio(2, 3)));
  for (const Doubling& doubling : doublings()) {
    CAPTURE(doubling.name);
    const Tensor outputs = untrained_outputs(doubling, 12, 0);
    CHECK(outputs.shape() == Shape{12, 64, 64});
    Tensor spectrum = zeros({64, 64}, {.dtype = f64});
    for (std::int64_t i = 0; i < 12; ++i) spectrum = spectrum + power_spectrum(select(outputs, 0, i));
    const bool cured = doubling.smooth_init;
    CHECK((checkerboard_decibels(spectrum, 2) < 0) == cured);
    CHECK((checkerboard_decibels(spectrum, 2) > 15) == !cured);
  }
}

TEST_CASE("gan: walks begin and end at points of the latent space and keep their length") {
  nn::GanGenerator generator({.image_size = 8, .latent = 16, .base_channels = 2});
  Generator random(1);
  const Tensor walk = latent_walks(generator, 2, 5, random);
  CHECK(walk.shape() == Shape{10, 16});
  Generator again(1);
  const auto first = generator.noise(1, again).to_vector();
  const auto begin = select(walk, 0, 0).to_vector();
  for (std::size_t i = 0; i < 16; ++i) CHECK(begin[i] == doctest::Approx(first[i]).epsilon(1e-5));
  const double length_a = norm(select(walk, 0, 0)).item(), length_b = norm(select(walk, 0, 4)).item();
  CHECK(norm(select(walk, 0, 2)).item() > 0.7 * std::min(length_a, length_b));
  const Tensor pictures = pictures_of(generator, walk);
  CHECK(amin(pictures).item() >= 0);
  CHECK(amax(pictures).item() <= 1);
}

TEST_CASE("metrics: rows, curves, CSV, and back from JSON") {
  MetricTable table({"step", "loss"});
  table.add({10, 0.5});
  table.add({20, NAN});
  CHECK(table.csv() == "step,loss\n10,0.5\n20,\n");
  CHECK(table.last("loss") == 0.5);
  MetricTable other({"step", "loss"});
  other.read_json(table.json());
  CHECK(other.csv() == table.csv());
  CHECK_THROWS_AS(table.add({1}), ValueError);
  CHECK_THROWS_AS(table.last("none"), ValueError);
  CHECK_THROWS_AS(other.read_json("{"), IoError);
  CHECK_THROWS_AS(other.read_json("[[1,2,3]]"), IoError);
}

TEST_CASE("pictures: grids, maps, numbers, and a scrubber over them") {
  const Tensor grid = image_grid(full({5, 1, 4, 4}, 0.5), 3, 2);
  CHECK(grid.shape() == Shape{3, 2 * 8 + 2, 3 * 8 + 4});
  CHECK(grid.to_vector()[0] == 128);
  CHECK(grid.to_vector().back() == 255);  // no sixth image
  const Tensor heat = heat_map(Tensor::from_span(std::vector<double>{0, 1}, {1, 2}));
  CHECK(heat.to_vector() == std::vector<double>{68, 253, 1, 231, 84, 37});
  Tensor picture = zeros({3, 9, 9}, {.dtype = u8});
  draw_number(picture, 1, 4, 4, 1, 255);
  CHECK(sum(picture).item() == 3 * 8 * 255);  // the dots of a one
  Report report("r");
  report.scrubber({grid, grid}, {"<first>", "second"});
  const std::string html = report.html();
  CHECK(contains(html, "type='range' min='0' max='1' value='1'"));
  CHECK(contains(html, "&lt;first&gt;"));
  CHECK_THROWS_AS(report.scrubber({}, {}), ValueError);
  CHECK_THROWS_AS(mosaic({}, 2), ValueError);
}

TEST_CASE("runs: the rate rises and falls, a feed goes on through epochs") {
  CHECK(cycle_at(0) == doctest::Approx(0.1));
  CHECK(cycle_at(0.1) == doctest::Approx(1));
  CHECK(cycle_at(1) == doctest::Approx(0));
  CHECK(rate_at(0) == 1);
  CHECK(rate_at(0.5) == 1);
  CHECK(rate_at(0.75) == 0.5);
  CHECK(rate_at(1) == 0);
  Feed feed(data::DataLoader(data::TensorDataset(arange(0, 4), arange(0, 4, 1, {.dtype = i64})),
                             {.batch_size = 2, .shuffle = false}));
  std::vector<double> seen;
  for (int i = 0; i < 5; ++i) seen.push_back(feed.next().target.to_vector()[0]);
  CHECK(seen == std::vector<double>{0, 2, 0, 2, 0});
  CHECK(feed.loader().epoch() == 2);
  CHECK(feed.loader().batch() == 1);
}
