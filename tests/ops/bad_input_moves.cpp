// Calls that must fail, of the ops that move, pool, resample and normalise; and what they make of no elements.
#include <doctest/doctest.h>

#include <cstdint>
#include <vector>

#include <duet/core/factory.hpp>
#include <duet/ops/dropout.hpp>
#include <duet/ops/index.hpp>
#include <duet/ops/norm.hpp>
#include <duet/ops/pad.hpp>
#include <duet/ops/pool.hpp>
#include <duet/ops/resample.hpp>
#include <duet/ops/shape.hpp>
#include <duet/ops/unfold.hpp>

#include "bad_input.hpp"

using namespace duet;

namespace bad_input {

std::vector<BadCall> shape_calls() {
  return {
      {Kind::shape, "[reshape] 6 elements of (2, 3)", [] { reshape(matrix(), {4}); }},
      {Kind::shape, "only one size may be -1", [] { reshape(matrix(), {-1, -1}); }},
      {Kind::shape, "negative size", [] { reshape(matrix(), {-2, 3}); }},
      {Kind::shape, "do not fit shape", [] { reshape(matrix(), {-1, 4}); }},
      {Kind::shape, "overflows", [] { reshape(matrix(), {std::int64_t{1} << 62, 4}); }},
      {Kind::value, "'x'", [] { reshape({}, {1}); }},
      {Kind::shape, "does not expand to", [] { expand(matrix(), {4, 3}); }},
      {Kind::shape, "fewer dimensions", [] { expand(matrix(), {3}); }},
      {Kind::shape, "does not expand to", [] { expand(matrix(), {-1, 2, 3}); }},
      {Kind::shape, "must name each of the 2 dimensions", [] { permute(matrix(), {0}); }},
      {Kind::shape, "appears twice", [] { permute(matrix(), {0, 0}); }},
      {Kind::shape, "out of range [-2, 1]", [] { permute(matrix(), {0, 2}); }},
      {Kind::shape, "out of range [-2, 1]", [] { transpose(matrix(), 0, 2); }},
      {Kind::shape, "out of range [-2, 1]", [] { slice(matrix(), 2, 0, 1); }},
      {Kind::shape, "[slice] dim -3 is out of range [-2, 1]", [] { slice(matrix(), -3, 0, 1); }},
      {Kind::value, "step must be at least 1", [] { slice(matrix(), 0, 0, 1, 0); }},
      {Kind::value, "flip()", [] { slice(matrix(), 0, 0, 1, -1); }},
      {Kind::shape, "scalar", [] { slice(scalar(), 0, 0, 1); }},
      {Kind::value, "'x'", [] { slice({}, 0, 0, 1); }},
      {Kind::shape, "the slice has 2 indices", [] { slice_backward(matrix(), 5, {.dim = 1, .end = 2}); }},
      {Kind::value, "size must not be negative", [] { slice_backward(matrix(), -1, {}); }},
      {Kind::value, "index 3 is out of range [-3, 2]", [] { select(matrix(), 1, 3); }},
      {Kind::value, "index -3 is out of range [-2, 1]", [] { select(matrix(), 0, -3); }},
      {Kind::shape, "scalar", [] { select(scalar(), 0, 0); }},
      {Kind::shape, "out of range [-2, 1]", [] { squeeze(matrix(), {2}); }},
      {Kind::shape, "out of range [-3, 2]", [] { unsqueeze(matrix(), 3); }},
      {Kind::shape, "lies behind", [] { flatten(matrix(), 1, 0); }},
      {Kind::shape, "out of range", [] { flatten(matrix(), 0, 2); }},
      {Kind::value, "at least one tensor", [] { cat({}); }},
      {Kind::shape, "tensor 1 is (3, 3)", [] { cat({matrix(), zeros({3, 3})}, 1); }},
      {Kind::shape, "must agree", [] { cat({matrix(), zeros({2})}, 0); }},
      {Kind::dtype, "one dtype", [] { cat({matrix(), zeros({2, 3}, {.dtype = f64})}); }},
      {Kind::shape, "out of range [-2, 1]", [] { cat({matrix(), matrix()}, 2); }},
      {Kind::shape, "scalars", [] { cat({scalar(), scalar()}); }},
      {Kind::value, "undefined", [] { cat({matrix(), Tensor()}); }},
      {Kind::value, "at least one tensor", [] { stack({}); }},
      {Kind::shape, "tensor 1 is (3, 2)", [] { stack({matrix(), zeros({3, 2})}); }},
      {Kind::dtype, "one dtype", [] { stack({whole(), zeros({6})}); }},
      {Kind::shape, "out of range [-3, 2]", [] { stack({matrix(), matrix()}, 3); }},
      {Kind::value, "size must be at least 1", [] { split(matrix(), 0); }},
      {Kind::shape, "add up to 3", [] { split(matrix(), std::vector<std::int64_t>{1, 2}, 0); }},
      {Kind::value, "must not be negative", [] { split(matrix(), std::vector<std::int64_t>{3, -1}, 0); }},
      {Kind::value, "at least 1 chunk", [] { chunk(matrix(), 0); }},
      {Kind::shape, "out of range", [] { chunk(matrix(), 2, 5); }},
  };
}

std::vector<BadCall> index_calls() {
  return {
      {Kind::dtype, "index must be i64", [] { index_select(matrix(), 0, zeros({1})); }},
      {Kind::shape, "index needs 1 dimensions", [] { index_select(matrix(), 0, reshape(index({0, 1}), {1, 2})); }},
      {Kind::value, "index 2 at position 1 is out of range [0, 2)", [] { index_select(matrix(), 0, index({0, 2})); }},
      {Kind::value, "index -1", [] { index_select(matrix(), 0, index({-1})); }},
      {Kind::shape, "out of range [-2, 1]", [] { index_select(matrix(), 2, index({0})); }},
      {Kind::shape, "scalar", [] { index_select(scalar(), 0, index({0})); }},
      {Kind::shape, "src must be (1, 3) f32", [] { index_add(matrix(), 0, index({0}), zeros({2, 3})); }},
      {Kind::shape, "src must be (1, 3) f32", [] { index_add(matrix(), 0, index({0}), zeros({1, 3}, {.dtype = f64})); }},
      {Kind::value, "out of range [0, 2)", [] { index_add(matrix(), 0, index({5}), zeros({1, 3})); }},
      {Kind::dtype, "must be i64", [] { gather(matrix(), 0, matrix()); }},
      {Kind::shape, "must have the rank of x", [] { gather(matrix(), 0, index({0})); }},
      {Kind::shape, "be no larger outside dimension 0", [] { gather(matrix(), 0, reshape(index({0, 0, 0, 0}), {1, 4})); }},
      {Kind::value, "out of range [0, 3)", [] { gather(matrix(), 1, reshape(index({3}), {1, 1})); }},
      {Kind::shape, "src must be (1, 1) f32", [] { scatter_add(matrix(), 1, reshape(index({0}), {1, 1}), zeros({1, 2})); }},
      {Kind::value, "out of range [0, 3)", [] { scatter_add(matrix(), 1, reshape(index({-2}), {1, 1}), zeros({1, 1})); }},
      {Kind::dtype, "indices must be i64", [] { embedding(zeros({2}), matrix()); }},
      {Kind::shape, "weight needs 2 dimensions", [] { embedding(index({0}), zeros({4})); }},
      {Kind::value, "out of range [0, 2)", [] { embedding(index({2}), matrix()); }},
      {Kind::value, "padding_idx 2 is out of range [-2, 1]", [] { embedding(index({0}), matrix(), {.padding_idx = 2}); }},
      {Kind::shape, "appears twice", [] { flip(matrix(), {0, -2}); }},
      {Kind::shape, "out of range [-2, 1]", [] { flip(matrix(), {2}); }},
      {Kind::value, "one shift", [] { roll(matrix(), {1, 2}); }},
      {Kind::value, "a shift for each dim", [] { roll(matrix(), {1}, {0, 1}); }},
      {Kind::shape, "out of range", [] { roll(matrix(), {1}, {2}); }},
      {Kind::shape, "fewer than the dimensions", [] { repeat(matrix(), {2}); }},
      {Kind::value, "must not be negative", [] { repeat(matrix(), {2, -1}); }},
      {Kind::shape, "overflows", [] { repeat(matrix(), {std::int64_t{1} << 62, 4}); }},
      {Kind::shape, "at least 2 dimensions", [] { tril(zeros({3})); }},
      {Kind::shape, "at least 2 dimensions", [] { triu(scalar()); }},
      {Kind::dtype, "must be i64", [] { one_hot(matrix()); }},
      {Kind::value, "out of range [0, 3)", [] { one_hot(whole(), 3); }},
      {Kind::value, "at least 0", [] { one_hot(whole(), -2); }},
      {Kind::value, "empty", [] { one_hot(zeros({0}, {.dtype = i64})); }},
      {Kind::value, "a pair for each", [] { pad(matrix(), {.pad = {1}}); }},
      {Kind::value, "a pair for each", [] { pad(matrix(), {.pad = {1, 1, 1, 1, 1, 1}}); }},
      {Kind::shape, "no 4 elements to crop", [] { pad(matrix(), {.pad = {-4, 0}}); }},
      {Kind::shape, "reflecting 3 elements", [] { pad(matrix(), {.pad = {3, 0}, .mode = PadMode::reflect}); }},
      {Kind::shape, "wrapping 4 elements", [] { pad(matrix(), {.pad = {0, 4}, .mode = PadMode::circular}); }},
      {Kind::shape, "nothing to repeat", [] { pad(zeros({2, 0}), {.pad = {1, 0}, .mode = PadMode::replicate}); }},
      {Kind::shape, "overflows", [] { pad(matrix(), {.pad = {INT64_MAX, 1}}); }},
      {Kind::shape, "pads to (2, 4), g is (2, 3)", [] { pad_backward(matrix(), {.shape = {2, 3}, .pad = {.pad = {1, 0}}}); }},
  };
}

std::vector<BadCall> pool_calls() {
  return {
      {Kind::shape, "x needs 4 dimensions, or 3 unbatched", [] { max_pool2d(matrix(), 2); }},
      {Kind::dtype, "needs f32 or f64", [] { max_pool1d(reshape(whole(), {1, 6}), 2); }},
      {Kind::value, "kernel_size must be in [1, 2^31]", [] { max_pool2d(image(), 0); }},
      {Kind::value, "stride must be", [] { max_pool2d(image(), {.kernel_size = 2, .stride = {1, -1}}); }},
      {Kind::value, "dilation must be", [] { max_pool2d(image(), {.kernel_size = 2, .dilation = 0}); }},
      {Kind::value, "padding must be", [] { max_pool2d(image(), {.kernel_size = 2, .padding = -1}); }},
      {Kind::value, "more than half of the window", [] { max_pool2d(image(), {.kernel_size = 2, .padding = 2}); }},
      {Kind::shape, "a window of 5 elements does not fit size 4", [] { max_pool2d(image(), 5); }},
      {Kind::value, "more than 2^31 elements", [] { max_pool2d(image(), {.kernel_size = 1 << 20, .padding = 1 << 19}); }},
      {Kind::value, "the padding alone", [] { max_pool1d(zeros({1, 3}), {.kernel_size = 2, .padding = 1, .dilation = 4}); }},
      {Kind::shape, "x needs 5 dimensions", [] { max_pool3d(zeros({2, 2}), 1); }},
      {Kind::shape, "does not fit size 0", [] { max_pool1d(zeros({1, 0}), 1); }},
      {Kind::value, "'x'", [] { max_pool2d({}, 2); }},
      {Kind::dtype, "taps of a window", [] { max_pool_gather(image(), zeros({1, 2, 2, 3}, {.dtype = i64}), max_pool_geometry<2>("t", image().shape(), {.kernel_size = 2})); }},
      {Kind::shape, "must end in (4, 6)", [] { max_pool_gather(matrix(), zeros({1, 2, 2, 3}, {.dtype = u8}), max_pool_geometry<2>("t", image().shape(), {.kernel_size = 2})); }},
      {Kind::value, "outside its window", [] { max_pool_scatter(zeros({1, 1}), full({1, 1}, 9, {.dtype = u8}), max_pool_geometry<1>("t", {1, 3}, {.kernel_size = 3})); }},
      {Kind::value, "divisor_override", [] { avg_pool2d(image(), {.kernel_size = 2, .divisor_override = 0}); }},
      {Kind::shape, "does not fit", [] { avg_pool1d(zeros({1, 3}), 4); }},
      {Kind::shape, "x needs 4 dimensions", [] { avg_pool2d(matrix(), 2); }},
      {Kind::shape, "at least 1", [] { adaptive_avg_pool2d(image(), 0); }},
      {Kind::shape, "x needs 3 dimensions", [] { adaptive_avg_pool1d(image(), 1); }},
      {Kind::shape, "at least 1", [] { adaptive_max_pool2d(image(), {0, 1}); }},
      {Kind::dtype, "needs f32 or f64", [] { adaptive_max_pool1d(reshape(whole(), {1, 6}), 2); }},
      {Kind::shape, "need one shape", [] { max_unpool1d(matrix(), reshape(whole(), {1, 6}), {.kernel_size = 2}); }},
      {Kind::dtype, "indices must be i64", [] { max_unpool1d(matrix(), matrix(), {.kernel_size = 2}); }},
      {Kind::value, "out of range [0, 6)", [] { max_unpool1d(matrix(), full({2, 3}, 6, {.dtype = i64}), {.kernel_size = 2}); }},
      {Kind::shape, "must be above 4 and below 8", [] { max_unpool1d(matrix(), full({2, 3}, 0, {.dtype = i64}), {.kernel_size = 2, .output_size = {9}}); }},
      {Kind::shape, "output_size needs 1 entries", [] { max_unpool1d(matrix(), full({2, 3}, 0, {.dtype = i64}), {.kernel_size = 2, .output_size = {6, 6}}); }},
      {Kind::value, "either size or scale_factor", [] { interpolate(image(), {}); }},
      {Kind::value, "either size or scale_factor", [] { interpolate(image(), {.size = {2}, .scale_factor = {2}}); }},
      {Kind::shape, "3 entries for 2 dimensions", [] { interpolate(image(), {.size = {2, 2, 2}}); }},
      {Kind::shape, "sizes must be at least 1", [] { interpolate(image(), {.size = {0, 2}}); }},
      {Kind::value, "scale_factor must be positive", [] { interpolate(image(), {.scale_factor = {-1}}); }},
      {Kind::shape, "this mode needs x with 3 dimensions", [] { interpolate(image(), {.size = {2}, .mode = InterpolateMode::linear}); }},
      {Kind::value, "align_corners is for", [] { interpolate(image(), {.size = {2}, .align_corners = true}); }},
      {Kind::shape, "x needs 3 to 5 dimensions", [] { interpolate(matrix(), {.size = {2}}); }},
      {Kind::dtype, "needs f32 or f64", [] { interpolate(reshape(whole(), {1, 1, 6}), {.size = {2}}); }},
      {Kind::shape, "8 channels of x (8, 2, 2) do not divide by 3", [] { pixel_shuffle(zeros({8, 2, 2}), 3); }},
      {Kind::value, "the factor must be", [] { pixel_shuffle(zeros({8, 2, 2}), 0); }},
      {Kind::shape, "at least 3 dimensions", [] { pixel_shuffle(matrix(), 1); }},
      {Kind::shape, "size 4 of x", [] { pixel_unshuffle(image(), 3); }},
      {Kind::value, "kernel_size must be", [] { unfold(image(), {.kernel_size = 0}); }},
      {Kind::shape, "does not fit size 4", [] { unfold(image(), {.kernel_size = 5}); }},
      {Kind::shape, "x needs 4 dimensions, or 3 unbatched", [] { unfold(matrix(), {.kernel_size = 1}); }},
      {Kind::shape, "do not divide by the 4 elements", [] { fold(zeros({1, 6, 1}), {.output_size = 2, .kernel_size = 2}); }},
      {Kind::shape, "has 4 windows", [] { fold(zeros({1, 4, 3}), {.output_size = 3, .kernel_size = 2}); }},
      {Kind::dtype, "needs f32 or f64", [] { unfold(reshape(whole(), {1, 2, 3}), {.kernel_size = 1}); }},
  };
}

std::vector<BadCall> norm_calls() {
  return {
      {Kind::value, "eval needs running_mean", [] { batch_norm(image(), {}, {}); }},
      {Kind::value, "both or neither", [] { batch_norm(matrix(), zeros({3}), {}, {}, {}, {.training = true}); }},
      {Kind::shape, "weight needs the shape (3,)", [] { batch_norm(matrix(), {}, {}, zeros({2}), {}, {.training = true}); }},
      {Kind::shape, "running_mean needs the shape (3,)", [] { batch_norm(matrix(), zeros({2}), zeros({2})); }},
      {Kind::shape, "at least 2 dimensions", [] { batch_norm(zeros({3}), {}, {}, {}, {}, {.training = true}); }},
      {Kind::value, "more than one value per channel", [] { batch_norm(zeros({1, 3}), {}, {}, {}, {}, {.training = true}); }},
      {Kind::value, "more than one value per channel", [] { batch_norm(empty_batch(), {}, {}, {}, {}, {.training = true}); }},
      {Kind::dtype, "needs f32 or f64", [] { batch_norm(reshape(whole(), {2, 3}), {}, {}, {}, {}, {.training = true}); }},
      {Kind::dtype, "one dtype", [] { batch_norm(matrix(), zeros({3}, {.dtype = f64}), zeros({3}, {.dtype = f64})); }},
      {Kind::value, "both or neither", [] { batch_norm_relu(matrix(), zeros({3}), {}); }},
      {Kind::value, "both or neither", [] { batch_norm_relu(matrix(), {}, zeros({3})); }},
      {Kind::shape, "running_mean needs the shape (3,)", [] { batch_norm_relu(matrix(), zeros({2}), zeros({3})); }},
      {Kind::value, "does not divide the 2 channels", [] { group_norm(image(), {}, {}, {.num_groups = 3}); }},
      {Kind::value, "num_groups must be at least 1", [] { group_norm(image(), {}, {}, {.num_groups = 0}); }},
      {Kind::value, "more than one value per group", [] { group_norm(matrix(), {}, {}, {.num_groups = 3}); }},
      {Kind::shape, "bias needs the shape (2,)", [] { group_norm(image(), {}, zeros({3}, {.dtype = f64}), {.num_groups = 1}); }},
      {Kind::shape, "at least 3 dimensions", [] { instance_norm(matrix()); }},
      {Kind::value, "more than one value per group", [] { instance_norm(zeros({2, 3, 1})); }},
      {Kind::shape, "does not end in normalized_shape", [] { layer_norm(matrix(), {}, {}, {.normalized_shape = {2}}); }},
      {Kind::shape, "does not end in normalized_shape", [] { layer_norm(matrix(), {}, {}, {}); }},
      {Kind::shape, "does not end in normalized_shape", [] { layer_norm(matrix(), {}, {}, {.normalized_shape = {1, 2, 3}}); }},
      {Kind::shape, "weight needs normalized_shape", [] { layer_norm(matrix(), zeros({2}), {}, {.normalized_shape = {3}}); }},
      {Kind::shape, "does not end in normalized_shape", [] { rms_norm(matrix(), {}, {.normalized_shape = {2}}); }},
      {Kind::shape, "weight needs normalized_shape", [] { rms_norm(matrix(), zeros({2}), {.normalized_shape = {3}}); }},
      {Kind::shape, "need one shape", [] { normalize_backward(matrix(), zeros({3, 3}), {}, {}, {}, {}); }},
      {Kind::value, "both or neither", [] { normalize_backward(matrix(), matrix(), {}, zeros({3}), {}, {}); }},
      {Kind::value, "no values", [] { normalize_statistics(empty_batch()); }},
      {Kind::value, "p must be in [0, 1]", [] { dropout(matrix(), {.p = 1.5}); }},
      {Kind::value, "p must be in [0, 1]", [] { dropout(matrix(), {.p = -0.1, .training = false}); }},
      {Kind::dtype, "needs f32 or f64", [] { dropout(whole()); }},
      {Kind::shape, "at least 2 dimensions", [] { dropout2d(zeros({3})); }},
  };
}

}  // namespace bad_input

using namespace bad_input;

TEST_CASE("tensors without elements go through") {
  CHECK(max_pool2d(empty_batch(), 2).shape() == Shape{0, 2, 2, 3});
  CHECK(avg_pool2d(empty_batch(), 2).shape() == Shape{0, 2, 2, 3});
  CHECK(interpolate(empty_batch(), {.size = {3}}).shape() == Shape{0, 2, 3, 3});
  CHECK(pixel_unshuffle(empty_batch(), 2).shape() == Shape{0, 8, 2, 3});
  CHECK(unfold(empty_batch(), {.kernel_size = 2}).shape() == Shape{0, 8, 15});
  CHECK(pad(empty_batch(), {.pad = {1, 1}, .mode = PadMode::reflect}).shape() == Shape{0, 2, 4, 8});
  CHECK(batch_norm(empty_batch(), zeros({2}), ones({2})).y.shape() == Shape{0, 2, 4, 6});
  CHECK(cat({empty_batch(), ones({1, 2, 4, 6})}).shape() == Shape{1, 2, 4, 6});
  CHECK(index_select(matrix(), 1, zeros({0}, {.dtype = i64})).shape() == Shape{2, 0});
  CHECK(embedding(zeros({0, 3}, {.dtype = i64}), matrix()).shape() == Shape{0, 3, 3});
  CHECK(layer_norm(zeros({0, 3}), {}, {}, {.normalized_shape = {3}}).shape() == Shape{0, 3});
  CHECK(dropout(zeros({0, 3})).shape() == Shape{0, 3});
  CHECK(flip(zeros({0, 3}), {0, 1}).shape() == Shape{0, 3});
}

TEST_CASE("dropout zeroes its share, scales the rest, and repeats with its seed") {
  Generator random(5);
  const Tensor x = ones({100, 100});
  const std::vector<double> y = dropout(x, {.p = 0.25}, random).to_vector();
  std::int64_t zeros_found = 0;
  for (double v : y) {
    CHECK((v == 0 || v == doctest::Approx(4.0 / 3)));
    zeros_found += v == 0;
  }
  CHECK(zeros_found > 2300);
  CHECK(zeros_found < 2700);
  Generator again(5);
  CHECK(dropout(x, {.p = 0.25}, again).to_vector() == y);
  CHECK(dropout(x, {.training = false}).impl() == x.impl());
  CHECK(dropout(x, {.p = 1}).to_vector() == std::vector<double>(10000, 0));
  const Tensor planes = dropout2d(ones({4, 8, 5}), {}, random);
  for (std::int64_t n = 0; n < 4; ++n)
    for (std::int64_t c = 0; c < 8; ++c) {
      const std::vector<double> row = select(select(planes, 0, n), 0, c).to_vector();
      CHECK(row == std::vector<double>(5, row[0]));
    }
}
