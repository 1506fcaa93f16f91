// Optimizers: PyTorch's trajectories, every SIMD table, saved states, and what is refused.
#include <doctest/doctest.h>

#include <cmath>
#include <optional>

#include <duet/core/allocator.hpp>
#include <duet/core/factory.hpp>
#include <duet/core/parallel.hpp>
#include <duet/core/random.hpp>
#include <duet/core/raw.hpp>
#include <duet/nn/conv.hpp>
#include <duet/nn/init.hpp>
#include <duet/nn/optim/optimizers.hpp>
#include <duet/ops/kernels/simd.hpp>

#include "nn/golden.hpp"

using namespace duet;
using nlohmann::json;

namespace {

/// Sets the fields of options that a case's attributes name; an unknown one fails.
class AttributeVisitor final : public FieldVisitor {
 public:
  explicit AttributeVisitor(json attributes) : left(std::move(attributes)) {}
  json left;
  void field(const char* name, bool& value) override { take(name, value); }
  void field(const char* name, double& value) override {
    const std::string text = name;
    if (text.starts_with("betas.")) {
      if (left.contains("betas")) value = left["betas"][static_cast<std::size_t>(text.back() - '0')];
      if (text == "betas.1") left.erase("betas");
    } else {
      take(name, value);
    }
  }
  void field(const char*, std::int64_t&) override { FAIL("unexpected field"); }
  void field(const char*, std::string&) override { FAIL("unexpected field"); }
  void field(const char*, std::vector<std::int64_t>&) override { FAIL("unexpected field"); }
  void field(const char*, Shape&) override { FAIL("unexpected field"); }
  void integers(const char*, std::span<std::int64_t>) override { FAIL("unexpected field"); }
  void integers(const char*, std::span<std::int64_t>, std::string&) override { FAIL("unexpected field"); }
  void field(const char*, std::optional<double>&) override { FAIL("unexpected field"); }
  void field(const char*, std::optional<std::int64_t>&) override { FAIL("unexpected field"); }
  void choice(const char*, int&, std::span<const char* const>) override { FAIL("unexpected field"); }

 private:
  template <class T>
  void take(const char* name, T& value) {
    if (!left.contains(name)) return;
    value = left[name].get<T>();
    left.erase(name);
  }
};

template <class Optimizer, class Options>
std::unique_ptr<optim::Optimizer> make(const Tensor& parameter, const json& attributes) {
  Options options;
  AttributeVisitor visitor(attributes);
  options.fields(visitor);
  CAPTURE(visitor.left.dump());
  REQUIRE(visitor.left.empty());
  return std::make_unique<Optimizer>(std::vector<Tensor>{parameter}, options);
}

std::unique_ptr<optim::Optimizer> make(const std::string& kind, const Tensor& parameter, const json& attributes) {
  using namespace optim;
  if (kind == "SGD") return make<SGD, SGDOptions>(parameter, attributes);
  if (kind == "Adam") return make<Adam, AdamOptions>(parameter, attributes);
  if (kind == "AdamW") return make<AdamW, AdamWOptions>(parameter, attributes);
  if (kind == "RMSprop") return make<RMSprop, RMSpropOptions>(parameter, attributes);
  if (kind == "Adagrad") return make<Adagrad, AdagradOptions>(parameter, attributes);
  if (kind == "Lion") return make<Lion, LionOptions>(parameter, attributes);
  FAIL("unknown optimizer " << kind);
  return nullptr;
}

const json lion = {{"lr", 0.01}, {"betas", {0.8, 0.95}}, {"weight_decay", 0.1}};
const std::pair<const char*, json> every_kind[] = {
    {"SGD", {{"lr", 0.1}, {"momentum", 0.9}, {"nesterov", true}, {"weight_decay", 0.01}}},
    {"Adam", {{"lr", 0.01}, {"weight_decay", 0.1}, {"amsgrad", true}}},
    {"AdamW", {{"lr", 0.01}}},
    {"RMSprop", {{"lr", 0.01}, {"momentum", 0.9}, {"centered", true}}},
    {"Adagrad", {{"lr", 0.1}, {"lr_decay", 0.01}, {"initial_accumulator_value", 0.5}}},
    {"Lion", lion}};

/// Parameter values after a few steps on random gradients.
std::vector<double> run(const std::string& kind, const json& attributes, std::int64_t size, Dtype dtype) {
  Generator generator(11);
  Tensor parameter = randn({size}, {.dtype = dtype, .requires_grad = true}, generator);
  const auto optimizer = make(kind, parameter, attributes);
  for (int step = 0; step < 4; ++step) {
    parameter.set_grad(randn({size}, {.dtype = dtype}, generator));
    optimizer->step();
  }
  return parameter.to_vector();
}

}  // namespace

TEST_CASE("optim: PyTorch's trajectories") {
  int count = 0;
  for (const char* kind : {"SGD", "Adam", "AdamW", "RMSprop", "Adagrad"}) {
    const SafetensorsFile file = test::golden(std::string("optim.") + kind);
    for (const json& one : test::cases_of(file)) {
      const std::string id = one["id"];
      CAPTURE(kind);
      CAPTURE(one.dump());
      Tensor parameter = raw::clone(file.find(id + ".param")).set_requires_grad();
      const Tensor grads = file.find(id + ".grads"), trajectory = file.find(id + ".trajectory");
      const auto optimizer = make(one["op"], parameter, one["attrs"]);
      const auto row = [&](const Tensor& all, std::int64_t step) {
        return raw::view(all, parameter.shape(), parameter.strides(), step * parameter.numel());
      };
      for (std::int64_t step = 0; step < grads.size(0); ++step) {
        parameter.set_grad(row(grads, step));
        optimizer->step();
        CHECK(test::excess(parameter.to_vector(), row(trajectory, step).to_vector()) <= 1e-9);
      }
      ++count;
    }
  }
  CHECK(count == 16);
}

TEST_CASE("optim: Lion follows its paper") {
  Generator generator(1);
  Tensor parameter = randn({7}, {.dtype = f64, .requires_grad = true}, generator);
  std::vector<double> p = parameter.to_vector(), m(7, 0.0);
  const auto optimizer = make("Lion", parameter, lion);
  for (int step = 0; step < 5; ++step) {
    const Tensor grad = randn({7}, {.dtype = f64}, generator);
    parameter.set_grad(grad);
    optimizer->step();
    const auto g = grad.to_vector();
    for (std::size_t i = 0; i < 7; ++i) {
      const double c = 0.8 * m[i] + 0.2 * g[i];
      p[i] -= 0.01 * ((c > 0) - (c < 0) + 0.1 * p[i]);
      m[i] = 0.95 * m[i] + 0.05 * g[i];
    }
    CHECK(test::excess(parameter.to_vector(), p) <= 1e-12);
  }
}

TEST_CASE("optim: every SIMD table and any number of threads takes the same steps") {
  const int threads = num_threads();
  for (const auto& entry : every_kind) {
    const auto& kind = entry.first;
    const auto& attributes = entry.second;
    CAPTURE(kind);
    for (const std::int64_t size : {1, 3, 37, 40001}) {
      kernels::set_active_simd(kernels::available_simd().front());
      const auto reference = run(kind, attributes, size, f64);
      for (const auto simd : kernels::available_simd()) {
        kernels::set_active_simd(simd);
        CHECK(test::excess(run(kind, attributes, size, f64), reference, 1e-11) <= 1e-12);
        // Lion moves by a sign, which round-off may flip where the mean is about zero.
        if (std::string(kind) != "Lion") CHECK(test::excess(run(kind, attributes, size, f32), reference, 1e-4) <= 1e-4);
      }
      const auto here = run(kind, attributes, size, f32);
      for (const int count : {1, 2, 5}) {
        set_num_threads(count);
        CHECK(run(kind, attributes, size, f32) == here);
      }
      set_num_threads(threads);
    }
  }
}

TEST_CASE("optim: a restored state goes on exactly where the saved one was") {
  for (const auto& entry : every_kind) {
    const auto& kind = entry.first;
    const auto& attributes = entry.second;
    CAPTURE(kind);
    Generator generator(2);
    Tensor a = randn({5}, {.requires_grad = true}, generator);
    const auto first = make(kind, a, attributes);
    std::vector<Tensor> grads;
    for (int i = 0; i < 6; ++i) grads.push_back(randn({5}, {}, generator));
    for (int i = 0; i < 3; ++i) {
      a.set_grad(grads[static_cast<std::size_t>(i)]);
      first->step();
    }
    first->set_lr(0.003);
    Tensor b = raw::clone(a).set_requires_grad();
    const NamedTensors state = first->state_dict();
    const auto second = make(kind, b, json::object());
    second->load_state_dict(state);
    CHECK(second->lr() == 0.003);
    for (std::size_t i = 3; i < 6; ++i) {
      a.set_grad(grads[i]);
      b.set_grad(grads[i]);
      first->step();
      second->step();
    }
    CHECK(a.to_vector() == b.to_vector());
  }
}

TEST_CASE("optim: a state of other parameters is refused whole") {
  Tensor a = zeros({3}).set_requires_grad(), b = zeros({4}).set_requires_grad();
  optim::Adam first({a}, {.lr = 0.5});
  a.set_grad(ones({3}));
  first.step();
  optim::Adam second({b}, {.lr = 0.25});
  CHECK_THROWS_WITH_AS(second.load_state_dict(first.state_dict()),
                       doctest::Contains("state.0.exp_avg is (4,) here, (3,) f32 in what is loaded"), ValueError);
  CHECK(second.lr() == 0.25);
  optim::SGD third({b});
  CHECK_THROWS_WITH_AS(third.load_state_dict(first.state_dict()), doctest::Contains("unexpected: group.0.eps"), ValueError);
  CHECK_THROWS_WITH_AS(first.load_state_dict({}), doctest::Contains("missing: group.0.lr"), ValueError);
}

TEST_CASE("optim: groups have rates of their own, and parameters without gradient stay") {
  Tensor a = zeros({2}).set_requires_grad(), b = zeros({2}).set_requires_grad(), c = zeros({2}).set_requires_grad();
  optim::SGD optimizer({{{a, c}, {.lr = 1}}, {{b}, {.lr = 10}}});
  CHECK(optimizer.group_count() == 2);
  a.set_grad(ones({2}));
  b.set_grad(ones({2}));
  optimizer.step();
  CHECK(a.to_vector() == std::vector<double>{-1, -1});
  CHECK(b.to_vector() == std::vector<double>{-10, -10});
  CHECK(c.to_vector() == std::vector<double>{0, 0});
  optimizer.set_lr(1, 2);
  CHECK(optimizer.lr(0) == 1);
  CHECK(optimizer.lr(1) == 2);
  optimizer.zero_grad();
  CHECK(!a.grad().defined());
  CHECK_THROWS_AS(optimizer.lr(2), ValueError);
  CHECK_THROWS_AS(optimizer.set_lr(-1), ValueError);
  CHECK_THROWS_AS(optim::Adagrad({a}).momentum(), ValueError);
}

TEST_CASE("optim: what an optimizer remembers has its memory before the first step") {
  Tensor x = randn({1 << 20}, {.requires_grad = true}), frozen = randn({1 << 20});
  const std::int64_t before = memory_stats().in_use;
  optim::Adam adam({x, frozen});
  CHECK(memory_stats().in_use - before == doctest::Approx(2.0 * static_cast<double>(x.bytes())).epsilon(0.01));
  CHECK(adam.state_dict().size() == 6);  // the options: nothing was moved yet
  x.set_grad(randn({1 << 20}));
  const std::int64_t blocks = memory_stats().live_blocks;
  adam.step();
  CHECK(memory_stats().live_blocks == blocks);
}

TEST_CASE("optim: an optimizer follows a model that changes its dtype") {
  nn::Conv2d conv{1, 1, 1, {.bias = false}};
  nn::init::zeros_(conv.weight);
  optim::Adam optimizer(conv.parameters(), {.lr = 0.1});
  for (const Dtype dtype : {f32, f64}) {
    conv.to(dtype);
    conv.weight.set_grad(ones({1, 1, 1, 1}, {.dtype = dtype}));
    optimizer.step();
  }
  // Twice the same gradient: both steps are of length lr.
  CHECK(conv.weight.item() == doctest::Approx(-0.2).epsilon(1e-7));
  CHECK(optimizer.state_dict().back().second.dtype() == f64);
}

TEST_CASE("optim: misuse is refused") {
  Tensor a = zeros({4}).set_requires_grad();
  optim::Adam optimizer({a});
  CHECK_THROWS_WITH_AS(optimizer.step(), doctest::Contains("none of the 1 parameters has a gradient"), ValueError);
  CHECK_THROWS_AS(optim::SGD(std::vector<Tensor>{}), ValueError);
  CHECK_THROWS_AS(optim::SGD({a, a}), ValueError);
  CHECK_THROWS_AS(optim::SGD({zeros({2}, {.dtype = i64})}), DtypeError);
  CHECK_THROWS_AS(optim::SGD({raw::view(zeros({4}), {2}, {2})}), ValueError);
  CHECK_THROWS_AS(optim::SGD({a}, {.lr = -1}), ValueError);
  CHECK_THROWS_AS(optim::SGD({a}, {.lr = NAN}), ValueError);
  CHECK_THROWS_AS(optim::SGD({a}, {.nesterov = true}), ValueError);
  CHECK_THROWS_AS(optim::Adam({a}, {.betas = {1, 0.9}}), ValueError);
  CHECK_THROWS_AS(optim::RMSprop({a}, {.alpha = 1}), ValueError);
  CHECK_THROWS_AS(optim::Adagrad({a}, {.eps = -1}), ValueError);
  CHECK_THROWS_AS(optim::Lion({a}, {.weight_decay = -1}), ValueError);
}
