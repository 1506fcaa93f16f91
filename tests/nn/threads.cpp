// Threads over whole models: trained side by side, one shared in evaluation, one leaf under several graphs. Under
// ThreadSanitizer (the preset tsan) these are also searches for races.
#include <doctest/doctest.h>

#include <algorithm>
#include <thread>

#include <duet/autograd/backward.hpp>
#include <duet/core/factory.hpp>
#include <duet/core/random.hpp>
#include <duet/core/tape.hpp>
#include <duet/nn/data/loader.hpp>
#include <duet/nn/data/tensor_set.hpp>
#include <duet/nn/dropout.hpp>
#include <duet/nn/models/unet.hpp>
#include <duet/nn/optim/optimizers.hpp>
#include <duet/ops/activation.hpp>
#include <duet/ops/conv.hpp>
#include <duet/ops/elementwise.hpp>
#include <duet/ops/loss.hpp>
#include <duet/ops/reduce.hpp>

using namespace duet;

namespace {

/// Runs body(0) … body(count - 1), each in a thread, and waits for all.
template <class Body>
void in_threads(int count, const Body& body) {
  std::vector<std::thread> threads;
  for (int t = 0; t < count; ++t) threads.emplace_back([&body, t] { body(t); });
  for (std::thread& thread : threads) thread.join();
}

std::unique_ptr<nn::UNet> small_unet(std::uint64_t seed) {
  manual_seed(seed);
  return std::make_unique<nn::UNet>(nn::UNetOptions{.base_channels = 4, .depth = 2});
}

/// Four steps on batches of a loader with two workers; every parameter and statistic after them.
std::vector<double> trained(nn::UNet& model, std::uint64_t seed) {
  Generator random(seed);
  const Tensor images = randn({8, 1, 12, 12}, {}, random);
  data::DataLoader loader(data::TensorDataset(images, relu(images)), {.batch_size = 2, .seed = seed, .workers = 2});
  optim::Adam optimizer(model.parameters(), {.lr = 1e-2});
  for (auto& [image, target] : loader) {
    optimizer.zero_grad();
    mse_loss(model(image), target).backward();
    optimizer.step();
  }
  std::vector<double> all;
  for (const auto& [name, tensor] : model.state_dict())
    for (const double value : tensor.to_vector()) all.push_back(value);
  return all;
}

/// Whole numbers, whose sums f32 has exactly, so that their order does not matter.
Tensor whole_numbers(const Shape& shape, std::uint64_t seed) {
  Generator random(seed);
  Tensor values = Tensor::empty(shape);
  for (float& value : std::span(values.mutable_data<float>(), static_cast<std::size_t>(values.numel())))
    value = static_cast<float>(random.integer(-3, 4));
  return values;
}

/// Thread t's backward to the leaf: through a convolution, its dual and a plain product.
void pull(const Tensor& weight, int t) {
  const auto seed = static_cast<std::uint64_t>(t);
  const Tensor x = whole_numbers({2, 3, 6, 6}, seed), y = whole_numbers({2, 4, 6, 6}, seed + 100);
  const Tensor pair = sum(conv2d(x, weight, {.padding = 1}) * y) + sum(conv_transpose2d(y, weight, {.padding = 1}) * x);
  (pair + sum(weight * weight)).backward();
}

}  // namespace

TEST_CASE("four threads train models of their own, bit for bit as one thread does") {
  std::vector<std::vector<double>> alone, together(4);
  std::vector<std::unique_ptr<nn::UNet>> models;
  for (std::uint64_t t = 0; t < 4; ++t) {
    alone.push_back(trained(*small_unet(t), t));
    models.push_back(small_unet(t));
  }
  in_threads(4, [&](int t) {
    const auto i = static_cast<std::size_t>(t);
    together[i] = trained(*models[i], i);
  });
  CHECK(together == alone);
  CHECK(alone[0] != alone[1]);
}

TEST_CASE("eight threads predict with one model, bit for bit as one thread does") {
  const auto model = small_unet(1);
  trained(*model, 1);
  model->eval();
  std::vector<Tensor> images;
  std::vector<std::vector<double>> alone, recorded(8), unrecorded(8);
  for (std::uint64_t t = 0; t < 8; ++t) {
    Generator random(t + 50);
    images.push_back(randn({1, 1, 20, 20}, {}, random));
    alone.push_back((*model)(images.back()).to_vector());
  }
  in_threads(8, [&](int t) {
    const auto i = static_cast<std::size_t>(t);
    for (int repeat = 0; repeat < 3; ++repeat) {
      recorded[i] = (*model)(images[i]).to_vector();
      const InferenceModeGuard inference;
      unrecorded[i] = (*model)(images[i]).to_vector();
    }
  });
  CHECK(recorded == alone);
  CHECK(unrecorded == alone);
}

TEST_CASE("several threads run backward to one leaf: nothing is lost, nothing counted twice") {
  const Tensor start = whole_numbers({4, 3, 3, 3}, 7);
  Tensor alone = start.detach(), shared = Tensor::from_span(start.span<float>(), start.shape());
  alone.set_requires_grad();
  for (int repeat = 0; repeat < 20; ++repeat)
    for (int t = 0; t < 4; ++t) pull(alone, t);
  shared.set_requires_grad();
  in_threads(4, [&](int t) {
    for (int repeat = 0; repeat < 20; ++repeat) pull(shared, t);
  });
  CHECK(shared.grad().to_vector() == alone.grad().to_vector());
}

TEST_CASE("threads that draw from one generator share its numbers out") {
  Generator shared(3), alone(3);
  std::vector<std::uint64_t> expected, drawn;
  for (int i = 0; i < 4000; ++i) expected.push_back(alone.next());
  std::vector<std::vector<std::uint64_t>> parts(4);
  in_threads(4, [&](int t) {
    for (int i = 0; i < 1000; ++i) parts[static_cast<std::size_t>(t)].push_back(shared.next());
  });
  for (const auto& part : parts) drawn.insert(drawn.end(), part.begin(), part.end());
  std::sort(drawn.begin(), drawn.end());
  std::sort(expected.begin(), expected.end());
  CHECK(drawn == expected);
  // So do layers that draw from the process's.
  in_threads(4, [](int) {
    nn::Dropout dropout(0.5);
    for (int i = 0; i < 20; ++i) dropout(ones({100}));
  });
}
