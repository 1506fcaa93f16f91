// What autograd refuses: a typed error that says what to do, and nothing changed.
#include <doctest/doctest.h>

#include <duet/autograd/backward.hpp>
#include <duet/core/factory.hpp>
#include <duet/core/tape.hpp>
#include <duet/ops/elementwise.hpp>
#include <duet/ops/reduce.hpp>
#include <duet/ops/shape.hpp>

#include "support.hpp"

using namespace duet;

TEST_CASE("a second backward says retain_graph, and leaves the first one's gradients") {
  const Tensor x = leaf({3}), loss = sum(x * x);
  loss.backward({}, {.retain_graph = true});
  loss.backward();
  const std::vector<double> before = x.grad().to_vector();
  CHECK_THROWS_WITH_AS(loss.backward(), doctest::Contains("retain_graph = true"), AutogradError);
  CHECK_THROWS_WITH_AS(grad({loss}, {x}), doctest::Contains("retain_graph = true"), AutogradError);
  CHECK(x.grad().to_vector() == before);
}

TEST_CASE("cotangents: missing, of another shape or dtype, too many") {
  const Tensor x = leaf({3}), y = x * x;
  CHECK_THROWS_WITH_AS(y.backward(), doctest::Contains("(3,) f64 is not a scalar: pass a cotangent"), AutogradError);
  CHECK_THROWS_WITH_AS(y.backward(ones({4}, {.dtype = f64})), doctest::Contains("cotangent 0 (4,) f64 does not fit"), AutogradError);
  CHECK_THROWS_WITH_AS(y.backward(ones({3})), doctest::Contains("(3,) f32 does not fit its output (3,) f64"), AutogradError);
  CHECK_THROWS_WITH_AS(backward({y}, {y, y}), doctest::Contains("2 cotangents for 1 outputs"), AutogradError);
  CHECK(!x.grad().defined());
  y.backward(ones({3}, {.dtype = f64}));
  CHECK(x.grad().defined());
}

TEST_CASE("gradients by what plays no part, by constants, of constants") {
  const Tensor x = leaf({3}), other = leaf({3}, 2), c = normal({3}, 3), y = sum(x * c);
  CHECK_THROWS_WITH_AS(grad({y}, {other}), doctest::Contains("allow_unused"), AutogradError);
  CHECK_THROWS_WITH_AS(grad({y}, {c}), doctest::Contains("does not require a gradient"), AutogradError);
  CHECK_THROWS_WITH_AS(sum(c).backward(), doctest::Contains("does not require a gradient"), AutogradError);
  const Tensors g = grad({y}, {x, other, c}, {.allow_unused = true});
  CHECK(g[0].defined());
  CHECK(!g[1].defined());
  CHECK(!g[2].defined());
}

TEST_CASE("integers have no gradients") {
  Tensor labels = full({3}, 1, {.dtype = i64});
  CHECK_THROWS_WITH_AS(labels.set_requires_grad(), doctest::Contains("i64 tensors have no gradients"), DtypeError);
  CHECK_THROWS_AS(ones({3}, {.dtype = u8, .requires_grad = true}), DtypeError);
  CHECK_THROWS_AS(grad({sum(leaf({3}))}, {labels}), AutogradError);
  CHECK(!labels.requires_grad());
}

TEST_CASE("in-place writes are refused or noticed") {
  Tensor x = leaf({4});
  const std::vector<double> before = x.to_vector();
  CHECK_THROWS_WITH_AS(x.mutable_data<double>(), doctest::Contains("a leaf that requires a gradient"), AutogradError);
  Tensor view = reshape(x, {2, 2}), y = x * x;
  CHECK_THROWS_WITH_AS(view.mutable_data<double>(), doctest::Contains("recorded"), AutogradError);
  CHECK_THROWS_AS(y.mutable_data<double>(), AutogradError);
  CHECK(x.to_vector() == before);
  // Through a detached view the write happens, and the backward that it would falsify throws.
  const Tensor z = sum(y * y);
  Tensor(y.detach()).mutable_data<double>()[0] = 5;
  CHECK_THROWS_WITH_AS(z.backward(), doctest::Contains("changed in place"), AutogradError);
  CHECK(!x.grad().defined());
  // What backward does not read may change.
  const Tensor w = x + x;
  Tensor(w.detach()).mutable_data<double>()[0] = 5;
  CHECK_NOTHROW(sum(w).backward());
  const NoGradGuard no_grad;
  x.mutable_data<double>()[0] = 1;
  CHECK(x.to_vector()[0] == 1);
}

TEST_CASE("set_grad and set_requires_grad refuse what does not fit") {
  Tensor x = leaf({4});
  Tensor y = x * x;
  CHECK_THROWS_WITH_AS(x.set_grad(ones({3}, {.dtype = f64})), doctest::Contains("[set_grad]"), AutogradError);
  CHECK_THROWS_WITH_AS(y.set_requires_grad(false), doctest::Contains("computed by mul"), AutogradError);
  CHECK(!x.grad().defined());
}
