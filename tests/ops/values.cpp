// Values that no comparison of derivatives can see: signs, directions, which of equal ones, on which side.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>

#include <duet/autograd/backward.hpp>
#include <duet/core/factory.hpp>
#include <duet/core/random.hpp>
#include <duet/ops/compare.hpp>
#include <duet/ops/conv.hpp>
#include <duet/ops/elementwise.hpp>
#include <duet/ops/loss_composed.hpp>
#include <duet/ops/pool.hpp>
#include <duet/ops/reduce.hpp>
#include <duet/ops/shape.hpp>

using namespace duet;
using Values = std::vector<double>;

namespace {

Tensor row(const Values& values) { return Tensor::from_span(std::span<const double>(values), {static_cast<std::int64_t>(values.size())}); }

template <class F>
double mean_of(const Tensor& x, F f) {
  double total = 0;
  for (const double v : x.to_vector()) total += f(v);
  return total / static_cast<double>(x.numel());
}

}  // namespace

TEST_CASE("the losses of generator and discriminator have the values of their papers") {
  Generator random(1);
  const Tensor real = randn({7}, {.dtype = f64}, random), fake = randn({5}, {.dtype = f64}, random);
  const auto log_of_logistic = [](double x) { return -std::log1p(std::exp(-x)); };
  const auto expect = [&](GanLoss loss, double discriminator, double generator) {
    CHECK(gan_discriminator_loss(real, fake, loss).item() == doctest::Approx(discriminator));
    CHECK(gan_generator_loss(fake, loss).item() == doctest::Approx(generator));
  };
  expect(GanLoss::vanilla, mean_of(real, [&](double x) { return -log_of_logistic(x); }) + mean_of(fake, [&](double x) { return -log_of_logistic(-x); }),
         mean_of(fake, [&](double x) { return -log_of_logistic(x); }));
  expect(GanLoss::least_squares, (mean_of(real, [](double x) { return (x - 1) * (x - 1); }) + mean_of(fake, [](double x) { return x * x; })) / 2,
         mean_of(fake, [](double x) { return (x - 1) * (x - 1); }) / 2);
  expect(GanLoss::hinge, mean_of(real, [](double x) { return std::max(0.0, 1 - x); }) + mean_of(fake, [](double x) { return std::max(0.0, 1 + x); }),
         mean_of(fake, [](double x) { return -x; }));
  expect(GanLoss::wasserstein, mean_of(fake, [](double x) { return x; }) - mean_of(real, [](double x) { return x; }), mean_of(fake, [](double x) { return -x; }));
}

TEST_CASE("focal loss weighs each truth by the doubt about it") {
  const Values logits{-1.5, 0.3, 2}, truth{1, 0, 1};
  const Tensor losses = focal_loss(row(logits), row(truth), {.alpha = 0.3, .gamma = 1.5, .reduction = Reduction::none});
  for (std::size_t i = 0; i < logits.size(); ++i) {
    const double p = 1 / (1 + std::exp(-logits[i])), q = truth[i] == 1 ? p : 1 - p;
    CHECK(losses.to_vector()[i] == doctest::Approx((truth[i] == 1 ? 0.3 : 0.7) * std::pow(1 - q, 1.5) * -std::log(q)));
  }
}

TEST_CASE("total variation adds up the differences of neighbours in both directions") {
  Generator random(2);
  const Tensor x = randn({2, 3, 4}, {.dtype = f64}, random);
  const auto v = x.to_vector();
  double total = 0;
  for (std::size_t n = 0; n < 2; ++n)
    for (std::size_t i = 0; i < 3; ++i)
      for (std::size_t j = 0; j < 4; ++j) {
        const std::size_t at = (n * 3 + i) * 4 + j;
        if (i + 1 < 3) total += std::abs(v[at + 4] - v[at]);
        if (j + 1 < 4) total += std::abs(v[at + 1] - v[at]);
      }
  CHECK(total_variation(x).item() == doctest::Approx(total / 2));
}

TEST_CASE("equal ones share the gradient of a maximum or minimum") {
  for (const bool largest : {true, false}) {
    const Tensor a = row({1, 5, 2}).set_requires_grad(), b = row({1, 3, 4}).set_requires_grad();
    sum(largest ? maximum(a, b) : minimum(a, b)).backward();
    CHECK(a.grad().to_vector() == (largest ? Values{0.5, 1, 0} : Values{0.5, 0, 1}));
    CHECK(b.grad().to_vector() == (largest ? Values{0.5, 0, 1} : Values{0.5, 1, 0}));
    const Tensor c = row({2, 1, 2, 1}).set_requires_grad();
    (largest ? amax(c) : amin(c)).backward();
    CHECK(c.grad().to_vector() == (largest ? Values{0.5, 0, 0.5, 0} : Values{0, 0.5, 0, 0.5}));
  }
}

TEST_CASE("a variance keeps its digits where f32 cannot hold the mean") {
  // From 2^22 on, f32 counts in halves: the mean of these is off by a sixth, and its square would be a twelfth.
  const Tensor x = to(row({0, 1, 1}) + 4194304.0, f32).set_requires_grad();
  CHECK(var(x).item() == doctest::Approx(1.0 / 3).epsilon(1e-6));
  CHECK(duet::std(x).item() == doctest::Approx(std::sqrt(1.0 / 3)).epsilon(1e-6));
  const Values g = grad({var(x)}, {x})[0].to_vector();
  CHECK(g[0] == doctest::Approx(-2.0 / 3).epsilon(1e-6));
  CHECK(g[2] == doctest::Approx(1.0 / 3).epsilon(1e-6));
}

TEST_CASE("the gradient of a log of exponentials is a softmax, whatever their size") {
  for (const double offset : {-1e4, 0.0, 1e4})
    for (const Dtype dtype : {f32, f64}) {
      const Tensor x = to(row({0, 1, 3}) + offset, dtype).set_requires_grad();
      const Values g = grad({logsumexp(x)}, {x})[0].to_vector();
      const double whole = 1 + std::exp(1.0) + std::exp(3.0);
      for (int i = 0; i < 3; ++i)
        CHECK(g[static_cast<std::size_t>(i)] == doctest::Approx(std::exp(Values{0, 1, 3}[static_cast<std::size_t>(i)]) / whole).epsilon(1e-5));
    }
}

TEST_CASE("comparisons and logic have their tables of truth, in every type") {
  for (const Dtype dtype : {f32, f64, i64, u8}) {
    const Tensor a = to(row({0, 0, 1, 2, 3}), dtype), b = to(row({0, 2, 0, 2, 1}), dtype);
    CHECK(eq(a, b).to_vector() == Values{1, 0, 0, 1, 0});
    CHECK(ne(a, b).to_vector() == Values{0, 1, 1, 0, 1});
    CHECK(lt(a, b).to_vector() == Values{0, 1, 0, 0, 0});
    CHECK(le(a, b).to_vector() == Values{1, 1, 0, 1, 0});
    CHECK(gt(a, b).to_vector() == Values{0, 0, 1, 0, 1});
    CHECK(ge(a, b).to_vector() == Values{1, 0, 1, 1, 1});
    CHECK(logical_and(a, b).to_vector() == Values{0, 0, 0, 1, 1});
    CHECK(logical_or(a, b).to_vector() == Values{0, 1, 1, 1, 1});
    CHECK(logical_xor(a, b).to_vector() == Values{0, 1, 1, 0, 0});
    CHECK(logical_not(a).to_vector() == Values{1, 1, 0, 0, 0});
    CHECK(isnan(a).to_vector() == Values(5, 0));
    CHECK(isfinite(a).to_vector() == Values(5, 1));
  }
  const Tensor limits = row({NAN, INFINITY, -INFINITY, 0});
  CHECK(isnan(limits).to_vector() == Values{1, 0, 0, 0});
  CHECK(isfinite(limits).to_vector() == Values{0, 0, 0, 1});
  CHECK(eq(limits, limits).to_vector() == Values{0, 1, 1, 1});
}

TEST_CASE("argmax and argmin name the first of equal ones") {
  const Tensor x = reshape(row({1, 3, 3, 0, 0, 2}), {2, 3});
  CHECK(argmax(x).item() == 1);
  CHECK(argmin(x).item() == 3);
  CHECK(argmax(x, {.dim = 1}).to_vector() == Values{1, 2});
  CHECK(argmin(x, {.dim = 1}).to_vector() == Values{0, 0});
  CHECK(argmax(x, {.dim = 0}).to_vector() == Values{0, 0, 0});
  CHECK(argmax(zeros({2, 2}), {.dim = 0, .keepdim = true}).to_vector() == Values{0, 0});
  CHECK(argmax(row({7})).item() == 0);
  CHECK(argmin(ones({3, 1}), {.dim = 1}).to_vector() == Values{0, 0, 0});
}

TEST_CASE("an adaptive max pool names the first of equal ones") {
  const MaxPoolResult result = adaptive_max_pool1d_with_indices(reshape(row({3, 3, 1, 2, 2, 2}), {1, 6}), 2);
  CHECK(result.y.to_vector() == Values{3, 2});
  CHECK(result.indices.to_vector() == Values{0, 3});
}

TEST_CASE("\"same\" padding of an even kernel has its extra element behind") {
  const Tensor x = reshape(row({1, 2, 3, 4}), {1, 1, 4}), w = reshape(row({1, 10}), {1, 1, 2});
  CHECK(conv1d(x, w, {.padding = "same"}).to_vector() == Values{21, 32, 43, 4});
  CHECK(conv1d(x, w, {.padding = "valid"}).to_vector() == Values{21, 32, 43});
}

TEST_CASE("operators that order take numbers on either side, as arithmetic does") {
  const Tensor x = row({1, 2, 3});
  CHECK((x < 2.0).to_vector() == Values{1, 0, 0});
  CHECK((2.0 < x).to_vector() == Values{0, 0, 1});
  CHECK((x <= 2.0).to_vector() == Values{1, 1, 0});
  CHECK((2.0 <= x).to_vector() == Values{0, 1, 1});
  CHECK((x > row({2, 2, 2})).to_vector() == Values{0, 0, 1});
  CHECK((2.0 > x).to_vector() == Values{1, 0, 0});
  CHECK((x >= 3.0).to_vector() == Values{0, 0, 1});
  CHECK((2.0 >= x).to_vector() == Values{1, 1, 0});
  CHECK((6.0 / x - 1.0).to_vector() == Values{5, 2, 1});
  CHECK(pow(2.0, x).to_vector() == Values{2, 4, 8});
}
