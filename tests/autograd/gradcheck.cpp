// gradcheck and taylor_test, and the traps that a gradient check must not fall into. The ops below are planted:
// each has one fault, and each verdict is the one that names it.
#include <doctest/doctest.h>

#include <cmath>
#include <string>

#include <duet/autograd/backward.hpp>
#include <duet/autograd/gradcheck.hpp>
#include <duet/autograd/taylor.hpp>
#include <duet/core/factory.hpp>
#include <duet/core/op.hpp>
#include <duet/core/random.hpp>
#include <duet/core/raw.hpp>
#include <duet/ops/activation.hpp>
#include <duet/ops/elementwise.hpp>
#include <duet/ops/reduce.hpp>
#include <duet/ops/shape.hpp>

#include "support.hpp"

using namespace duet;

namespace {

/// An elementwise op f with a vjp of the test's choosing, which gets the cotangent and x.
OpPtr planted(double (*f)(double), Callable<Tensor(const Tensor&, const Tensor&)> vjp) {
  return std::make_shared<const OpDef>(OpDef{
      .name = "planted",
      .doc = "for the tests",
      .inputs = {"x"},
      .shape_rule = [](const ShapeCall& c) -> Specs { return {c[0]}; },
      .forward = [f](const Call& c) -> Tensors {
        const Tensor x = raw::contiguous(c[0]), out = c.empty();
        for (std::int64_t i = 0; i < out.numel(); ++i) {
          if (out.dtype() == f64) raw::data<double>(out)[i] = f(raw::data<double>(x)[i]);
          else raw::data<float>(out)[i] = static_cast<float>(f(raw::data<float>(x)[i]));
        }
        return {out};
      },
      .vjp = [vjp](const Vjp& v) -> Tensors { return {vjp(v.cotangent(), v.input(0))}; },
      .saves = {save_input(0)},
  });
}

auto function(const OpPtr& op) {
  return [op](const Tensor& x) { return apply1(op, {x}); };
}

const auto squared = [](double v) { return v * v; };

}  // namespace

TEST_CASE("gradcheck passes right gradients of orders 1 to 4, small and large") {
  const auto cubic = [](const Tensor& x, const Tensor& w) { return x * x * w; };
  for (const std::int64_t n : {3, 1000}) {
    const GradcheckResult result = gradcheck(cubic, {normal({n}), normal({n}, 2)}, {.order = n == 3 ? 4 : 3, .linear = {1}});
    CAPTURE(to_string(result));
    CHECK(result.verdict == Verdict::ok);
  }
}

TEST_CASE("a function may differentiate inside itself, as a gradient penalty does") {
  const Tensor w = randn({3}, {.dtype = f64});
  const auto penalty = [](const Tensor& weight) {
    Tensor x = ones({3}, {.dtype = f64, .requires_grad = true});
    const Tensor slope = grad({sum(tanh(weight * x))}, {x}, {.create_graph = true})[0];
    return sum(slope * slope);
  };
  CHECK(gradcheck(penalty, {w}, {.order = 2}));
  CHECK(taylor_test(penalty, w, randn({3}, {.dtype = f64})));
}

TEST_CASE("gradcheck takes callables of every form") {
  const Tensor x = normal({4}), w = normal({4}, 2);
  CHECK(gradcheck([](const Tensors& t) { return Tensors{t[0] * t[1], t[0]}; }, {x, w}));
  CHECK(gradcheck([](const Tensors& t) { return sum(t[0] * t[1]); }, {x, w}));
  CHECK(gradcheck(mul, {x, w}, {.order = 2, .linear = {0, 1}}));
  CHECK(gradcheck([](auto a, auto b) { return a - b * b; }, {x, w}));
  CHECK_THROWS_WITH_AS(gradcheck(mul, {x}), doctest::Contains("takes 2 tensors, got 1"), ValueError);
}

TEST_CASE("a wrong gradient is found and traced to its entry") {
  for (const Shape& shape : {Shape{2, 3}, Shape{20, 30}}) {
    // Right but for one element.
    Tensor mask = ones(shape, {.dtype = f64});
    mask.mutable_data<double>()[shape[1] + 2] = 1.01;
    const OpPtr op = planted(squared, [mask](const Tensor& g, const Tensor& x) { return g * x * 2.0 * mask; });
    const Tensor x = normal(shape);
    const GradcheckResult result = gradcheck(function(op), {x}, {.names = {"pixels"}});
    CAPTURE(to_string(result));
    CHECK(result.verdict == Verdict::wrong);
    CHECK(result.order == 1);
    CHECK(result.input == "pixels");
    CHECK(result.input_index == Shape{1, 2});
    CHECK(result.output_index == Shape{1, 2});
    const double expected = 2 * x.to_vector()[static_cast<std::size_t>(shape[1] + 2)];
    CHECK(result.numeric == doctest::Approx(expected).epsilon(1e-8));
    CHECK(result.analytic == doctest::Approx(1.01 * expected).epsilon(1e-12));
    CHECK(to_string(result).find("pixels(1, 2)") != std::string::npos);
  }
}

TEST_CASE("trap: a gradient that is right in the mean only") {
  const OpPtr op = planted(squared, [](const Tensor& g, const Tensor& x) {
    const double n = static_cast<double>(x.numel());
    return expand(reshape(sum(g * x) * (2.0 / n), {1}), x.shape());
  });
  for (const std::int64_t n : {5, 500}) CHECK(gradcheck(function(op), {normal({n})}).verdict == Verdict::wrong);
}

TEST_CASE("trap: NaN, forward and backward") {
  const OpPtr bad_vjp = planted(squared, [](const Tensor& g, const Tensor& x) { return g * x * std::nan(""); });
  const GradcheckResult backward = gradcheck(function(bad_vjp), {normal({4})});
  CHECK(backward.verdict == Verdict::wrong);
  CHECK(std::isnan(backward.analytic));
  const OpPtr bad_forward = planted([](double v) { return std::sqrt(v); }, [](const Tensor& g, const Tensor&) { return g; });
  CHECK(gradcheck(function(bad_forward), {full({4}, -1, {.dtype = f64})}).verdict == Verdict::wrong);
}

TEST_CASE("trap: a gradient of the wrong size") {
  const OpPtr op = planted(squared, [](const Tensor& g, const Tensor& x) { return sum(g * x); });
  CHECK_THROWS_WITH_AS(gradcheck(function(op), {normal({4})}), doctest::Contains("[planted]"), AutogradError);
}

TEST_CASE("trap: a zero gradient under a small loss") {
  const OpPtr op = planted(squared, [](const Tensor& g, const Tensor&) { return g * 0.0; });
  for (const double scale : {1.0, 1e-7, 1e-12})
    CHECK(gradcheck([&](const Tensor& x) { return sum(apply1(op, {x})) * scale; }, {normal({6})}).verdict == Verdict::wrong);
  CHECK(gradcheck([](const Tensor& x) { return sum(x * x) * 1e-7; }, {normal({6})}));
}

TEST_CASE("trap: a random op") {
  Generator generator(3);
  const auto noisy = [&](const Tensor& x) { return x * randn(x.shape(), {.dtype = f64}, generator); };
  CHECK(gradcheck(noisy, {normal({4})}).verdict == Verdict::nondeterministic);
  const OpPtr op = planted(squared, [&](const Tensor& g, const Tensor& x) {
    return g * x * (2 + 1e-9 * generator.normal());
  });
  CHECK(gradcheck(function(op), {normal({4})}).verdict == Verdict::nondeterministic);
}

TEST_CASE("trap: a vjp that forgets one of two uses") {
  OpDef forgetful = *planted(squared, nullptr);
  forgetful.vjp = [](const Vjp& v) -> Tensors { return {v.cotangent() * v.input(0)}; };  // x * x is used twice
  const OpPtr op = std::make_shared<const OpDef>(forgetful);
  const GradcheckResult result = gradcheck(function(op), {normal({4})});
  CHECK(result.verdict == Verdict::wrong);
  CHECK(result.analytic == doctest::Approx(result.numeric / 2));
}

TEST_CASE("trap: a wrong second order behind a right first") {
  const OpPtr detached = planted(squared, [](const Tensor& g, const Tensor& x) { return g * x.detach() * 2.0; });
  for (const std::int64_t n : {3, 300}) {
    CHECK(gradcheck(function(detached), {normal({n})}));
    const GradcheckResult result = gradcheck(function(detached), {normal({n})}, {.order = 2});
    CHECK(result.verdict == Verdict::wrong);
    CHECK(result.order == 2);
    CHECK(result.input == "input 0");
    CHECK(result.output == "gradient by input 0");
  }
}

TEST_CASE("kinks are told from wrong gradients") {
  const auto relu = [](double v) { return v > 0 ? v : 0; };
  const auto step = [](const Tensor& g, const Tensor& x) {
    Tensor mask = zeros_like(x);
    for (std::int64_t i = 0; i < x.numel(); ++i) mask.mutable_data<double>()[i] = raw::data<double>(x)[i] > 0;
    return g * mask;
  };
  const OpPtr op = planted(relu, step);
  CHECK(gradcheck(function(op), {full({3}, 0, {.dtype = f64})}).verdict == Verdict::kink);
  CHECK(gradcheck(function(op), {normal({3})}));
  // So close to the kink that only a smaller step stays on one side.
  CHECK(gradcheck(function(op), {full({3}, 5e-7, {.dtype = f64})}));
  // A gradient outside of what the two sides allow is wrong at a kink too.
  const OpPtr wrong = planted(relu, [](const Tensor& g, const Tensor&) { return g * 3.0; });
  CHECK(gradcheck(function(wrong), {full({3}, 0, {.dtype = f64})}).verdict == Verdict::wrong);
}

TEST_CASE("truncation and round-off are not taken for a wrong gradient") {
  const OpPtr wiggly = planted([](double v) { return std::sin(2000 * v); }, [](const Tensor& g, const Tensor& x) {
    Tensor slope = zeros_like(x);
    for (std::int64_t i = 0; i < x.numel(); ++i) slope.mutable_data<double>()[i] = 2000 * std::cos(2000 * raw::data<double>(x)[i]);
    return g * slope;
  });
  CHECK(gradcheck(function(wiggly), {normal({3})}));
  const auto drowned = [](const Tensor& x) { return sum(x * 1e-6) + 1e9; };
  CHECK(gradcheck(drowned, {normal({3})}).verdict == Verdict::round_off);
  CHECK(gradcheck([](const Tensor& x) { return sum(x * x) + 1e4; }, {normal({3})}));
}

TEST_CASE("linear inputs are held to twelve digits") {
  const OpPtr almost = planted([](double v) { return v; }, [](const Tensor& g, const Tensor&) { return g * (1 + 1e-9); });
  CHECK(gradcheck(function(almost), {normal({4})}));
  // The error that is told is relative to the Jacobian.
  for (const double scale : {1e-3, 1e3})
    CHECK(gradcheck([&](const Tensor& x) { return apply1(almost, {x}) * scale; }, {normal({4})}).error * 1e9 ==
          doctest::Approx(1).epsilon(0.1));
  CHECK(gradcheck(function(almost), {normal({4})}, {.linear = {0}}).verdict == Verdict::wrong);
  const GradcheckResult bent = gradcheck([](const Tensor& x) { return x * x; }, {normal({4})}, {.linear = {0}});
  CHECK(bent.verdict == Verdict::ok);  // central differences of a square are exact at any step
  const GradcheckResult cubic = gradcheck([](const Tensor& x) { return x * x * x; }, {normal({4})}, {.linear = {0}});
  CHECK(cubic.verdict == Verdict::wrong);
  CHECK(cubic.hint.find("not linear") != std::string::npos);
}

TEST_CASE("f32 and shared memory are refused unless asked for") {
  Generator generator(1);
  const Tensor x32 = randn({4}, {}, generator);
  CHECK_THROWS_WITH_AS(gradcheck(mul, {x32, x32}), doctest::Contains("f32"), DtypeError);
  CHECK(gradcheck([](const Tensor& x) { return x * x; }, {x32}, {.allow_float32 = true}));
  const OpPtr wrong = planted(squared, [](const Tensor& g, const Tensor& x) { return g * x * 2.2; });
  CHECK(gradcheck(function(wrong), {x32}, {.allow_float32 = true}).verdict == Verdict::wrong);
  const Tensor x = normal({4});
  CHECK_THROWS_WITH_AS(gradcheck(mul, {x, x}), doctest::Contains("share memory"), ValueError);
  CHECK_THROWS_WITH_AS(gradcheck(neg, {expand(reshape(x, {1, 4}), {3, 4})}), doctest::Contains("share memory"), ValueError);
  CHECK(gradcheck(mul, {x, x}, {.allow_overlap = true}));
  CHECK_THROWS_AS(gradcheck(neg, {full({2}, 1, {.dtype = i64})}), ValueError);
  CHECK_THROWS_AS(gradcheck(neg, {x}, {.linear = {1}}), ValueError);
  CHECK_THROWS_AS(gradcheck(neg, {x}, {.order = 0}), ValueError);
  CHECK_THROWS_AS(gradcheck(neg, {x}, {.by = {2}}), ValueError);
}

TEST_CASE("gradcheck leaves inputs, grad() and the random state alone") {
  Tensor x = normal({4}).set_requires_grad();
  manual_seed(7);
  const std::uint64_t before = default_generator().position();
  const std::vector<double> values = x.to_vector();
  CHECK(gradcheck([](const Tensor& t) { return t * t; }, {x}, {.order = 2}));
  CHECK(x.to_vector() == values);
  CHECK(!x.grad().defined());
  CHECK(default_generator().position() == before);
  CHECK(gradcheck([](const Tensor& t) { return t * t; }, {normal({0, 3})}, {.order = 2}));
}

TEST_CASE("taylor_test: slopes of right and wrong derivatives") {
  const auto cubic = [](const Tensor& x) { return x * x * x; };
  const Tensor x = normal({5}), d = normal({5}, 2);
  const TaylorResult first = taylor_test(cubic, x, d);
  CHECK(first);
  CHECK(first.slope == doctest::Approx(2).epsilon(0.05));
  CHECK(taylor_test(cubic, x, d, {.order = 0}).slope == doctest::Approx(1).epsilon(0.1));
  CHECK(taylor_test(cubic, x, d, {.order = 2}).slope == doctest::Approx(3).epsilon(0.05));
  CHECK(std::isinf(taylor_test(cubic, x, d, {.order = 3}).slope));
  const OpPtr wrong = planted(squared, [](const Tensor& g, const Tensor& v) { return g * v * 2.1; });
  const TaylorResult bad = taylor_test(function(wrong), x, d);
  CHECK(!bad);
  CHECK(bad.slope < 1.3);
  CHECK(to_string(bad).find("slope") != std::string::npos);
  CHECK_THROWS_AS(taylor_test(cubic, x, normal({4})), ShapeError);
}
