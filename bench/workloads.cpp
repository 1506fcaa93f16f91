// U-Net, DCGAN, WGAN-GP and a small perceptron, as steps.
#include "workloads.hpp"

#include <memory>

#include <duet/duet.hpp>

#ifdef DUET_BENCH_PNG
#include "crops.hpp"
#endif

namespace duet::bench {
namespace {

using Step = std::function<void()>;

Tensor coin_flips(const Shape& shape) { return to(gt(randn(shape), 0.0), f32); }

Step unet_training(std::int64_t base, std::int64_t depth, const Shape& shape) {
  const auto model = std::make_shared<nn::UNet>(nn::UNetOptions{.base_channels = base, .depth = depth});
  const auto adam = std::make_shared<optim::Adam>(model->parameters(), optim::AdamOptions{.lr = 1e-3});
  return [=, x = randn(shape), target = coin_flips(shape)] {
    adam->zero_grad();
    binary_cross_entropy_with_logits((*model)(x), target).backward();
    adam->step();
  };
}

#ifdef DUET_BENCH_PNG
/// The same network on crops of pictures, each batch drawn anew.
Step crop_training() {
  constexpr std::int64_t count = 8, side = 128;
  const auto crops = std::make_shared<Crops>(crops_folder());
  const auto model = std::make_shared<nn::UNet>(nn::UNetOptions{.base_channels = 16, .depth = 4});
  const auto adam = std::make_shared<optim::Adam>(model->parameters(), optim::AdamOptions{.lr = 1e-3});
  return [=] {
    Tensor x = Tensor::empty({count, 1, side, side}), target = Tensor::empty({count, 1, side, side});
    crops->next(count, side, x.mutable_data<float>(), target.mutable_data<float>());
    adam->zero_grad();
    binary_cross_entropy_with_logits((*model)(x), target).backward();
    adam->step();
  };
}
#endif

Step inference(Inference (*make)()) {
  return [one = make()] {
    const NoGradGuard no_grad;
    (*one.model)(one.input);
  };
}

/// The model in evaluation, after one batch for its running statistics.
Inference evaluated(const char* name, const std::shared_ptr<nn::Module>& model, const Tensor& input) {
  const NoGradGuard no_grad;
  (*model)(input);
  model->eval();
  return {name, model, input};
}

Inference unet_inference() {
  return evaluated("unet16_inference", std::make_shared<nn::UNet>(nn::UNetOptions{.base_channels = 16, .depth = 4}),
                   randn({8, 1, 128, 128}));
}

/// The networks of Radford et al. 2016 for 64 x 64 images of three channels.
constexpr std::int64_t latent = 100, width = 64, batch = 32;

nn::ConvTranspose2d up(std::int64_t in, std::int64_t out, int stride, int padding) {
  return {in, out, 4, {.stride = stride, .padding = padding, .bias = false}};
}
nn::Conv2d down(std::int64_t in, std::int64_t out, int stride, int padding) {
  return {in, out, 4, {.stride = stride, .padding = padding, .bias = false}};
}

std::shared_ptr<nn::Sequential> generator() {
  const nn::BatchNormOptions relu{.relu = true};
  return std::make_shared<nn::Sequential>(up(latent, width * 8, 1, 0), nn::BatchNorm2d(width * 8, relu),     //
                                          up(width * 8, width * 4, 2, 1), nn::BatchNorm2d(width * 4, relu),  //
                                          up(width * 4, width * 2, 2, 1), nn::BatchNorm2d(width * 2, relu),  //
                                          up(width * 2, width, 2, 1), nn::BatchNorm2d(width, relu),          //
                                          up(width, 3, 2, 1), nn::Tanh());
}

std::shared_ptr<nn::Sequential> discriminator(bool normalised) {
  auto net = std::make_shared<nn::Sequential>(down(3, width, 2, 1), nn::LeakyReLU(0.2));
  for (const std::int64_t channels : {width, width * 2, width * 4}) {
    net->add(down(channels, channels * 2, 2, 1));
    if (normalised) net->add(nn::BatchNorm2d(channels * 2));
    net->add(nn::LeakyReLU(0.2));
  }
  net->add(down(width * 8, 1, 1, 0));
  return net;
}

Inference generator_inference() { return evaluated("generator", generator(), randn({batch, latent, 1, 1})); }

Tensor bce_against(const Tensor& logits, double label) {
  return binary_cross_entropy_with_logits(logits, full_like(logits, label));
}

/// One step of the discriminator, one of the generator.
Step dcgan() {
  const auto g = generator(), d = discriminator(true);
  const optim::AdamOptions options{.lr = 2e-4, .betas = {0.5, 0.999}};
  const auto g_adam = std::make_shared<optim::Adam>(g->parameters(), options);
  const auto d_adam = std::make_shared<optim::Adam>(d->parameters(), options);
  return [=, real = randn({batch, 3, 64, 64})] {
    d_adam->zero_grad();
    const Tensor fake = (*g)(randn({batch, latent, 1, 1}));
    const Tensor on_real = bce_against((*d)(real), 1);
    (on_real + bce_against((*d)(fake.detach()), 0)).backward();
    d_adam->step();
    g_adam->zero_grad();
    bce_against((*d)(fake), 1).backward();
    g_adam->step();
  };
}

/// One step of the critic, with the gradient penalty of Gulrajani et al. 2017.
Step wgan_gp() {
  const auto g = generator(), critic = discriminator(false);
  const auto adam = std::make_shared<optim::Adam>(critic->parameters(), optim::AdamOptions{.lr = 1e-4});
  return [=, real = randn({batch, 3, 64, 64})] {
    adam->zero_grad();
    Tensor fake;
    {
      const NoGradGuard no_grad;
      fake = (*g)(randn({batch, latent, 1, 1}));
    }
    const Tensor share = rand({batch, 1, 1, 1});
    Tensor mixed = share * real + (1.0 - share) * fake;
    mixed.set_requires_grad();
    const Tensor slope = grad({sum((*critic)(mixed))}, {mixed}, {.create_graph = true})[0];
    const Tensor penalty = mean(square(norm(flatten(slope, 1), {.dim = {1}}) - 1.0));
    (mean((*critic)(fake)) - mean((*critic)(real)) + penalty * 10.0).backward();
    adam->step();
  };
}

Step perceptron() {
  const auto model = std::make_shared<nn::Sequential>(nn::Linear(64, 128), nn::ReLU(), nn::Linear(128, 10));
  const auto adam = std::make_shared<optim::Adam>(model->parameters(), optim::AdamOptions{.lr = 1e-3});
  std::vector<std::int64_t> classes;
  for (std::int64_t i = 0; i < 32; ++i) classes.push_back(i * 7 % 10);
  return [=, x = randn({32, 64}), target = Tensor::from_span(std::span<const std::int64_t>(classes), {32})] {
    adam->zero_grad();
    cross_entropy((*model)(x), target).backward();
    adam->step();
  };
}

}  // namespace

std::vector<Workload> training_workloads() {
  std::vector<Workload> all{
      {"unet16", "U-Net base 16, depth 4, 8x1x128x128: training step", 1,
       [] {
         return unet_training(16, 4, {8, 1, 128, 128});
       }},
      {"unet16_inference", "the same, inference", 1, [] { return inference(unet_inference); }},
      {"generator", "DCGAN generator 64x64x3, batch 32, inference", 1, [] { return inference(generator_inference); }},
      {"unet64", "U-Net base 64, depth 5, 1x1x256x256: training step", 1,
       [] {
         return unet_training(64, 5, {1, 1, 256, 256});
       }},
      {"dcgan", "DCGAN 64x64x3, batch 32: a D and a G step", 1, dcgan},
      {"wgan_gp", "WGAN-GP critic step, batch 32", 1, wgan_gp},
      {"mlp", "perceptron 64-128-10, batch 32: training step", 1000, perceptron}};
#ifdef DUET_BENCH_PNG
  if (crops_folder() != nullptr)
    all.push_back({"crops", "unet16's step on crops of pictures, drawing them included", 1, crop_training});
#endif
  return all;
}

std::vector<Inference> inference_models() { return {unet_inference(), generator_inference()}; }

}  // namespace duet::bench
