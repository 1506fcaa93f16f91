// Anomaly mode, the drawn tape, the profiler.
#include <doctest/doctest.h>

#include <cmath>
#include <cstdio>

#include <nlohmann/json.hpp>

#include <duet/autograd/anomaly.hpp>
#include <duet/autograd/backward.hpp>
#include <duet/autograd/custom.hpp>
#include <duet/autograd/draw.hpp>
#include <duet/autograd/hooks.hpp>
#include <duet/autograd/profiler.hpp>
#include <duet/core/factory.hpp>
#include <duet/core/raw.hpp>
#include <duet/core/scope.hpp>
#include <duet/ops/elementwise.hpp>
#include <duet/ops/reduce.hpp>

#include "support.hpp"

using namespace duet;

namespace {

/// A module path for the length of a scope.
struct In {
  std::string path;
  ScopeGuard guard;
  explicit In(std::string name)
      : path(std::move(name)), guard(this, [](const void* self) { return static_cast<const In*>(self)->path; }) {}
};

/// A square root whose derivative at 0 is infinite.
Tensor root(const Tensor& x) {
  return custom("root", {x},
                [](FunctionContext& c, const Tensors& in) {
                  Tensor y = raw::clone(in[0]);
                  for (std::int64_t i = 0; i < y.numel(); ++i) raw::data<double>(y)[i] = std::sqrt(raw::data<double>(y)[i]);
                  c.save({in[0], y});
                  return y;
                },
                [](FunctionContext& c, const Tensors& g) {
                  Tensor slope = raw::clone(c.saved()[1]);
                  for (std::int64_t i = 0; i < slope.numel(); ++i) raw::data<double>(slope)[i] = 0.5 / raw::data<double>(slope)[i];
                  return g[0] * slope;
                })[0];
}

std::string message(const auto& body) {
  try {
    body();
  } catch (const AutogradError& error) {
    return error.what();
  }
  return "nothing was thrown";
}

bool has(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

}  // namespace

TEST_CASE("anomaly mode names the first forward NaN: op, ranges, module, number") {
  const Tensor x = Tensor::from_span(std::span<const double>(std::vector<double>{4, -1, 9}), {3}).set_requires_grad();
  CHECK_NOTHROW(root(x));
  const AnomalyMode anomaly;
  const Tensor y = x * 2.0;
  const std::string text = message([&] {
    const In module("decoder.up.0");
    root(y);
  });
  CAPTURE(text);
  CHECK(has(text, "[root] forward made NaN in output 0 (3,) f64, first at (1,)"));
  CHECK(has(text, "input 0: (3,) f64 in [-2, 18]"));
  CHECK(has(text, "op 2 on the tape, in module 'decoder.up.0'"));
  CHECK(has(text, "recorded at"));
  CHECK_NOTHROW(x * 2.0);  // it goes on watching
  const std::string both = message([&] { (x - x) / (x * 0.0); });
  CAPTURE(both);
  CHECK(has(both, "[div] forward made NaN"));
  CHECK(has(both, "\n  a: (3,) f64 in [0, 0]"));
  CHECK(has(both, "\n  b: (3,) f64 in [0, 0]"));
  const std::string apart = message([&] { (x - x) / (x - 4.0); });
  CAPTURE(apart);
  CHECK(has(apart, "\n  a: (3,) f64 in [0, 0]\n  b: (3,) f64 in [-5, 5]"));
}

TEST_CASE("anomaly mode names the first bad vjp, with where its op was recorded") {
  const Tensor x = Tensor::from_span(std::span<const double>(std::vector<double>{4, 0}), {2}).set_requires_grad();
  const AnomalyMode anomaly;
  Tensor y;
  {
    const In module("norm");
    y = root(x);
  }
  const Tensor loss = sum(y * 3.0);
  const std::string text = message([&] { loss.backward(); });
  CAPTURE(text);
  CHECK(has(text, "[root] backward made an infinity in the gradient by input 0 (2,) f64, first at (1,)"));
  CHECK(has(text, "input 0: (2,) f64 in [0, 4]"));
  CHECK(has(text, "cotangent 0: (2,) f64 in [3, 3]"));
  CHECK(has(text, "inside, mul made"));
  CHECK(has(text, "op 1 on the tape, in module 'norm'"));
  CHECK(has(text, "duet_test_autograd"));  // a frame of this program
  CHECK(!x.grad().defined());
  const AnomalyMode nan_only({.infinities = false});
  const Tensor hooked = x * 2.0;
  register_hook(hooked, [](const Tensor& g) { return full_like(g, std::nan("")); });
  const Tensor second = sum(hooked);
  CHECK(has(message([&] { second.backward(); }), "backward was given NaN"));
}

TEST_CASE("anomaly mode without infinities, without stacks, and on tapes made before it") {
  const Tensor x = Tensor::from_span(std::span<const double>(std::vector<double>{4, 0}), {2}).set_requires_grad();
  const Tensor before = sum(root(x));
  {
    const AnomalyMode anomaly({.infinities = false, .stacks = false});
    CHECK_NOTHROW(sum(root(x)).backward());
    CHECK(!has(message([&] { root(-x); }), "recorded at"));
  }
  const AnomalyMode anomaly;
  CHECK(has(message([&] { before.backward(); }), "recorded before anomaly mode began"));
}

TEST_CASE("the tape as table, dot and Mermaid") {
  const Tensor w = ones({2, 3}, {.requires_grad = true}), x = ones({2, 3}, {.requires_grad = true});
  Tensor loss;
  {
    const ScopeRecorder scopes;
    const In module("head");
    loss = sum(x * w);
  }
  loss = -loss;
  const DrawOptions names{.names = {{"head.weight", w}}};
  const std::vector<TapeRow> rows = tape_rows({loss}, names);
  REQUIRE(rows.size() == 3);
  CHECK(rows[0].op == "mul");
  CHECK(rows[0].module == "head");
  CHECK(rows[0].bytes_saved == 48);
  CHECK(rows[0].sources == std::vector<std::string>{"leaf 1", "head.weight"});
  CHECK(rows[1].sources[0] == "#1");
  CHECK(rows[1].options == "dim=(), keepdim=false");
  CHECK(rows[2].bytes_saved == 0);
  const std::string table = to_table({loss}, names);
  CAPTURE(table);
  CHECK(has(table, "1     mul  leaf 1, head.weight  (2, 3)  48 B   head"));
  CHECK(has(table, "3 ops, 48 B kept for backward"));
  const std::string dot = to_dot({loss}, names);
  CAPTURE(dot);
  CHECK(has(dot, "o1 [label = \"mul\\n(2, 3)\\nkeeps 48 B\"];"));
  CHECK(has(dot, "label = \"head\""));
  CHECK(has(dot, "l1 -> o1;"));
  CHECK(has(dot, "l2 -> o1;"));
  CHECK(has(dot, "o1 -> o2;"));
  CHECK(!has(to_dot({loss}, {.leaves = false}), "l1"));
  const std::string mermaid = to_mermaid({loss}, names);
  CAPTURE(mermaid);
  CHECK(has(mermaid, "subgraph m1 [\"head\"]"));
  CHECK(has(mermaid, "o1[\"mul<br>(2, 3)<br>keeps 48 B\"]"));
  CHECK(has(mermaid, "o2 --> o3"));
  CHECK(tape_rows({ones({2})}).empty());
}

TEST_CASE("the profiler counts calls, bytes and modules, and writes a trace") {
  const Tensor x = leaf({1000}, 1, f32), w = leaf({1000}, 2, f32);
  Profiler profiler;
  {
    const In module("block");
    sum(x * w * w).backward();
  }
  profiler.stop();
  sum(x * w);
  const std::vector<ProfileRow> ops = profiler.by_op();
  const auto find = [](const std::vector<ProfileRow>& rows, const std::string& name) {
    for (const ProfileRow& row : rows)
      if (row.name == name) return row;
    return ProfileRow{};
  };
  const ProfileRow mul = find(ops, "mul"), total = find(ops, "sum");
  CHECK(mul.forward_calls == 2);
  CHECK(mul.backward_calls == 2);
  CHECK(mul.forward_bytes == 8000);
  CHECK(mul.backward_bytes == 16000);
  CHECK(mul.forward_ms > 0);
  CHECK(mul.backward_ms > 0);
  CHECK(total.forward_calls == 1);
  const ProfileRow block = find(profiler.by_module(), "block");
  CHECK(block.forward_calls >= 3);
  CHECK(block.backward_calls == 3);
  CHECK(has(profiler.table(), "block"));
  const auto trace = nlohmann::json::parse(profiler.chrome_trace());
  int backward = 0, inside = 0;
  for (const auto& event : trace["traceEvents"]) {
    backward += event["cat"] == "backward";
    inside += event["cat"] == "inside";
    CHECK(event["dur"].get<double>() >= 0);
  }
  CHECK(backward == 3);
  CHECK(inside >= 4);
  CHECK_THROWS_AS(profiler.write_chrome_trace("/nonexistent/trace.json"), IoError);
}
