// The loops of `duet_gan train` in libtorch: same nets, initial values, optimizers, rates, batches and number of steps,
// with libtorch's own random numbers. What to do is read from the run.json that Duet's run left, so that both are the
// same by construction; the samples go to a .npy file, which `duet_gan evaluate --pictures` judges.
//
//     duet_bench_libtorch_gan RUN/run.json --out samples.npy [--steps N] [--seed S] [--threads N] [--samples N]
//
// Prints one JSON object: steps, seconds and, for WGAN-GP, the critic's slope over the last 25 steps.
#include <ATen/Parallel.h>
#include <torch/torch.h>
#include <zlib.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

using torch::Tensor;
namespace nn = torch::nn;

namespace {

struct Recipe {
  std::string model, data;
  std::int64_t val, batch, latent, base, hidden, critics, steps, seed;
  double lr, lr_discriminator, penalty, ema_decay;
  bool ema;
  bool wasserstein() const { return model == "wgan-gp"; }
};

Recipe read_recipe(const char* path) {
  std::ifstream file(path);
  if (!file) throw std::runtime_error(std::string("cannot read ") + path);
  const nlohmann::json run = nlohmann::json::parse(file), &f = run.at("flags");
  if (f.at("spectral-norm").get<bool>()) throw std::runtime_error("spectral norm has no counterpart here");
  if (f.at("data").get<std::string>().empty()) throw std::runtime_error("the run's digits were drawn, not read");
  return {f.at("model"),   f.at("data"),      f.at("val"),     f.at("batch"), f.at("latent"), f.at("base"),
          f.at("hidden"),  f.at("critics"),   run.at("steps"), f.at("seed"),  f.at("lr"),     f.at("lr-discriminator"),
          f.at("penalty"), f.at("ema-decay"), f.at("ema")};
}

/// The images of the first IDX file of a folder, packed or not, in [-1, 1]: (N, 1, side, side).
Tensor read_images(const std::string& folder) {
  std::string path;
  for (const auto& entry : std::filesystem::directory_iterator(folder))
    if (entry.path().filename().string().find("images-idx3-ubyte") != std::string::npos) path = entry.path().string();
  gzFile file = gzopen(path.c_str(), "rb");
  unsigned char head[16];
  if (file == nullptr || gzread(file, head, 16) != 16) throw std::runtime_error("no images-idx3-ubyte in " + folder);
  const auto number = [&](int at) {
    return static_cast<std::int64_t>(head[at]) << 24 | head[at + 1] << 16 | head[at + 2] << 8 | head[at + 3];
  };
  Tensor images = torch::empty({number(4), 1, number(8), number(12)}, torch::kUInt8);
  const auto bytes = static_cast<unsigned>(images.numel());
  if (gzread(file, images.data_ptr(), bytes) != static_cast<int>(bytes)) throw std::runtime_error(path + " is short");
  gzclose(file);
  return images.to(torch::kFloat) / 127.5 - 1;
}

nn::Conv2d conv(std::int64_t in, std::int64_t out, std::int64_t kernel, std::int64_t stride, std::int64_t padding) {
  return nn::Conv2d(nn::Conv2dOptions(in, out, kernel).stride(stride).padding(padding).bias(false));
}
nn::ConvTranspose2d up(std::int64_t in, std::int64_t out, std::int64_t kernel, std::int64_t stride,
                       std::int64_t padding) {
  return nn::ConvTranspose2d(nn::ConvTranspose2dOptions(in, out, kernel).stride(stride).padding(padding).bias(false));
}

/// For 28 x 28: 7, 14, 28.
nn::Sequential generator(const Recipe& r) {
  nn::Sequential net;
  const auto norm = [&](std::int64_t channels) {
    net->push_back(nn::BatchNorm2d(channels));
    net->push_back(nn::ReLU(nn::ReLUOptions(true)));
  };
  if (r.hidden > 0) {
    net->push_back(up(r.latent, r.hidden, 1, 1, 0));
    norm(r.hidden);
  }
  net->push_back(up(r.hidden > 0 ? r.hidden : r.latent, 2 * r.base, 7, 1, 0));
  norm(2 * r.base);
  net->push_back(up(2 * r.base, r.base, 4, 2, 1));
  norm(r.base);
  net->push_back(up(r.base, 1, 4, 2, 1));
  net->push_back(nn::Tanh());
  return net;
}

nn::Sequential discriminator(const Recipe& r) {
  nn::Sequential net;
  const auto leaky = [&] { net->push_back(nn::LeakyReLU(nn::LeakyReLUOptions().negative_slope(0.2).inplace(true))); };
  const auto norm = [&](std::int64_t channels) {
    if (!r.wasserstein()) net->push_back(nn::BatchNorm2d(channels));
    leaky();
  };
  net->push_back(conv(1, r.base, 4, 2, 1));
  leaky();
  net->push_back(conv(r.base, 2 * r.base, 4, 2, 1));
  norm(2 * r.base);
  if (r.hidden > 0) {
    net->push_back(conv(2 * r.base, r.hidden, 7, 1, 0));
    norm(r.hidden);
  }
  net->push_back(conv(r.hidden > 0 ? r.hidden : 2 * r.base, 1, r.hidden > 0 ? 1 : 7, 1, 0));
  return net;
}

/// DCGAN's initial values; a critic keeps those of its layers, which are Duet's too.
void draw_weights(nn::Sequential& net) {
  const torch::NoGradGuard no_grad;
  for (auto& entry : net->named_parameters())
    if (entry.value().dim() > 1)
      entry.value().normal_(0, 0.02);
    else if (entry.key().find("weight") != std::string::npos)
      entry.value().normal_(1, 0.02);
}

void set_requires_grad(nn::Sequential& net, bool wanted) {
  for (Tensor& parameter : net->parameters()) parameter.set_requires_grad(wanted);
}

Tensor bce_against(const Tensor& logits, double label) {
  return torch::binary_cross_entropy_with_logits(logits, torch::full_like(logits, label));
}

class Training {
 public:
  explicit Training(const Recipe& recipe)
      : r_(recipe), real_(read_images(recipe.data)), g_(generator(r_)), d_(discriminator(r_)), average_(generator(r_)) {
    if (real_.size(2) != 28) throw std::runtime_error("images of 28 x 28 are wanted");
    real_ = real_.slice(0, 0, real_.size(0) - r_.val);
    draw_weights(g_);
    if (!r_.wasserstein()) draw_weights(d_);
    copy_to_average(0);
  }

  void step(std::int64_t at) {
    const double done = static_cast<double>(at) / static_cast<double>(r_.steps);
    const double rate = std::min(1.0, 2 * (1 - done));
    set_rate(of_g_, r_.lr * rate);
    set_rate(of_d_, r_.lr_discriminator * rate);
    r_.wasserstein() ? wgan_step() : dcgan_step();
    copy_to_average(std::min(r_.ema_decay, (1 + static_cast<double>(at)) / (10 + static_cast<double>(at))));
  }

  /// Pictures in [0, 1].
  Tensor samples(std::int64_t count) {
    const torch::NoGradGuard no_grad;
    nn::Sequential& net = r_.ema ? average_ : g_;
    net->eval();
    return (net->forward(torch::randn({count, r_.latent, 1, 1})) * 0.5 + 0.5).clamp(0, 1).contiguous();
  }

  double slope() const {
    double sum = 0;
    for (const double value : slopes_) sum += value / static_cast<double>(slopes_.size());
    return sum;
  }

 private:
  static void set_rate(torch::optim::Adam& adam, double lr) {
    static_cast<torch::optim::AdamOptions&>(adam.param_groups()[0].options()).lr(lr);
  }

  torch::optim::AdamOptions adam(double lr) const {
    return torch::optim::AdamOptions(lr).betas({r_.wasserstein() ? 0.0 : 0.5, r_.wasserstein() ? 0.9 : 0.999});
  }

  Tensor noise() const { return torch::randn({r_.batch, r_.latent, 1, 1}); }

  /// Every image once in each epoch, in a new order; what does not fill a batch is left out.
  Tensor next() {
    if (!order_.defined() || at_ + r_.batch > real_.size(0)) {
      order_ = torch::randperm(real_.size(0));
      at_ = 0;
    }
    at_ += r_.batch;
    return real_.index_select(0, order_.slice(0, at_ - r_.batch, at_));
  }

  void dcgan_step() {
    const Tensor real = next();
    of_d_.zero_grad();
    const Tensor fake = g_->forward(noise());
    (bce_against(d_->forward(real), 1) + bce_against(d_->forward(fake.detach()), 0)).backward();
    of_d_.step();
    set_requires_grad(d_, false);
    of_g_.zero_grad();
    bce_against(d_->forward(fake), 1).backward();
    of_g_.step();
    set_requires_grad(d_, true);
  }

  void wgan_step() {
    for (std::int64_t i = 0; i < r_.critics; ++i) {
      const Tensor real = next(), share = torch::rand({r_.batch, 1, 1, 1});
      of_d_.zero_grad();
      Tensor fake;
      {
        const torch::NoGradGuard no_grad;
        fake = g_->forward(noise());
      }
      Tensor mix = (share * real + (1 - share) * fake).detach();
      mix.requires_grad_(true);
      const Tensor gradient = torch::autograd::grad({d_->forward(mix).sum()}, {mix}, {}, true, true)[0];
      const Tensor slope = gradient.flatten(1).norm(2, 1);
      (d_->forward(fake).mean() - d_->forward(real).mean() + (slope - 1).square().mean() * r_.penalty).backward();
      of_d_.step();
      slopes_.push_back(slope.mean().item<double>());
    }
    while (static_cast<std::int64_t>(slopes_.size()) > 25 * r_.critics) slopes_.pop_front();
    set_requires_grad(d_, false);
    of_g_.zero_grad();
    (-d_->forward(g_->forward(noise())).mean()).backward();
    of_g_.step();
    set_requires_grad(d_, true);
  }

  /// Parameters and buffers: average ← decay·average + (1 − decay)·generator; counters are copied.
  void copy_to_average(double decay) {
    const torch::NoGradGuard no_grad;
    const auto move = [&](const auto& from, auto to) {
      for (const auto& entry : from)
        if (torch::is_floating_point(entry.value()))
          to[entry.key()].mul_(decay).add_(entry.value(), 1 - decay);
        else
          to[entry.key()].copy_(entry.value());
    };
    move(g_->named_parameters(), average_->named_parameters());
    move(g_->named_buffers(), average_->named_buffers());
  }

  Recipe r_;
  Tensor real_, order_;
  std::int64_t at_ = 0;
  nn::Sequential g_, d_, average_;
  torch::optim::Adam of_g_{g_->parameters(), adam(r_.lr)}, of_d_{d_->parameters(), adam(r_.lr_discriminator)};
  std::deque<double> slopes_;
};

/// An f32 tensor as numpy.save writes it.
void save_npy(const std::string& path, const Tensor& tensor) {
  std::string shape;
  for (const std::int64_t size : tensor.sizes()) shape += std::to_string(size) + ", ";
  std::string head = "{'descr': '<f4', 'fortran_order': False, 'shape': (" + shape + "), }";
  head.append((118 - head.size() % 64 + 63) % 64, ' ');
  head += '\n';
  std::ofstream file(path, std::ios::binary);
  const auto length = static_cast<std::uint16_t>(head.size());
  file.write("\x93NUMPY\x01\x00", 8);
  file.put(static_cast<char>(length & 255)).put(static_cast<char>(length >> 8));
  file << head;
  file.write(static_cast<const char*>(tensor.data_ptr()), static_cast<std::streamsize>(tensor.numel() * 4));
  if (!file.flush()) throw std::runtime_error("cannot write " + path);
}

void run(int argc, char** argv) {
  if (argc < 4) throw std::runtime_error("usage: RUN/run.json --out samples.npy [--steps N] [--seed S] [--threads N]");
  Recipe recipe = read_recipe(argv[1]);
  std::string out;
  std::int64_t count = 2000;
  int threads = 1;
  for (int i = 2; i + 1 < argc; i += 2) {
    const std::string flag = argv[i];
    if (flag == "--out")
      out = argv[i + 1];
    else if (flag == "--steps")
      recipe.steps = std::atoll(argv[i + 1]);
    else if (flag == "--seed")
      recipe.seed = std::atoll(argv[i + 1]);
    else if (flag == "--samples")
      count = std::atoll(argv[i + 1]);
    else if (flag == "--threads")
      threads = std::atoi(argv[i + 1]);
    else
      throw std::runtime_error("unknown flag " + flag);
  }
  at::set_num_threads(threads);
  torch::manual_seed(static_cast<std::uint64_t>(recipe.seed));
  Training training(recipe);
  const auto start = std::chrono::steady_clock::now();
  for (std::int64_t step = 0; step < recipe.steps; ++step) training.step(step);
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  save_npy(out, training.samples(count));
  std::printf(
      "{\"library\": \"libtorch\", \"case\": \"%s\", \"seed\": %lld, \"threads\": %d, \"steps\": %lld, "
      "\"seconds\": %.2f, \"ms_a_step\": %.3f",
      recipe.model.c_str(), static_cast<long long>(recipe.seed), threads, static_cast<long long>(recipe.steps), seconds,
      seconds / static_cast<double>(recipe.steps) * 1e3);
  if (recipe.wasserstein()) std::printf(", \"slope\": %.4f", training.slope());
  std::printf("}\n");
}

}  // namespace

int main(int argc, char** argv) {
  try {
    run(argc, argv);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "duet_bench_libtorch_gan: %s\n", error.what());
    return 1;
  }
  return 0;
}
