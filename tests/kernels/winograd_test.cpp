// The Winograd paths: their error against sums in double precision, for every op, scheme and SIMD table; what a NaN
// touches; the same bits on any number of threads; and when they are used at all.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <limits>

#include <duet/core/allocator.hpp>
#include <duet/core/parallel.hpp>
#include <duet/ops/fast_convolutions.hpp>
#include <duet/ops/kernels/conv.hpp>
#include <duet/ops/kernels/conv_winograd.hpp>
#include <duet/ops/kernels/simd.hpp>

#include "conv_reference.hpp"

using namespace duet;
using test::ConvCase;

namespace {

/// Restores the SIMD table and the number of threads.
struct Restore {
  kernels::Simd simd = kernels::active_simd();
  int threads = num_threads();
  ~Restore() {
    kernels::set_active_simd(simd);
    set_num_threads(threads);
  }
};

/// How values are drawn: alike; with pixels and channels of very different sizes; or around a mean far from zero.
enum class Values { even, ill_scaled, offset };

std::vector<float> draw(std::mt19937& random, std::int64_t count, std::int64_t plane, Values form) {
  std::normal_distribution<float> normal;
  std::vector<float> values(static_cast<std::size_t>(count));
  for (std::int64_t i = 0; i < count; ++i) {
    float scale = 1;
    if (form == Values::ill_scaled)
      scale = std::pow(10.0f, static_cast<float>(i / plane % 7) - 3) * (i % 11 == 0 ? 100.0f : 1.0f);
    values[i] = scale * (normal(random) + (form == Values::offset ? 30.0f : 0.0f));
  }
  return values;
}

struct Problem {
  ConvCase shape;
  std::vector<float> x, w, y, large_bias, small_bias;

  Problem(const ConvCase& c, std::mt19937& random, Values form) : shape(c) {
    const ConvGeometry& g = c.geometry;
    const std::int64_t large = g.axis[0].large * g.axis[1].large, small = g.axis[0].small * g.axis[1].small;
    x = draw(random, c.batch * g.large_channels * large, large, form);
    y = draw(random, c.batch * g.small_channels * small, small, form);
    w = draw(random, g.weight_shape().numel(), 9, form == Values::offset ? Values::even : form);
    large_bias = draw(random, g.large_channels, 1, Values::even);
    small_bias = draw(random, g.small_channels, 1, Values::even);
  }
};

template <class T>
struct Results {
  std::vector<T> y, x, w;
  bool operator==(const Results&) const = default;
};

Results<double> exact(const Problem& p) {
  const ConvGeometry& g = p.shape.geometry;
  Results<double> r{std::vector<double>(p.y.size()), std::vector<double>(p.x.size()), std::vector<double>(p.w.size())};
  const auto fill = [&](std::vector<double>& planes, const std::vector<float>& bias) {
    const std::size_t plane = planes.size() / (static_cast<std::size_t>(p.shape.batch) * bias.size());
    for (std::size_t i = 0; i < planes.size(); ++i) planes[i] = static_cast<double>(bias[i / plane % bias.size()]);
  };
  fill(r.y, p.small_bias);
  fill(r.x, p.large_bias);
  test::each_product(g, p.shape.batch, [&](std::int64_t x, std::int64_t w, std::int64_t y) {
    r.y[y] += static_cast<double>(p.x[x]) * p.w[w];
    r.x[x] += static_cast<double>(p.y[y]) * p.w[w];
    r.w[w] += static_cast<double>(p.x[x]) * p.y[y];
  });
  return r;
}

/// Whether the weight gradient has a scheme: a dilation of single steps has one in the other ops only.
bool has_weight_scheme(const kernels::ConvReading& small) {
  kernels::WinogradPlan plan;
  return plan_winograd(small, plan) && plan.parts_add;
}

/// The three ops by Winograd, wherever a scheme fits, whatever the cost rule says.
Results<float> computed(const Problem& p) {
  const test::Fenced<float> x_in(p.x), w_in(p.w), y_in(p.y);
  test::Fenced<float> x(p.x.size()), w(p.w.size()), y(p.y.size());
  const auto small = kernels::read_small(p.shape.geometry, p.shape.batch);
  const auto large = kernels::read_large(p.shape.geometry, p.shape.batch);
  kernels::conv_by_winograd(small, x_in.data(), w_in.data(), p.small_bias.data(), y.data());
  kernels::conv_by_winograd(large, y_in.data(), w_in.data(), p.large_bias.data(), x.data());
  if (has_weight_scheme(small))
    kernels::weight_by_winograd(small, x_in.data(), y_in.data(), w.data());
  else
    kernels::conv_weight<float>(p.shape.geometry, p.shape.batch, x_in.data(), y_in.data(), w.data());
  CHECK_MESSAGE((x.intact() && w.intact() && y.intact()), "written beside a tensor: ", test::to_string(p.shape));
  return {y.values(), x.values(), w.values()};
}

/// The error's norm over the result's, and the largest error over the result's largest element.
struct Error {
  double norm = 0, largest = 0;
};

Error error_of(const std::vector<float>& got, const std::vector<double>& expected) {
  double squares = 0, difference_squares = 0, largest = 0, largest_difference = 0;
  for (std::size_t i = 0; i < expected.size(); ++i) {
    const double difference = static_cast<double>(got[i]) - expected[i];
    if (!std::isfinite(difference)) return {INFINITY, INFINITY};
    squares += expected[i] * expected[i];
    difference_squares += difference * difference;
    largest = std::max(largest, std::abs(expected[i]));
    largest_difference = std::max(largest_difference, std::abs(difference));
  }
  return {std::sqrt(difference_squares / squares), largest_difference / largest};
}

/// Checks all three ops in every table; the largest errors so far are kept in `worst`.
void check(const ConvCase& c, std::mt19937& random, Values form, Error& worst) {
  const Problem problem(c, random, form);
  const Results<double> expected = exact(problem);
  for (kernels::Simd simd : kernels::available_simd()) {
    kernels::set_active_simd(simd);
    const Results<float> got = computed(problem);
    const auto check_one = [&](const char* op, const std::vector<float>& values, const std::vector<double>& exactly) {
      const Error error = error_of(values, exactly);
      const std::string text = std::string(op) + ": " + test::to_string(c) + "; " + kernels::name(simd);
      CHECK_MESSAGE(error.norm <= 1e-5, text);
      CHECK_MESSAGE(error.largest <= 1e-4, text);
      worst = {std::max(worst.norm, error.norm), std::max(worst.largest, error.largest)};
    };
    check_one("conv", got.y, expected.y);
    check_one("conv_transpose", got.x, expected.x);
    check_one("conv_weight", got.w, expected.w);
  }
}

ConvCase square(std::int64_t batch, std::int64_t large_channels, std::int64_t small_channels, ConvAxis axis,
                std::int64_t groups = 1) {
  ConvCase c;
  c.batch = batch;
  c.geometry.large_channels = large_channels;
  c.geometry.small_channels = small_channels;
  c.geometry.groups = groups;
  c.geometry.axis[0] = c.geometry.axis[1] = axis;
  return c;
}

/// Cases of several blocks, shares of channels and shapes of tiles.
const ConvCase cases[] = {
    square(1, 16, 16, {128, 128, 3, 1, 1, 1}),  square(2, 70, 33, {30, 30, 3, 1, 1, 1}),
    square(5, 20, 150, {8, 8, 3, 1, 1, 1}),     square(1, 130, 140, {17, 17, 3, 1, 1, 1}),
    square(3, 33, 70, {32, 16, 4, 2, 1, 1}),    square(9, 40, 70, {8, 4, 4, 2, 1, 1}),
    square(2, 24, 36, {37, 18, 4, 2, 1, 1}, 3), square(2, 24, 36, {18, 18, 3, 1, 1, 1}, 2),
    square(2, 5, 7, {9, 9, 2, 1, 0, 1}),        square(1, 6, 5, {50, 25, 6, 2, 2, 1}),
    square(40, 300, 40, {8, 4, 4, 2, 1, 1}),    square(6, 40, 300, {14, 7, 4, 2, 1, 1}),
    square(2, 33, 40, {64, 32, 3, 2, 2, 2}),    square(3, 24, 150, {31, 16, 3, 2, 2, 2}, 2),
    square(40, 300, 40, {8, 4, 3, 2, 2, 2}),    square(2, 20, 70, {40, 40, 3, 1, 2, 2}),
    square(20, 300, 40, {9, 9, 3, 1, 2, 2}),    square(3, 64, 64, {64, 32, 4, 2, 1, 1}, 4),
    square(2, 9, 12, {97, 48, 4, 2, 1, 1}),     square(2, 12, 9, {48, 48, 2, 1, 0, 1}),
};

/// Sizes, paddings and channels at random, of a kernel that a scheme fits.
ConvCase random_case(std::mt19937& random) {
  const auto between = [&](int low, int high) {
    return low + static_cast<std::int64_t>(random() % static_cast<std::uint32_t>(high - low + 1));
  };
  ConvCase c;
  const std::int64_t kernel = 2 + static_cast<std::int64_t>(random() % 2);
  for (int i = 0; i < 2; ++i) {
    ConvAxis& a = c.geometry.axis[i];
    a.stride = between(1, 2);
    a.dilation = between(1, 2);
    // Phases that add up and phases apart do not go together.
    if (i == 1 && a.stride != a.dilation && a.stride == c.geometry.axis[0].dilation) a.stride = a.dilation;
    a.kernel = a.dilation == 1 ? kernel * a.stride : kernel;
    a.padding = between(-1, static_cast<int>(a.dilation * a.kernel));
    a.large = between(2, 45);  // every phase has an output
    const std::int64_t room = a.large + 2 * a.padding - a.dilation * (a.kernel - 1) - 1;
    a.small = room < 0 ? between(1, 3) : std::max<std::int64_t>(1, room / a.stride + between(0, 1));
    if (a.dilation > a.stride) a.small = std::max<std::int64_t>(2, a.small);  // both phases have an output
  }
  c.geometry.groups = between(1, 2);
  c.geometry.large_channels = c.geometry.groups * between(1, 20);
  c.geometry.small_channels = c.geometry.groups * between(1, 20);
  c.batch = between(1, 4);
  return c;
}

}  // namespace

TEST_CASE("Winograd results are within 1e-5 of their norm and 1e-4 of their scale") {
  const Restore restore;
  std::mt19937 random(1);
  for (const Values form : {Values::even, Values::ill_scaled, Values::offset}) {
    Error worst;
    for (const ConvCase& c : cases) check(c, random, form, worst);
    MESSAGE("largest errors: norm ", worst.norm, ", element ", worst.largest);
  }
}

TEST_CASE("Winograd results are near enough where a weight gradient's tiles are transformed in turns") {
  const Restore restore;
  std::mt19937 random(7);
  Error worst;
  check(square(1, 3, 2000, {24, 24, 3, 1, 1, 1}), random, Values::even, worst);
}

TEST_CASE("Winograd results are near enough on random sizes, paddings and channels") {
  const Restore restore;
  std::mt19937 random(2);
  Error worst;
  for (int i = 0; i < 250; ++i) check(random_case(random), random, Values::even, worst);
}

TEST_CASE("Winograd results have the same bits on any number of threads") {
  const Restore restore;
  std::mt19937 random(3);
  for (const ConvCase& c : cases) {
    const Problem problem(c, random, Values::even);
    for (kernels::Simd simd : kernels::available_simd()) {
      kernels::set_active_simd(simd);
      set_num_threads(1);
      const Results<float> one = computed(problem);
      for (int threads : {2, 3, 8}) {
        set_num_threads(threads);
        CHECK_MESSAGE(computed(problem) == one, test::to_string(c), "; ", threads, " threads, ", kernels::name(simd));
      }
    }
  }
}

TEST_CASE("a NaN reaches what depends on it by Winograd, and no further than its tiles") {
  const Restore restore;
  std::mt19937 random(4);
  const std::int64_t size = 40, at_row = 17, at_column = 22;
  for (const float value : {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()}) {
    Problem problem(square(1, 16, 16, {size, size, 3, 1, 1, 1}), random, Values::even);
    problem.x[3 * size * size + at_row * size + at_column] = value;
    for (kernels::Simd simd : kernels::available_simd()) {
      kernels::set_active_simd(simd);
      const std::vector<float> y = computed(problem).y;
      for (std::int64_t i = 0; i < static_cast<std::int64_t>(y.size()); ++i) {
        const std::int64_t row = i / size % size, column = i % size;
        const bool depends = std::abs(row - at_row) <= 1 && std::abs(column - at_column) <= 1;
        // Rows 16 to 18 and columns 21 to 23 depend on it: tile row 4, tile columns 5.
        const bool tile = row / 4 == 4 && column / 4 == 5;
        const bool spoilt = !std::isfinite(y[i]);
        if (depends) CHECK_MESSAGE(spoilt, row, ", ", column, " should not be finite; ", kernels::name(simd));
        if (spoilt) CHECK_MESSAGE(tile, row, ", ", column, " should be finite; ", kernels::name(simd));
      }
    }
  }
}

TEST_CASE(
    "with a stride of 2 and in weight gradients a NaN spoils what depends on it, and what shares a tile or a filter") {
  const Restore restore;
  std::mt19937 random(6);
  const ConvCase shapes[] = {square(2, 9, 10, {32, 16, 4, 2, 1, 1}), square(2, 9, 10, {16, 16, 3, 1, 1, 1}),
                             square(17, 40, 33, {8, 4, 4, 2, 1, 1}), square(2, 9, 10, {32, 16, 3, 2, 2, 2}),
                             square(2, 9, 10, {36, 36, 3, 1, 2, 2})};
  for (const ConvCase& c : shapes) {
    const ConvGeometry& g = c.geometry;
    const std::int64_t large = g.axis[0].large, small = g.axis[0].small;
    const std::int64_t stride = g.axis[0].stride, dilation = g.axis[0].dilation;
    const std::int64_t taps = g.axis[0].kernel * g.axis[1].kernel;
    // The square of 4 x 4 positions of a phase that an element lies in, whatever its channel; a filter.
    const auto tile = [](std::int64_t i, std::int64_t size, std::int64_t channels, std::int64_t phases) {
      const std::int64_t row = i / size % size, column = i % size, image = i / (size * size) / channels;
      const std::int64_t phase = row % phases * phases + column % phases;
      return ((image * 4 + phase) * size + row / phases / 4) * size + column / phases / 4;
    };
    // A dilation of single steps has its phases on both sides.
    const auto y_tile = [&](std::int64_t i) {
      return tile(i, small, g.small_channels, dilation > stride ? dilation : 1);
    };
    const auto x_tile = [&](std::int64_t i) { return tile(i, large, g.large_channels, std::max(stride, dilation)); };
    const auto filter = [&](std::int64_t i) { return i / taps; };
    const auto check_spoilt = [&](const char* op, const std::vector<float>& values, const std::vector<bool>& depends,
                                  auto&& place) {
      std::vector<std::int64_t> spoilt_places;
      for (std::size_t i = 0; i < values.size(); ++i)
        if (depends[i]) spoilt_places.push_back(place(static_cast<std::int64_t>(i)));
      CHECK(!spoilt_places.empty());
      std::sort(spoilt_places.begin(), spoilt_places.end());
      bool reached = true, local = true;
      for (std::size_t i = 0; i < values.size(); ++i) {
        const bool spoilt = !std::isfinite(values[i]);
        if (depends[i]) reached = reached && spoilt;
        if (spoilt)
          local = local &&
                  std::binary_search(spoilt_places.begin(), spoilt_places.end(), place(static_cast<std::int64_t>(i)));
      }
      CHECK_MESSAGE(reached, op, " misses what depends on it: ", test::to_string(c));
      CHECK_MESSAGE(local, op, " spoils more than its tiles: ", test::to_string(c));
    };
    for (const bool in_x : {true, false}) {
      Problem problem(c, random, Values::even);
      std::vector<float>& poisoned = in_x ? problem.x : problem.y;
      const std::int64_t size = in_x ? large : small;
      const std::int64_t at =
          (static_cast<std::int64_t>(poisoned.size()) / (size * size) / 2 * size + size / 2) * size + 2;
      poisoned[at] = std::numeric_limits<float>::quiet_NaN();
      std::vector<bool> x_depends(problem.x.size()), y_depends(problem.y.size()), w_depends(problem.w.size());
      test::each_product(g, c.batch, [&](std::int64_t x, std::int64_t w, std::int64_t y) {
        if ((in_x ? x : y) != at) return;
        x_depends[x] = y_depends[y] = w_depends[w] = true;
      });
      for (kernels::Simd simd : kernels::available_simd()) {
        kernels::set_active_simd(simd);
        const Results<float> got = computed(problem);
        if (in_x)
          check_spoilt("conv", got.y, y_depends, y_tile);
        else
          check_spoilt("conv_transpose", got.x, x_depends, x_tile);
        check_spoilt("conv_weight", got.w, w_depends, filter);
      }
    }
  }
}

TEST_CASE("the switch of fast convolutions decides, and shapes that do not gain take the direct path") {
  const auto prefers = [](const ConvCase& c) {
    return kernels::prefers_winograd(kernels::read_small(c.geometry, c.batch));
  };
  const ConvCase wide = square(8, 64, 64, {32, 32, 3, 1, 1, 1});
  const bool before = fast_convolutions();
  {
    const FastConvolutionsGuard allowed(true);
    CHECK(prefers(wide));
    CHECK_FALSE(prefers(square(8, 1, 16, {128, 128, 3, 1, 1, 1})));  // few channels
    CHECK_FALSE(prefers(square(8, 64, 64, {32, 32, 5, 1, 2, 1})));   // no scheme
    CHECK(prefers(square(8, 64, 64, {64, 64, 3, 1, 2, 2})));         // dilation: four planes of half the size
    CHECK(prefers(square(8, 64, 64, {64, 32, 3, 2, 2, 2})));         // with a stride as large: one
    CHECK_FALSE(prefers(square(8, 64, 64, {64, 64, 3, 1, 3, 3})));   // more than 2
    CHECK_FALSE(prefers(square(8, 64, 64, {32, 16, 3, 2, 1, 1})));   // 3 x 3 in steps of 2
    CHECK_FALSE(prefers(square(1, 512, 512, {2, 2, 3, 1, 1, 1})));   // one tile, mostly empty
    ConvCase line = wide;
    line.geometry.rank = 1;
    CHECK_FALSE(prefers(line));
    // What the library does is what the path does.
    std::mt19937 random(5);
    const Problem problem(wide, random, Values::even);
    std::vector<float> y(problem.y.size());
    const auto conv = [&] {
      kernels::conv<float>(wide.geometry, wide.batch, problem.x.data(), problem.w.data(), problem.small_bias.data(),
                           y.data());
      return y;
    };
    const std::vector<float> fast = conv();
    CHECK(fast == computed(problem).y);
    {
      const FastConvolutionsGuard forbidden(false);
      CHECK_FALSE(prefers(wide));
      CHECK(conv() != fast);
    }
    CHECK(conv() == fast);
  }
  CHECK(fast_convolutions() == before);
}

TEST_CASE("the environment decides at first") {
  const char* text = std::getenv("DUET_WINOGRAD");
  CHECK(fast_convolutions() == (text == nullptr || std::string(text) != "0"));
}

TEST_CASE("Winograd paths keep their scratch memory within 32 MB, or a quarter of their tensors") {
  const Restore restore;
  const FastConvolutionsGuard allowed(true);
  const ConvCase wide[] = {
      square(32, 256, 512, {8, 4, 4, 2, 1, 1}),  square(32, 128, 256, {16, 8, 4, 2, 1, 1}),
      square(4, 1024, 512, {8, 4, 4, 2, 1, 1}),  square(32, 64, 128, {32, 16, 4, 2, 1, 1}),
      square(8, 512, 512, {16, 16, 3, 1, 1, 1}), square(2, 64, 64, {128, 128, 3, 1, 1, 1}),
      square(8, 16, 16, {128, 128, 3, 1, 1, 1}),
  };
  for (const int threads : {2, 8})
    for (const ConvCase& c : wide) {
      set_num_threads(threads);
      const ConvGeometry& g = c.geometry;
      const std::vector<float> x(static_cast<std::size_t>(g.large_shape(c.batch).numel()), 1.0f);
      const std::vector<float> y(static_cast<std::size_t>(g.small_shape(c.batch).numel()), 1.0f);
      const std::vector<float> w(static_cast<std::size_t>(g.weight_shape().numel()), 1.0f);
      std::vector<float> x_result(x.size()), y_result(y.size()), w_result(w.size());
      const std::int64_t tensors = static_cast<std::int64_t>((x.size() + y.size() + w.size()) * sizeof(float));
      const std::int64_t limit = std::max<std::int64_t>(tensors / 4, 32 << 20);
      const auto scratch = [](auto&& op) {
        const std::int64_t before = memory_stats().in_use;
        reset_peak_memory();
        op();
        return memory_stats().peak_in_use - before;
      };
      const std::int64_t forward =
          scratch([&] { kernels::conv<float>(g, c.batch, x.data(), w.data(), nullptr, y_result.data()); });
      const std::int64_t back =
          scratch([&] { kernels::conv_transpose<float>(g, c.batch, y.data(), w.data(), nullptr, x_result.data()); });
      const std::int64_t weight =
          scratch([&] { kernels::conv_weight<float>(g, c.batch, x.data(), y.data(), w_result.data()); });
      CHECK_MESSAGE(forward <= limit, "conv: ", test::to_string(c), "; ", threads, " threads, ", forward);
      CHECK_MESSAGE(back <= limit, "conv_transpose: ", test::to_string(c), "; ", threads, " threads, ", back);
      CHECK_MESSAGE(weight <= limit, "conv_weight: ", test::to_string(c), "; ", threads, " threads, ", weight);
    }
}
