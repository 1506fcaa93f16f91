// An op of one's own: its contract written once, and the sweep that holds it to it. Then the same op with a mistake.
#include <cmath>
#include <cstdio>

#include <duet/core/raw.hpp>
#include <duet/duet.hpp>

using namespace duet;

struct BumpOptions {
  double width = 1;
  void fields(FieldVisitor& visitor) { visitor.field("width", width); }
};

Tensor bump(const OpPtr& op, const Tensor& x, const BumpOptions& options) { return apply1(op, {x}, options); }

/// exp(-(x / width)^2). With `mistake` its derivative forgets that the width stands squared.
OpPtr make_bump(bool mistake) {
  OpDef op;
  op.name = mistake ? "bump_with_a_mistake" : "bump";
  op.doc = "A bump of a given width, element by element.";
  op.formula = "exp(-(x / width)^2)";
  op.inputs = {"x"};
  op.options = &options_type<BumpOptions>();
  op.shape_rule = [](const ShapeCall& call) -> Specs { return {call[0]}; };  // the output's shape and dtype
  op.forward = [](const Call& call) -> Tensors {
    const Tensor x = raw::contiguous(call[0]), y = call.empty();
    const double width = call.opt<BumpOptions>().width;
    raw::dispatch_floating(call.name(), y.dtype(), [&](auto zero) {
      using T = decltype(zero);
      for (std::int64_t i = 0; i < y.numel(); ++i) {
        const T v = raw::data<T>(x)[i] / static_cast<T>(width);
        raw::data<T>(y)[i] = std::exp(-v * v);
      }
    });
    return {y};
  };
  // The derivative is written in public ops, so it can be differentiated again: nothing else is needed for any order.
  op.vjp = [mistake](const Vjp& v) -> Tensors {
    const double width = v.opt<BumpOptions>().width;
    return {v.cotangent() * v.output() * v.input(0) * (-2 / (mistake ? width : width * width))};
  };
  op.saves = {save_input(0), save_output(0)};
  op.samples = []() -> std::vector<Sample> {
    Generator generator(1);
    const Tensor row = randn({33}, {.dtype = f64}, generator), images = randn({2, 3, 17}, {.dtype = f64}, generator);
    return {{.name = "width 1", .inputs = {row}, .options = BumpOptions{}, .order = 3},
            {.name = "width 3", .inputs = {images}, .options = BumpOptions{.width = 3}}};
  };
  return std::make_shared<const OpDef>(op);
}

int main() {
  const OpPtr right = make_bump(false), wrong = make_bump(true);
  std::printf("%s\n", to_string(sweep(right)).c_str());
  // The sample of width 1 cannot see this mistake: 1 squared is 1. That is why samples leave no option at its default.
  const SweepReport report = sweep(wrong);
  std::printf("%s: %zu checks failed\n", report.op.c_str(), report.failures.size());
  for (const SweepFailure& failure : report.failures)
    std::printf("  sample '%s', check %s\n", failure.sample.c_str(), failure.check.c_str());
  std::printf("the first of them in full:\n%s\n", report.failures.at(0).message.c_str());

  // And it is an op like any other: recorded, differentiable, drawn.
  Tensor x = Tensor::scalar(0.5, {.dtype = f64, .requires_grad = true});
  bump(right, x, {.width = 2}).backward();
  std::printf("d bump / dx at 0.5, width 2: %.6f\n", x.grad().item());
}
