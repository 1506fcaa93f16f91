// Linear and activation modules call their ops with their options.
#include <doctest/doctest.h>

#include <cmath>

#include <duet/core/factory.hpp>
#include <duet/core/random.hpp>
#include <duet/nn/activation.hpp>
#include <duet/nn/container.hpp>
#include <duet/nn/linear.hpp>
#include <duet/ops/activation.hpp>
#include <duet/ops/softmax.hpp>

using namespace duet;

TEST_CASE("linear multiplies by its weight and begins within 1/sqrt(in)") {
  manual_seed(1);
  nn::Linear linear{16, 300};
  double most = 0;
  for (const double value : linear.weight.to_vector()) most = std::max(most, std::abs(value));
  CHECK(most <= 0.25);
  CHECK(most > 0.24);
  for (const double value : linear.bias.to_vector()) CHECK(std::abs(value) <= 0.25);
  CHECK(linear(ones({2, 5, 16})).shape() == Shape{2, 5, 300});
  nn::Linear plain{2, 1, {.bias = false}};
  const auto w = plain.weight.to_vector();
  CHECK(plain(ones({1, 2})).item() == doctest::Approx(w[0] + w[1]));
  CHECK(plain.parameters().size() == 1);
  CHECK(plain.describe() == "2, 1, bias=false");
  CHECK_THROWS_AS(nn::Linear(0, 1), ValueError);
  CHECK_THROWS_AS(plain(ones({1, 3})), ShapeError);
}

TEST_CASE("activation modules are their ops") {
  const Tensor x = linspace(-3, 3, 13, {.dtype = f64});
  const auto same = [&](nn::Module&& module, const Tensor& expected) { CHECK(module(x).to_vector() == expected.to_vector()); };
  same(nn::Identity{}, x);
  same(nn::ReLU{}, relu(x));
  same(nn::Sigmoid{}, sigmoid(x));
  same(nn::Tanh{}, tanh(x));
  same(nn::SiLU{}, silu(x));
  same(nn::Mish{}, mish(x));
  same(nn::SELU{}, selu(x));
  same(nn::Hardsigmoid{}, hardsigmoid(x));
  same(nn::Hardswish{}, hardswish(x));
  same(nn::LeakyReLU{0.2}, leaky_relu(x, {.negative_slope = 0.2}));
  same(nn::ELU{0.5}, elu(x, {.alpha = 0.5}));
  same(nn::GELU{}, gelu(x));
  same(nn::GELU{true}, gelu(x, {.approximate = GeluApproximation::tanh}));
  same(nn::Softplus{2, 3}, softplus(x, {.beta = 2, .threshold = 3}));
  same(nn::Hardtanh{-0.5, 2}, hardtanh(x, {.min_val = -0.5, .max_val = 2}));
  same(nn::Softmax{0}, softmax(x, {.dim = 0}));
  same(nn::LogSoftmax{}, log_softmax(x, {.dim = -1}));
}

TEST_CASE("activation modules are members and elements of Sequential like any other") {
  struct Net : nn::Module {
    nn::ReLU first{this, "first"};
    nn::LeakyReLU second{this, "second", 0.3};
    nn::Sequential rest{this, "rest", nn::Tanh{}, nn::Linear{2, 1}};
    Tensor forward(const Tensor& x) { return rest(second(first(x))); }
  };
  Net net;
  CHECK(net.children().size() == 3);
  CHECK(net(ones({4, 2})).shape() == Shape{4, 1});
  CHECK(net.named_parameters()[0].first == "rest.1.weight");
}
