// libtorch on the workloads of duet_bench train: same architectures, sizes, losses and optimizers, written as its C++
// user writes them. Activations are in place where libtorch's own examples have them so, which is its faster form.
#include <ATen/Parallel.h>
#include <torch/torch.h>
#include <torch/version.h>

#include <cstdlib>
#include <cstring>

#include "../steps.hpp"
#ifdef DUET_BENCH_PNG
#include "../crops.hpp"
#endif

using namespace duet::bench;
using torch::Tensor;
namespace nn = torch::nn;

namespace {

using Step = std::function<void()>;

nn::Conv2d conv(std::int64_t in, std::int64_t out, std::int64_t kernel, std::int64_t stride, std::int64_t padding) {
  return nn::Conv2d(nn::Conv2dOptions(in, out, kernel).stride(stride).padding(padding).bias(false));
}
nn::ConvTranspose2d conv_transpose(std::int64_t in, std::int64_t out, std::int64_t stride, std::int64_t padding) {
  return nn::ConvTranspose2d(nn::ConvTranspose2dOptions(in, out, 4).stride(stride).padding(padding).bias(false));
}
nn::ReLU relu() { return nn::ReLU(nn::ReLUOptions(true)); }
nn::LeakyReLU leaky() { return nn::LeakyReLU(nn::LeakyReLUOptions().negative_slope(0.2).inplace(true)); }

nn::Sequential block(std::int64_t in, std::int64_t out) {
  return nn::Sequential(conv(in, out, 3, 1, 1), nn::BatchNorm2d(out), relu(), conv(out, out, 3, 1, 1),
                        nn::BatchNorm2d(out), relu());
}

struct UNetImpl : nn::Module {
  std::vector<nn::Sequential> down, merge;
  std::vector<nn::ConvTranspose2d> up;
  nn::Conv2d head{nullptr};

  UNetImpl(std::int64_t base, int depth) {
    for (int level = 0; level < depth; ++level)
      down.push_back(
          register_module("down" + std::to_string(level), block(level == 0 ? 1 : base << (level - 1), base << level)));
    for (int level = depth - 2; level >= 0; --level) {
      const std::int64_t channels = base << level;
      up.push_back(
          register_module("up" + std::to_string(level),
                          nn::ConvTranspose2d(nn::ConvTranspose2dOptions(2 * channels, channels, 2).stride(2))));
      merge.push_back(register_module("merge" + std::to_string(level), block(2 * channels, channels)));
    }
    head = register_module("head", nn::Conv2d(nn::Conv2dOptions(base, 1, 1)));
  }

  Tensor forward(Tensor x) {
    std::vector<Tensor> skips;
    for (std::size_t level = 0; level < down.size(); ++level) {
      if (level > 0) x = torch::max_pool2d(x, 2);
      x = down[level]->forward(x);
      skips.push_back(x);
    }
    for (std::size_t i = 0; i < up.size(); ++i)
      x = merge[i]->forward(torch::cat({skips[down.size() - 2 - i], up[i]->forward(x)}, 1));
    return head->forward(x);
  }
};

Step unet_training(std::int64_t base, int depth, at::IntArrayRef shape) {
  const auto model = std::make_shared<UNetImpl>(base, depth);
  const auto adam = std::make_shared<torch::optim::Adam>(model->parameters(), torch::optim::AdamOptions(1e-3));
  return [=, x = torch::randn(shape), target = (torch::randn(shape) > 0).to(torch::kFloat)] {
    adam->zero_grad();
    torch::binary_cross_entropy_with_logits(model->forward(x), target).backward();
    adam->step();
  };
}

#ifdef DUET_BENCH_PNG
Step crop_training() {
  constexpr std::int64_t count = 8, side = 128;
  const auto crops = std::make_shared<Crops>(crops_folder());
  const auto model = std::make_shared<UNetImpl>(16, 4);
  const auto adam = std::make_shared<torch::optim::Adam>(model->parameters(), torch::optim::AdamOptions(1e-3));
  return [=] {
    const Tensor x = torch::empty({count, 1, side, side}), target = torch::empty({count, 1, side, side});
    crops->next(count, side, x.data_ptr<float>(), target.data_ptr<float>());
    adam->zero_grad();
    torch::binary_cross_entropy_with_logits(model->forward(x), target).backward();
    adam->step();
  };
}
#endif

Step unet_inference() {
  const auto model = std::make_shared<UNetImpl>(16, 4);
  model->eval();
  return [=, x = torch::randn({8, 1, 128, 128})] {
    const torch::NoGradGuard no_grad;
    model->forward(x);
  };
}

constexpr std::int64_t latent = 100, width = 64, batch = 32;

nn::Sequential generator() {
  nn::Sequential net(conv_transpose(latent, width * 8, 1, 0), nn::BatchNorm2d(width * 8), relu());
  for (const std::int64_t channels : {width * 8, width * 4, width * 2}) {
    net->push_back(conv_transpose(channels, channels / 2, 2, 1));
    net->push_back(nn::BatchNorm2d(channels / 2));
    net->push_back(relu());
  }
  net->push_back(conv_transpose(width, 3, 2, 1));
  net->push_back(nn::Tanh());
  return net;
}

nn::Sequential discriminator(bool normalised) {
  nn::Sequential net(conv(3, width, 4, 2, 1), leaky());
  for (const std::int64_t channels : {width, width * 2, width * 4}) {
    net->push_back(conv(channels, channels * 2, 4, 2, 1));
    if (normalised) net->push_back(nn::BatchNorm2d(channels * 2));
    net->push_back(leaky());
  }
  net->push_back(conv(width * 8, 1, 4, 1, 0));
  return net;
}

Step generator_inference() {
  auto model = generator();
  model->eval();
  return [=, z = torch::randn({batch, latent, 1, 1})]() mutable {
    const torch::NoGradGuard no_grad;
    model->forward(z);
  };
}

Tensor bce_against(const Tensor& logits, double label) {
  return torch::binary_cross_entropy_with_logits(logits, torch::full_like(logits, label));
}

Step dcgan() {
  auto g = generator(), d = discriminator(true);
  const auto options = torch::optim::AdamOptions(2e-4).betas({0.5, 0.999});
  const auto g_adam = std::make_shared<torch::optim::Adam>(g->parameters(), options);
  const auto d_adam = std::make_shared<torch::optim::Adam>(d->parameters(), options);
  return [=, real = torch::randn({batch, 3, 64, 64})]() mutable {
    d_adam->zero_grad();
    const Tensor fake = g->forward(torch::randn({batch, latent, 1, 1}));
    const Tensor on_real = bce_against(d->forward(real), 1);
    (on_real + bce_against(d->forward(fake.detach()), 0)).backward();
    d_adam->step();
    g_adam->zero_grad();
    bce_against(d->forward(fake), 1).backward();
    g_adam->step();
  };
}

Step wgan_gp() {
  auto g = generator(), critic = discriminator(false);
  const auto adam = std::make_shared<torch::optim::Adam>(critic->parameters(), torch::optim::AdamOptions(1e-4));
  return [=, real = torch::randn({batch, 3, 64, 64})]() mutable {
    adam->zero_grad();
    Tensor fake;
    {
      const torch::NoGradGuard no_grad;
      fake = g->forward(torch::randn({batch, latent, 1, 1}));
    }
    const Tensor share = torch::rand({batch, 1, 1, 1});
    Tensor mixed = share * real + (1 - share) * fake;
    mixed.requires_grad_(true);
    const Tensor slope = torch::autograd::grad({critic->forward(mixed).sum()}, {mixed}, {}, true, true)[0];
    const Tensor penalty = (slope.flatten(1).norm(2, 1) - 1).square().mean();
    (critic->forward(fake).mean() - critic->forward(real).mean() + penalty * 10).backward();
    adam->step();
  };
}

Step perceptron() {
  nn::Sequential model(nn::Linear(64, 128), nn::ReLU(), nn::Linear(128, 10));
  const auto adam = std::make_shared<torch::optim::Adam>(model->parameters(), torch::optim::AdamOptions(1e-3));
  return [=, x = torch::randn({32, 64}), target = torch::arange(32) * 7 % 10]() mutable {
    adam->zero_grad();
    torch::cross_entropy_loss(model->forward(x), target).backward();
    adam->step();
  };
}

std::vector<Workload> workloads() {
  std::vector<Workload> all{{"unet16", "", 1,
           [] {
             return unet_training(16, 4, {8, 1, 128, 128});
           }},
          {"unet16_inference", "", 1, unet_inference},
          {"generator", "", 1, generator_inference},
          {"unet64", "", 1,
           [] {
             return unet_training(64, 5, {1, 1, 256, 256});
           }},
          {"dcgan", "", 1, dcgan},
          {"wgan_gp", "", 1, wgan_gp},
          {"mlp", "", 1000, perceptron}};
#ifdef DUET_BENCH_PNG
  if (crops_folder() != nullptr) all.push_back({"crops", "", 1, crop_training});
#endif
  return all;
}

}  // namespace

/// --threads N, --filter NAME (one workload, for a peak memory of its own), --seconds S
int main(int argc, char** argv) {
  StepArguments arguments;
  int threads = 1;
  for (int i = 1; i + 1 < argc; i += 2) {
    if (std::strcmp(argv[i], "--threads") == 0) threads = std::atoi(argv[i + 1]);
    if (std::strcmp(argv[i], "--filter") == 0) arguments.filter = argv[i + 1];
    if (std::strcmp(argv[i], "--seconds") == 0) arguments.seconds = std::atof(argv[i + 1]);
  }
  at::set_num_threads(threads);
  torch::manual_seed(0);
  for (const Workload& workload : workloads()) {
    if (!arguments.filter.empty() && workload.name != arguments.filter) continue;
    print_step_json("libtorch", workload, measure(workload, workload.make(), arguments.seconds));
    std::printf(", \"version\": \"%s\"}\n", TORCH_VERSION);
    std::fflush(stdout);
  }
  return 0;
}
