// Softmax and the losses made of it against loops in double: in every SIMD table, for logits that lie far apart or are
// infinite, for columns and rows of many lengths, on any number of threads.
#include <doctest/doctest.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

#include <duet/autograd/backward.hpp>
#include <duet/core/factory.hpp>
#include <duet/core/parallel.hpp>
#include <duet/core/random.hpp>
#include <duet/ops/elementwise.hpp>
#include <duet/ops/loss.hpp>
#include <duet/ops/reduce.hpp>
#include <duet/ops/softmax.hpp>

#include "every_table.hpp"

using namespace duet;

namespace {

constexpr double infinity = std::numeric_limits<double>::infinity();

/// x (outer, count, inner) filled by value(o, i, j).
template <class F>
Tensor made(std::int64_t outer, std::int64_t count, std::int64_t inner, F value) {
  Tensor x = Tensor::empty({outer, count, inner});
  float* to = x.mutable_data<float>();
  for (std::int64_t o = 0; o < outer; ++o)
    for (std::int64_t i = 0; i < count; ++i)
      for (std::int64_t j = 0; j < inner; ++j) *to++ = static_cast<float>(value(o, i, j));
  return x;
}

/// log sum e^x of each column, in double: what softmax, its logarithm and cross entropy follow from.
std::vector<double> log_sums(const Tensor& x) {
  const std::int64_t count = x.size(1), inner = x.size(2);
  std::vector<double> result;
  for (std::int64_t o = 0; o < x.size(0); ++o)
    for (std::int64_t j = 0; j < inner; ++j) {
      const float* column = x.data<float>() + o * count * inner + j;
      double most = -infinity, sum = 0;
      for (std::int64_t i = 0; i < count; ++i) most = std::max(most, static_cast<double>(column[i * inner]));
      for (std::int64_t i = 0; i < count; ++i) sum += std::exp(static_cast<double>(column[i * inner]) - most);
      result.push_back(most + std::log(sum));
    }
  return result;
}

/// Softmax, log-softmax, logsumexp, cross entropy and its gradient of finite logits, all against log_sums().
void check_all(const Tensor& x) {
  const std::int64_t count = x.size(1), inner = x.size(2), columns = x.size(0) * inner;
  const std::vector<double> sums = log_sums(x);
  const Tensor p = softmax(x, {.dim = 1}), logs = log_softmax(x, {.dim = 1}), total = logsumexp(x, {.dim = {1}});
  std::vector<std::int64_t> classes;
  for (std::int64_t c = 0; c < columns; ++c) classes.push_back(c * 7 % count);
  const Tensor target = Tensor::from_span(std::span<const std::int64_t>(classes), {x.size(0), inner});
  const Tensor losses = cross_entropy(x, target, {.reduction = Reduction::none});
  const Tensor slope = cross_entropy_backward(ones(losses.shape()), x, target, {.reduction = Reduction::none});
  double off = 0, off_logs = 0, off_total = 0, off_loss = 0, off_slope = 0;
  for (std::int64_t c = 0; c < columns; ++c) {
    const std::int64_t o = c / inner, j = c % inner;
    const double sum = sums[static_cast<std::size_t>(c)];
    // What rounding a number of the logits' size to float costs.
    const double unit = std::max(1.0, std::abs(sum)) * 6e-8;
    off_total = std::max(off_total, std::abs(total.data<float>()[c] - sum) / unit);
    for (std::int64_t i = 0; i < count; ++i) {
      const std::int64_t at = (o * count + i) * inner + j;
      const double log_p = static_cast<double>(x.data<float>()[at]) - sum, own = std::exp(log_p);
      off = std::max(off, std::abs(p.data<float>()[at] - own));
      off_logs = std::max(off_logs, std::abs(logs.data<float>()[at] - log_p) / std::max(1.0, std::abs(log_p)));
      const bool is_target = i == classes[static_cast<std::size_t>(c)];
      off_slope = std::max(off_slope, std::abs(slope.data<float>()[at] - (own - (is_target ? 1 : 0))));
      if (is_target)
        off_loss = std::max(off_loss, std::abs(losses.data<float>()[c] + log_p) / std::max(1.0, std::abs(log_p)));
    }
  }
  CHECK(off < 1e-6);
  CHECK(off_slope < 1e-6);
  CHECK(off_logs < 1e-6);
  CHECK(off_loss < 1e-6);
  CHECK(off_total < 8);
}

}  // namespace

TEST_CASE("softmax and its kin agree with loops in double, for rows and columns of every length") {
  manual_seed(5);
  on_every_table([] {
    for (const std::int64_t count : {1, 2, 3, 7, 8, 9, 15, 16, 23, 64, 130})
      for (const std::int64_t inner : {1, 2, 16, 33, 100}) {
        CAPTURE(count);
        CAPTURE(inner);
        check_all(randn({2, count, inner}) * 3.0);
      }
    check_all(randn({1, 600, 40}));
  });
}

TEST_CASE("logits that rise, fall or lie thousands apart cost softmax no digits") {
  on_every_table([] {
    for (const std::int64_t inner : {1, 5, 64}) {
      CAPTURE(inner);
      check_all(made(2, 40, inner,
                     [](auto, auto i, auto j) { return 20.0 * static_cast<double>(i) + static_cast<double>(j); }));
      check_all(made(2, 40, inner,
                     [](auto, auto i, auto j) { return 3.0 * static_cast<double>(i) - static_cast<double>(j); }));
      check_all(made(2, 40, inner, [](auto, auto i, auto) { return -20.0 * static_cast<double>(i); }));
      check_all(made(2, 25, inner, [](auto o, auto i, auto j) {
        return (i + j) % 11 == 3 ? 5000.0 + static_cast<double>(i) : -4000.0 * static_cast<double>(o);
      }));
      check_all(made(1, 9, inner, [](auto, auto i, auto) { return i == 8 ? 1e38 : i == 4 ? -1e38 : 1.0; }));
    }
  });
}

TEST_CASE("infinite logits have their limits, and a NaN spoils its column alone") {
  on_every_table([] {
    for (const std::int64_t inner : {3, 64}) {
      CAPTURE(inner);
      for (const std::int64_t special : {0, 5, 8, 20}) {
        CAPTURE(special);
        // Column 0: -inf but for one; 1: one +inf; 2: one NaN; the others finite.
        const Tensor x = made(1, 21, inner, [&](auto, auto i, auto j) {
          if (j == 0) return i == special ? 2.0 : -infinity;
          if (j == 1) return i == special ? infinity : 1.0;
          if (j == 2) return i == special ? std::nan("") : 1.0;
          return static_cast<double>(i % 4);
        });
        const Tensor p = softmax(x, {.dim = 1}), total = logsumexp(x, {.dim = {1}});
        const float* at = p.data<float>();
        CHECK(total.data<float>()[0] == 2);
        CHECK(total.data<float>()[1] == std::numeric_limits<float>::infinity());
        CHECK(std::isnan(total.data<float>()[2]));
        bool right = true;
        for (std::int64_t i = 0; i < 21; ++i) {
          right = right && at[i * inner] == (i == special ? 1.0f : 0.0f);
          right = right && std::isnan(at[i * inner + 1]) && std::isnan(at[i * inner + 2]);
          for (std::int64_t j = 3; j < inner; ++j) right = right && at[i * inner + j] > 0 && at[i * inner + j] < 1;
        }
        CHECK(right);
        const std::vector<std::int64_t> classes(static_cast<std::size_t>(inner), special);
        const Tensor target = Tensor::from_span(std::span<const std::int64_t>(classes), {1, inner});
        const Tensor losses = cross_entropy(x, target, {.reduction = Reduction::none});
        CHECK(losses.data<float>()[0] == 0);
        CHECK(std::isnan(losses.data<float>()[2]));
        const std::vector<std::int64_t> others(static_cast<std::size_t>(inner), (special + 1) % 21);
        const Tensor other = Tensor::from_span(std::span<const std::int64_t>(others), {1, inner});
        const Tensor far = cross_entropy(x, other, {.reduction = Reduction::none});
        CHECK(far.data<float>()[0] == std::numeric_limits<float>::infinity());
        CHECK(far.data<float>()[1] == std::numeric_limits<float>::infinity());
        CHECK(std::isnan(far.data<float>()[2]));
      }
      const Tensor none = made(1, 9, inner, [](auto, auto, auto) { return -infinity; });
      const Tensor total = logsumexp(none, {.dim = {1}}), p = softmax(none, {.dim = 1});
      CHECK(total.data<float>()[inner - 1] == -std::numeric_limits<float>::infinity());
      CHECK(std::isnan(p.data<float>()[0]));
      const Tensor both = made(1, 9, inner, [](auto, auto i, auto) {
        return i == 1 ? infinity : i == 6 ? std::nan("") : 0.0;
      });
      CHECK(std::isnan(logsumexp(both, {.dim = {1}}).data<float>()[0]));
      CHECK(std::isnan(cross_entropy(both, full({1, inner}, 0, {.dtype = i64})).item()));
    }
  });
}

TEST_CASE("cross entropy counts weights, ignored positions and bad targets the same on any number of threads") {
  manual_seed(6);
  const Tensor x = randn({4, 5, 70, 70});
  const Tensor weight = rand({5}) + 0.5;
  std::vector<std::int64_t> classes;
  for (std::int64_t c = 0; c < 4 * 70 * 70; ++c) classes.push_back(c % 9 == 4 ? -100 : c % 5);
  const Tensor target = Tensor::from_span(std::span<const std::int64_t>(classes), {4, 70, 70});
  const Tensor losses = cross_entropy(x, target, {.reduction = Reduction::none}, weight);
  double sum = 0, mass = 0;
  for (std::int64_t c = 0; c < losses.numel(); ++c) {
    sum += static_cast<double>(losses.data<float>()[c]);
    if (classes[static_cast<std::size_t>(c)] >= 0) mass += static_cast<double>(weight.data<float>()[c % 5]);
  }
  const int before = num_threads();
  std::vector<float> values;
  for (const int threads : {1, 2, 4}) {
    set_num_threads(threads);
    const Tensor mean = cross_entropy(x, target, {}, weight), plain = cross_entropy(x, target);
    const Tensor slope = cross_entropy_backward(Tensor::scalar(1), x, target, {}, weight);
    CHECK(mean.item() == doctest::Approx(sum / mass).epsilon(1e-6));
    values.push_back(mean.data<float>()[0]);
    values.push_back(plain.data<float>()[0]);
    values.push_back(slope.data<float>()[12345]);
    CHECK(std::memcmp(values.data(), values.data() + values.size() - 3, 3 * sizeof(float)) == 0);
    classes[19000] = 5;
    CHECK_THROWS_WITH(cross_entropy(x, Tensor::from_span(std::span<const std::int64_t>(classes), {4, 70, 70})),
                      doctest::Contains("target 5 at position 19000 is not a class: 5 classes"));
    classes[19000] = 0;
  }
  set_num_threads(before);
}
