// Hooks, retained gradients, and that a backward which fails leaves every grad() alone.
#include <doctest/doctest.h>

#include <duet/autograd/backward.hpp>
#include <duet/autograd/hooks.hpp>
#include <duet/core/factory.hpp>
#include <duet/core/fail.hpp>
#include <duet/ops/elementwise.hpp>
#include <duet/ops/reduce.hpp>

#include "support.hpp"

using namespace duet;

TEST_CASE("hooks see the whole gradient once, in order, and may replace it") {
  const Tensor x = ones({3}, {.dtype = f64, .requires_grad = true});
  const Tensor y = x * 2.0;
  std::vector<double> seen;
  HookHandle first = register_hook(y, [&](const Tensor& g) { seen.push_back(g.to_vector()[0]); });
  HookHandle second = register_hook(y, [](const Tensor& g) { return g * 10.0; });
  register_hook(y, [&](const Tensor& g) { seen.push_back(g.to_vector()[0]); });
  const Tensor loss = sum(y + y + y);
  loss.backward({}, {.retain_graph = true});
  CHECK(seen == std::vector<double>{3, 30});
  CHECK(x.grad().to_vector()[0] == 60);
  second.remove();
  second.remove();
  first.remove();
  Tensor(x).set_grad({});
  loss.backward();
  CHECK(seen == std::vector<double>{3, 30, 3});
  CHECK(x.grad().to_vector()[0] == 6);
}

TEST_CASE("hooks of a leaf act on backward and on grad, and may be removed by themselves") {
  const Tensor x = ones({2}, {.dtype = f64, .requires_grad = true});
  int calls = 0;
  HookHandle handle;
  handle = register_hook(x, [&](const Tensor& g) {
    ++calls;
    handle.remove();
    return g * 5.0;
  });
  CHECK(grad({sum(x)}, {x})[0].to_vector()[0] == 5);
  CHECK(grad({sum(x)}, {x})[0].to_vector()[0] == 1);
  CHECK(calls == 1);
}

TEST_CASE("a hook's replacement is differentiated") {
  const Tensor x = leaf({3});
  const Tensor y = x * x;
  register_hook(y, [](const Tensor& g) { return g * g; });
  const Tensor c = leaf({3}, 2);
  const Tensor g = grad({y}, {x}, {.create_graph = true, .cotangents = {c}})[0];  // c² · 2x
  const std::vector<double> dc = grad({sum(g)}, {c})[0].to_vector(), xs = x.to_vector(), cs = c.to_vector();
  for (std::size_t i = 0; i < 3; ++i) CHECK(dc[i] == doctest::Approx(4 * cs[i] * xs[i]));
}

TEST_CASE("post-accumulate hooks run after the sum, for backward only") {
  Tensor w = ones({2}, {.dtype = f64, .requires_grad = true});
  std::vector<double> seen;
  HookHandle handle = register_post_accumulate_hook(w, [&](const Tensor& t) { seen.push_back(t.grad().to_vector()[0]); });
  sum(w * 2.0).backward();
  sum(w * 2.0).backward();
  grad({sum(w)}, {w});
  CHECK(seen == std::vector<double>{2, 4});
  handle.remove();
  sum(w).backward();
  CHECK(seen.size() == 2);
  // An optimizer inside the backward: takes the gradient and frees it.
  register_post_accumulate_hook(w, [](const Tensor& t) { Tensor(t).set_grad({}); });
  sum(w).backward();
  CHECK(!w.grad().defined());
}

TEST_CASE("retain_grad keeps the gradient of a computed tensor, after the hooks") {
  const Tensor x = ones({2}, {.dtype = f64, .requires_grad = true});
  const Tensor y = x * 3.0;
  retain_grad(y);
  register_hook(y, [](const Tensor& g) { return g * 2.0; });
  sum(y * y).backward();
  CHECK(y.grad().to_vector()[0] == 12);
  CHECK(x.grad().to_vector()[0] == 36);
}

TEST_CASE("hooks refuse what they cannot do") {
  const Tensor x = ones({2}, {.requires_grad = true}), c = ones({2});
  const Tensor y = x * c;
  CHECK_THROWS_WITH_AS(register_hook(c, [](const Tensor&) {}), doctest::Contains("[register_hook]"), AutogradError);
  CHECK_THROWS_AS(retain_grad(c), AutogradError);
  CHECK_THROWS_WITH_AS(register_post_accumulate_hook(y, [](const Tensor&) {}), doctest::Contains("computed by mul"), AutogradError);
  register_hook(y, [](const Tensor& g) { return sum(g); });
  CHECK_THROWS_WITH_AS(sum(y).backward(), doctest::Contains("[hook] returned () f32 for a gradient (2,) f32"), AutogradError);
  const Tensor z = x * c;
  register_hook(z, [](const Tensor&) { return ones({2}, {.dtype = f64}); });
  CHECK_THROWS_AS(sum(z).backward(), AutogradError);
}

TEST_CASE("a backward that fails leaves every grad as it was") {
  const Tensor a = ones({2}, {.requires_grad = true});
  const Tensor old = a * a;
  const Tensor b = ones({2}, {.requires_grad = true});
  sum(b).backward();
  sum(old).backward();  // frees old
  const std::vector<double> before_a = a.grad().to_vector(), before_b = b.grad().to_vector();
  // b's leaf is younger than old's node, so b is reached first.
  const Tensor mixed = sum(old + b * b);
  CHECK_THROWS_WITH_AS(mixed.backward(), doctest::Contains("retain_graph"), AutogradError);
  CHECK(a.grad().to_vector() == before_a);
  CHECK(b.grad().to_vector() == before_b);
}

TEST_CASE("a backward that fails takes nothing away that another one added meanwhile") {
  const Tensor a = ones({2}, {.requires_grad = true});
  const Tensor late = a * a;
  const Tensor b = full({2}, 3, {.requires_grad = true});
  const Tensor other = sum(b * 5.0);
  // b's leaf is younger than late's node, and has its gradient when the hook does what another thread may do.
  register_hook(late, [&](const Tensor&) -> Tensor {
    other.backward();
    fail<ValueError>("hook", "stop");
  });
  CHECK_THROWS_AS(sum(late * b).backward(), ValueError);
  CHECK(!a.grad().defined());
  CHECK(b.grad().to_vector() == std::vector<double>{5, 5});
}
