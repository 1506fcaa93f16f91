// backward() and grad() on small graphs.
#include <doctest/doctest.h>

#include <duet/autograd/backward.hpp>
#include <duet/core/factory.hpp>
#include <duet/core/random.hpp>
#include <duet/ops/elementwise.hpp>
#include <duet/ops/reduce.hpp>
#include <duet/ops/shape.hpp>

using namespace duet;

TEST_CASE("gradients of a product, to third order") {
  Tensor x = full({}, 3, {.dtype = f64, .requires_grad = true});
  const Tensor y = x * x * x;
  const Tensor g1 = grad({y}, {x}, {.create_graph = true})[0];
  CHECK(g1.item() == 27);
  const Tensor g2 = grad({g1}, {x}, {.create_graph = true})[0];
  CHECK(g2.item() == 18);
  CHECK(grad({g2}, {x})[0].item() == 6);
  CHECK(!x.grad().defined());
}

TEST_CASE("backward accumulates into leaves, and only once through a graph") {
  Tensor x = ones({4}, {.requires_grad = true});
  const Tensor loss = sum(x * 2.0 + x);
  loss.backward();
  CHECK(x.grad().to_vector() == std::vector<double>(4, 3));
  sum(x * x).backward();
  CHECK(x.grad().to_vector() == std::vector<double>(4, 5));
  const Tensor product = sum(x * x);
  product.backward();
  CHECK_THROWS_WITH_AS(product.backward(), doctest::Contains("retain_graph"), AutogradError);
}

TEST_CASE("a saved tensor that was changed in place is found") {
  Tensor x = ones({4}, {.requires_grad = true});
  Tensor c = full({4}, 2);
  const Tensor loss = sum(x * c);
  c.mutable_data<float>()[0] = 7;
  CHECK_THROWS_WITH_AS(loss.backward(), doctest::Contains("[mul] input 1 ('b')"), AutogradError);
}

TEST_CASE("a chain of a hundred thousand ops lives and dies without recursion") {
  Tensor x = ones({1}, {.requires_grad = true});
  Tensor y = x;
  for (int i = 0; i < 100000; ++i) y = -y;
  y.backward();
  CHECK(x.grad().item() == 1);
}
