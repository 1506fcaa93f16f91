// Schedules against PyTorch's rates, composition, plateaus, resuming.
#include <doctest/doctest.h>

#include <duet/core/factory.hpp>
#include <duet/nn/optim/optimizers.hpp>
#include <duet/nn/optim/schedules.hpp>

#include "nn/golden.hpp"

using namespace duet;
using namespace duet::optim;
using nlohmann::json;

namespace {

template <class T>
void take(json& attributes, const char* name, T& value) {
  if (!attributes.contains(name)) return;
  value = attributes[name].get<T>();
  attributes.erase(name);
}

/// The schedule of a golden case; attributes that are left over belong to none.
Schedule schedule_of(const std::string& kind, json& a) {
  if (kind == "StepLR") {
    StepLR s;
    take(a, "step_size", s.step_size), take(a, "gamma", s.gamma);
    return s;
  }
  if (kind == "MultiStepLR") {
    MultiStepLR s;
    take(a, "milestones", s.milestones), take(a, "gamma", s.gamma);
    return s;
  }
  if (kind == "ExponentialLR") {
    ExponentialLR s;
    take(a, "gamma", s.gamma);
    return s;
  }
  if (kind == "CosineAnnealingLR") {
    CosineAnnealingLR s;
    take(a, "T_max", s.T_max), take(a, "eta_min", s.eta_min);
    return s;
  }
  if (kind == "CosineAnnealingWarmRestarts") {
    CosineAnnealingWarmRestarts s;
    take(a, "T_0", s.T_0), take(a, "T_mult", s.T_mult), take(a, "eta_min", s.eta_min);
    return s;
  }
  if (kind == "LinearLR") {
    LinearLR s;
    take(a, "start_factor", s.start_factor), take(a, "end_factor", s.end_factor), take(a, "total_iters", s.total_iters);
    return s;
  }
  if (kind == "PolynomialLR") {
    PolynomialLR s;
    take(a, "total_iters", s.total_iters), take(a, "power", s.power);
    return s;
  }
  REQUIRE(kind == "OneCycleLR");
  OneCycleLR s;
  take(a, "max_lr", s.max_lr), take(a, "total_steps", s.total_steps), take(a, "pct_start", s.pct_start);
  take(a, "div_factor", s.div_factor), take(a, "final_div_factor", s.final_div_factor);
  take(a, "cycle_momentum", s.cycle_momentum);
  return s;
}

Tensor leaf() { return zeros({2}).set_requires_grad(); }

}  // namespace

TEST_CASE("schedules: PyTorch's rates in each of 40 epochs") {
  const SafetensorsFile file = test::golden("lr_scheduler");
  const json cases = test::cases_of(file);
  CHECK(cases.size() == 8);
  for (const json& one : cases) {
    CAPTURE(one.dump());
    json attributes = one["attrs"];
    double base = 0;
    take(attributes, "base_lr", base);
    SGD optimizer({leaf()}, {.lr = base, .momentum = 0.9});
    Scheduler scheduler(optimizer, schedule_of(one["op"], attributes));
    CHECK(attributes.empty());
    const auto expected = file.find(one["id"].get<std::string>() + ".lr").to_vector();
    std::vector<double> rates;
    for (std::size_t epoch = 0; epoch < expected.size(); ++epoch) {
      rates.push_back(optimizer.lr());
      scheduler.step();
    }
    CHECK(test::excess(rates, expected, 1e-9) <= 1e-15);
  }
}

TEST_CASE("schedules: a cosine comes back up behind T_max, and jumps up where it restarts") {
  const CosineAnnealingLR cosine{.T_max = 2, .eta_min = 1};
  for (const auto& [step, rate] : {std::pair{0, 3.0}, {1, 2.0}, {2, 1.0}, {3, 2.0}, {4, 3.0}, {6, 1.0}})
    CHECK(cosine.at(3, step).lr == doctest::Approx(rate));
  const CosineAnnealingWarmRestarts restarts{.T_0 = 2, .T_mult = 2};
  for (const auto& [step, rate] : {std::pair{0, 1.0}, {1, 0.5}, {2, 1.0}, {4, 0.5}, {6, 1.0}, {10, 0.5}, {14, 1.0}})
    CHECK(restarts.at(1, step).lr == doctest::Approx(rate));
}

TEST_CASE("schedules: OneCycleLR moves momentum against the rate") {
  const OneCycleLR cycle{.max_lr = 1, .total_steps = 11, .pct_start = 0.5};
  CHECK(*cycle.at(0, 0).momentum == doctest::Approx(0.95));
  CHECK(*cycle.at(0, 10).momentum == doctest::Approx(0.95));
  double least = 1, most = 0;
  for (int i = 0; i < 11; ++i) {
    least = std::min(least, *cycle.at(0, i).momentum);
    most = std::max(most, cycle.at(0, i).lr);
  }
  CHECK(least == doctest::Approx(0.85).epsilon(0.01));
  CHECK(most > 0.95);
  Adam adam({leaf()}, {.betas = {0.5, 0.9}});
  Scheduler scheduler(adam, cycle);
  CHECK(adam.momentum() == doctest::Approx(0.95));
  Adagrad adagrad({leaf()});
  CHECK_THROWS_AS(Scheduler(adagrad, cycle), ValueError);
}

TEST_CASE("schedules: a warm-up, then another, one after the other or multiplied") {
  const SequentialLR warm{{LinearLR{.start_factor = 0.1, .total_iters = 5}, ExponentialLR{.gamma = 0.5}}, {5}};
  SGD optimizer({leaf()}, {.lr = 2});
  Scheduler scheduler(optimizer, warm);
  CHECK(optimizer.lr() == doctest::Approx(0.2));
  for (int i = 0; i < 5; ++i) scheduler.step();
  CHECK(optimizer.lr() == doctest::Approx(2));
  scheduler.step();
  CHECK(optimizer.lr() == doctest::Approx(1));
  const ChainedLR chained{{StepLR{.step_size = 2, .gamma = 0.5}, ExponentialLR{.gamma = 0.1}}};
  CHECK(Schedule(chained).at(1, 3).lr == doctest::Approx(0.5e-3));
  CHECK(Schedule(LambdaLR{[](std::int64_t step) { return 1.0 / static_cast<double>(step + 1); }}).at(3, 2).lr == doctest::Approx(1));
}

TEST_CASE("schedules: a group's rate follows its own base, and a resumed scheduler goes on") {
  SGD first({{{leaf()}, {.lr = 1}}, {{leaf()}, {.lr = 10}}});
  Scheduler a(first, ExponentialLR{.gamma = 0.5});
  a.step(), a.step();
  CHECK(first.lr(0) == doctest::Approx(0.25));
  CHECK(first.lr(1) == doctest::Approx(2.5));
  SGD second({{{leaf()}, {.lr = 7}}, {{leaf()}, {.lr = 7}}});
  Scheduler b(second, ExponentialLR{.gamma = 0.5});
  b.load_state_dict(a.state_dict());
  CHECK(second.lr(1) == doctest::Approx(2.5));
  b.step();
  CHECK(second.lr(1) == doctest::Approx(1.25));
  SGD third({leaf()});
  Scheduler c(third, ExponentialLR{});
  CHECK_THROWS_AS(c.load_state_dict(a.state_dict()), ValueError);
}

TEST_CASE("schedules: a plateau lowers the rate after its patience, with threshold, cooldown and floor") {
  SGD optimizer({leaf()}, {.lr = 1});
  ReduceLROnPlateau plateau(optimizer, {.factor = 0.1, .patience = 2, .threshold = 0.01, .cooldown = 1, .min_lr = 0.02});
  std::vector<double> rates;
  for (const double metric : {1.0, 0.5, 0.499, 0.498, 0.497, 0.497, 0.497, 0.497, 0.497, 0.1, 0.1, 0.1, 0.1, 0.1}) {
    plateau.step(metric);
    rates.push_back(optimizer.lr());
  }
  CHECK(test::excess(rates, {1, 1, 1, 1, 0.1, 0.1, 0.1, 0.1, 0.02, 0.02, 0.02, 0.02, 0.02, 0.02}) <= 1e-12);
  SGD other({leaf()}, {.lr = 1});
  ReduceLROnPlateau rising(other, {.mode = PlateauMode::max, .patience = 0, .threshold_mode = ThresholdMode::abs});
  rising.step(0.1), rising.step(0.2), rising.step(0.3);
  CHECK(other.lr() == 1);
  rising.step(0.30005);
  CHECK(other.lr() == doctest::Approx(0.1));
  ReduceLROnPlateau restored(other, {.mode = PlateauMode::max, .patience = 0});
  restored.load_state_dict(rising.state_dict());
  restored.step(0.25);
  CHECK(other.lr() == doctest::Approx(0.01));
}

TEST_CASE("schedules: arguments out of range are refused") {
  CHECK_THROWS_AS(Schedule(StepLR{.step_size = 0}), ValueError);
  CHECK_THROWS_AS(Schedule(MultiStepLR{.milestones = {5, 3}}), ValueError);
  CHECK_THROWS_AS(Schedule(ExponentialLR{.gamma = -1}), ValueError);
  CHECK_THROWS_AS(Schedule(CosineAnnealingLR{.T_max = 0}), ValueError);
  CHECK_THROWS_AS(Schedule(CosineAnnealingWarmRestarts{.T_0 = 0}), ValueError);
  CHECK_THROWS_AS(Schedule(LinearLR{.start_factor = 0}), ValueError);
  CHECK_THROWS_AS(Schedule(PolynomialLR{.total_iters = 0}), ValueError);
  CHECK_THROWS_AS(Schedule(OneCycleLR{.total_steps = 0}), ValueError);
  CHECK_THROWS_AS(Schedule(LambdaLR{}), ValueError);
  CHECK_THROWS_AS(Schedule(SequentialLR{{StepLR{}}, {3}}), ValueError);
  CHECK_THROWS_AS(Schedule(ChainedLR{}), ValueError);
  SGD optimizer({leaf()});
  CHECK_THROWS_AS(ReduceLROnPlateau(optimizer, {.factor = 1}), ValueError);
}
