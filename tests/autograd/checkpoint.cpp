// Checkpointing: same gradients to the bit, less memory, honest about functions that do not repeat.
#include <doctest/doctest.h>

#include <duet/autograd/backward.hpp>
#include <duet/autograd/checkpoint.hpp>
#include <duet/autograd/gradcheck.hpp>
#include <duet/core/allocator.hpp>
#include <duet/core/factory.hpp>
#include <duet/core/tape.hpp>
#include <duet/ops/elementwise.hpp>
#include <duet/ops/reduce.hpp>

#include "support.hpp"

using namespace duet;

namespace {

/// A block with a parameter and noise: two inputs, two outputs.
Tensors block(const Tensor& x, const Tensor& y, const Tensor& weight) {
  const Tensor noise = rand(x.shape(), {.dtype = x.dtype()});
  const Tensor h = x * weight * noise + y * y;
  return {h * h * x, y * h};
}

}  // namespace

TEST_CASE("checkpointed gradients are the same to the bit, by inputs and captured parameters") {
  const Tensor x = leaf({5}), y = leaf({5}, 2), weight = leaf({5}, 3);
  const auto run = [&](bool checkpointed) {
    manual_seed(11);
    Tensors t{x * 2.0, y};
    for (int i = 0; i < 3; ++i) {
      const auto body = [&](const Tensor& a, const Tensor& b) { return block(a, b, weight); };
      t = checkpointed ? checkpoint(body, t) : body(t[0], t[1]);
    }
    const double next = default_generator().uniform();
    const Tensors g = grad({sum(t[0] + t[1])}, {x, y, weight}, {.create_graph = true});
    CHECK(default_generator().uniform() != next);
    const Tensors gg = grad({sum(g[0] * g[1] * g[2])}, {x, y, weight});
    std::vector<std::vector<double>> values{{next, default_generator().uniform()}};
    for (const Tensor& one : g) values.push_back(one.to_vector());
    for (const Tensor& one : gg) values.push_back(one.to_vector());
    return values;
  };
  CHECK(run(true) == run(false));
}

TEST_CASE("checkpointing passes gradcheck to second order") {
  const auto body = [](const Tensor& a, const Tensor& b) { return Tensors{a * b * a, a * b}; };
  CHECK(gradcheck([&](const Tensors& in) { return checkpoint(body, in); }, {normal({4}), normal({4}, 2)}, {.order = 2}));
}

TEST_CASE("the peak of memory falls") {
  constexpr int blocks = 8, ops = 8;
  constexpr std::int64_t n = 1 << 16;
  const Tensor x = leaf({n}, 1, f32), weight = leaf({n}, 2, f32);
  const auto run = [&](bool checkpointed) {
    const auto body = [&](Tensor h) {
      for (int i = 0; i < ops; ++i) h = h * weight;
      return h;
    };
    reset_peak_memory();
    const std::int64_t before = memory_stats().in_use;
    Tensor h = x;
    for (int i = 0; i < blocks; ++i) h = checkpointed ? checkpoint(body, h) : body(h);
    const std::int64_t kept = memory_stats().in_use - before;
    sum(h).backward();
    return std::pair{kept, memory_stats().peak_in_use - before};
  };
  const auto [kept, peak] = run(false);
  const auto [kept_checkpointed, peak_checkpointed] = run(true);
  const std::int64_t bytes = n * 4;
  CHECK(kept >= blocks * ops * bytes);
  CHECK(kept_checkpointed <= (blocks + 2) * bytes);
  CHECK(peak_checkpointed < peak / 2);
}

TEST_CASE("nested checkpoints, several backwards, no backward") {
  const Tensor x = leaf({4}), w = leaf({4}, 2);
  const auto inner = [&](const Tensor& a) { return a * w * a; };
  const auto outer = [&](const Tensor& a) { return checkpoint(inner, a * w) * a; };
  const std::vector<double> expected = grad({sum(inner(x * w) * x)}, {x})[0].to_vector();
  const Tensor y = sum(checkpoint(outer, x));
  CHECK(grad({y}, {x}, {.retain_graph = true})[0].to_vector() == expected);
  CHECK(grad({y}, {x})[0].to_vector() == expected);
  CHECK_THROWS_AS(grad({y}, {x}), AutogradError);
  const NoGradGuard no_grad;
  CHECK(!checkpoint(outer, x).requires_grad());
}

TEST_CASE("what is not repeated is found") {
  int calls = 0;
  bool seen_recomputing = false;
  const Tensor x = leaf({4});
  const auto fickle = [&](const Tensor& a) {
    seen_recomputing = seen_recomputing || is_recomputing();
    return ++calls == 1 ? (a * a) * (a * a) : a * a;
  };
  const Tensor y = sum(checkpoint(fickle, x));
  CHECK_THROWS_WITH_AS(y.backward(), doctest::Contains("[checkpoint] the function saved"), AutogradError);
  CHECK(seen_recomputing);
  CHECK(!is_recomputing());
  CHECK(!x.grad().defined());
  Tensor c = normal({4}, 5);
  const Tensor z = sum(checkpoint([](const Tensor& a, const Tensor& b) { return a * b * a; }, {x, c})[0]);
  c.mutable_data<double>()[0] = 2;
  CHECK_THROWS_WITH_AS(z.backward(), doctest::Contains("changed in place"), AutogradError);
}

TEST_CASE("a long chain of checkpoints dies without recursion") {
  const Tensor x = ones({1}, {.requires_grad = true});
  const auto body = [](const Tensor& a) { return (a * a) * a; };
  Tensor y = x;
  for (int i = 0; i < 100000; ++i) y = checkpoint(body, y);
  CHECK(y.item() == 1);
}
