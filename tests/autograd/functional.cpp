// vjp, jvp, jacobian, hessian, hvp against closed forms and against each other; inference mode.
#include <doctest/doctest.h>

#include <duet/autograd/backward.hpp>
#include <duet/autograd/functional.hpp>
#include <duet/autograd/gradcheck.hpp>
#include <duet/core/factory.hpp>
#include <duet/core/tape.hpp>
#include <duet/ops/elementwise.hpp>
#include <duet/ops/reduce.hpp>
#include <duet/ops/shape.hpp>

#include "support.hpp"

using namespace duet;

namespace {
double at(const Tensor& t, std::size_t i) { return t.to_vector()[i]; }
// f(x, w)_i = x_i² w_i, and their sum over i.
const auto squares = [](const Tensor& x, const Tensor& w) { return Tensors{x * x * w, sum(w)}; };
const auto cubes = [](const Tensor& x) { return sum(x * x * x); };
}  // namespace

TEST_CASE("vjp and jvp") {
  const Tensor x = normal({3}), w = normal({3}, 2), c = normal({3}, 3), one = ones({}, {.dtype = f64});
  const Tensor u = normal({3}, 4), v = normal({3}, 5);
  const Product pulled = vjp(squares, {x, w}, {c, one});
  const Product pushed = jvp(squares, {x, w}, {u, v});
  CHECK(pulled.outputs[0].to_vector() == (x * x * w).to_vector());
  double total = 0;
  for (std::size_t i = 0; i < 3; ++i) {
    CHECK(at(pulled.products[0], i) == doctest::Approx(2 * at(c, i) * at(x, i) * at(w, i)));
    CHECK(at(pulled.products[1], i) == doctest::Approx(at(c, i) * at(x, i) * at(x, i) + 1));
    CHECK(at(pushed.products[0], i) == doctest::Approx(2 * at(x, i) * at(w, i) * at(u, i) + at(x, i) * at(x, i) * at(v, i)));
    total += at(v, i);
  }
  CHECK(pushed.products[1].item() == doctest::Approx(total));
  CHECK(!pulled.products[0].requires_grad());
  // An input that plays no part, and an output that is a constant.
  CHECK(vjp([](const Tensor& a, const Tensor&) { return sum(a); }, {x, w}).products[1].to_vector() == std::vector<double>(3, 0));
  CHECK(jvp([](const Tensor& a) { return Tensors{a, ones({2}, {.dtype = f64})}; }, {x}, {u}).products[1].to_vector() == std::vector<double>(2, 0));
}

TEST_CASE("jacobian and hessian") {
  const Tensor x = normal({2, 2}), w = normal({2, 2}, 2);
  const Tensor j = jacobian([&](const Tensor& a) { return sum(a * a * w, {.dim = {1}}); }, x);
  CHECK(j.shape() == Shape{2, 2, 2});
  for (std::size_t r = 0; r < 2; ++r)
    for (std::size_t k = 0; k < 4; ++k)
      CHECK(at(j, r * 4 + k) == doctest::Approx(k / 2 == r ? 2 * at(x, k) * at(w, k) : 0));
  const std::vector<Tensors> blocks = jacobians(squares, {x, w});
  CHECK(blocks.size() == 2);
  CHECK(blocks[0][1].shape() == Shape{2, 2, 2, 2});
  CHECK(blocks[1][0].to_vector() == std::vector<double>(4, 0));
  // Inputs of other shapes, whose gradients lie in rows of other lengths.
  const Tensor v = normal({3}, 3), m = normal({2, 3}, 4);
  const auto scaled = [](const Tensor& a, const Tensor& b) { return Tensors{sum(b * a, {.dim = {1}})}; };
  const std::vector<Tensors> parts = jacobians(scaled, {v, m});
  CHECK(parts[0][0].to_vector() == m.to_vector());
  CHECK(parts[0][1].shape() == Shape{2, 2, 3});
  for (std::size_t i = 0; i < 12; ++i) CHECK(at(parts[0][1], i) == (i / 3 % 2 == i / 6 ? at(v, i % 3) : 0));
  const Tensor h = hessian(cubes, normal({3}));
  CHECK(h.shape() == Shape{3, 3});
  for (std::size_t i = 0; i < 9; ++i) CHECK(at(h, i) == doctest::Approx(i % 4 == 0 ? 6 * at(normal({3}), i / 4) : 0));
  const auto mixed = hessians([](const Tensor& a, const Tensor& b) { return sum(a * a * b); }, {normal({2}), normal({2}, 2)});
  CHECK(at(mixed[0][1], 0) == doctest::Approx(2 * at(normal({2}), 0)));
  CHECK(mixed[1][1].to_vector() == std::vector<double>(4, 0));
  CHECK_THROWS_WITH_AS(hessian([](const Tensor& a) { return a * a; }, x), doctest::Contains("[hessian]"), AutogradError);
}

TEST_CASE("hvp is hessian times vector, and can be differentiated again") {
  const Tensor x = normal({3}), v = normal({3}, 2);
  const Tensor hv = hvp(cubes, {x}, {v}).products[0];
  for (std::size_t i = 0; i < 3; ++i) CHECK(at(hv, i) == doctest::Approx(6 * at(x, i) * at(v, i)));
  const auto product = [](const Tensor& a, const Tensor& b) { return hvp(cubes, {a}, {b}, {.create_graph = true}).products[0]; };
  CHECK(gradcheck(product, {x, v}, {.order = 2}));
  const auto push = [](const Tensor& a, const Tensor& b) { return jvp([](const Tensor& t) { return t * t * t; }, {a}, {b}, {.create_graph = true}).products[0]; };
  CHECK(gradcheck(push, {x, v}, {.order = 2, .linear = {1}}));
  const auto pull = [](const Tensor& a, const Tensor& b) { return vjp([](const Tensor& t) { return t * t * t; }, {a}, {b}, {.create_graph = true}).products[0]; };
  CHECK(gradcheck(pull, {x, v}, {.order = 2, .linear = {1}}));
  CHECK_THROWS_WITH_AS(hvp(cubes, {x}, {normal({2})}), doctest::Contains("[hvp]"), AutogradError);
  CHECK_THROWS_WITH_AS(jvp(cubes, {x}, {}), doctest::Contains("0 tangents for 1"), AutogradError);
  CHECK_THROWS_WITH_AS(vjp(squares, {x, x}, {normal({3}), normal({2})}), doctest::Contains("[vjp] cotangents 1"), AutogradError);
}

TEST_CASE("inference mode records nothing, and says when its tensors are needed for a gradient") {
  const Tensor w = leaf({3});
  const Tensor ordinary = normal({3}, 2);
  Tensor made, view;
  {
    const InferenceModeGuard inference;
    const EnableGradGuard enable;  // does not count inside
    CHECK(!grad_enabled());
    CHECK(inference_mode());
    made = ordinary * 2.0;
    view = reshape(ordinary, {3, 1});
    CHECK(!(w * ordinary).requires_grad());
  }
  CHECK(!inference_mode());
  CHECK_THROWS_WITH_AS(w * made, doctest::Contains("[mul] input 1 (3,) f64 was made in inference mode"), AutogradError);
  CHECK((w + made).requires_grad());  // reads no value of it
  CHECK((reshape(w, {3, 1}) * view).requires_grad());
  CHECK_THROWS_AS(made.set_requires_grad(), AutogradError);
}
