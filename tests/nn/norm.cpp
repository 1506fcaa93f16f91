// Normalisation and pooling layers: running statistics, modes, refusals. The arithmetic is tested with the ops.
#include <doctest/doctest.h>

#include <cmath>

#include <duet/autograd/backward.hpp>
#include <duet/core/factory.hpp>
#include <duet/core/random.hpp>
#include <duet/core/warning.hpp>
#include <duet/nn/norm.hpp>
#include <duet/nn/pool.hpp>
#include <duet/ops/activation.hpp>
#include <duet/ops/elementwise.hpp>
#include <duet/ops/reduce.hpp>
#include <duet/ops/shape.hpp>

#include "nn/golden.hpp"

using namespace duet;

namespace {

/// Mean and unbiased variance of channel c of x (N, C, S…).
std::pair<double, double> channel(const Tensor& x, std::int64_t c) {
  const auto values = x.to_vector();
  const std::int64_t channels = x.size(1), plane = x.numel() / x.size(0) / channels;
  std::vector<double> own;
  for (std::size_t i = 0; i < values.size(); ++i)
    if (static_cast<std::int64_t>(i) / plane % channels == c) own.push_back(values[i]);
  double mean = 0, variance = 0;
  for (const double v : own) mean += v / static_cast<double>(own.size());
  for (const double v : own) variance += (v - mean) * (v - mean) / static_cast<double>(own.size() - 1);
  return {mean, variance};
}

}  // namespace

TEST_CASE("batch norm keeps running statistics in training and uses them in evaluation") {
  manual_seed(8);
  nn::BatchNorm2d norm{3, {.momentum = 0.2}};
  norm.to(f64);
  const Tensor x = randn({4, 3, 5, 5}, {.dtype = f64});
  const Tensor y = norm(x);
  CHECK(channel(y, 1).first == doctest::Approx(0).epsilon(1e-9));
  CHECK(norm.num_batches_tracked.item() == 1);
  for (std::int64_t c = 0; c < 3; ++c) {
    CHECK(norm.running_mean.to_vector()[static_cast<std::size_t>(c)] == doctest::Approx(0.2 * channel(x, c).first));
    CHECK(norm.running_var.to_vector()[static_cast<std::size_t>(c)] ==
          doctest::Approx(0.8 + 0.2 * channel(x, c).second));
  }
  norm.eval();
  const auto mean = norm.running_mean.to_vector();
  const Tensor z = norm(x);
  CHECK(norm.running_mean.to_vector() == mean);
  CHECK(norm.num_batches_tracked.item() == 1);
  const double expected = (x.to_vector()[0] - mean[0]) / std::sqrt(norm.running_var.to_vector()[0] + 1e-5);
  CHECK(z.to_vector()[0] == doctest::Approx(expected));
}

TEST_CASE("a relu in a batch norm is one behind it: values, statistics, gradients and their gradients") {
  manual_seed(9);
  nn::BatchNorm2d with{3, {.relu = true}}, without{3};
  for (nn::BatchNorm2d* norm : {&with, &without}) {
    norm->to(f64);
    norm->weight = Tensor::from_span(std::vector<double>{0.5, -1.5, 2}, {3});
    norm->bias = Tensor::from_span(std::vector<double>{0.25, 0, -0.5}, {3});
  }
  const Tensor data = randn({4, 3, 5, 5}, {.dtype = f64}), factor = randn({4, 3, 5, 5}, {.dtype = f64});
  const auto results = [&](nn::BatchNorm2d& norm, bool behind) {
    Tensor x = data.detach();
    x.set_requires_grad();
    const Tensor y = behind ? relu(norm(x)) : norm(x);
    const Tensors first = grad({sum(y * factor * y)}, {x, norm.weight, norm.bias}, {.create_graph = true});
    const Tensors second = grad({sum(first[0] * first[0]) + sum(first[1] * first[1])}, {x, norm.weight, norm.bias});
    norm.eval();
    Tensors all{y, first[0], first[1], first[2], second[0], second[1], second[2], norm.running_mean, norm.running_var};
    all.push_back(behind ? relu(norm(x)) : norm(x));
    return all;
  };
  const Tensors got = results(with, false), wanted = results(without, true);
  for (std::size_t i = 0; i < got.size(); ++i) {
    CAPTURE(i);
    CHECK(amax(abs(got[i] - wanted[i])).item() <= 1e-11 * (1 + amax(abs(wanted[i])).item()));
  }
  CHECK(amin(got[0]).item() == 0);
  CHECK(with.describe() == without.describe() + ", relu=true");
}

TEST_CASE("batch norm without a momentum averages batches, and without statistics uses the batch") {
  nn::BatchNorm1d mean{2, {.momentum = std::nullopt}};
  const Tensor a = randn({50, 2}), b = randn({50, 2});
  mean(a);
  mean(b);
  CHECK(mean.running_mean.to_vector()[0] ==
        doctest::Approx((channel(a, 0).first + channel(b, 0).first) / 2).epsilon(1e-4));
  nn::BatchNorm2d plain{2, {.affine = false, .track_running_stats = false}};
  CHECK(plain.state_dict().empty());
  const Tensor x = randn({2, 2, 4, 4});
  const auto in_training = plain(x).to_vector();
  plain.eval();
  CHECK(plain(x).to_vector() == in_training);
}

TEST_CASE("batch norm that sums over all processes: alone it is the usual one, beside a twin it counts both") {
  manual_seed(9);
  const Tensor x = randn({4, 3, 2, 5}, {.dtype = f64}) * 2.0 + 1.0;
  for (const bool relu : {false, true})
    for (const std::optional<double> momentum : {std::optional<double>(0.3), std::optional<double>()}) {
      nn::BatchNorm2d usual{3, {.momentum = momentum, .relu = relu}}, alone{3, {.momentum = momentum, .relu = relu}};
      for (nn::BatchNorm2d* one : {&usual, &alone}) {
        one->to(f64);
        one->weight = arange(1, 4, 1, {.dtype = f64});
        one->bias = full({3}, 0.25, {.dtype = f64});
      }
      alone.total = [](const Tensor& mine) { return mine * 1.0; };
      const auto same = [](const Tensor& a, const Tensor& b) { CHECK(amax(abs(a - b)).item() < 1e-12); };
      const Tensor cotangent = randn(x.shape(), {.dtype = f64});
      std::vector<Tensors> gradients;
      for (nn::BatchNorm2d* one : {&usual, &alone}) {
        (*one)(x * 3.0);  // a batch before, so that an average of batches has two
        Tensor leaf = x.detach();
        leaf.set_requires_grad();
        gradients.push_back(grad({sum((*one)(leaf) * cotangent)}, {leaf, one->weight, one->bias}));
      }
      for (std::size_t i = 0; i < 3; ++i) same(gradients[0][i], gradients[1][i]);
      same(usual(x), alone(x));
      same(usual.running_mean, alone.running_mean);
      same(usual.running_var, alone.running_var);
      CHECK(usual.num_batches_tracked.item() == alone.num_batches_tracked.item());
    }
  // A twin with the same values: the same mean, but twice the count, which the unbiased variance shows.
  nn::BatchNorm2d twins{3, {.momentum = 1.0}};
  twins.to(f64);
  twins.total = [](const Tensor& mine) { return mine * 2.0; };
  twins(x);
  for (std::int64_t c = 0; c < 3; ++c) {
    const auto [mean, variance] = channel(x, c);
    CHECK(twins.running_mean.to_vector()[static_cast<std::size_t>(c)] == doctest::Approx(mean));
    CHECK(twins.running_var.to_vector()[static_cast<std::size_t>(c)] == doctest::Approx(variance * 39 / 40 * 80 / 79));
  }
}

TEST_CASE("running statistics that were never updated are warned of in evaluation, once") {
  std::vector<std::string> said;
  const WarningHandler before = set_warning_handler([&](const std::string& text) { said.push_back(text); });
  struct Net : nn::Module {
    nn::BatchNorm2d first{this, "first", 3}, second{this, "second", 3};
    nn::InstanceNorm2d third{this, "third", 3, {.track_running_stats = true}};
    Tensor forward(const Tensor& x) override { return third(second(first(x))); }
  } net, other;
  const Tensor x = randn({2, 3, 4, 4});
  net.eval();
  const Tensor y = net(x);  // it is a warning: the values are those of mean 0 and variance 1
  net(x);
  REQUIRE(said.size() == 2);
  CHECK(said[0].find("[BatchNorm2d] 'first' is in evaluation and its running statistics were never updated") == 0);
  CHECK(said[1].find("[InstanceNorm2d] 'third'") == 0);
  CHECK(nn::BatchNorm2d{3, {.affine = false}}.eval().forward(x).to_vector() == net.first(x).to_vector());

  // Silent: a model that saw a batch, one that was given the statistics of such a one, a layer that tracks none.
  const auto counted = [&](auto&& body) {
    set_warning_handler([&](const std::string& text) { said.push_back(text); });
    said.clear();
    body();
    return said.size();
  };
  net.train()(x);
  CHECK(counted([&] { net.eval()(x); }) == 0);
  NamedTensors statistics;
  for (const auto& [name, tensor] : net.state_dict())
    if (name.find("num_batches") == std::string::npos) statistics.emplace_back(name, tensor);
  other.load_state_dict(statistics, {.strict = false});
  CHECK(counted([&] { other.eval()(x); }) == 0);
  CHECK(counted([&] { nn::BatchNorm2d{3, {.track_running_stats = false}}.eval()(x); }) == 0);
  set_warning_handler(before);
}

TEST_CASE("normalisation layers refuse inputs of another form") {
  nn::BatchNorm2d norm{3};
  CHECK_THROWS_WITH_AS(norm(ones({2, 4, 5, 5})), doctest::Contains("[BatchNorm2d] normalises 3 channels, x has 4"),
                       ShapeError);
  CHECK_THROWS_AS(norm(ones({2, 3, 5})), ShapeError);
  CHECK_THROWS_AS(nn::BatchNorm1d(3)(ones({2, 3, 5, 5})), ShapeError);
  CHECK_THROWS_AS(nn::BatchNorm2d(0), ValueError);
  CHECK_THROWS_AS(nn::GroupNorm(3, 4), ValueError);
  CHECK_THROWS_AS(nn::GroupNorm(2, 4)(ones({1, 6, 3})), ShapeError);
  CHECK_THROWS_AS(nn::InstanceNorm2d(3)(ones({1, 2, 3, 3})), ShapeError);
}

TEST_CASE("instance and group norm: each sample by itself") {
  nn::InstanceNorm2d instance{2, {.affine = true}};
  CHECK(instance.named_parameters().size() == 2);
  const Tensor x = randn({2, 2, 6, 6});
  CHECK(channel(instance(x), 0).second == doctest::Approx(1).epsilon(0.05));
  nn::GroupNorm group{1, 2};
  double total = 0;
  for (const double value : group(x).to_vector()) total += value;
  CHECK(total == doctest::Approx(0).epsilon(1e-3));
}

TEST_CASE("instance norm with running statistics: samples averaged, and used in evaluation") {
  nn::InstanceNorm2d norm{2, {.momentum = 0.25, .affine = true, .track_running_stats = true}};
  norm.to(f64);
  CHECK(norm.state_dict().size() == 5);
  const Tensor x = randn({3, 2, 4, 5}, {.dtype = f64}) * 2 + 1;
  const Tensor y = norm(x), own = nn::InstanceNorm2d{2}.forward(x);
  CHECK(amax(abs(y - own)).item() < 1e-12);
  for (int c = 0; c < 2; ++c) {  // by hand: sums over each sample's plane, variances over n - 1, then the samples' mean
    double means = 0, variances = 0;
    for (int n = 0; n < 3; ++n) {
      const auto plane = select(select(x, 0, n), 0, c).to_vector();
      double sum = 0, squares = 0;
      for (const double value : plane) sum += value;
      for (const double value : plane) squares += (value - sum / 20) * (value - sum / 20);
      means += sum / 20 / 3;
      variances += squares / 19 / 3;
    }
    CHECK(norm.running_mean.to_vector()[c] == doctest::Approx(0.25 * means));
    CHECK(norm.running_var.to_vector()[c] == doctest::Approx(0.75 + 0.25 * variances));
  }
  CHECK(norm.num_batches_tracked.item() == 1);
  norm.eval();
  const Tensor z = norm(x), centre = reshape(norm.running_mean, {2, 1, 1}),
               spread = reshape(norm.running_var, {2, 1, 1});
  CHECK(amax(abs(z - (x - centre) / sqrt(spread + 1e-5))).item() < 1e-12);
  CHECK(norm.num_batches_tracked.item() == 1);
}

TEST_CASE("max pooling as a layer") {
  nn::MaxPool2d pool{2};
  CHECK(pool(ones({1, 3, 5, 4})).shape() == Shape{1, 3, 2, 2});
  nn::MaxPool2d other{{3, 2}, {.stride = {1, 2}, .padding = {1, 0}, .ceil_mode = true}};
  CHECK(other(ones({1, 3, 5, 5})).shape() == Shape{1, 3, 5, 3});
  CHECK_THROWS_AS(nn::MaxPool2d(0), ValueError);
}
