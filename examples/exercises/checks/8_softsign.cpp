// Exercise 8: the test.
#include "8_softsign.hpp"

#include "check.hpp"

void run() {
  using namespace duet;
  OpDef op;
  op.name = "softsign";
  op.doc = "x / (1 + |x|).";
  op.inputs = {"x"};
  op.shape_rule = [](const ShapeCall& call) -> Specs { return {call[0]}; };
  op.forward = [](const Call& call) -> Tensors {
    const NoGradGuard no_grad;
    return {call[0] / (1 + abs(call[0]))};
  };
  op.vjp = [](const Vjp& v) -> Tensors { return {softsign_vjp(v)}; };
  op.saves = {save_input(0)};
  op.samples = []() -> std::vector<Sample> {
    Generator generator(1);
    return {{.name = "row", .inputs = {randn({17}, {.dtype = f64}, generator)}, .order = 3}};
  };
  const SweepReport report = sweep(op);
  check(to_string(report), bool(report));
}
