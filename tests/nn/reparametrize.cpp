// Spectral norm and weight norm: values against loops, derivatives against differences, state and moves.
#include <doctest/doctest.h>

#include <cmath>

#include <duet/autograd/backward.hpp>
#include <duet/core/factory.hpp>
#include <duet/core/random.hpp>
#include <duet/core/raw.hpp>
#include <duet/core/tape.hpp>
#include <duet/nn/container.hpp>
#include <duet/nn/gradcheck.hpp>
#include <duet/nn/linear.hpp>
#include <duet/nn/reparametrize.hpp>
#include <duet/ops/elementwise.hpp>
#include <duet/ops/reduce.hpp>
#include <duet/ops/shape.hpp>

using namespace duet;

namespace {

std::vector<std::string> names_of(const NamedTensors& tensors) {
  std::vector<std::string> names;
  for (const auto& entry : tensors) names.push_back(entry.first);
  return names;
}
using Names = std::vector<std::string>;

/// The largest singular value of a weight seen as (rows, columns), by a long power iteration in plain loops.
double largest_singular_value(const std::vector<double>& w, std::size_t rows, std::size_t columns) {
  std::vector<double> v(columns, 1), u(rows);
  double sigma = 0;
  for (int step = 0; step < 2000; ++step) {
    double norm_u = 0, norm_v = 0;
    for (std::size_t i = 0; i < rows; ++i) {
      u[i] = 0;
      for (std::size_t j = 0; j < columns; ++j) u[i] += w[i * columns + j] * v[j];
      norm_u += u[i] * u[i];
    }
    for (std::size_t j = 0; j < columns; ++j) {
      v[j] = 0;
      for (std::size_t i = 0; i < rows; ++i) v[j] += w[i * columns + j] * u[i] / std::sqrt(norm_u);
      norm_v += v[j] * v[j];
    }
    for (double& value : v) value /= std::sqrt(norm_v);
    sigma = std::sqrt(norm_v);
  }
  return sigma;
}

Tensor wave(const Tensor& y) { return sum(sin(y)); }

}  // namespace

TEST_CASE("spectral norm: a step of the estimate is what a loop computes, and evaluation takes none") {
  nn::SpectralNorm<nn::Linear> layer{2, 2, {.bias = false}};
  layer.to(f64);
  layer.load_state_dict({{"weight_orig", Tensor::from_span(std::vector<double>{3, 1, 0, 2}, {2, 2})},
                         {"weight_u", Tensor::from_span(std::vector<double>{0.6, 0.8}, {2})},
                         {"weight_v", Tensor::from_span(std::vector<double>{1, 0}, {2})}});
  // v = Wᵀu = (1.8, 2.2) / |.|, u = Wv = (7.6, 4.4) / |.| of it, σ = |Wv|.
  const double length_v = std::hypot(1.8, 2.2), length_u = std::hypot(7.6, 4.4), sigma = length_u / length_v;
  const auto weight = layer.effective_weight().to_vector();
  CHECK(weight[0] == doctest::Approx(3 / sigma).epsilon(1e-14));
  CHECK(weight[3] == doctest::Approx(2 / sigma).epsilon(1e-14));
  CHECK(layer.weight_u.to_vector()[0] == doctest::Approx(7.6 / length_u).epsilon(1e-14));
  CHECK(layer.weight_v.to_vector()[1] == doctest::Approx(2.2 / length_v).epsilon(1e-14));
  layer.eval();
  const auto u = layer.weight_u.to_vector();
  CHECK(layer.effective_weight().to_vector()[0] == doctest::Approx(3 / sigma).epsilon(1e-14));
  CHECK(layer.weight_u.to_vector() == u);
}

TEST_CASE("spectral norm: the largest singular value becomes 1, along outputs, for all kinds of layers") {
  manual_seed(3);
  const NoGradGuard no_grad;
  nn::SpectralNorm<nn::Conv2d> conv{3, 5, 3, {.padding = 1}};
  nn::SpectralNorm<nn::ConvTranspose2d> transposed{5, 3, 4, {.stride = 2}};
  nn::SpectralNorm<nn::Linear> linear{7, 4};
  CHECK(conv.weight_u.shape() == Shape{5});
  CHECK(conv.weight_v.shape() == Shape{27});
  CHECK(transposed.weight_u.shape() == Shape{3});
  CHECK(linear.weight_u.shape() == Shape{4});
  const auto check = [](auto& layer, std::size_t rows, bool swap) {
    layer.to(f64);
    Tensor weight;
    for (int i = 0; i < 500; ++i) weight = layer.effective_weight();
    if (swap) weight = raw::contiguous(transpose(weight, 0, 1));
    const auto values = weight.to_vector();
    CHECK(largest_singular_value(values, rows, values.size() / rows) == doctest::Approx(1).epsilon(1e-6));
  };
  check(conv, 5, false);
  check(transposed, 3, true);
  check(linear, 4, false);
  CHECK(conv(randn({2, 3, 6, 6}, {.dtype = f64})).shape() == Shape{2, 5, 6, 6});
}

TEST_CASE("spectral norm: state, description, moves and clones") {
  nn::SpectralNorm<nn::Conv2d> conv{2, 3, 3};
  CHECK(names_of(conv.state_dict()) == Names{"bias", "weight_orig", "weight_u", "weight_v"});
  CHECK(names_of(conv.named_parameters()) == Names{"bias", "weight_orig"});
  CHECK(conv.describe().starts_with("2, 3, kernel_size=(3, 3)"));
  CHECK(conv.describe().ends_with("spectral_norm"));
  CHECK_FALSE(conv.weight.defined());
  const auto copy = nn::clone(conv, 2, 3, 3);
  const Tensor x = randn({1, 2, 5, 5});
  copy->eval();
  conv.eval();
  const Tensor y = conv(x);
  CHECK((*copy)(x).to_vector() == y.to_vector());
  nn::Sequential net{std::move(conv), nn::WeightNorm<nn::Conv2d>{3, 1, 1}};
  CHECK(net.at(0).named_parameters().size() == 2);
  CHECK(net.at(0)(x).to_vector() == y.to_vector());
  CHECK(names_of(net.state_dict()) ==
        Names{"0.bias", "0.weight_orig", "0.weight_u", "0.weight_v", "1.bias", "1.weight_v", "1.weight_g"});
}

TEST_CASE("spectral norm: derivatives to second order with the vectors held, and to first while they follow") {
  manual_seed(5);
  nn::SpectralNorm<nn::Conv2d> conv{2, 3, 3, {.stride = 2, .padding = 1}};
  conv.to(f64);
  conv.eval();
  const Tensor x = randn({2, 2, 5, 5}, {.dtype = f64});
  CHECK_MESSAGE(gradcheck(conv, wave, x, {.order = 2}), to_string(gradcheck(conv, wave, x, {.order = 2})));
  // Where the iteration has converged, σ does not change with u and v to first order.
  conv.train();
  conv.power_iterations = 400;
  CHECK_MESSAGE(gradcheck(conv, wave, x), to_string(gradcheck(conv, wave, x)));
}

TEST_CASE("spectral norm: several calls before one backward, as a discriminator has them") {
  nn::SpectralNorm<nn::Linear> layer{3, 2};
  const Tensor a = layer(ones({1, 3})), b = layer(ones({4, 3}));
  (sum(a) + sum(b)).backward();
  CHECK(layer.weight_orig.grad().defined());
}

TEST_CASE("weight norm: begins as the layer it wraps, and length and direction have derivatives of their own") {
  manual_seed(7);
  nn::Conv2d plain{2, 3, 3};
  manual_seed(7);
  nn::WeightNorm<nn::Conv2d> conv{2, 3, 3};
  CHECK(conv.weight_g.shape() == Shape{3, 1, 1, 1});
  const Tensor x = randn({1, 2, 5, 5});
  const auto expected = plain(x).to_vector(), got = conv(x).to_vector();
  for (std::size_t i = 0; i < got.size(); ++i) CHECK(got[i] == doctest::Approx(expected[i]).epsilon(1e-5));
  // A longer direction is the same direction.
  raw::copy(conv.weight_v.detach() * 3.0, conv.weight_v);
  const auto again = conv(x).to_vector();
  for (std::size_t i = 0; i < got.size(); ++i) CHECK(again[i] == doctest::Approx(expected[i]).epsilon(1e-5));
  nn::WeightNorm<nn::Linear> linear{4, 3};
  linear.to(f64);
  const Tensor z = randn({2, 4}, {.dtype = f64});
  CHECK_MESSAGE(gradcheck(linear, wave, z, {.order = 2}), to_string(gradcheck(linear, wave, z, {.order = 2})));
}
