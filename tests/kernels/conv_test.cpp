// The convolution kernels against an independent scatter loop: exactly, on integers, on random geometries, in every
// SIMD table, and bit for bit on any number of threads.
#include <doctest/doctest.h>

#include <cstdlib>
#include <cstring>

#include <duet/core/parallel.hpp>
#include <duet/ops/fast_convolutions.hpp>
#include <duet/ops/kernels/conv.hpp>
#include <duet/ops/kernels/simd.hpp>

#include "conv_reference.hpp"

using namespace duet;
using test::ConvCase;

namespace {

template <class T>
struct Problem {
  std::vector<T> x, w, y, large_bias, small_bias;

  Problem(const ConvCase& c, std::mt19937& random)
      : x(test::random_integers<T>(random, c.geometry.large_shape(c.batch).numel())),
        w(test::random_integers<T>(random, c.geometry.weight_shape().numel())),
        y(test::random_integers<T>(random, c.geometry.small_shape(c.batch).numel())),
        large_bias(test::random_integers<T>(random, c.geometry.large_channels)),
        small_bias(test::random_integers<T>(random, c.geometry.small_channels)) {}
};

/// Results of the three ops; the same type for the reference and the kernels.
template <class T>
struct Results {
  std::vector<T> y, x, w;
  bool operator==(const Results&) const = default;
};

template <class T>
Results<T> reference(const ConvCase& c, const Problem<T>& p, bool bias) {
  Results<T> r{std::vector<T>(p.y.size()), std::vector<T>(p.x.size()), std::vector<T>(p.w.size())};
  if (bias) {
    const auto fill = [](std::vector<T>& planes, const std::vector<T>& values, std::int64_t batch) {
      if (planes.empty()) return;
      const std::size_t plane = planes.size() / (static_cast<std::size_t>(batch) * values.size());
      for (std::size_t i = 0; i < planes.size(); ++i) planes[i] = values[i / plane % values.size()];
    };
    fill(r.y, p.small_bias, c.batch);
    fill(r.x, p.large_bias, c.batch);
  }
  test::each_product(c.geometry, c.batch, [&](std::int64_t x, std::int64_t w, std::int64_t y) {
    r.y[y] += p.x[x] * p.w[w];
    r.x[x] += p.y[y] * p.w[w];
    r.w[w] += p.x[x] * p.y[y];
  });
  return r;
}

template <class T>
Results<T> computed(const ConvCase& c, const Problem<T>& p, bool bias) {
  const test::Fenced<T> x_in(p.x), w_in(p.w), y_in(p.y);
  test::Fenced<T> x(p.x.size()), w(p.w.size()), y(p.y.size());
  const ConvGeometry& g = c.geometry;
  kernels::conv<T>(g, c.batch, x_in.data(), w_in.data(), bias ? p.small_bias.data() : nullptr, y.data());
  kernels::conv_transpose<T>(g, c.batch, y_in.data(), w_in.data(), bias ? p.large_bias.data() : nullptr, x.data());
  kernels::conv_weight<T>(g, c.batch, x_in.data(), y_in.data(), w.data());
  CHECK_MESSAGE((x.intact() && w.intact() && y.intact()), "written beside a tensor: ", test::to_string(c));
  return {y.values(), x.values(), w.values()};
}

template <class T>
bool agrees(const ConvCase& c, std::uint32_t seed) {
  std::mt19937 random(seed);
  const Problem<T> problem(c, random);
  const bool bias = seed % 2 == 0;
  const Results<T> expected = reference(c, problem, bias);
  bool ok = true;
  for (kernels::Simd simd : kernels::available_simd()) {
    kernels::set_active_simd(simd);
    const Results<T> got = computed(c, problem, bias);
    const std::string text = test::to_string(c) + (sizeof(T) == 4 ? "; f32 " : "; f64 ") + kernels::name(simd);
    CHECK_MESSAGE(got.y == expected.y, "conv: ", text);
    CHECK_MESSAGE(got.x == expected.x, "conv_transpose: ", text);
    CHECK_MESSAGE(got.w == expected.w, "conv_weight: ", text);
    ok = ok && got == expected;
  }
  return ok;
}

/// Restores the SIMD table and the number of threads. Meanwhile sums are those of the definition: with fewer
/// multiplications they are not exact (winograd_test.cpp).
struct Restore {
  FastConvolutionsGuard direct{false};
  kernels::Simd simd = kernels::active_simd();
  int threads = num_threads();
  ~Restore() {
    kernels::set_active_simd(simd);
    set_num_threads(threads);
  }
};

void sweep(int count, std::uint32_t seed) {
  const Restore restore;
  std::mt19937 random(seed);
  for (int i = 0; i < count; ++i) {
    const ConvCase c = test::random_case(random, i % 20 == 0 ? 4'000'000 : 300'000);
    const auto data_seed = static_cast<std::uint32_t>(random());
    const bool ok = i % 2 == 0 ? agrees<float>(c, data_seed) : agrees<double>(c, data_seed);
    if (!ok) return;  // one counterexample is enough to read
  }
}

ConvCase plain(std::int64_t batch, std::int64_t large_channels, std::int64_t small_channels, ConvAxis axis,
               std::int64_t groups = 1) {
  ConvCase c;
  c.batch = batch;
  c.geometry.large_channels = large_channels;
  c.geometry.small_channels = small_channels;
  c.geometry.groups = groups;
  c.geometry.axis[0] = c.geometry.axis[1] = axis;
  return c;
}

/// With other columns than rows.
ConvCase oblong(ConvCase c, ConvAxis columns) {
  c.geometry.axis[1] = columns;
  return c;
}

/// Cases large enough to be cut into several blocks in each dimension.
const ConvCase blocked_cases[] = {
    plain(1, 16, 16, {128, 128, 3, 1, 1, 1}),
    plain(2, 70, 33, {30, 30, 3, 1, 1, 1}),
    plain(3, 33, 70, {31, 16, 4, 2, 1, 1}),
    plain(13, 150, 40, {4, 2, 4, 2, 1, 1}),
    plain(9, 300, 20, {4, 1, 4, 1, 0, 1}),
    plain(2, 1, 16, {96, 96, 3, 1, 1, 1}),
    plain(2, 16, 1, {96, 96, 1, 1, 0, 1}),
    plain(2, 3, 40, {64, 32, 4, 2, 1, 1}),
    plain(2, 32, 32, {65, 33, 3, 2, 2, 2}),
    plain(2, 64, 64, {16, 8, 4, 2, 1, 1}, 4),
    plain(2, 64, 64, {33, 33, 3, 1, 1, 1}, 64),
    plain(1, 600, 40, {7, 7, 3, 1, 1, 1}),
    plain(7, 200, 200, {5, 5, 1, 1, 0, 1}),
    plain(4, 1, 1, {50, 50, 5, 1, 2, 1}),
    plain(3, 2, 3, {61, 61, 3, 1, 1, 1}),
    plain(64, 40, 33, {7, 1, 7, 1, 0, 1}),  // products of matrices, and their neighbours that are none
    plain(5, 70, 3, {4, 1, 4, 3, 0, 1}),
    plain(70, 130, 40, {1, 1, 1, 2, 0, 3}),
    plain(3, 20, 30, {4, 1, 4, 1, 1, 1}),
    plain(3, 20, 30, {5, 1, 4, 2, 0, 1}),
    plain(3, 20, 30, {4, 1, 4, 1, 0, 1}, 2),
    plain(3, 20, 30, {3, 1, 3, 1, 0, 2}),
    plain(2, 16, 32, {128, 64, 2, 2, 0, 1}),  // read in place
    plain(9, 24, 40, {32, 16, 2, 2, 0, 1}),
    plain(2, 8, 19, {33, 11, 3, 3, 0, 1}),
    plain(2, 5, 9, {60, 30, 2, 2, 0, 1}),  // two phases of a row at once
    plain(2, 6, 9, {61, 31, 2, 2, 0, 1}),  // and not
    plain(2, 7, 4, {62, 30, 4, 2, 0, 1}),
    plain(2, 3, 64, {64, 32, 4, 2, 1, 1}),  // rows of few vectors
    plain(2, 5, 13, {96, 96, 3, 1, 1, 1}),
    plain(2, 7, 3, {34, 32, 3, 1, 0, 1}),
    oblong(plain(3, 6, 6, {40, 40, 3, 1, 1, 1}, 6), {70, 70, 3, 1, 1, 1}),    // planes read where they lie
    oblong(plain(2, 3, 3, {24, 24, 3, 1, 1, 1}, 3), {164, 164, 3, 1, 1, 1}),  // in strips of every width
    plain(2, 66, 66, {64, 64, 3, 1, 1, 1}, 66),                               // whole rows in one strip
    plain(3, 2, 2, {40, 37, 3, 1, 1, 1}, 2),                                  // and planes that only look like those
    plain(3, 1, 3, {37, 40, 3, 1, 1, 1}),
    plain(2, 64, 17, {14, 7, 6, 2, 2, 1}),  // weight gradients with the large side's channels in vectors
    oblong(plain(2, 64, 17, {14, 7, 6, 2, 2, 1}), {13, 4, 5, 3, 1, 1}),
};

}  // namespace

TEST_CASE("conv kernels agree exactly with a scatter loop on random geometries") { sweep(400, 1); }

TEST_CASE("long: conv kernels agree exactly with a scatter loop on ten thousand random geometries") {
  sweep(10'000, 2);
}

TEST_CASE("conv kernels agree exactly with a scatter loop where the work is cut into blocks") {
  const Restore restore;
  std::uint32_t seed = 0;
  for (const ConvCase& c : blocked_cases) {
    agrees<float>(c, ++seed);
    agrees<double>(c, ++seed);
  }
}

TEST_CASE_TEMPLATE("conv kernels give the same bits on any number of threads", T, float, double) {
  const Restore restore;
  std::mt19937 random(3);
  std::uniform_real_distribution<double> uniform(-1, 1);
  for (const ConvCase& c : blocked_cases) {
    Problem<T> problem(c, random);
    for (auto* values : {&problem.x, &problem.w, &problem.y})
      for (T& v : *values) v = static_cast<T>(uniform(random));
    for (kernels::Simd simd : kernels::available_simd()) {
      kernels::set_active_simd(simd);
      set_num_threads(1);
      const Results<T> one = computed(c, problem, true);
      for (int threads : {2, 3, 4, 8}) {
        set_num_threads(threads);
        const Results<T> many = computed(c, problem, true);
        CHECK_MESSAGE(many == one, test::to_string(c), "; ", threads, " threads, ", kernels::name(simd));
      }
    }
  }
}
