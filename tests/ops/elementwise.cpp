// Elementwise and reducing kernels in every SIMD table against libm, at ordinary and at extreme values; in-place
// writes; losses that are written in other ops.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include <duet/autograd/backward.hpp>
#include <duet/autograd/gradcheck.hpp>
#include <duet/core/factory.hpp>
#include <duet/core/parallel.hpp>
#include <duet/core/random.hpp>
#include <duet/core/raw.hpp>
#include <duet/core/tape.hpp>
#include <duet/ops/activation.hpp>
#include <duet/ops/compare.hpp>
#include <duet/ops/elementwise.hpp>
#include <duet/ops/inplace.hpp>
#include <duet/ops/loss_composed.hpp>
#include <duet/ops/matmul.hpp>
#include <duet/ops/reduce.hpp>
#include <duet/ops/shape.hpp>
#include <duet/ops/softmax.hpp>

#include "every_table.hpp"

using namespace duet;

namespace {

struct Function {
  const char* name;
  Tensor (*op)(const Tensor&);
  double (*reference)(double);
  double ulps;  // allowed, of the value or of 1, whichever is more
  bool positive = false;
};

double logistic(double x) { return 1 / (1 + std::exp(-x)); }

const Function functions[] = {
    {"exp", exp, std::exp, 4},
    {"log", log, std::log, 4, true},
    {"log1p", log1p, std::log1p, 4, true},
    {"sqrt", sqrt, std::sqrt, 1, true},
    {"sin", sin, std::sin, 4},
    {"cos", cos, std::cos, 4},
    {"tanh", tanh, std::tanh, 8},
    {"sigmoid", sigmoid, logistic, 8},
    {"relu", relu, [](double x) { return std::max(x, 0.0); }, 0},
    {"abs", abs, [](double x) { return std::abs(x); }, 0},
    {"silu", silu, [](double x) { return x * logistic(x); }, 8},
    {"softplus", [](const Tensor& x) { return softplus(x); },
     [](double x) { return x > 20 ? x : std::log1p(std::exp(x)); }, 8},
    {"gelu", [](const Tensor& x) { return gelu(x); },
     [](double x) { return 0.5 * x * (1 + std::erf(x * std::sqrt(0.5))); }, 8},
    {"elu", [](const Tensor& x) { return elu(x); }, [](double x) { return x > 0 ? x : std::expm1(x); }, 4},
};

}  // namespace

TEST_CASE("functions of one tensor agree with libm in every table, in f32 and f64") {
  // 1009 elements: whole vectors and a tail, whatever the width.
  const Tensor x = randn({1009}, {.dtype = f64}) * 5.0;
  on_every_table([&] {
    for (const Function& f : functions) {
      CAPTURE(f.name);
      for (const Dtype dtype : {f32, f64}) {
        const Tensor input = to(f.positive ? abs(x) : x, dtype);
        const std::vector<double> given = input.to_vector(), got = f.op(input).to_vector();
        const double epsilon = dtype == f32 ? 1.2e-7 : 2.3e-16;
        double worst = 0;
        for (std::size_t i = 0; i < given.size(); ++i) {
          const double want = f.reference(given[i]);
          worst = std::max(worst, std::abs(got[i] - want) / (epsilon * std::max(1.0, std::abs(want))));
        }
        CHECK(worst <= f.ulps);
      }
    }
  });
}

TEST_CASE("extreme inputs give limits, not NaN") {
  const double inf = std::numeric_limits<double>::infinity();
  const std::vector<double> values{-inf, -1e30, -1e4, -1e-40, 0, 1e-40, 1e4, 1e30, inf};
  on_every_table([&] {
    for (const Dtype dtype : {f32, f64}) {
      const Tensor x = to(Tensor::from_span(std::span<const double>(values), {9}), dtype);
      CHECK(sigmoid(x).to_vector()[0] == 0);
      CHECK(sigmoid(x).to_vector()[8] == 1);
      CHECK(tanh(x).to_vector()[1] == -1);
      CHECK(tanh(x).to_vector()[8] == 1);
      CHECK(exp(x).to_vector()[0] == 0);
      CHECK(exp(x).to_vector()[8] == inf);
      CHECK(softplus(x).to_vector()[2] == 0);
      CHECK(softplus(x).to_vector()[8] == inf);
      CHECK(mish(x).to_vector()[6] == 1e4);
      const Tensor logits = to(Tensor::from_span(std::span<const double>(std::vector<double>{1e4, -1e4}), {2}), dtype);
      const Tensor truth = to(Tensor::from_span(std::span<const double>(std::vector<double>{1, 1}), {2}), dtype);
      CHECK(binary_cross_entropy_with_logits(logits, truth, {Reduction::sum}).item() == 1e4);
      CHECK(softmax(logits).to_vector() == std::vector<double>{1, 0});
      CHECK(log_softmax(logits).to_vector()[1] == -2e4);
      CHECK(logsumexp(logits).item() == 1e4);
    }
  });
}

TEST_CASE("at the corner of a piecewise function its lower part counts, as in PyTorch") {
  on_every_table([&] {
    for (const Dtype dtype : {f32, f64}) {
      // Nine elements: a vector and what is left behind it.
      const auto slope = [&](const auto& f, double corner) {
        const Tensor x = full({9}, corner, {.dtype = dtype, .requires_grad = true});
        const std::vector<double> slopes = grad({sum(f(x))}, {x})[0].to_vector();
        CHECK(slopes == std::vector<double>(9, slopes[0]));
        return slopes[0];
      };
      CHECK(slope([](const Tensor& x) { return relu(x); }, 0) == 0);
      CHECK(slope([](const Tensor& x) { return leaky_relu(x, {.negative_slope = 0.25}); }, 0) == 0.25);
      CHECK(slope([](const Tensor& x) { return elu(x, {.alpha = 2}); }, 0) == 2);
      CHECK(slope([](const Tensor& x) { return softplus(x, {.beta = 0.5, .threshold = 0}); }, 0) == 0.5);
      const Tensor corner = softplus(zeros({9}, {.dtype = dtype}), {.beta = 0.5, .threshold = 0});
      for (const double value : corner.to_vector()) CHECK(value == doctest::Approx(2 * std::log(2)));
    }
  });
}

TEST_CASE("a NaN passes through max, min and clamp") {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  const std::vector<double> values{1, nan, 3, 4, 5, 6, 7, 8, 9};
  on_every_table([&] {
    const Tensor x = Tensor::from_span(std::span<const double>(values), {9}), one = ones({9}, {.dtype = f64});
    CHECK(std::isnan(relu(x).to_vector()[1]));
    CHECK(std::isnan(clamp(x, {.min = 0.0, .max = 2.0}).to_vector()[1]));
    CHECK(std::isnan(maximum(x, one).to_vector()[1]));
    CHECK(std::isnan(maximum(one, x).to_vector()[1]));
    CHECK(std::isnan(minimum(one, x).to_vector()[1]));
    CHECK(std::isnan(amax(x).item()));
    CHECK(std::isnan(amin(x).item()));
    CHECK(argmax(x).item() == 1);
  });
}

TEST_CASE("a sum of millions keeps its digits, and does not depend on the number of threads") {
  const int before = num_threads();
  const Tensor x = rand({3000017});
  double exact = 0;
  for (const float v : x.span<float>()) exact += static_cast<double>(v);
  on_every_table([&] {
    set_num_threads(1);
    const double one = sum(x).item();
    set_num_threads(3);
    CHECK(sum(x).item() == one);
    CHECK(one == doctest::Approx(exact).epsilon(2e-7));
    const Tensor columns = reshape(slice(x, 0, 0, 3000000), {1500, 2000});
    const std::vector<double> by_column = sum(columns, {.dim = {0}}).to_vector();
    double column = 0;
    for (int i = 0; i < 1500; ++i) column += static_cast<double>(x.span<float>()[static_cast<std::size_t>(i) * 2000 + 7]);
    CHECK(by_column[7] == doctest::Approx(column).epsilon(2e-7));
  });
  set_num_threads(before);
}

TEST_CASE("what is folded in parts is what a loop folds: rows, columns, a NaN on the way") {
  constexpr std::int64_t lines = 3, count = 100003;
  std::vector<double> values(static_cast<std::size_t>(lines * count));
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = static_cast<double>(i * 7919 % 17) - 8;
  std::vector<double> totals(lines, 0), most(lines), least(lines);
  for (std::size_t line = 0; line < lines; ++line) {
    double* row = values.data() + line * count;
    row[70000 + line] = 20 + static_cast<double>(line);  // the largest and the smallest, neither in the first part
    row[90000 + line] = -30 - static_cast<double>(line);
    totals[line] = std::accumulate(row, row + count, 0.0);
    most[line] = row[70000 + line];
    least[line] = row[90000 + line];
  }
  std::vector<double> broken = values;
  broken[count + 50000] = std::numeric_limits<double>::quiet_NaN();
  on_every_table([&] {
    for (const Dtype dtype : {f32, f64})
      for (const bool columns : {false, true}) {
        CAPTURE(columns);
        const auto laid = [&](const std::vector<double>& elements) {
          const Tensor rows = to(Tensor::from_span(std::span<const double>(elements), {lines, count}), dtype);
          return columns ? contiguous(permute(rows, {1, 0})) : rows;
        };
        const Tensor x = laid(values), y = laid(broken);
        const ReduceOptions along{.dim = {columns ? 0 : 1}};
        CHECK(sum(x, along).to_vector() == totals);
        CHECK(amax(x, along).to_vector() == most);
        CHECK(amin(x, along).to_vector() == least);
        for (const Tensor& out : {amax(y, along), amin(y, along), sum(y, along)})
          for (int line = 0; line < lines; ++line) CHECK(std::isnan(out.to_vector()[static_cast<std::size_t>(line)]) == (line == 1));
      }
  });
}

TEST_CASE("products over millions find the few elements that matter") {
  // Ones with four others, far apart: their partial results come from different pieces of the work.
  Tensor x = ones({3000017});
  const auto set = [&](std::int64_t i, float value) { raw::data<float>(x)[i] = value; };
  set(3, 3), set(1000003, -0.5f), set(2000003, 8), set(3000016, 0.25f);
  const Tensor columns = reshape(slice(x, 0, 0, 3000000), {1500000, 2});  // all three are in the second
  on_every_table([&] {
    CHECK(prod(x).item() == -3);
    CHECK(prod(columns, {.dim = {0}}).to_vector() == std::vector<double>{1, -12});
  });
}

TEST_CASE("broadcasting meets every pair once") {
  const Tensor a = arange(0, 6, 1, {.dtype = f64}), b = arange(0, 4, 1, {.dtype = f64});
  const Tensor outer = reshape(a, {2, 1, 3, 1}) * 10.0 + reshape(b, {2, 1, 2});
  CHECK(outer.shape() == Shape{2, 2, 3, 2});
  const std::vector<double> values = outer.to_vector();
  for (int i = 0; i < 2; ++i)
    for (int j = 0; j < 2; ++j)
      for (int k = 0; k < 3; ++k)
        for (int l = 0; l < 2; ++l)
          CHECK(values[static_cast<std::size_t>(((i * 2 + j) * 3 + k) * 2 + l)] == (i * 3 + k) * 10 + j * 2 + l);
}

TEST_CASE("integers add, compare and sum exactly, and a fraction does not fit them") {
  const Tensor n = arange(0, 5, 1, {.dtype = i64});
  CHECK((n * n - n).to_vector() == std::vector<double>{0, 0, 2, 6, 12});
  CHECK(gt(n, 2.0).dtype() == u8);
  CHECK(sum(full({1000}, 255, {.dtype = u8})).item() == 255000);
  CHECK_THROWS_WITH_AS(n * 0.5, doctest::Contains("0.5"), DtypeError);
  CHECK_THROWS_AS(exp(n), DtypeError);
  CHECK_THROWS_WITH_AS(n + ones({5}), doctest::Contains("one dtype"), DtypeError);
}

TEST_CASE("writes in place change the tensor, respect the tape and bear overlaps") {
  Tensor x = ones({4});
  const auto version = x.version();
  add_(x, full({4}, 2), {.alpha = 3});
  mul_(x, 2);
  CHECK(x.to_vector() == std::vector<double>(4, 14));
  CHECK(x.version() > version);
  sub_(x, full({4}, 2), {.alpha = 3});
  CHECK(x.to_vector() == std::vector<double>(4, 8));
  div_(x, arange(1, 5));
  CHECK(x.to_vector() == std::vector<double>{8, 4, full({1}, 8.0f / 3).item(), 2});
  div_(copy_(x, full({4}, 7)), 0.5);
  CHECK(x.to_vector() == std::vector<double>(4, 14));
  lerp_(x, zeros({4}), 0.5);
  clamp_(x, 0, 5);
  CHECK(x.to_vector() == std::vector<double>(4, 5));
  Tensor y = arange(0, 6), tail = slice(y, 0, 1, 6);
  copy_(tail, slice(y, 0, 0, 5));
  CHECK(y.to_vector() == std::vector<double>{0, 0, 1, 2, 3, 4});
  Tensor leaf = ones({2}, {.requires_grad = true});
  CHECK_THROWS_AS(add_(leaf, 1), AutogradError);
  CHECK_THROWS_WITH_AS(copy_(x, expand(leaf * 2.0, {2, 2})), doctest::Contains("[copy_]"), Error);
  CHECK_THROWS_AS(add_(x, ones({3, 4})), ShapeError);
  CHECK(x.to_vector() == std::vector<double>(4, 5));
}

TEST_CASE("a target of another shape is an error, never a broadcast") {
  const Tensor x = randn({4, 1}), t = rand({4});
  CHECK_THROWS_WITH_AS(mse_loss(x, t), doctest::Contains("(4, 1) and (4,)"), ShapeError);
  CHECK_THROWS_AS(binary_cross_entropy_with_logits(x, t), ShapeError);
  CHECK_THROWS_AS(dice_loss(x, t), ShapeError);
  CHECK_THROWS_AS(cross_entropy(randn({4, 3}), zeros({4, 3}, {.dtype = i64})), ShapeError);
  CHECK_THROWS_WITH_AS(cross_entropy(randn({4, 3}), full({4}, 3, {.dtype = i64})), doctest::Contains("3 classes"),
                       ValueError);
}

TEST_CASE("composed losses have the gradients of their formulas") {
  manual_seed(0);  // away from the hinge, whatever ran before
  const Tensor x = randn({2, 3, 4}, {.dtype = f64}), t = rand({2, 3, 4}, {.dtype = f64});
  CHECK(gradcheck([](const Tensors& in) { return Tensors{focal_loss(in[0], in[1])}; }, {x, t}, {.order = 2}));
  CHECK(gradcheck([](const Tensors& in) { return Tensors{total_variation(in[0])}; }, {x}, {.order = 1}));
  CHECK(focal_loss(x, t, {.alpha = -1, .gamma = 0}).item() ==
        doctest::Approx(binary_cross_entropy_with_logits(x, t).item()));
  for (const GanLoss loss : {GanLoss::vanilla, GanLoss::least_squares, GanLoss::hinge, GanLoss::wasserstein}) {
    const GradcheckResult result = gradcheck(
        [loss](const Tensors& in) {
          return Tensors{gan_discriminator_loss(in[0], in[1], loss), gan_generator_loss(in[1], loss)};
        },
        {x, t}, {.order = 1});
    CHECK_MESSAGE(result, to_string(result));
  }
}
