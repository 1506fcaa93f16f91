// Outputs that are made again instead of being kept (OpDef::remake): what that spares, and that nothing else changes.
#include <doctest/doctest.h>

#include <cstring>
#include <vector>

#include <duet/autograd/backward.hpp>
#include <duet/core/allocator.hpp>
#include <duet/core/error.hpp>
#include <duet/core/factory.hpp>
#include <duet/core/node.hpp>
#include <duet/core/raw.hpp>
#include <duet/core/tape.hpp>
#include <duet/ops/activation.hpp>
#include <duet/ops/conv.hpp>
#include <duet/ops/elementwise.hpp>
#include <duet/ops/inplace.hpp>
#include <duet/ops/norm.hpp>
#include <duet/ops/reduce.hpp>
#include <duet/ops/shape.hpp>

#include "support.hpp"

using namespace duet;

namespace {

const Shape planes{2, 8, 128, 128};  // 1 MiB in f32

/// x through a norm with its relu, and a convolution that reads what it made.
struct Chain {
  Tensor x = leaf(planes, 1, f32), scale = leaf({8}, 2, f32), shift = leaf({8}, 3, f32), w = leaf({4, 8, 3, 3}, 4, f32);

  Tensor normalised() const { return batch_norm_relu(x, {}, {}, scale, shift).y; }
  Tensor operator()(const Tensor& y) const { return conv2d(y, w, {.padding = 1}); }
  Tensors leaves() const { return {x, scale, shift, w}; }
};

/// What is saved stays as it is.
SavedTensorHooks keeping() {
  return {.pack = [](const Tensor& tensor) -> std::shared_ptr<void> { return std::make_shared<Tensor>(tensor); },
          .unpack = [](const std::shared_ptr<void>& held) { return *static_cast<const Tensor*>(held.get()); }};
}

bool same_bits(const Tensors& a, const Tensors& b) {
  bool same = a.size() == b.size();
  for (std::size_t i = 0; i < a.size() && same; ++i)
    same = a[i].bytes() == b[i].bytes() &&
           std::memcmp(a[i].data<float>(), b[i].data<float>(), static_cast<std::size_t>(a[i].bytes())) == 0;
  return same;
}

Tensors gradients(const Chain& chain) { return grad({sum(square(chain(chain.normalised())))}, chain.leaves()); }

}  // namespace

TEST_CASE("what a norm with a relu made is not kept for the next layer, and its gradients are the same bits") {
  const Chain chain;
  const std::int64_t before = memory_stats().in_use;
  const Tensor z = chain(chain.normalised());
  CHECK(memory_stats().in_use - before < z.bytes() + chain.x.bytes() / 2);  // x is the leaf's own
  const Tensors made_again = gradients(chain);
  const SavedTensorHooksGuard guard(keeping());
  const std::int64_t less = memory_stats().in_use;
  const Tensor kept = chain(chain.normalised());
  CHECK(memory_stats().in_use - less > kept.bytes() + chain.x.bytes() / 2);
  CHECK(same_bits(made_again, gradients(chain)));
}

TEST_CASE("an output made again leads on to what made it, in derivatives of the second order too") {
  const Chain chain;
  const auto second = [&] {
    const Tensor first = grad({sum(square(chain(chain.normalised())))}, {chain.w}, {.create_graph = true})[0];
    return grad({sum(square(first))}, chain.leaves());
  };
  const Tensors made_again = second();
  const SavedTensorHooksGuard guard(keeping());
  CHECK(same_bits(made_again, second()));
}

TEST_CASE("an output is made again though the backward of what made it has run") {
  const Chain chain;
  const Tensor y = chain.normalised(), z = chain(y);
  const Tensor by_w = grad({sum(z)}, {chain.w}, {.retain_graph = true})[0];
  CHECK(grad({sum(y)}, {chain.x})[0].defined());  // releases the norm's node
  CHECK(same_bits(grad({sum(z)}, {chain.w}), {by_w}));
}

TEST_CASE("an output that was written to before it was read is kept as it was read") {
  const Chain chain;
  const auto by_w = [&](double added) {
    Tensor y = chain.normalised();
    if (added != 0) {
      const NoGradGuard no_grad;
      add_(y, Tensor::scalar(added));
    }
    return grad({sum(chain(y))}, {chain.w})[0];
  };
  const Tensor plain = by_w(0), shifted = by_w(1);
  // The middle tap meets every pixel of both images.
  CHECK(shifted.data<float>()[4] == doctest::Approx(plain.data<float>()[4] + 2 * 128 * 128).epsilon(1e-4));
}

TEST_CASE("where what an output is made of has changed since, making it again is an error that names the op") {
  Chain chain;
  const Tensor z = chain(chain.normalised());
  {
    const NoGradGuard no_grad;
    add_(chain.scale, Tensor::scalar(1));
  }
  CHECK_THROWS_WITH_AS(grad({sum(z)}, {chain.w}), doctest::Contains("batch_norm_relu"), AutogradError);
}

TEST_CASE("a chain of norms with relus is not followed: every second output is kept") {
  const Tensor x = leaf(planes, 1, f32);
  const std::int64_t before = memory_stats().in_use;
  Tensor y = x;
  for (int i = 0; i < 8; ++i) y = batch_norm_relu(y, {}, {}, {}, {}).y;
  const std::int64_t kept = memory_stats().in_use - before;
  CHECK(kept > 4 * x.bytes() - x.bytes() / 2);
  CHECK(kept < 6 * x.bytes());
  CHECK(grad({sum(y)}, {x})[0].defined());
}

TEST_CASE("leaky_relu keeps what the next layer keeps, a falling one its input") {
  const Tensor x = leaf(planes, 1, f32), w = leaf({8, 8, 1, 1}, 2, f32);
  const auto kept = [&](double slope) {
    const std::int64_t before = memory_stats().in_use;
    const Tensor z = conv2d(leaky_relu(conv2d(x, w), {slope}), w);
    return static_cast<double>(memory_stats().in_use - before) / static_cast<double>(x.bytes());
  };
  CHECK(kept(0.2) < 2.5);  // z and what it read
  CHECK(kept(0) < 2.5);
  CHECK(kept(-0.2) > 2.5);
}

TEST_CASE("a part of a cat's gradient that has to wait does not keep the other part") {
  const Tensor low = leaf(planes, 1, f32), x = leaf(planes, 2, f32);
  const Tensor waiting = low * 2.0;  // recorded first, so its turn comes last
  Tensor y = x;
  for (int i = 0; i < 3; ++i) y = y * 2.0;
  const Tensor loss = sum(cat({waiting, y}, 1) * 3.0);
  /// What is in use after each vjp.
  struct Watch : Observer {
    std::vector<std::int64_t> in_use;
    void after_vjp(Node&, std::span<const Tensor>, std::span<const Tensor>) override {
      in_use.push_back(memory_stats().in_use);
    }
  } watch;
  const ObserverGuard guard(watch);
  const std::int64_t before = memory_stats().in_use;
  loss.backward();
  REQUIRE(watch.in_use.size() == 7);  // sum, mul, cat, three muls of x, one of low
  // Cotangent and gradient of the last mul of x, and the part that waits.
  CHECK(2 * (watch.in_use[5] - before) < 7 * x.bytes());
  CHECK(low.grad().data<float>()[0] == 6);
  CHECK(x.grad().data<float>()[0] == 24);
}

TEST_CASE("a cat of parts with and without a gradient") {
  const Tensor x = leaf(planes, 1, f32), constant = ones(planes, {.dtype = f32});
  const Tensor waiting = x * 2.0, once = x * 5.0;
  sum(cat({constant, waiting, constant, once}, 1) * 3.0).backward();
  CHECK(x.grad().data<float>()[0] == 21);
}
