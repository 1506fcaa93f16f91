// Module hooks and gradcheck of modules.
#include <doctest/doctest.h>

#include <duet/autograd/backward.hpp>
#include <duet/autograd/checkpoint.hpp>
#include <duet/core/factory.hpp>
#include <duet/core/random.hpp>
#include <duet/core/raw.hpp>
#include <duet/nn/conv.hpp>
#include <duet/nn/gradcheck.hpp>
#include <duet/nn/models/unet.hpp>
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

/// (x · y, x + 3 y), absent y counting as 1.
struct Join : nn::Module {
  Tensors operator()(const Tensor& x, const Tensor& y) {
    return call(
        [](const Tensor& a, const Tensor& b) {
          return b.defined() ? Tensors{a * b, a + b * 3.0} : Tensors{a, a};
        },
        x, y);
  }
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
  CHECK_THROWS_AS(gradcheck(
                      model, [](const Tensor& y) -> Tensor { return y * ones({7}, {.dtype = f64}); }, input({2, 1, 3})),
                  ShapeError);
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
    for (int i = 0; i < 6; ++i)
      single.mutable_data<float>()[i] = static_cast<float>(x.to_vector()[static_cast<std::size_t>(i)]);
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

TEST_CASE("hooks act on a layer called with more than a tensor") {
  nn::ConvTranspose2d up{2, 3, 3, {.stride = 2}};
  int calls = 0;
  up.register_forward_pre_hook([&](nn::Module&, const Tensor& x) {
    ++calls;
    return x * 2.0;
  });
  up.register_forward_hook([&](nn::Module& module, const Tensor&, const Tensor& y) {  // leaves y
    ++calls;
    CHECK(module.kind() == "ConvTranspose2d");
    CHECK(y.shape() == Shape{1, 3, 10, 9});
  });
  up.register_backward_hook([&](const Tensor& by_x, const Tensor& by_y) {
    ++calls;
    CHECK(by_x.shape() == Shape{1, 2, 4, 4});
    CHECK(by_y.shape() == Shape{1, 3, 10, 9});
  });
  const Tensor x = ones({1, 2, 4, 4}, {.requires_grad = true});
  const Tensor y = up(x, {10, 9});
  CHECK(y.detach().to_vector() == up.forward(x * 2.0, {10, 9}).detach().to_vector());
  sum(y).backward();
  CHECK(calls == 3);

  // The blocks of a U-Net take a tensor and what the way down kept.
  nn::UNet net({.base_channels = 2, .depth = 3});
  std::vector<Shape> seen;
  const auto see = [&](const Tensors& by_x, const Tensors& by_y) {
    for (const Tensor& g : {by_x.at(0), by_x.at(1), by_y.at(0)}) seen.push_back(g.shape());
  };
  net.up[1].register_backward_hook(see);
  net.up[0].upconv->register_backward_pre_hook([&](const Tensor& g) { seen.push_back(g.shape()); });
  sum(net(ones({1, 1, 9, 8}))).backward();
  CHECK(seen == std::vector<Shape>{{1, 4, 4, 4}, {1, 2, 9, 8}, {1, 2, 9, 8}, {1, 4, 4, 4}});
}

TEST_CASE("hooks of lists see and replace every input and output") {
  Join join;
  const Tensor x = full({2}, 2, {.dtype = f64, .requires_grad = true}),
               y = full({2}, 5, {.dtype = f64, .requires_grad = true});
  int backward_calls = 0;
  join.register_forward_pre_hook([](nn::Module&, const Tensors& in) { return Tensors{Tensor(), in.at(1) * 2.0}; });
  join.register_forward_hook([](nn::Module&, const Tensors& in, const Tensors& out) {
    CHECK(in.at(1).to_vector()[0] == 10);
    return Tensors{out.at(0) * 7.0, Tensor()};
  });
  join.register_backward_pre_hook([](const Tensors& by) { return Tensors{Tensor(), by.at(1) * 100.0}; });
  join.register_backward_hook([&](const Tensors& by_in, const Tensors& by_out) {
    ++backward_calls;
    CHECK(by_out.at(0).to_vector()[0] == 1);
    CHECK(by_out.at(1).to_vector()[0] == 100);
    return Tensors{by_in.at(0) * 1000.0};
  });
  const Tensors out = join(x, y);
  CHECK(out[0].to_vector()[0] == 7 * 2 * 10);
  CHECK(out[1].to_vector()[0] == 2 + 3 * 10);
  const Tensors g = grad({sum(out[0] + out[1])}, {x, y}, {.create_graph = true});
  CHECK(backward_calls == 1);
  CHECK(g[0].to_vector()[0] == 1000 * (7 * 10 + 100));
  CHECK(g[1].to_vector()[0] == 2 * (7 * 2 + 100 * 3));
  CHECK(grad({sum(g[0])}, {y})[0].to_vector()[0] == 1000 * 7 * 2);  // through hooks and all

  // An absent input, one output that nothing reaches, an input that wants no gradient.
  Join plain;
  std::vector<bool> there;
  plain.register_backward_hook([&](const Tensors& by_in, const Tensors& by_out) {
    for (const Tensor& t : {by_in.at(0), by_in.at(1), by_out.at(0), by_out.at(1)}) there.push_back(t.defined());
  });
  sum(plain(x, Tensor())[0]).backward();
  sum(plain(x.detach(), y)[1]).backward();
  CHECK(there == std::vector<bool>{true, false, true, false, false, true, false, true});
}

TEST_CASE("a hook that returns another number of tensors is refused, forward and backward") {
  Join join;
  const Tensor x = ones({2}, {.requires_grad = true}), y = ones({2});
  auto handle = join.register_forward_pre_hook([](nn::Module&, const Tensors& in) {
    return Tensors{in[0], in[1], in[0]};
  });
  CHECK_THROWS_WITH_AS(join(x, y), "[forward pre-hook] returned 3 tensors for 2", ValueError);
  handle.remove();
  join.register_backward_hook([](const Tensors& by_in, const Tensors&) { return Tensors(3, by_in[0]); });
  const Tensors out = join(x, y);
  CHECK_THROWS_WITH_AS(sum(out[0]).backward(), doctest::Contains("returned 3 tensors for 2"), AutogradError);
  CHECK(!x.grad().defined());
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
