// Module hooks and gradcheck of modules.
#include <doctest/doctest.h>

#include <duet/autograd/backward.hpp>
#include <duet/autograd/checkpoint.hpp>
#include <duet/core/factory.hpp>
#include <duet/core/random.hpp>
#include <duet/core/raw.hpp>
#include <duet/nn/conv.hpp>
#include <duet/nn/gradcheck.hpp>
#include <duet/nn/norm.hpp>
#include <duet/ops/elementwise.hpp>
#include <duet/ops/reduce.hpp>

using namespace duet;

namespace {

/// x · w + noise · x, counting its calls in a buffer.
struct Scale : nn::Module {
  nn::Parameter w{this, "w", ones({3})};
  nn::Parameter same{this, "same"};
  nn::Buffer calls{this, "calls", zeros({1})};
  bool wrong = false;
  Scale() { same = w; }
  Scale(nn::Module* parent, std::string name) : nn::Module(parent, std::move(name)) { same = w; }
  Tensor forward(const Tensor& x) override {
    {
      const NoGradGuard no_grad;
      calls = calls + 1.0;
    }
    return x * (wrong ? w.detach() : static_cast<const Tensor&>(w)) * same + x * rand(x.shape(), {.dtype = x.dtype()});
  }
};

struct Two : nn::Module {
  Scale first{this, "first"};
  nn::Conv1d conv{this, "conv", 1, 2, 3, {.padding = 1}};
  Tensor forward(const Tensor& x) override { return conv(first(x)); }
};

Tensor input(const Shape& shape) {
  Generator generator(5);
  return randn(shape, {.dtype = f64}, generator);
}

}  // namespace

TEST_CASE("gradcheck of a module: input and every parameter, state restored") {
  Two model;
  model.to(f64);
  manual_seed(3);
  const auto state = nn::clone_tensors(model.state_dict());
  const auto loss = [](const Tensor& y) { return sum(y * y); };
  const GradcheckResult result = gradcheck(model, loss, input({2, 1, 3}), {.order = 2});
  CAPTURE(to_string(result));
  CHECK(result);
  CHECK(default_generator().position() == 0);
  for (const auto& [name, before] : state)
    for (const auto& [other, now] : model.state_dict())
      if (name == other) CHECK(before.to_vector() == now.to_vector());
  CHECK(!model.first.w.grad().defined());
  CHECK(model.first.w.requires_grad());
  CHECK(model.first.same.impl() == model.first.w.impl());

  model.first.wrong = true;
  const GradcheckResult wrong = gradcheck(model, loss, input({2, 1, 3}));
  CHECK(wrong.verdict == Verdict::wrong);
  CHECK(wrong.input == "first.w");
  CHECK(model.first.same.impl() == model.first.w.impl());
  CHECK_THROWS_AS(gradcheck(model, [](const Tensor& y) -> Tensor { return y * ones({7}, {.dtype = f64}); }, input({2, 1, 3})), ShapeError);
  CHECK(model.first.same.impl() == model.first.w.impl());
}

TEST_CASE("forward hooks see and replace input and output, and can be removed") {
  Scale model;
  std::vector<std::string> order;
  auto before = model.register_forward_pre_hook([&](nn::Module& m, const Tensor& x) {
    order.push_back("before " + m.kind());
    return x * 0.0;
  });
  auto after = model.register_forward_hook([&](nn::Module&, const Tensor& x, const Tensor& y) {
    order.push_back("after");
    CHECK(x.to_vector()[0] == 0);
    return y + 5.0;
  });
  CHECK(model(ones({3})).to_vector() == std::vector<double>(3, 5));
  CHECK(order == std::vector<std::string>{"before Scale", "after"});
  before.remove();
  after.remove();
  after.remove();
  CHECK(model(ones({3})).to_vector()[0] > 0.9);
  CHECK(order.size() == 2);
}

TEST_CASE("backward hooks see what enters and leaves the module, and not what goes round it") {
  Two model;
  model.conv.register_backward_pre_hook([](const Tensor& g) { return g * 2.0; });
  std::vector<double> by_y, by_x;
  auto handle = model.first.register_backward_hook([&](const Tensor& gx, const Tensor& gy) {
    by_x.push_back(gx.to_vector()[0]);
    by_y.push_back(gy.to_vector()[0]);
    return gx * 10.0;
  });
  const Tensor x = input({2, 1, 3});
  Tensor single = Tensor::empty({2, 1, 3}, {.requires_grad = true});
  {
    const NoGradGuard no_grad;
    for (int i = 0; i < 6; ++i) single.mutable_data<float>()[i] = static_cast<float>(x.to_vector()[static_cast<std::size_t>(i)]);
  }
  sum(model(single) + sum(single) * 0.0 + sum(single)).backward();
  REQUIRE(by_x.size() == 1);
  const double count = 2 * 2 * 3;  // sum(single) is broadcast to (2, 2, 3)
  CHECK(single.grad().to_vector()[0] == doctest::Approx(10 * by_x[0] + count).epsilon(1e-4));
  handle.remove();
  model(single);
  sum(model(single)).backward();
  CHECK(by_x.size() == 1);
  // The doubled gradient of conv reaches its weight.
  nn::Conv1d plain{1, 2, 3, {.padding = 1}};
  plain.register_backward_pre_hook([](const Tensor& g) { return sum(g); });
  CHECK_THROWS_AS(sum(plain(ones({1, 1, 4}))).backward(), AutogradError);
}

TEST_CASE("a checkpointed batch norm counts each batch once") {
  nn::BatchNorm1d norm{2};
  const Tensor x = Tensor::empty({4, 2, 3}, {.requires_grad = true});
  {
    const NoGradGuard no_grad;
    Generator generator(9);
    raw::copy(randn({4, 2, 3}, {}, generator), const_cast<Tensor&>(x));
  }
  sum(checkpoint([&](const Tensor& t) { return norm(t) * norm(t); }, x)).backward();
  CHECK(norm.num_batches_tracked.item() == 2);
}
