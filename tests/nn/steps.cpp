// Whole training steps: what they ask of the system, what happens when memory ends, and that neither threads nor runs
// change a bit of their weights.
#include <doctest/doctest.h>

#include <cstring>
#include <string>

#include <duet/autograd/backward.hpp>
#include <duet/core/allocator.hpp>
#include <duet/core/factory.hpp>
#include <duet/core/parallel.hpp>
#include <duet/core/random.hpp>
#include <duet/nn/activation.hpp>
#include <duet/nn/container.hpp>
#include <duet/nn/conv.hpp>
#include <duet/nn/models/unet.hpp>
#include <duet/nn/norm.hpp>
#include <duet/nn/optim/clip.hpp>
#include <duet/nn/optim/optimizers.hpp>
#include <duet/ops/elementwise.hpp>
#include <duet/ops/loss.hpp>

using namespace duet;

namespace {

/// Restores the number of threads and lifts the limit at the end of a test.
struct Settings {
  explicit Settings(int threads) : before(num_threads()) { set_num_threads(threads); }
  ~Settings() {
    set_num_threads(before);
    set_memory_limit(0);
  }
  int before;
};

struct UNetTraining {
  nn::UNet model{nn::UNetOptions{.base_channels = 8, .depth = 3}};
  optim::Adam adam{model.parameters(), {.lr = 1e-3}};

  double step(std::int64_t batch) {
    const Tensor x = randn({batch, 1, 48, 40}), target = rand({batch, 1, 48, 40});
    adam.zero_grad();
    const Tensor loss = binary_cross_entropy_with_logits(model(x), target);
    loss.backward();
    optim::clip_grad_norm_(model.parameters(), 1);
    adam.step();
    return loss.item();
  }
};

nn::Conv2d halve(std::int64_t in, std::int64_t out) { return {in, out, 4, {.stride = 2, .padding = 1, .bias = false}}; }
nn::ConvTranspose2d twice(std::int64_t in, std::int64_t out) {
  return {in, out, 4, {.stride = 2, .padding = 1, .bias = false}};
}

/// A DCGAN for 32 x 32 images.
struct GanTraining {
  nn::Sequential generator{nn::ConvTranspose2d(16, 32, 4, {.bias = false}),
                           nn::BatchNorm2d(32),
                           nn::ReLU(),
                           twice(32, 16),
                           nn::BatchNorm2d(16),
                           nn::ReLU(),
                           twice(16, 16),
                           nn::BatchNorm2d(16),
                           nn::ReLU(),
                           twice(16, 3),
                           nn::Tanh()};
  nn::Sequential discriminator{halve(3, 16),        nn::LeakyReLU(0.2), halve(16, 32),
                               nn::BatchNorm2d(32), nn::LeakyReLU(0.2), halve(32, 32),
                               nn::BatchNorm2d(32), nn::LeakyReLU(0.2), nn::Conv2d(32, 1, 4)};
  optim::Adam g_adam{generator.parameters(), {.lr = 2e-4, .betas = {0.5, 0.999}}};
  optim::Adam d_adam{discriminator.parameters(), {.lr = 2e-4, .betas = {0.5, 0.999}}};

  void step() {
    const auto against = [](const Tensor& logits, double label) {
      return binary_cross_entropy_with_logits(logits, full_like(logits, label));
    };
    const Tensor real = rand({8, 3, 32, 32});
    d_adam.zero_grad();
    const Tensor fake = generator(randn({8, 16, 1, 1}));
    const Tensor on_real = against(discriminator(real), 1);
    (on_real + against(discriminator(fake.detach()), 0)).backward();
    d_adam.step();
    g_adam.zero_grad();
    against(discriminator(fake), 1).backward();
    g_adam.step();
  }
};

/// Every byte of a model's parameters and buffers.
std::string bytes_of(const nn::Module& model) {
  std::string bytes;
  for (const auto& [name, tensor] : model.state_dict()) {
    const std::vector<double> values = tensor.to_vector();  // exact for f32, and tells -0 from 0
    bytes.append(reinterpret_cast<const char*>(values.data()), values.size() * sizeof(double));
  }
  return bytes;
}

std::string unet_after(int steps, int threads) {
  const Settings settings(threads);
  manual_seed(11);
  UNetTraining training;
  for (int i = 0; i < steps; ++i) training.step(4);
  return bytes_of(training.model);
}

std::string gan_after(int steps, int threads) {
  const Settings settings(threads);
  manual_seed(12);
  GanTraining training;
  for (int i = 0; i < steps; ++i) training.step();
  return bytes_of(training.generator) + bytes_of(training.discriminator);
}

/// Once more with one thread, then with others: all alike.
template <class Run>
void check_bits(int steps, Run run) {
  const std::string once = run(steps, 1);
  CHECK(once != run(steps - 1, 1));  // the comparison sees a single step
  for (const int threads : {1, 2, 4}) {
    CAPTURE(threads);
    CHECK(run(steps, threads) == once);
  }
}

}  // namespace

TEST_CASE("after its third step a training loop asks the system for nothing") {
  for (const int threads : {4, 2, 1}) {
    CAPTURE(threads);
    const Settings settings(threads);
    manual_seed(1);
    UNetTraining training;
    GanTraining gan;
    for (int i = 0; i < 3; ++i) {
      training.step(4);
      gan.step();
    }
    const MemoryStats before = memory_stats();
    for (int i = 0; i < 7; ++i) {
      training.step(4);
      gan.step();
    }
    CHECK(memory_stats().system_calls == before.system_calls);
    CHECK(memory_stats().in_use == before.in_use);
    // How much scratch memory is in use at once depends on the threads' timing.
    if (threads == 1) CHECK(memory_stats().peak_in_use == before.peak_in_use);
  }
}

TEST_CASE("where memory ends an error names op and bytes, and a smaller step works") {
  const Settings settings(1);
  manual_seed(2);
  UNetTraining training;
  training.step(2);
  release_cached_memory();
  CHECK(memory_stats().cached == 0);
  reset_peak_memory();
  training.step(2);
  const MemoryStats small = memory_stats();
  const std::int64_t limit = small.peak_in_use + small.peak_in_use / 2;
  set_memory_limit(limit);
  CHECK(memory_stats().limit == limit);
  const std::string weights = bytes_of(training.model);
  try {
    training.step(32);
    FAIL("a step of 32 images fits into the memory of 3");
  } catch (const MemoryError& error) {
    const std::string text = error.what();
    CAPTURE(text);
    CHECK(text.starts_with("["));
    CHECK(text.find("] cannot allocate ") != std::string::npos);
    CHECK(text.find(" bytes: the limit set is reached") != std::string::npos);
    CHECK(text.find("[allocate]") == std::string::npos);  // an op's name instead
  }
  CHECK(memory_stats().in_use + memory_stats().cached <= limit);
  CHECK(training.step(2) > 0);
  CHECK(bytes_of(training.model) != weights);
  CHECK(memory_stats().in_use == small.in_use);
  CHECK(memory_stats().in_use + memory_stats().cached <= limit);
  CHECK_THROWS_AS(set_memory_limit(-1), ValueError);
}

TEST_CASE("training steps do not depend on the number of threads, bit for bit") {
  check_bits(3, unet_after);
  check_bits(3, gan_after);
}

TEST_SUITE("long") {
  TEST_CASE("200 steps of a U-Net are the same with one or two or four threads") { check_bits(200, unet_after); }
  TEST_CASE("100 steps of a GAN are the same with one or two or four threads") { check_bits(100, gan_after); }
}
