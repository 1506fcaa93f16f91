// Modules: registration and what it refuses, traversal, state, conversion, moving into containers.
#include <doctest/doctest.h>

#include <cmath>

#include <duet/autograd/backward.hpp>
#include <duet/core/factory.hpp>
#include <duet/core/random.hpp>
#include <duet/core/raw.hpp>
#include <duet/core/tape.hpp>
#include <duet/nn/container.hpp>
#include <duet/nn/conv.hpp>
#include <duet/ops/elementwise.hpp>
#include <duet/ops/reduce.hpp>

using namespace duet;

namespace {

struct Scale : nn::Module {
  using Module::Module;
  nn::Parameter factor{this, "factor", ones({1})};
  nn::Buffer calls{this, "calls", zeros({}, {.dtype = i64})};
  std::string seen;
  Tensor forward(const Tensor& x) override {
    seen = scope_path();
    return x * factor;
  }
};

struct Block : nn::Module {
  nn::Conv2d conv{this, "conv", 1, 4, 3, {.padding = 1}};
  Scale scale{this, "scale"};
  nn::ModuleList<Block> rest{this, "rest"};
  Tensor forward(const Tensor& x) { return scale(conv(x)); }
};

std::vector<std::string> names_of(const NamedTensors& tensors) {
  std::vector<std::string> names;
  for (const auto& entry : tensors) names.push_back(entry.first);
  return names;
}

using Names = std::vector<std::string>;

static_assert(!std::is_copy_constructible_v<Block> && !std::is_copy_assignable_v<Block>);
static_assert(!std::is_copy_constructible_v<nn::Conv2d>);
static_assert(!std::is_move_constructible_v<nn::Module>);

}  // namespace

TEST_CASE("a member declared with its parent is registered, and nested names are paths") {
  Block block;
  block.rest.add();
  CHECK(names_of(block.named_parameters()) ==
        Names{"conv.weight", "conv.bias", "scale.factor", "rest.0.conv.weight", "rest.0.conv.bias", "rest.0.scale.factor"});
  CHECK(names_of(block.state_dict()) == Names{"conv.weight", "conv.bias", "scale.factor", "scale.calls", "rest.0.conv.weight",
                                              "rest.0.conv.bias", "rest.0.scale.factor", "rest.0.scale.calls"});
  CHECK(block.rest[0].scale.path() == "rest.0.scale");
  CHECK(block.parameter_count() == 2 * (36 + 4 + 1));
  Names modules;
  for (const auto& [name, module] : block.named_modules()) modules.push_back(name + ":" + module->kind());
  CHECK(modules == Names{":Block", "conv:Conv2d", "scale:Scale", "rest:ModuleList", "rest.0:Block", "rest.0.conv:Conv2d",
                         "rest.0.scale:Scale", "rest.0.rest:ModuleList"});
}

TEST_CASE("forward runs through operator(), which tells where it is") {
  Block block;
  const Tensor x = randn({2, 1, 5, 6});
  CHECK(block(x).shape() == Shape{2, 4, 5, 6});
  CHECK(block.scale.seen == "scale");
  CHECK(scope_path().empty());
  block.rest.add();
  block.rest[0](x);
  CHECK(block.rest[0].scale.seen == "rest.0.scale");
  nn::Conv2d alone{1, 3, {3, 5}, {.stride = {2, 1}, .bias = false}};
  CHECK(alone(x).shape() == Shape{2, 3, 2, 2});
  CHECK(!alone.bias.defined());
  CHECK(names_of(alone.named_parameters()) == Names{"weight"});
}

TEST_CASE("names that are taken, empty or dotted are refused") {
  struct Twice : nn::Module {
    nn::Conv2d a{this, "conv", 1, 1, 1};
    nn::Conv2d b{this, "conv", 1, 1, 1};
  };
  CHECK_THROWS_WITH_AS(Twice(), "[module] Twice already has a member named 'conv'", ValueError);
  struct Mixed : nn::Module {
    nn::Parameter a{this, "x", ones({1})};
    nn::Buffer b{this, "x", ones({1})};
  };
  CHECK_THROWS_AS(Mixed(), ValueError);
  struct Dotted : nn::Module {
    nn::Conv2d a{this, "a.b", 1, 1, 1};
  };
  CHECK_THROWS_AS(Dotted(), ValueError);
  struct Unnamed : nn::Module {
    nn::Parameter a{this, "", ones({1})};
  };
  CHECK_THROWS_AS(Unnamed(), ValueError);
}

TEST_CASE("a child that was not registered is noticed when the model runs") {
  struct Forgetful : nn::Module {
    nn::Conv2d first{this, "first", 1, 2, 1};
    nn::Conv2d second{2, 1, 1};
    Tensor forward(const Tensor& x) { return second(first(x)); }
  };
  Forgetful model;
  const Tensor x = ones({1, 1, 2, 2});
  CHECK_THROWS_WITH_AS(model(x), doctest::Contains("Conv2d is called inside Forgetful but is not registered"), ValueError);
  CHECK(scope_path().empty());
  model.second.set_requires_grad(false);
  CHECK_NOTHROW(model(x));
  model.second.set_requires_grad(true);
  const NoGradGuard no_grad;
  CHECK_NOTHROW(model(x));
}

TEST_CASE("a module without the forward that is called says so") {
  struct Silent : nn::Module {};
  Silent silent;
  CHECK_THROWS_WITH_AS(silent(ones({1})), doctest::Contains("Silent has no forward"), ValueError);
}

TEST_CASE("Sequential keeps modules it is given, with the names of their positions") {
  nn::Sequential net{nn::Conv2d{1, 2, 3, {.padding = 1}}, Scale{}, nn::Sequential{nn::Conv2d{2, 3, 1}, Scale{}}};
  CHECK(names_of(net.named_parameters()) ==
        Names{"0.weight", "0.bias", "1.factor", "2.0.weight", "2.0.bias", "2.1.factor"});
  CHECK(net(ones({1, 1, 4, 4})).shape() == Shape{1, 3, 4, 4});
  CHECK(net.at(2).path() == "2");
  CHECK(dynamic_cast<Scale&>(net.at(1)).seen == "1");
  CHECK_THROWS_AS(net.at(3), ValueError);
  CHECK_THROWS_AS(net.add(std::unique_ptr<nn::Module>()), ValueError);
}

TEST_CASE("a model that moves keeps its members registered at their new place") {
  auto make = [] {
    Block block;
    block.rest.add();
    return std::make_unique<nn::Sequential>(std::move(block));
  };
  auto holder = make();
  auto& moved = dynamic_cast<Block&>(holder->at(0));
  CHECK(names_of(holder->named_parameters()).size() == 6);
  CHECK(moved.scale.path() == "0.scale");
  CHECK(moved.rest[0].scale.path() == "0.rest.0.scale");
  // The registry points at the members themselves: a change of one shows in the other.
  moved.conv.weight = full({4, 1, 3, 3}, 2);
  CHECK(holder->named_parameters()[0].second.to_vector()[0] == 2);
  (*holder)(ones({1, 1, 3, 3}));
  CHECK(moved.scale.seen == "0.scale");
  CHECK_THROWS_WITH_AS(nn::Conv2d(std::move(moved.conv)), doctest::Contains("cannot be moved out"), ValueError);
  CHECK(holder->named_parameters().size() == 6);
  CHECK(moved.conv.weight.defined());
}

TEST_CASE("a child that dies early leaves its parent") {
  Block block;
  {
    nn::Conv2d passing{&block, "passing", 1, 1, 1};
    CHECK(block.parameters().size() == 5);
  }
  CHECK(block.parameters().size() == 3);
}

TEST_CASE("tied parameters are trained once and saved under both names") {
  struct Tied : nn::Module {
    nn::Conv2d a{this, "a", 2, 2, 1}, b{this, "b", 2, 2, 1};
    Tied() { b.weight = a.weight; }
  };
  Tied model;
  CHECK(names_of(model.named_parameters()) == Names{"a.weight", "a.bias", "b.bias"});
  CHECK(model.state_dict().size() == 4);
  CHECK_THROWS_AS(model.b.weight = model.a.weight * 2, AutogradError);
}

TEST_CASE("train, eval, zero_grad and freezing reach every level") {
  Block block;
  block.rest.add();
  block.eval();
  CHECK(!block.rest[0].conv.is_training());
  block.train();
  CHECK(block.rest[0].conv.is_training());
  sum(block(ones({1, 1, 3, 3}))).backward();
  CHECK(block.scale.factor.grad().defined());
  block.zero_grad();
  CHECK(!block.scale.factor.grad().defined());
  block.set_requires_grad(false);
  CHECK(!block(ones({1, 1, 3, 3})).requires_grad());
}

TEST_CASE("to(f64) converts values, gradients and buffers under every handle") {
  Block block;
  const Tensor handle = block.scale.factor;
  sum(block(ones({1, 1, 3, 3}))).backward();
  const double before = handle.grad().item();
  block.to(f64);
  CHECK(handle.dtype() == f64);
  CHECK(handle.grad().dtype() == f64);
  CHECK(handle.grad().item() == before);
  CHECK(block.scale.calls.dtype() == i64);
  sum(block(ones({1, 1, 3, 3}, {.dtype = f64}))).backward();
  CHECK(handle.grad().item() == doctest::Approx(2 * before));
  CHECK_THROWS_AS(block.to(i64), DtypeError);
}

TEST_CASE("a state goes over to another model, or nothing changes and every misfit is listed") {
  manual_seed(1);
  Block from, to;
  const NamedTensors snapshot = nn::clone_tensors(from.state_dict());
  to.load_state_dict(snapshot);
  CHECK(to.conv.weight.to_vector() == from.conv.weight.to_vector());

  NamedTensors wrong = snapshot;
  wrong[0].second = ones({4, 2, 3, 3});
  wrong[1] = {"conv.other", ones({7})};
  wrong[2].second = full({1}, 9);
  try {
    to.load_state_dict(wrong);
    FAIL("accepted");
  } catch (const ValueError& error) {
    const std::string text = error.what();
    CHECK(text.find("Block") != std::string::npos);
    CHECK(text.find("missing: conv.bias (4,) f32") != std::string::npos);
    CHECK(text.find("unexpected: conv.other (7,) f32") != std::string::npos);
    CHECK(text.find("conv.weight is (4, 1, 3, 3) f32 here, (4, 2, 3, 3) f32") != std::string::npos);
  }
  CHECK(to.scale.factor.item() == 1);
  wrong[0] = snapshot[0];
  to.load_state_dict(wrong, {.strict = false});
  CHECK(to.scale.factor.item() == 9);
}

TEST_CASE("loading into a tensor that a graph saved is noticed by its backward") {
  Block block;
  const Tensor loss = sum(block(ones({1, 1, 3, 3})));
  block.load_state_dict(nn::clone_tensors(block.state_dict()));
  CHECK_THROWS_AS(loss.backward(), AutogradError);
}

TEST_CASE("clone makes a model of its own with the same values") {
  nn::Conv2d conv{2, 3, 3};
  conv.to(f64).eval();
  const auto copy = nn::clone(conv, 2, 3, 3);
  CHECK(copy->weight.to_vector() == conv.weight.to_vector());
  CHECK(copy->weight.dtype() == f64);
  CHECK(!copy->is_training());
  CHECK(!copy->weight.shares_storage_with(conv.weight));
  CHECK_THROWS_AS(nn::clone(conv, 2, 4, 3), ValueError);
}

TEST_CASE("conv layers begin within PyTorch's bounds and refuse what cannot be") {
  manual_seed(0);
  nn::Conv2d conv{8, 16, 3, {.groups = 2}};
  const double bound = 1 / std::sqrt(4 * 9);
  double most = 0;
  for (const double value : conv.weight.to_vector()) most = std::max(most, std::abs(value));
  CHECK(most <= bound);
  CHECK(most > 0.95 * bound);
  for (const double value : conv.bias.to_vector()) CHECK(std::abs(value) <= bound);
  nn::ConvTranspose2d up{8, 4, 2, {.stride = 2}};
  CHECK(up.weight.shape() == Shape{8, 4, 2, 2});
  const Tensor x = ones({1, 8, 3, 3});
  CHECK(up(x).shape() == Shape{1, 4, 6, 6});
  CHECK(up(x, {7, 6}).shape() == Shape{1, 4, 7, 6});
  CHECK_THROWS_AS(up(x, {8, 6}), ShapeError);
  CHECK_THROWS_AS(nn::Conv2d(3, 4, 3, {.groups = 2}), ValueError);
  CHECK_THROWS_AS(nn::Conv2d(0, 4, 3), ValueError);
  CHECK_THROWS_AS(nn::Conv2d(1, 4, 0), ValueError);
  CHECK(conv.describe() == "8, 16, kernel_size=(3, 3), stride=(1, 1), padding=(0, 0), dilation=(1, 1), groups=2, bias=true");
}
