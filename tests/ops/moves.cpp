// Values of padding, indexing, windows and interpolation, worked out by hand or by a loop: the sweep only sees that
// derivatives fit the values.
#include <doctest/doctest.h>

#include <cmath>
#include <vector>

#include <duet/autograd/backward.hpp>
#include <duet/core/factory.hpp>
#include <duet/core/random.hpp>
#include <duet/ops/index.hpp>
#include <duet/ops/kernels/simd.hpp>
#include <duet/ops/norm.hpp>
#include <duet/ops/pad.hpp>
#include <duet/ops/pool.hpp>
#include <duet/ops/reduce.hpp>
#include <duet/ops/resample.hpp>
#include <duet/ops/unfold.hpp>

using namespace duet;

namespace {

using Values = std::vector<double>;

Tensor row(const Values& values) {
  return Tensor::from_span(std::span<const double>(values), {1, 1, static_cast<std::int64_t>(values.size())});
}
Tensor whole(const std::vector<std::int64_t>& values, const Shape& shape) {
  return Tensor::from_span(std::span<const std::int64_t>(values), shape);
}

}  // namespace

TEST_CASE("pad repeats what its mode says, and crops") {
  const Tensor x = row({1, 2, 3, 4});
  const auto padded = [&](std::vector<std::int64_t> pads, PadMode mode) { return pad(x, {.pad = pads, .mode = mode, .value = 9}).to_vector(); };
  CHECK(padded({2, 1}, PadMode::constant) == Values{9, 9, 1, 2, 3, 4, 9});
  CHECK(padded({-1, 1}, PadMode::constant) == Values{2, 3, 4, 9});
  CHECK(padded({-2, -1}, PadMode::constant) == Values{3});
  CHECK(padded({3, 2}, PadMode::reflect) == Values{4, 3, 2, 1, 2, 3, 4, 3, 2});
  CHECK(padded({2, 1}, PadMode::replicate) == Values{1, 1, 1, 2, 3, 4, 4});
  CHECK(padded({2, 3}, PadMode::circular) == Values{3, 4, 1, 2, 3, 4, 1, 2, 3});
  CHECK(padded({-1, 2}, PadMode::circular) == Values{2, 3, 4, 1, 2});
  const Tensor square = reshape(arange(1, 5), {2, 2});
  CHECK(pad(square, {.pad = {1, 0, 0, 1}}).to_vector() == Values{0, 1, 2, 0, 3, 4, 0, 0, 0});
  CHECK(pad(square, {.pad = {1, 1, 1, 0}, .mode = PadMode::reflect}).to_vector() == Values{4, 3, 4, 3, 2, 1, 2, 1, 4, 3, 4, 3});
  CHECK(pad(whole({1, 2}, {2}), {.pad = {1, 0}, .value = 7}).to_vector() == Values{7, 1, 2});
}

TEST_CASE("index ops read and add where the index says") {
  const Tensor x = reshape(arange(0, 6), {2, 3});
  CHECK(index_select(x, 1, whole({2, 0, 2}, {3})).to_vector() == Values{2, 0, 2, 5, 3, 5});
  CHECK(index_add(x, 0, whole({1, 1}, {2}), ones({2, 3})).to_vector() == Values{0, 1, 2, 5, 6, 7});
  CHECK(gather(x, 0, whole({1, 0, 1}, {1, 3})).to_vector() == Values{3, 1, 5});
  CHECK(gather(x, -1, whole({2, 2, 0, 1}, {2, 2})).to_vector() == Values{2, 2, 3, 4});
  CHECK(scatter_add(x, 1, whole({0, 0, 2, 1}, {2, 2}), ones({2, 2})).to_vector() == Values{2, 1, 2, 3, 5, 6});
  CHECK(flip(x, {-1}).to_vector() == Values{2, 1, 0, 5, 4, 3});
  CHECK(flip(x, {0, 1}).to_vector() == Values{5, 4, 3, 2, 1, 0});
  CHECK(roll(x, {1}, {1}).to_vector() == Values{2, 0, 1, 5, 3, 4});
  CHECK(roll(x, {-2}).to_vector() == Values{2, 3, 4, 5, 0, 1});
  CHECK(repeat(slice(x, 0, 0, 1), {2, 2}).to_vector() == Values{0, 1, 2, 0, 1, 2, 0, 1, 2, 0, 1, 2});
  CHECK(tril(x).to_vector() == Values{0, 0, 0, 3, 4, 0});
  CHECK(triu(x, 1).to_vector() == Values{0, 1, 2, 0, 0, 5});
  CHECK(one_hot(whole({1, 0, 2}, {3})).to_vector() == Values{0, 1, 0, 1, 0, 0, 0, 0, 1});
  CHECK(embedding(whole({1, 0, 1}, {3}), x).to_vector() == Values{3, 4, 5, 0, 1, 2, 3, 4, 5});
}

TEST_CASE("gather and scatter_add find each place in four dimensions of four sizes") {
  const Shape shape{3, 5, 4, 6}, part{2, 4, 3, 5};  // an index may be smaller than what it reads
  const Tensor x = reshape(arange(0, 360), shape);
  for (int dim = 0; dim < 4; ++dim) {
    CAPTURE(dim);
    std::vector<std::int64_t> at(120);
    Values read, sums(360, 0);
    for (std::int64_t i = 0; i < 120; ++i) {
      at[static_cast<std::size_t>(i)] = i * 7 % shape[dim];
      std::int64_t place[] = {i / 60, i / 15 % 4, i / 5 % 3, i % 5};
      place[dim] = at[static_cast<std::size_t>(i)];
      const std::int64_t found = ((place[0] * 5 + place[1]) * 4 + place[2]) * 6 + place[3];
      read.push_back(static_cast<double>(found));
      sums[static_cast<std::size_t>(found)] += static_cast<double>(i);
    }
    CHECK(gather(x, dim, whole(at, part)).to_vector() == read);
    CHECK(scatter_add(zeros(shape), dim, whole(at, part), reshape(arange(0, 120), part)).to_vector() == sums);
  }
}

TEST_CASE("the padding row of an embedding gets no gradient") {
  Tensor weight = ones({3, 2});
  weight.set_requires_grad();
  const auto gradient = [&](std::int64_t padding) {
    return grad({sum(embedding(whole({0, 2, 2, 1}, {2, 2}), weight, {.padding_idx = padding}))}, {weight})[0].to_vector();
  };
  CHECK(gradient(-1) == Values{1, 1, 1, 1, 0, 0});
  CHECK(gradient(-3) == Values{0, 0, 1, 1, 2, 2});
  CHECK(gradient(0) == Values{0, 0, 1, 1, 2, 2});
  CHECK(gradient(1) == Values{1, 1, 0, 0, 2, 2});
}

TEST_CASE("unfold lays windows out as columns, fold adds them up") {
  const Tensor x = reshape(arange(1, 7, 1, {.dtype = f64}), {1, 2, 3});
  CHECK(unfold(x, {.kernel_size = 2}).to_vector() == Values{1, 2, 2, 3, 4, 5, 5, 6});
  CHECK(unfold(x, {.kernel_size = {1, 2}, .padding = {0, 1}, .stride = {1, 2}}).to_vector() == Values{0, 2, 0, 5, 1, 3, 4, 6});
  CHECK(fold(ones({4, 2}), {.output_size = {2, 3}, .kernel_size = 2}).to_vector() == Values{1, 2, 1, 1, 2, 1});
}

TEST_CASE("average pools divide by what they are told to") {
  const Tensor x = row({1, 2, 3, 4, 5});
  CHECK(avg_pool1d(x, {.kernel_size = 2}).to_vector() == Values{1.5, 3.5});
  CHECK(avg_pool1d(x, {.kernel_size = 2, .ceil_mode = true}).to_vector() == Values{1.5, 3.5, 5});
  CHECK(avg_pool1d(x, {.kernel_size = 2, .padding = 1}).to_vector() == Values{0.5, 2.5, 4.5});
  CHECK(avg_pool1d(x, {.kernel_size = 2, .padding = 1, .count_include_pad = false}).to_vector() == Values{1, 2.5, 4.5});
  CHECK(avg_pool1d(x, {.kernel_size = 2, .divisor_override = 4}).to_vector() == Values{0.75, 1.75});
  const Values thirds = adaptive_avg_pool1d(x, 2).to_vector();  // means of three, which round
  CHECK(thirds[0] == doctest::Approx(2).epsilon(1e-14));
  CHECK(thirds[1] == doctest::Approx(4).epsilon(1e-14));
  CHECK(adaptive_max_pool1d(x, 2).to_vector() == Values{3, 5});
  CHECK(adaptive_max_pool1d_with_indices(x, 3).indices.to_vector() == Values{1, 3, 4});
  const Tensor square = reshape(arange(0, 16, 1, {.dtype = f64}), {1, 4, 4});
  CHECK(avg_pool2d(square, {.kernel_size = 2, .divisor_override = 2}).to_vector() == Values{5, 9, 21, 25});
  CHECK(adaptive_avg_pool2d(square, {1, 2}).to_vector() == Values{6.5, 8.5});
}

TEST_CASE("max_unpool puts maxima back, at a size that the windows reach") {
  const Tensor x = row({1, 5, 2, 3, 9});
  const auto [y, indices] = max_pool1d_with_indices(x, {.kernel_size = 2});
  CHECK(max_unpool1d(y, indices, {.kernel_size = 2}).to_vector() == Values{0, 5, 0, 3});
  CHECK(max_unpool1d(y, indices, {.kernel_size = 2, .output_size = {5}}).to_vector() == Values{0, 5, 0, 3, 0});
  const Tensor none = zeros(y.shape(), {.dtype = i64});
  CHECK(max_unpool1d(y, none, {.kernel_size = 2, .output_size = {3}}).numel() == 3);
  for (const std::int64_t size : {0, 2, 6})
    CHECK_THROWS_AS(max_unpool1d(y, none, {.kernel_size = 2, .output_size = {size}}), ShapeError);
}

TEST_CASE("interpolation finds the values between") {
  const Tensor x = row({0, 4, 8});
  const auto at = [&](std::int64_t size, InterpolateMode mode, bool align = false) {
    return interpolate(x, {.size = {size}, .mode = mode, .align_corners = align}).to_vector();
  };
  CHECK(at(6, InterpolateMode::nearest) == Values{0, 0, 4, 4, 8, 8});
  CHECK(at(2, InterpolateMode::nearest) == Values{0, 4});
  CHECK(at(2, InterpolateMode::nearest_exact) == Values{0, 8});
  CHECK(at(6, InterpolateMode::linear) == Values{0, 1, 3, 5, 7, 8});
  CHECK(at(5, InterpolateMode::linear, true) == Values{0, 2, 4, 6, 8});
  CHECK(at(1, InterpolateMode::linear) == Values{4});
  // Halves of two lengths: what the longer one leaves in memory is not read.
  for (const std::int64_t size : {64, 33}) {
    const Tensor ramp = arange(0, static_cast<double>(2 * size), 1, {.dtype = f64});
    const Tensor half = interpolate(reshape(ramp, {1, 1, 2 * size}), {.size = {size}, .mode = InterpolateMode::nearest});
    CHECK(half.to_vector() == arange(0, static_cast<double>(2 * size), 2, {.dtype = f64}).to_vector());
  }
  // What has no share in a value does not touch it, be it infinite.
  const Values edges = interpolate(row({1, INFINITY, 8}), {.size = {6}, .mode = InterpolateMode::linear}).to_vector();
  CHECK(edges.front() == 1);
  CHECK(edges.back() == 8);
  CHECK(at(1, InterpolateMode::linear, true) == Values{0});
  CHECK(at(2, InterpolateMode::area) == Values{2, 6});
  CHECK(interpolate(x, {.scale_factor = {2.5}}).shape() == Shape{1, 1, 7});
  // A quarter of the way, Keys' kernel with a = -0.75 weighs -1, 0, 1, 2 so that their mean is 0.296875.
  const Tensor plane = reshape(arange(0, 36, 1, {.dtype = f64}), {1, 1, 6, 6});
  const Tensor fine = interpolate(plane, {.size = {12, 12}, .mode = InterpolateMode::bicubic});
  CHECK(fine.to_vector()[static_cast<std::size_t>(5 * 12 + 5)] == doctest::Approx(7 * 2.296875));
  CHECK(interpolate(ones({1, 1, 3, 4}), {.size = {7, 5}, .mode = InterpolateMode::bicubic}).to_vector()[8] == doctest::Approx(1));
}

TEST_CASE("pixel_shuffle interleaves channels") {
  const Tensor x = reshape(arange(0, 8), {4, 1, 2});
  const Tensor y = pixel_shuffle(x, 2);
  CHECK(y.shape() == Shape{1, 2, 4});
  CHECK(y.to_vector() == Values{0, 2, 1, 3, 4, 6, 5, 7});
  CHECK(pixel_unshuffle(y, 2).to_vector() == x.to_vector());
}

TEST_CASE("rms_norm divides by the root of the mean square") {
  const Tensor x = Tensor::from_span(Values{3, 4, -3, -4}, {2, 2}), w = Tensor::from_span(Values{1, 2}, {2});
  const Values y = rms_norm(x, w, {.normalized_shape = {2}, .eps = 0}).to_vector();
  CHECK(y[0] == doctest::Approx(3 / std::sqrt(12.5)));
  CHECK(y[3] == doctest::Approx(-8 / std::sqrt(12.5)));
}

TEST_CASE("averages and interpolation are the same on every table") {
  const kernels::Simd before = kernels::active_simd();
  Generator random(9);
  const Tensor x = randn({2, 3, 17, 70}, {}, random);
  std::vector<Values> first;
  for (kernels::Simd simd : kernels::available_simd()) {
    kernels::set_active_simd(simd);
    const std::vector<Values> got{avg_pool2d(x, {.kernel_size = 3, .stride = 2, .padding = 1}).to_vector(),
                                  interpolate(x, {.size = {33, 41}, .mode = InterpolateMode::bicubic}).to_vector()};
    if (first.empty()) first = got;
    for (std::size_t k = 0; k < got.size(); ++k)
      for (std::size_t i = 0; i < got[k].size(); ++i) REQUIRE(got[k][i] == doctest::Approx(first[k][i]).epsilon(1e-5));
  }
  kernels::set_active_simd(before);
}
