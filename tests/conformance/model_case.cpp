// Whole training runs, replayed from their first weights: losses of every step, weights and statistics afterwards.
#include <fmt/format.h>

#include <duet/autograd/backward.hpp>
#include <duet/core/factory.hpp>
#include <duet/nn/activation.hpp>
#include <duet/nn/container.hpp>
#include <duet/nn/conv.hpp>
#include <duet/nn/models/unet.hpp>
#include <duet/nn/norm.hpp>
#include <duet/nn/optim/optimizers.hpp>
#include <duet/ops/elementwise.hpp>
#include <duet/ops/loss.hpp>
#include <duet/ops/reduce.hpp>
#include <algorithm>
#include <cstdio>
#include <regex>

#include "golden.hpp"

namespace golden {
namespace {

using namespace duet;

/// The text that a file gives for `key`, which must be there.
const std::string& text(const File& file, const std::string& key) {
  const std::string* found = file.metadata(key);
  if (found == nullptr) throw Mismatch(fmt::format("no '{}' in the metadata", key));
  return *found;
}

/// Throws unless the file describes exactly the run that is replayed here.
void require_text(const File& file, const std::string& key, const std::string& expected) {
  if (text(file, key) != expected) throw Mismatch(fmt::format("unknown {}: {}", key, text(file, key)));
}

/// The state dict that a file holds under a prefix.
NamedTensors state_of(File& file, const std::string& prefix) {
  NamedTensors state;
  for (const auto& [name, tensor] : file.tensors())
    if (name.starts_with(prefix)) state.emplace_back(name.substr(prefix.size()), file.get(name));
  if (state.empty()) throw Mismatch(fmt::format("no tensors '{}…'", prefix));
  return state;
}

/// Every tensor of a model against the file's, by name, none missing on either side.
void compare_state(File& file, const std::string& prefix, const nn::Module& model, Tolerance tolerance = {}) {
  const NamedTensors expected = state_of(file, prefix), got = model.state_dict();
  if (expected.size() != got.size())
    throw Mismatch(fmt::format("the model has {} tensors, the file {} under '{}'", got.size(), expected.size(), prefix));
  for (const auto& [name, tensor] : expected) {
    const auto same = std::find_if(got.begin(), got.end(), [&key = name](const auto& one) { return one.first == key; });
    if (same == got.end()) throw Mismatch(fmt::format("the model has no '{}'", name));
    compare(prefix + name, same->second, tensor, tolerance);
  }
}

/// Layers as the files spell them: "Sequential: Conv2d(1,2,4,2,1) LeakyReLU(.2); (2,4,4,2,1) BN LeakyReLU; … no bias".
/// Kind and slope hold until others are named; the five numbers are channels in and out, kernel, stride, padding.
std::unique_ptr<nn::Sequential> make_sequential(const std::string& spelled) {
  static const std::regex word(R"((ConvTranspose2d|Conv2d|LeakyReLU)?\(([0-9.,]+)\)|([A-Za-z]+))");
  auto model = std::make_unique<nn::Sequential>();
  std::string kind;
  double slope = 0.01;
  std::int64_t channels = 0;
  const std::string body = spelled.substr(spelled.find(':') + 1, spelled.rfind(';') - spelled.find(':') - 1);
  for (std::sregex_iterator at(body.begin(), body.end(), word), end; at != end; ++at) {
    const std::string name = (*at)[1], numbers = (*at)[2], plain = (*at)[3];
    if (name == "LeakyReLU" || plain == "LeakyReLU") {
      if (!numbers.empty()) slope = std::stod(numbers);
      model->add(nn::LeakyReLU{slope});
    } else if (!numbers.empty()) {
      if (!name.empty()) kind = name;
      long n[5];
      if (std::sscanf(numbers.c_str(), "%ld,%ld,%ld,%ld,%ld", n, n + 1, n + 2, n + 3, n + 4) != 5)
        throw Mismatch(fmt::format("cannot read layer '{}'", at->str()));
      channels = n[1];
      if (kind == "Conv2d")
        model->add(nn::Conv2d{n[0], n[1], n[2], {.stride = n[3], .padding = n[4], .bias = false}});
      else
        model->add(nn::ConvTranspose2d{n[0], n[1], n[2], {.stride = n[3], .padding = n[4], .bias = false}});
    } else if (plain == "BN") {
      model->add(nn::BatchNorm2d{channels});
    } else if (plain == "ReLU") {
      model->add(nn::ReLU{});
    } else if (plain == "Tanh") {
      model->add(nn::Tanh{});
    } else {
      throw Mismatch(fmt::format("unknown layer '{}'", at->str()));
    }
  }
  model->to(f64);
  return model;
}

/// The optimizer that the metadata's JSON names.
std::unique_ptr<optim::Optimizer> optimizer_of(const File& file, const nn::Module& model) {
  Json attributes = Json::parse(text(file, "optimizer"));
  const std::string kind = attributes.at("kind");
  attributes.erase("kind");
  return make_optimizer(kind, attributes, model.parameters());
}

Tensor scalar(double value) { return Tensor::scalar(value, {.dtype = f64}); }

/// The entries of a row of losses, one after the other.
class Losses {
 public:
  explicit Losses(const Tensor& expected) : expected_(expected.to_vector()) {}
  void check(const std::string& what, const Tensor& loss) {
    if (next_ == expected_.size()) throw Mismatch("more losses than the file has");
    compare(fmt::format("{} (loss {})", what, next_), scalar(loss.item()), scalar(expected_[next_]), {});
    ++next_;
  }
  bool done() const { return next_ == expected_.size(); }

 private:
  std::vector<double> expected_;
  std::size_t next_ = 0;
};

void run_unet(File& file) {
  Json model = Json::parse(text(file, "model"));
  if (model.value("kind", "") != "UNet") throw Mismatch(fmt::format("unknown model {}", model.dump()));
  model.erase("kind");
  nn::UNetOptions options;
  for (const auto& [key, value] : model.items()) {
    if (key == "in_channels") options.in_channels = value;
    else if (key == "out_channels") options.out_channels = value;
    else if (key == "base_channels") options.base_channels = value;
    else if (key == "depth") options.depth = value;
    else throw Mismatch(fmt::format("unknown option '{}' of UNet", key));
  }
  require_text(file, "loss", "binary_cross_entropy_with_logits mean");
  nn::UNet net(options);
  net.to(f64);
  net.load_state_dict(state_of(file, "before."));
  const auto optimizer = optimizer_of(file, net);
  const Tensor input = file.get("input"), target = file.get("target");
  Losses losses(file.get("losses"));
  const int steps = std::stoi(text(file, "steps"));
  for (int step = 0; step < steps; ++step) {
    optimizer->zero_grad();
    const Tensor loss = binary_cross_entropy_with_logits(net(input), target);
    loss.backward();
    optimizer->step();
    losses.check("loss", loss);
  }
  compare_state(file, "after.", net);
  net.eval();
  compare("output", net(input), file.get("output"), {});
}

void run_dcgan(File& file) {
  require_text(file, "step",
               "D: BCEwithLogits(D(real),1)+BCEwithLogits(D(G(z).detach()),0), Adam(2e-4, betas .5 .999); then G: "
               "BCEwithLogits(D(fake),1) with the same fake");
  const auto generator = make_sequential(text(file, "generator"));
  const auto discriminator = make_sequential(text(file, "discriminator"));
  generator->load_state_dict(state_of(file, "before.g."));
  discriminator->load_state_dict(state_of(file, "before.d."));
  const optim::AdamOptions adam{.lr = 2e-4, .betas = {0.5, 0.999}};
  optim::Adam of_generator(generator->parameters(), adam), of_discriminator(discriminator->parameters(), adam);
  const auto judge = [](const Tensor& logits, double truth) {
    return binary_cross_entropy_with_logits(logits, full_like(logits, truth));
  };
  Losses losses(file.get("losses"));
  for (int step = 0; !losses.done(); ++step) {
    const Tensor real = file.get(fmt::format("real.{}", step)), z = file.get(fmt::format("z.{}", step));
    const Tensor fake = (*generator)(z);
    of_discriminator.zero_grad();
    // One after the other: operands of + may run in either order, and batch norm's running statistics remember it.
    const Tensor on_real = judge((*discriminator)(real), 1);
    const Tensor d = on_real + judge((*discriminator)(fake.detach()), 0);
    d.backward();
    of_discriminator.step();
    of_generator.zero_grad();
    const Tensor g = judge((*discriminator)(fake), 1);
    g.backward();
    of_generator.step();
    losses.check("discriminator", d);
    losses.check("generator", g);
  }
  compare_state(file, "after.g.", *generator);
  compare_state(file, "after.d.", *discriminator);
}

void run_wgan_gp(File& file) {
  require_text(file, "loss",
               "mean C(fake) - mean C(real) + 10*mean((||dC(mix)/dmix||_2 - 1)^2), mix = a*real+(1-a)*fake");
  const auto critic = make_sequential(text(file, "critic"));
  critic->load_state_dict(state_of(file, "before."));
  const auto optimizer = optimizer_of(file, *critic);
  Losses losses(file.get("losses"));
  for (int step = 0; !losses.done(); ++step) {
    const Tensor real = file.get(fmt::format("real.{}", step)), fake = file.get(fmt::format("fake.{}", step));
    const Tensor a = file.get(fmt::format("alpha.{}", step));
    Tensor mix = (a * real + (1.0 - a) * fake).detach();
    mix.set_requires_grad();
    optimizer->zero_grad();
    const Tensor slope = grad({sum((*critic)(mix))}, {mix}, {.create_graph = true})[0];
    const Tensor penalty = mean(square(norm(slope, {.dim = {1, 2, 3}}) - 1.0));
    const Tensor total = mean((*critic)(fake)) - mean((*critic)(real)) + penalty * 10.0;
    total.backward();
    if (step == 0)
      for (const auto& [name, parameter] : critic->named_parameters())
        compare("gradient of " + name, parameter.grad(), file.get("grad0." + name), {});
    optimizer->step();
    losses.check("total", total);
    losses.check("penalty", penalty);
  }
  compare_state(file, "after.", *critic);
}

}  // namespace

void run_model_file(File& file) {
  if (file.metadata("model") != nullptr)
    run_unet(file);
  else if (file.metadata("generator") != nullptr)
    run_dcgan(file);
  else if (file.metadata("critic") != nullptr)
    run_wgan_gp(file);
  else
    throw Mismatch(fmt::format("neither a list of cases nor a known training run: {}", Json(file.all_metadata()).dump()));
  const auto unread = file.unread("");
  if (!unread.empty()) throw Mismatch(fmt::format("tensor '{}' was not checked", unread[0]));
}

}  // namespace golden
