// An op is one OpDef: shape rule, values, derivative in public ops, samples. Everything else (recording, every order
// of derivative, the tests) follows from it.
//
// The environment variable OWN_OP_BUG plants a fault, to show that the tests made from the samples find it:
//   factor   bell's gradient is off by a tenth of a percent
//   detach   bell's gradient is right, its second derivative is not
//   forward  running_sum's gradient runs in the direction of the values, not against it
#include "own_ops.hpp"

#include <cmath>
#include <cstdlib>
#include <string_view>

#include <duet/core/random.hpp>
#include <duet/core/raw.hpp>
#include <duet/ops/elementwise.hpp>

using namespace duet;

namespace {

bool planted(std::string_view bug) {
  const char* chosen = std::getenv("OWN_OP_BUG");
  return chosen != nullptr && bug == chosen;
}

Tensors bell_forward(const Call& call) {
  const Tensor x = raw::contiguous(call[0]), y = call.empty();
  raw::dispatch_floating(call.name(), y.dtype(), [&](auto zero) {
    using T = decltype(zero);
    for (std::int64_t i = 0; i < y.numel(); ++i) {
      const T v = raw::data<T>(x)[i];
      raw::data<T>(y)[i] = std::exp(-v * v / 2);
    }
  });
  return {y};
}

// d/dx exp(-x² / 2) = -x y. Written in ops, so it can be differentiated again.
Tensors bell_vjp(const Vjp& v) {
  const Tensor x = planted("detach") ? v.input(0).detach() : v.input(0);
  const Tensor gradient = v.cotangent() * -(x * v.output());
  return {planted("factor") ? gradient * 1.001 : gradient};
}

Tensors running_sum_forward(const Call& call) {
  const Tensor x = raw::contiguous(call[0]), y = call.empty();
  const std::int64_t length = y.size(-1);
  const bool reverse = call.opt<RunningSumOptions>().reverse;
  raw::dispatch_floating(call.name(), y.dtype(), [&](auto zero) {
    using T = decltype(zero);
    for (std::int64_t row = 0; row * length < y.numel(); ++row) {
      T total = 0;
      for (std::int64_t k = 0; k < length; ++k) {
        const std::int64_t i = row * length + (reverse ? length - 1 - k : k);
        raw::data<T>(y)[i] = total += raw::data<T>(x)[i];
      }
    }
  });
  return {y};
}

// The op is linear, and its adjoint is itself in the other direction: nothing needs to be saved.
Tensors running_sum_vjp(const Vjp& v) {
  const bool reverse = v.opt<RunningSumOptions>().reverse;
  return {running_sum(v.cotangent(), {.reverse = planted("forward") ? reverse : !reverse})};
}

Tensor normal(const Shape& shape, std::uint64_t seed) {
  Generator generator(seed);
  return randn(shape, {.dtype = f64}, generator);
}

}  // namespace

const OpPtr& bell_op() {
  static const OpPtr op = std::make_shared<const OpDef>(OpDef{
      .name = "bell",
      .doc = "The bell curve, element by element.",
      .formula = "exp(-x^2 / 2)",
      .inputs = {"x"},
      .shape_rule = [](const ShapeCall& call) -> Specs { return {call[0]}; },
      .forward = bell_forward,
      .vjp = bell_vjp,
      .saves = {save_input(0), save_output(0)},
      .samples = []() -> std::vector<Sample> {
        return {{.name = "row", .inputs = {normal({33}, 1)}, .order = 3},
                {.name = "images", .inputs = {normal({2, 3, 17}, 2)}}};
      },
  });
  return op;
}

const OpPtr& running_sum_op() {
  static const OpPtr op = std::make_shared<const OpDef>(OpDef{
      .name = "running_sum",
      .doc = "The running sum along the last dimension.",
      .formula = "y_i = x_0 + ... + x_i",
      .inputs = {"x"},
      .options = &options_type<RunningSumOptions>(),
      .shape_rule = [](const ShapeCall& call) -> Specs {
        if (call[0].shape.empty()) throw ShapeError("[running_sum] needs at least one dimension, got a scalar");
        return {call[0]};
      },
      .forward = running_sum_forward,
      .vjp = running_sum_vjp,
      .linear = {0},
      .dual = "running_sum",
      .samples = []() -> std::vector<Sample> {
        return {{.name = "row", .inputs = {normal({17}, 1)}, .options = RunningSumOptions{}},
                {.name = "back", .inputs = {normal({2, 3, 33}, 2)}, .options = RunningSumOptions{.reverse = true}}};
      },
  });
  return op;
}

Tensor bell(const Tensor& x) { return apply1(bell_op(), {x}); }
Tensor running_sum(const Tensor& x, const RunningSumOptions& options) { return apply1(running_sum_op(), {x}, options); }
