// Custom functions: as a struct, as lambdas, to second order, and what they may not do.
#include <doctest/doctest.h>

#include <cmath>

#include <duet/autograd/backward.hpp>
#include <duet/autograd/custom.hpp>
#include <duet/autograd/gradcheck.hpp>
#include <duet/core/allocator.hpp>
#include <duet/core/factory.hpp>
#include <duet/core/node.hpp>
#include <duet/core/raw.hpp>
#include <duet/ops/elementwise.hpp>
#include <duet/ops/reduce.hpp>
#include <duet/ops/shape.hpp>

#include "support.hpp"

using namespace duet;

namespace {

/// scale · x · x · w, saving inputs, its output and a constant.
struct Cubic {
  static constexpr const char* name = "cubic";
  double scale = 1;
  Tensor forward(FunctionContext& context, const Tensors& in) {
    const Tensor y = in[0] * in[0] * in[1] * scale;
    context.save({in[0], in[1], y, full({}, scale, {.dtype = f64})});
    return y;
  }
  Tensors backward(FunctionContext& context, const Tensors& g) {
    const Tensors& s = context.saved();
    return {context.needs(0) ? g[0] * s[0] * s[1] * s[3] * 2.0 : Tensor(),
            context.needs(1) ? g[0] * s[0] * s[0] * s[3] : Tensor()};
  }
};

/// exp, whose derivative is its output.
Tensor own_exp(const Tensor& x) {
  return custom(
      "own_exp", {x},
      [](FunctionContext& context, const Tensors& in) {
        Tensor y = raw::clone(in[0]);
        for (std::int64_t i = 0; i < y.numel(); ++i) raw::data<double>(y)[i] = std::exp(raw::data<double>(y)[i]);
        context.save({y});
        return y;
      },
      [](FunctionContext& context, const Tensors& g) { return g[0] * context.saved()[0]; })[0];
}

}  // namespace

TEST_CASE("a custom function written in ops is right to third order") {
  const auto cubic = [](const Tensor& x, const Tensor& w) { return custom(Cubic{1.5}, {x, w})[0]; };
  const GradcheckResult result = gradcheck(cubic, {normal({4}), normal({4}, 2)}, {.order = 3, .linear = {1}});
  CAPTURE(to_string(result));
  CHECK(result);
  CHECK(gradcheck(own_exp, {normal({4})}, {.order = 3}));
  const Tensor x = leaf({4}), y = custom(Cubic{2}, {x, normal({4}, 2)})[0];
  CHECK(gradient_edge(y).node->name() == std::string("cubic"));
}

TEST_CASE("several outputs: cotangents that nothing reached are zeros") {
  const auto both = [](const Tensor& x) {
    return custom(
        "both", {x}, [](FunctionContext& c, const Tensors& in) { c.save(in); return Tensors{in[0] * 2.0, in[0] * in[0]}; },
        [](FunctionContext& c, const Tensors& g) { return g[0] * 2.0 + g[1] * c.saved()[0] * 2.0; });
  };
  CHECK(gradcheck([&](const Tensor& x) { return both(x)[1]; }, {normal({3})}, {.order = 2}));
  CHECK(gradcheck(both, {normal({3})}, {.order = 2}));
}

TEST_CASE("custom functions refuse wrong counts, shapes and an untracked second order") {
  const Tensor x = leaf({3}), w = leaf({3}, 2);
  const auto with = [&](auto backward) {
    return custom("mine", {x, w}, [](FunctionContext&, const Tensors& in) { return in[0] * in[1]; }, backward)[0];
  };
  CHECK_THROWS_WITH_AS(sum(with([](FunctionContext&, const Tensors& g) { return g[0]; })).backward(),
                       doctest::Contains("[mine] its vjp returned 1 gradients for 2 inputs"), AutogradError);
  CHECK_THROWS_WITH_AS(sum(with([](FunctionContext&, const Tensors& g) { return Tensors{sum(g[0]), g[0]}; })).backward(),
                       doctest::Contains("for input 0"), AutogradError);
  CHECK_THROWS_WITH_AS(sum(with([](FunctionContext&, const Tensors& g) { return Tensors{g[0], sum(g[0])}; })).backward(),
                       doctest::Contains("for input 1"), AutogradError);
  CHECK_THROWS_WITH_AS(sum(with([](FunctionContext&, const Tensors& g) { return Tensors{g[0], to(g[0], f32)}; })).backward(),
                       doctest::Contains("(3,) f32 for input 1"), AutogradError);
  CHECK(!x.grad().defined());
  CHECK(!w.grad().defined());
  const Tensor y = with([](FunctionContext&, const Tensors& g) { return Tensors{raw::clone(g[0]), g[0]}; });
  const Tensor cotangent = leaf({3}, 3);
  CHECK_THROWS_WITH_AS(grad({y}, {x}, {.create_graph = true, .cotangents = {cotangent}}), doctest::Contains("off the tape"), AutogradError);
  CHECK_NOTHROW(grad({with([](FunctionContext&, const Tensors& g) { return Tensors{raw::clone(g[0]), g[0]}; })}, {x},
                     {.cotangents = {normal({3})}}));
}

TEST_CASE("what a custom function saved is version-checked and freed by backward") {
  Tensor x = leaf({3}), w = normal({3}, 2);
  const Tensor y = custom(Cubic{}, {x, w})[0];
  w.mutable_data<double>()[0] = 5;
  CHECK_THROWS_WITH_AS(sum(y).backward(), doctest::Contains("[cubic] input 1"), AutogradError);
  const std::int64_t before = memory_stats().live_blocks;
  {
    const Tensor z = custom("keep", {x}, [](FunctionContext& c, const Tensors& in) { c.save({zeros({100})}); return in[0] * 1.0; },
                            [](FunctionContext& c, const Tensors& g) { CHECK(c.saved()[0].numel() == 100); return g[0]; })[0];
    CHECK(memory_stats().live_blocks == before + 2);
    const Tensor cotangent = ones({3}, {.dtype = f64});
    z.backward(cotangent);
    CHECK(memory_stats().live_blocks == before + 3);  // z, cotangent, grad
  }
}
