// Tensor: construction, access, versions, refusals.
#include <doctest/doctest.h>

#include <duet/core/allocator.hpp>
#include <duet/core/factory.hpp>
#include <duet/core/parallel.hpp>
#include <duet/core/random.hpp>
#include <duet/core/raw.hpp>
#include <duet/core/tape.hpp>

using namespace duet;

TEST_CASE("from_span copies and checks the count") {
  const std::vector<float> values{1, 2, 3, 4, 5, 6};
  const Tensor t = Tensor::from_span(std::span<const float>(values), {2, 3});
  CHECK(t.shape() == Shape{2, 3});
  CHECK(t.span<float>()[5] == 6);
  CHECK_THROWS_AS(Tensor::from_span(std::span<const float>(values), {2, 2}), ShapeError);
  CHECK_THROWS_AS(t.data<double>(), DtypeError);
}

TEST_CASE("impossible sizes are refused before anything is allocated") {
  const auto before = memory_stats();
  CHECK_THROWS_AS(Tensor::empty({std::int64_t{1} << 40, std::int64_t{1} << 40}), ShapeError);
  CHECK_THROWS_AS(Tensor::empty({std::int64_t{1} << 61}), ShapeError);
  // Empty, but with strides that 64 bits do not hold.
  CHECK_THROWS_AS(Tensor::empty({0, std::int64_t{1} << 32, std::int64_t{1} << 32}), ShapeError);
  CHECK(Tensor::empty({0, std::int64_t{1} << 32}).numel() == 0);
  CHECK_THROWS_AS(Tensor::empty({-1}), ShapeError);
  CHECK_THROWS_AS(Tensor::empty({std::int64_t{1} << 50}), MemoryError);
  CHECK(memory_stats().in_use == before.in_use);
}

TEST_CASE("a mutable pointer raises the version, and is refused while recorded") {
  Tensor t = zeros({3});
  const auto version = t.version();
  t.mutable_data<float>()[0] = 1;
  CHECK(t.version() == version + 1);
  t.set_requires_grad();
  CHECK_THROWS_AS(t.mutable_data<float>(), AutogradError);
  const NoGradGuard no_grad;
  CHECK_NOTHROW(t.mutable_data<float>());
}

TEST_CASE("wrap keeps its owner alive and refuses writes to constant memory") {
  auto owner = std::make_shared<std::vector<float>>(6, 2.0f);
  const std::weak_ptr<std::vector<float>> watch = owner;
  Tensor t = Tensor::wrap(owner->data(), {2, 3}, {3, 1}, owner);
  owner.reset();
  CHECK(!watch.expired());
  CHECK(t.to_vector()[3] == 2.0);
  t = Tensor();
  CHECK(watch.expired());
  const float fixed[2] = {1, 2};
  Tensor c = Tensor::wrap(fixed, {2}, {1});
  CHECK_THROWS_AS(c.mutable_data<float>(), ValueError);
}

TEST_CASE("random tensors do not depend on the number of threads") {
  const int before = num_threads();
  std::vector<std::vector<double>> seen;
  for (int threads : {1, 2, 3, 8}) {
    set_num_threads(threads);
    manual_seed(7);
    seen.push_back(randn({50001}).to_vector());
  }
  set_num_threads(before);
  for (const auto& one : seen) CHECK(one == seen[0]);
  double mean = 0, square = 0;
  for (double v : seen[0]) mean += v / 50001, square += v * v / 50001;
  CHECK(mean == doctest::Approx(0).epsilon(0.02));
  CHECK(square == doctest::Approx(1).epsilon(0.02));
}

TEST_CASE("a strided copy meets every element once") {
  const Tensor base = arange(0, 24, 1, {.dtype = f64});
  const Tensor view = raw::view(base, {4, 3, 2}, {1, 8, 4});
  const auto values = raw::contiguous(view).to_vector();
  std::size_t at = 0;
  for (int i = 0; i < 4; ++i)
    for (int j = 0; j < 3; ++j)
      for (int k = 0; k < 2; ++k) CHECK(values[at++] == i + 8 * j + 4 * k);
}

TEST_CASE("a parallel loop calls each chunk once and passes an exception on") {
  std::vector<int> hits(1000, 0);
  parallel_for(1000, 7, [&](std::int64_t b, std::int64_t e) {
    for (auto i = b; i < e; ++i) ++hits[static_cast<std::size_t>(i)];
  });
  for (int h : hits) CHECK(h == 1);
  CHECK_THROWS_AS(parallel_for(100, 1, [](std::int64_t b, std::int64_t) { if (b == 50) throw ValueError("x"); }), ValueError);
}
