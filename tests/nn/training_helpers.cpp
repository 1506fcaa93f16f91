// Clipping, averages of weights, checkpoints.
#include <doctest/doctest.h>

#include <unistd.h>

#include <cmath>
#include <filesystem>
#include <fstream>

#include <duet/core/factory.hpp>
#include <duet/core/platform.hpp>
#include <duet/core/random.hpp>
#include <duet/core/raw.hpp>
#include <duet/nn/checkpoint.hpp>
#include <duet/nn/conv.hpp>
#include <duet/nn/ema.hpp>
#include <duet/nn/init.hpp>
#include <duet/nn/optim/clip.hpp>
#include <duet/nn/optim/optimizers.hpp>
#include <duet/nn/optim/schedules.hpp>
#include <duet/ops/elementwise.hpp>
#include <duet/ops/reduce.hpp>

using namespace duet;

namespace {

struct TemporaryFolder {
  std::filesystem::path path = std::filesystem::temp_directory_path() / ("duet_nn_" + std::to_string(::getpid()));
  TemporaryFolder() { std::filesystem::create_directories(path); }
  ~TemporaryFolder() { std::filesystem::remove_all(path); }
  std::string operator/(const char* name) const { return (path / name).string(); }
};

Tensor leaf_with_grad(std::initializer_list<float> values) {
  const std::vector<float> held(values);
  Tensor leaf = zeros({static_cast<std::int64_t>(held.size())}).set_requires_grad();
  leaf.set_grad(Tensor::from_span(std::span<const float>(held), leaf.shape()));
  return leaf;
}

void train_step(nn::Module& model, optim::Optimizer& optimizer) {
  optimizer.zero_grad();
  const Tensor y = model(randn({2, 1, 4, 4}));
  sum(y * y).backward();
  optimizer.step();
}

}  // namespace

TEST_CASE("clip: the norm is that of all gradients together") {
  const std::vector<Tensor> parameters{leaf_with_grad({3, 0}), zeros({5}).set_requires_grad(), leaf_with_grad({-4})};
  CHECK(optim::grad_norm(parameters) == doctest::Approx(5));
  CHECK(optim::grad_norm(parameters, 1) == doctest::Approx(7));
  CHECK(optim::grad_norm(parameters, INFINITY) == doctest::Approx(4));
  CHECK(optim::clip_grad_norm_(parameters, 10) == doctest::Approx(5));
  CHECK(parameters[0].grad().to_vector()[0] == 3);
  CHECK(optim::clip_grad_norm_(parameters, 1) == doctest::Approx(5));
  CHECK(parameters[0].grad().to_vector()[0] == doctest::Approx(0.6));
  CHECK(parameters[2].grad().to_vector()[0] == doctest::Approx(-0.8));
  optim::clip_grad_value_(parameters, 0.7);
  CHECK(parameters[0].grad().to_vector()[0] == doctest::Approx(0.6));
  CHECK(parameters[2].grad().to_vector()[0] == doctest::Approx(-0.7));
  CHECK_THROWS_AS(optim::clip_grad_norm_(parameters, 0), ValueError);
  CHECK_THROWS_AS(optim::clip_grad_value_(parameters, -1), ValueError);
  CHECK_THROWS_AS(optim::grad_norm(parameters, 0), ValueError);
}

TEST_CASE("clip: a gradient that is not finite is reported, or refused") {
  const std::vector<Tensor> parameters{leaf_with_grad({NAN, 1}), leaf_with_grad({2})};
  CHECK_THROWS_AS(optim::clip_grad_norm_(parameters, 1, {.error_if_nonfinite = true}), ValueError);
  CHECK(parameters[1].grad().item() == 2);
  CHECK(std::isnan(optim::grad_norm(parameters, INFINITY)));
  CHECK(std::isnan(optim::clip_grad_norm_(parameters, 1)));
  CHECK(std::isnan(parameters[1].grad().item()));
}

TEST_CASE("clip: a gradient whose elements share memory is copied first") {
  Tensor leaf = zeros({3}).set_requires_grad();
  const Tensor one = full({1}, 2);
  leaf.set_grad(raw::view(one, {3}, {0}));
  optim::clip_grad_value_({leaf}, 1);
  CHECK(leaf.grad().to_vector() == std::vector<double>{1, 1, 1});
  CHECK(one.item() == 2);
}

TEST_CASE("ema: the average follows the weights, swaps in and out, and is restored") {
  nn::Conv2d conv{1, 1, 1};
  nn::init::constant_(conv.weight, 1);
  nn::ExponentialMovingAverage ema(conv, {.decay = 0.75});
  nn::init::constant_(conv.weight, 5);
  ema.update();
  CHECK(ema.average()[0].second.item() == doctest::Approx(2));
  ema.swap();
  CHECK(conv.weight.item() == doctest::Approx(2));
  CHECK_THROWS_AS(ema.update(), ValueError);
  CHECK_THROWS_AS(ema.state_dict(), ValueError);
  ema.swap();
  CHECK(conv.weight.item() == 5);
  nn::ExponentialMovingAverage other(conv, {.decay = 0.75});
  other.load_state_dict(ema.state_dict());
  other.update();
  CHECK(other.average()[0].second.item() == doctest::Approx(2.75));
  conv.to(f64);
  other.update();
  CHECK(other.average()[0].second.dtype() == f64);
  nn::Conv2d copy{1, 1, 1};
  other.copy_to(copy);
  CHECK(copy.weight.item() == doctest::Approx(0.75 * 2.75 + 1.25));
  nn::Conv2d wide{2, 1, 1};
  CHECK_THROWS_AS(other.copy_to(wide), ValueError);
  nn::ExponentialMovingAverage warm(conv, {.warm_up = true});
  nn::init::constant_(conv.weight, 15);
  warm.update();
  CHECK(warm.average()[0].second.item() == doctest::Approx(0.1 * 5 + 0.9 * 15));
  CHECK_THROWS_AS(nn::ExponentialMovingAverage(conv, {.decay = 1}), ValueError);
}

TEST_CASE("checkpoint: a run goes on exactly where it was saved") {
  const TemporaryFolder folder;
  const std::string path = folder / "run.safetensors";
  manual_seed(3);
  nn::Conv2d model{1, 2, 3};
  optim::Adam optimizer(model.parameters(), {.lr = 0.1});
  optim::Scheduler scheduler(optimizer, optim::ExponentialLR{.gamma = 0.9});
  for (int i = 0; i < 3; ++i) train_step(model, optimizer), scheduler.step();
  nn::Checkpoint checkpoint;
  checkpoint.keep("model", model);
  checkpoint.keep("optimizer", optimizer);
  checkpoint.keep("schedule", scheduler);
  checkpoint.keep("random", default_generator());
  checkpoint.set("step", 3);
  checkpoint.set_text("note", "two\nlines");
  CHECK_THROWS_AS(checkpoint.set("model", 1), ValueError);
  CHECK_THROWS_AS(checkpoint.keep("a/b", model), ValueError);
  checkpoint.save(path);
  for (int i = 0; i < 3; ++i) train_step(model, optimizer), scheduler.step();

  manual_seed(99);
  nn::Conv2d again{1, 2, 3};
  optim::Adam second(again.parameters());
  optim::Scheduler follower(second, optim::ExponentialLR{.gamma = 0.9});
  const nn::Checkpoint saved = nn::Checkpoint::load(path);
  saved.restore("model", again);
  saved.restore("optimizer", second);
  saved.restore("schedule", follower);
  saved.restore("random", default_generator());
  CHECK(saved.number("step") == 3);
  CHECK(saved.text("note") == "two\nlines");
  for (int i = 0; i < 3; ++i) train_step(again, second), follower.step();
  CHECK(again.weight.to_vector() == model.weight.to_vector());
  CHECK(second.lr() == optimizer.lr());
}

TEST_CASE("checkpoint: the one before is kept, and a foreign file or model is refused") {
  const TemporaryFolder folder;
  const std::string path = folder / "run.safetensors";
  nn::Conv2d model{1, 2, 3};
  for (int step = 1; step <= 3; ++step) {
    nn::Checkpoint checkpoint;
    checkpoint.keep("model", model);
    checkpoint.set("step", step);
    checkpoint.save(path);
  }
  CHECK(nn::Checkpoint::load(path).number("step") == 3);
  CHECK(nn::Checkpoint::load(path + ".previous").number("step") == 2);
  CHECK(std::distance(std::filesystem::directory_iterator(folder.path), {}) == 2);

  const nn::Checkpoint saved = nn::Checkpoint::load(path);
  nn::Conv2d other{1, 4, 3};
  const auto before = other.weight.to_vector();
  CHECK_THROWS_WITH_AS(saved.restore("model", other),
                       doctest::Contains("weight is (4, 1, 3, 3) f32 here, (2, 1, 3, 3) f32 in what is loaded"), ValueError);
  CHECK(other.weight.to_vector() == before);
  CHECK_THROWS_WITH_AS(saved.restore("optimizer", other), doctest::Contains("no state 'optimizer', only: model"), ValueError);
  CHECK_THROWS_AS(saved.restore("model", default_generator()), ValueError);
  CHECK_THROWS_AS(saved.number("epoch"), ValueError);
  save_safetensors(folder / "weights.safetensors", model.state_dict());
  CHECK_THROWS_WITH_AS(nn::Checkpoint::load(folder / "weights.safetensors"), doctest::Contains("no checkpoint"), IoError);
  std::filesystem::resize_file(path, 100);
  CHECK_THROWS_AS(nn::Checkpoint::load(path), IoError);
}
