// What the sweep cannot see of the shape ops: that views are views, and that f32 and f64 meet in to().
#include <doctest/doctest.h>

#include <duet/autograd/backward.hpp>
#include <duet/core/factory.hpp>
#include <duet/ops/elementwise.hpp>
#include <duet/ops/reduce.hpp>
#include <duet/ops/shape.hpp>

using namespace duet;

TEST_CASE("views share memory, and read what Python reads") {
  const Tensor x = arange(0, 24, 1, {.dtype = f64});
  const Tensor cube = reshape(x, {2, 3, 4});
  for (const Tensor& view : {cube, permute(cube, {2, 0, 1}), transpose(cube, 0, -1), slice(cube, 1, 1, 3), unsqueeze(cube, 0),
                             squeeze(unsqueeze(cube, -1), {-1}), flatten(cube, 0, 1), select(cube, 2, 3),
                             expand(unsqueeze(cube, 0), {5, 2, 3, 4}), squeeze(unsqueeze(transpose(cube, 0, 2), 1))})
    CHECK(view.shares_storage_with(x));
  CHECK(slice(x, 0, -5, 100, 2).to_vector() == std::vector<double>{19, 21, 23});
  CHECK(slice(x, 0, 5, 3).numel() == 0);
  CHECK(select(cube, -1, -1).to_vector() == std::vector<double>{3, 7, 11, 15, 19, 23});
  CHECK(permute(cube, {2, 0, 1}).shape() == Shape{4, 2, 3});
  CHECK(flatten(cube, 1).shape() == Shape{2, 12});
}

TEST_CASE("reshape copies only where no strides show the elements") {
  const Tensor x = arange(0, 24, 1, {.dtype = f64}), t = transpose(reshape(x, {4, 6}), 0, 1);
  CHECK(reshape(t, {3, 2, 4}).shares_storage_with(x));
  CHECK(reshape(t, {3, 2, 4}).to_vector() == t.to_vector());
  const Tensor copied = reshape(t, {24});
  CHECK_FALSE(copied.shares_storage_with(x));
  CHECK(copied.to_vector() == t.to_vector());
  CHECK(reshape(zeros({0, 3}), {3, 0}).shape() == Shape{3, 0});
}

TEST_CASE("pieces put together are the whole") {
  const Tensor x = arange(0, 35, 1, {.dtype = f64});
  const Tensor matrix = reshape(x, {5, 7});
  CHECK(cat(split(matrix, 3, 1), 1).to_vector() == matrix.to_vector());
  CHECK(cat(split(matrix, {0, 4, 1}, 0), 0).to_vector() == matrix.to_vector());
  const Tensors chunks = chunk(matrix, 3, 1);
  REQUIRE(chunks.size() == 3);
  CHECK(chunks[2].shape() == Shape{5, 1});
  CHECK(split(zeros({0, 2}), 4).size() == 1);
}

TEST_CASE("to converts, and its gradient comes back in x's type") {
  Tensor x = full({3}, 1.5);
  x.set_requires_grad();
  const Tensor y = to(x, f64);
  CHECK(y.dtype() == f64);
  const Tensor g = grad({sum(y * y)}, {x})[0];
  CHECK(g.dtype() == f32);
  CHECK(g.to_vector() == std::vector<double>(3, 3));
  CHECK(to(x, i64).to_vector() == std::vector<double>(3, 1));
  CHECK_FALSE(to(x, i64).requires_grad());
  CHECK(to(x, f32).impl() == x.impl());
}
