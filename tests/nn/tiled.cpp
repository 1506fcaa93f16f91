// predict_tiled against the whole image.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <thread>

#include <duet/core/allocator.hpp>
#include <duet/core/factory.hpp>
#include <duet/core/parallel.hpp>
#include <duet/core/random.hpp>
#include <duet/core/raw.hpp>
#include <duet/core/tape.hpp>
#include <duet/nn/conv.hpp>
#include <duet/nn/models/unet.hpp>
#include <duet/nn/tiled.hpp>
#include <duet/ops/elementwise.hpp>
#include <duet/ops/shape.hpp>

using namespace duet;
using nn::predict_tiled;

namespace {

Tensor whole(nn::Module& model, const Tensor& image) {
  const NoGradGuard no_grad;
  const Tensor y = model(unsqueeze(image, 0));
  return squeeze(y, {0});
}

double worst(const Tensor& a, const Tensor& b) {
  REQUIRE(a.shape() == b.shape());
  const auto x = a.to_vector(), y = b.to_vector();
  double most = 0;
  for (std::size_t i = 0; i < x.size(); ++i) most = std::max(most, std::abs(x[i] - y[i]));
  return most;
}

/// A net whose batch norms have statistics that are not 0 and 1.
std::unique_ptr<nn::UNet> some_net(nn::UNetOptions options, Dtype dtype) {
  manual_seed(1);
  auto net = std::make_unique<nn::UNet>(options);
  net->to(dtype);
  const NoGradGuard no_grad;
  Shape shape{2, options.in_channels, 16, 16};
  if (options.rank == 3) shape.push_back(16);
  for (int i = 0; i < 3; ++i) (*net)(randn(shape, {.dtype = dtype}));
  net->eval();
  return net;
}

}  // namespace

TEST_CASE("predict_tiled: a U-Net's tiles are the whole image, at any size") {
  using nn::UNetUpsampling;
  for (const auto up :
       {UNetUpsampling::transpose, UNetUpsampling::nearest, UNetUpsampling::bilinear, UNetUpsampling::pixel_shuffle})
    for (const std::int64_t depth : {1, 2, 3}) {
      const auto net = some_net({.in_channels = 2,
                                 .out_channels = 2,
                                 .base_channels = 2,
                                 .depth = depth,
                                 .up = up,
                                 .residual = true,
                                 .attention = true},
                                f64);
      const std::int64_t tile = 2 * net->reach() + 3 * net->stride();
      for (const auto& [h, w] :
           {std::pair<std::int64_t, std::int64_t>{tile + 1, 2 * tile + 3}, {3 * tile - 5, tile}, {tile + 17, 11}}) {
        const Tensor image = randn({2, h, w}, {.dtype = f64});
        CHECK(worst(predict_tiled(*net, image, {.tile = tile}), whole(*net, image)) < 1e-10);
        CHECK(
            worst(predict_tiled(
                      *net, image,
                      {.tile = tile + 5 * net->stride() + 5, .overlap = net->reach() + 1, .align = 2 * net->stride()}),
                  whole(*net, image)) < 1e-10);
      }
      CHECK_THROWS_AS(predict_tiled(*net, randn({2, 64, 64}, {.dtype = f64}), {.tile = 2 * net->reach()}), ValueError);
    }
}

TEST_CASE("predict_tiled: single precision agrees to 1e-6 of the output's size, and less overlap does not") {
  const auto net = some_net({.base_channels = 4, .depth = 4}, f32);
  const Tensor image = randn({1, 301, 263});
  const Tensor expected = whole(*net, image);
  double size = 0;
  for (const double value : expected.to_vector()) size = std::max(size, std::abs(value));
  CHECK(worst(predict_tiled(*net, image, {.tile = 200}), expected) <= 1e-6 * std::max(1.0, size));
  CHECK(worst(predict_tiled(*net, image, {.tile = 200, .overlap = 8}), expected) > 1e-5 * size);
  CHECK(worst(predict_tiled(*net, image, {.tile = 200, .overlap = 64, .align = 5}), expected) > 1e-5 * size);
}

TEST_CASE("predict_tiled: volumes, lines, and models that are functions") {
  const auto net = some_net({.base_channels = 2, .depth = 2, .rank = 3}, f64);
  const Tensor volume = randn({1, 30, 41, 37}, {.dtype = f64});
  CHECK(worst(predict_tiled(*net, volume, {.tile = 28}), whole(*net, volume)) < 1e-10);

  const Tensor line = arange(0, 100, 1, {.dtype = f64});
  const Tensor twice = predict_tiled(
      [](const Tensor& x) {
        return cat({x * 2, x + 1}, 1);
      },
      reshape(line, {1, 100}), {.tile = 7, .overlap = 0, .align = 1});
  CHECK(twice.shape() == Shape{2, 100});
  for (int i = 0; i < 100; ++i) {
    CHECK(twice.to_vector()[static_cast<std::size_t>(i)] == 2 * i);
    CHECK(twice.to_vector()[static_cast<std::size_t>(100 + i)] == i + 1);
  }
  // u8 tiles reach the model as they are.
  const Tensor bytes = full({1, 9, 9}, 7, {.dtype = u8});
  const Tensor same =
      predict_tiled([](const Tensor& x) { return to(x, f32); }, bytes, {.tile = 4, .overlap = 1, .align = 1});
  CHECK(same.to_vector() == std::vector<double>(81, 7));
}

TEST_CASE("predict_tiled: blending keeps what tiles agree on, and hides what they do not") {
  const Tensor image = randn({1, 50, 61}, {.dtype = f64});
  const nn::TiledOptions options{.tile = 20, .overlap = 4, .align = 1, .blend = nn::TileBlend::linear};
  CHECK(worst(predict_tiled([](const Tensor& x) { return x * 3; }, image, options), image * 3) < 1e-12);
  // A model that says its tile's number: without a blend it steps, with one the largest step is a fraction of that.
  const auto largest_step = [&](nn::TileBlend blend) {
    int calls = 0;
    nn::TiledOptions o = options;
    o.blend = blend;
    const Tensor y = predict_tiled([&](const Tensor& x) { return full(x.shape(), calls++ % 2, {.dtype = f64}); },
                                   slice(image, 1, 0, 10), o);
    const auto v = y.to_vector();
    double step = 0;
    for (std::size_t i = 1; i < 61; ++i) step = std::max(step, std::abs(v[i] - v[i - 1]));
    return step;
  };
  CHECK(largest_step(nn::TileBlend::none) == 1);
  CHECK(largest_step(nn::TileBlend::linear) < 0.2);
}

TEST_CASE("predict_tiled: tiles are of one size, no larger than asked for, and cost what the area costs") {
  for (const std::int64_t size : {513, 1000, 1024, 2048, 2051, 4096}) {
    std::int64_t least = size, most = 0, pixels = 0;
    nn::predict_tiles(
        [&](const Tensor& x) {
          most = std::max(most, x.size(3));
          least = std::min(least, x.size(3));
          pixels += x.numel();
          return x;
        },
        Tensor::empty({1, 8, size}, {.dtype = u8}), {.tile = 512, .overlap = 56, .align = 8},
        [](const Tensor&, const Shape&) {});
    CAPTURE(size);
    CHECK(most <= 512);
    CHECK(least >= most - 56 - 8);  // the first one has nothing before it
    CHECK(static_cast<double>(pixels) / static_cast<double>(8 * size) < 1.37);
  }
}

TEST_CASE("predict_tiled: cores cover the image once, progress rises to 1") {
  const Tensor image = arange(0, 23 * 31);
  std::vector<int> seen(23 * 31);
  std::vector<double> shares;
  nn::predict_tiles([](const Tensor& x) { return x * 1; }, reshape(image, {1, 23, 31}),
                    {.tile = 11, .overlap = 3, .align = 2, .progress = [&](double share) { shares.push_back(share); }},
                    [&](const Tensor& core, const Shape& place) {
                      const auto values = core.to_vector();
                      for (std::int64_t y = 0; y < core.size(1); ++y)
                        for (std::int64_t x = 0; x < core.size(2); ++x) {
                          const std::int64_t at = (place[0] + y) * 31 + place[1] + x;
                          ++seen[static_cast<std::size_t>(at)];
                          REQUIRE(values[static_cast<std::size_t>(y * core.size(2) + x)] == static_cast<double>(at));
                        }
                    });
  for (const int count : seen) REQUIRE(count == 1);
  CHECK(shares.size() > 10);
  CHECK(std::is_sorted(shares.begin(), shares.end()));
  CHECK(shares.back() == 1);
}

TEST_CASE("predict_tiled: memory is that of a tile and the result, whatever the size of the image") {
  const int threads = num_threads();
  set_num_threads(1);  // how many pieces are in the air at once is not the question
  const auto net = some_net({.base_channels = 4, .depth = 3}, f32);
  const auto most = [](auto work) {
    const std::int64_t before = memory_stats().in_use;
    reset_peak_memory();
    work();
    return memory_stats().peak_in_use - before;
  };
  const nn::TiledOptions options{.tile = 96, .overlap = net->reach(), .align = net->stride()};
  const auto model = [&](const Tensor& x) { return (*net)(to(x, f32)); };
  std::vector<std::int64_t> to_sink, to_result;
  for (const std::int64_t size : {192, 384, 768}) {  // multiples of a tile's core: all tiles are of one size
    const Tensor image = full({1, size, size}, 3, {.dtype = u8});
    to_sink.push_back(most([&] { nn::predict_tiles(model, image, options, [](const Tensor&, const Shape&) {}); }));
    to_result.push_back(most([&] { predict_tiled(model, image, options); }) - 4 * size * size);
  }
  for (const std::size_t k : {1u, 2u}) {
    CHECK(to_sink[k] == to_sink[0]);
    CHECK(std::abs(to_result[k] - to_result[0]) < to_sink[0] / 20);  // blocks come in sizes
  }
  const Tensor whole_image = full({1, 1, 768, 768}, 3);
  const std::int64_t at_once = most([&] {
    const NoGradGuard no_grad;
    (*net)(whole_image);
  });
  CHECK(at_once > 30 * to_sink[0]);
  set_num_threads(threads);
}

TEST_CASE("predict_tiled: bad input") {
  nn::UNet net({.base_channels = 2, .depth = 2});
  CHECK_THROWS_WITH_AS(predict_tiled(net, randn({1, 8, 8})), doctest::Contains("training mode"), ValueError);
  net.eval();
  CHECK_THROWS_AS(predict_tiled(net, randn({8})), ShapeError);
  CHECK_THROWS_AS(predict_tiled(net, randn({1, 0, 8})), ShapeError);
  CHECK_THROWS_AS(predict_tiled(net, randn({2, 8, 8})), ShapeError);
  CHECK_THROWS_AS(predict_tiled(net, randn({1, 8, 8}), {.tile = 0}), ValueError);
  nn::Conv2d conv(1, 1, 3);
  conv.eval();
  CHECK_THROWS_WITH_AS(predict_tiled(conv, randn({1, 8, 8})), doctest::Contains("needs an overlap"), ValueError);
  CHECK_THROWS_WITH_AS(predict_tiled(conv, randn({1, 8, 8}), {.tile = 8, .overlap = 1, .align = 1}),
                       doctest::Contains("must keep the size"), ShapeError);
  CHECK_THROWS_AS(
      nn::predict_tiles([](const Tensor& x) { return x; }, randn({1, 8, 8}),
                        {.overlap = 0, .align = 1, .blend = nn::TileBlend::linear}, [](const Tensor&, const Shape&) {}),
      ValueError);
}

TEST_CASE("inference on one shared model from several threads gives what one gives") {
  const auto net = some_net({.base_channels = 4, .depth = 3}, f32);
  std::vector<Tensor> images, results(8);
  for (int i = 0; i < 8; ++i) images.push_back(randn({1, 60 + i, 70}));
  std::vector<std::thread> threads;
  for (std::size_t t = 0; t < 4; ++t)
    threads.emplace_back([&, t] {
      for (std::size_t i = t; i < 8; i += 4) results[i] = predict_tiled(*net, images[i], {.tile = 64});
    });
  for (std::thread& thread : threads) thread.join();
  for (std::size_t i = 0; i < 8; ++i)
    CHECK(results[i].to_vector() == predict_tiled(*net, images[i], {.tile = 64}).to_vector());
}
