// The models that make pictures and judge them: shapes, derivatives of tiny ones, five steps that learn, files; and
// the GANs against PyTorch's runs.
#include <doctest/doctest.h>

#include <cmath>
#include <filesystem>

#include <duet/autograd/backward.hpp>
#include <duet/core/factory.hpp>
#include <duet/core/random.hpp>
#include <duet/nn/gradcheck.hpp>
#include <duet/nn/init.hpp>
#include <duet/nn/models/digit_net.hpp>
#include <duet/nn/models/gan.hpp>
#include <duet/nn/models/super_resolution.hpp>
#include <duet/nn/models/vae.hpp>
#include <duet/nn/optim/optimizers.hpp>
#include <duet/ops/activation.hpp>
#include <duet/ops/elementwise.hpp>
#include <duet/ops/loss.hpp>
#include <duet/ops/reduce.hpp>
#include <duet/ops/shape.hpp>

#include "data/support.hpp"
#include "nn/golden.hpp"

using namespace duet;

namespace {

Tensor wave(const Tensor& y) { return sum(sin(y)); }

/// Derivatives of a small f64 model, five steps on one batch, and its state in another one.
template <class M, class Loss, class... Arguments>
void check_model(const Tensor& x, Loss loss, double share, const Arguments&... arguments) {
  manual_seed(2);
  M model(arguments...);
  model.to(f64);
  const auto verdict = gradcheck(model, wave, x);
  CHECK_MESSAGE(verdict, to_string(verdict));

  optim::Adam optimizer(model.parameters(), {.lr = 1e-2});
  double first = 0, last = 0;
  for (int step = 0; step <= 5; ++step) {
    optimizer.zero_grad();
    const Tensor value = loss(model);
    value.backward();
    last = value.item();
    if (step == 0) first = last;
    optimizer.step();
  }
  CAPTURE(first);
  CHECK(last < share * first);

  M other(arguments...);
  other.to(f64);
  other.load_state_dict(model.state_dict());
  model.eval();
  other.eval();
  CHECK(other(x).to_vector() == model(x).to_vector());
}

void check_equal(const nn::Module& model, const NamedTensors& expected) {
  const NamedTensors state = model.state_dict();
  CHECK(state.size() == expected.size());
  for (const auto& entry : state) {
    const std::string& name = entry.first;
    const auto at = std::find_if(expected.begin(), expected.end(), [&](const auto& one) { return one.first == name; });
    REQUIRE_MESSAGE(at != expected.end(), name);
    CHECK_MESSAGE(test::excess(entry.second.to_vector(), at->second.to_vector()) <= 1e-9, name);
  }
}

}  // namespace

TEST_CASE("gan: sizes, and what does not fit") {
  for (const auto& [size, hidden] : {std::pair<std::int64_t, std::int64_t>{8, 0}, {28, 0}, {28, 9}, {32, 3}}) {
    const nn::GanOptions options{.image_size = size, .channels = 3, .latent = 5, .base_channels = 2, .hidden = hidden};
    nn::GanGenerator generator(options);
    const Tensor image = generator(generator.noise(2));
    CHECK(image.shape() == Shape{2, 3, size, size});
    for (const double value : image.to_vector()) REQUIRE(std::abs(value) < 1);
    CHECK(generator(randn({2, 5, 1, 1})).shape() == image.shape());
    for (const nn::GanNorm norm : {nn::GanNorm::batch, nn::GanNorm::none, nn::GanNorm::spectral}) {
      nn::GanDiscriminator discriminator(options, norm);
      CHECK(discriminator(image).shape() == Shape{2, 1, 1, 1});
    }
    CHECK_THROWS_AS(generator(randn({2, 4})), ShapeError);
  }
  CHECK_THROWS_WITH_AS(nn::GanGenerator({.image_size = 30}), doctest::Contains("28, 32"), ValueError);
  CHECK_THROWS_AS(nn::GanGenerator({.image_size = 7}), ValueError);
  CHECK_THROWS_AS(nn::GanGenerator({.latent = 0}), ValueError);
  CHECK_THROWS_AS(nn::GanGenerator({.hidden = -1}), ValueError);
  CHECK_THROWS_AS(nn::GanDiscriminator({.hidden = 65537}), ValueError);
  CHECK_THROWS_AS(nn::GanDiscriminator()(ones({1, 1, 32, 32})), ShapeError);
}

TEST_CASE("gan: generator, discriminator and critic learn, and have their derivatives") {
  const nn::GanOptions tiny{.image_size = 8, .channels = 1, .latent = 3, .base_channels = 2};
  nn::GanOptions deeper = tiny;
  deeper.hidden = 3;
  manual_seed(4);
  const Tensor z = randn({2, 3}, {.dtype = f64}), x = randn({2, 1, 8, 8}, {.dtype = f64});
  const Tensor z3 = randn({3, 3}, {.dtype = f64}), x3 = randn({3, 1, 8, 8}, {.dtype = f64});
  check_model<nn::GanGenerator>(
      z, [&](nn::Module& model) { return mse_loss(model(z), tanh(x)); }, 0.999, tiny);
  check_model<nn::GanGenerator>(
      z3, [&](nn::Module& model) { return mse_loss(model(z3), tanh(x3)); }, 0.999, deeper);
  const auto truth = [](std::vector<double> values) {
    const auto count = static_cast<std::int64_t>(values.size());
    return Tensor::from_span(values, {count, 1, 1, 1});
  };
  for (const nn::GanNorm norm : {nn::GanNorm::batch, nn::GanNorm::none}) {
    const auto told = [](const Tensor& images, const Tensor& answers) {
      return [=](nn::Module& model) { return binary_cross_entropy_with_logits(model(images), answers); };
    };
    check_model<nn::GanDiscriminator>(x, told(x, truth({0, 1})), 0.95, tiny, norm);
    check_model<nn::GanDiscriminator>(x3, told(x3, truth({0, 1, 0})), 0.95, deeper, norm);
  }
}

TEST_CASE("gan: a discriminator with spectral norm has its derivatives, learns, and keeps its state") {
  const nn::GanOptions tiny{.image_size = 8, .channels = 1, .latent = 3, .base_channels = 2, .hidden = 3};
  manual_seed(5);
  const Tensor x = randn({2, 1, 8, 8}, {.dtype = f64}), truth = reshape(arange(0, 2, 1, {.dtype = f64}), {2, 1, 1, 1});
  nn::GanDiscriminator model(tiny, nn::GanNorm::spectral), other(tiny, nn::GanNorm::spectral);
  model.to(f64);
  other.to(f64);
  optim::Adam optimizer(model.parameters(), {.lr = 1e-2});
  double first = 0, last = 0;
  for (int step = 0; step <= 5; ++step) {
    optimizer.zero_grad();
    const Tensor value = binary_cross_entropy_with_logits(model(x), truth);
    value.backward();
    last = value.item();
    if (step == 0) first = last;
    optimizer.step();
  }
  CAPTURE(first);
  CHECK(last < 0.95 * first);
  // In training each call refines the estimate, through which no gradient flows; evaluation leaves it alone.
  model.eval();
  const auto verdict = gradcheck(model, wave, x);
  CHECK_MESSAGE(verdict, to_string(verdict));
  other.load_state_dict(model.state_dict());
  other.eval();
  CHECK(other(x).to_vector() == model(x).to_vector());
}

TEST_CASE("gan: three steps of DCGAN are PyTorch's, weights and statistics included") {
  const SafetensorsFile file = test::golden("models/dcgan");
  const nn::GanOptions options{.image_size = 64, .channels = 1, .latent = 5, .base_channels = 2};
  nn::GanGenerator generator(options);
  nn::GanDiscriminator discriminator(options);
  generator.to(f64);
  discriminator.to(f64);
  generator.load_state_dict(test::with_prefix(file, "before.g."));
  discriminator.load_state_dict(test::with_prefix(file, "before.d."));
  const optim::AdamOptions adam{.lr = 2e-4, .betas = {0.5, 0.999}};
  optim::Adam of_generator(generator.parameters(), adam), of_discriminator(discriminator.parameters(), adam);
  const auto judge = [](const Tensor& logits, double truth) {
    return binary_cross_entropy_with_logits(logits, full_like(logits, truth));
  };
  std::vector<double> losses;
  for (int step = 0; step < 3; ++step) {
    const Tensor fake = generator(file.find("z." + std::to_string(step)));
    of_discriminator.zero_grad();
    const Tensor on_real = judge(discriminator(file.find("real." + std::to_string(step))), 1);
    const Tensor d = on_real + judge(discriminator(fake.detach()), 0);
    d.backward();
    of_discriminator.step();
    of_generator.zero_grad();
    const Tensor g = judge(discriminator(fake), 1);
    g.backward();
    of_generator.step();
    losses.insert(losses.end(), {d.item(), g.item()});
  }
  CHECK(test::excess(losses, file.find("losses").to_vector()) <= 1e-9);
  check_equal(generator, test::with_prefix(file, "after.g."));
  check_equal(discriminator, test::with_prefix(file, "after.d."));
}

TEST_CASE("gan: the critic of WGAN-GP goes PyTorch's way, penalty included") {
  const SafetensorsFile file = test::golden("models/wgan_gp");
  nn::GanDiscriminator critic({.image_size = 64, .base_channels = 2}, nn::GanNorm::none);
  critic.to(f64);
  critic.load_state_dict(test::with_prefix(file, "before."));
  optim::Adam optimizer(critic.parameters(), {.lr = 1e-3, .betas = {0, 0.9}});
  std::vector<double> losses;
  for (int step = 0; step < 3; ++step) {
    const std::string at = std::to_string(step);
    const Tensor real = file.find("real." + at), fake = file.find("fake." + at), a = file.find("alpha." + at);
    Tensor mix = (a * real + (1.0 - a) * fake).detach();
    mix.set_requires_grad();
    optimizer.zero_grad();
    const Tensor slope = grad({sum(critic(mix))}, {mix}, {.create_graph = true})[0];
    const Tensor penalty = mean(square(norm(slope, {.dim = {1, 2, 3}}) - 1.0));
    const Tensor total = mean(critic(fake)) - mean(critic(real)) + penalty * 10.0;
    total.backward();
    optimizer.step();
    losses.insert(losses.end(), {total.item(), penalty.item()});
  }
  CHECK(test::excess(losses, file.find("losses").to_vector()) <= 1e-9);
  check_equal(critic, test::with_prefix(file, "after."));
}

TEST_CASE("super-resolution: sizes, derivatives, learning, in all four ways") {
  manual_seed(6);
  const Tensor x = rand({1, 1, 4, 5}, {.dtype = f64});
  for (const nn::Upsampler way : nn::all_upsamplers) {
    CAPTURE(nn::name(way));
    nn::SuperResolution wide({.channels = 3, .scale = 4, .width = 4, .upsampler = way});
    CHECK(wide(rand({2, 3, 6, 5})).shape() == Shape{2, 3, 24, 20});
    const Tensor target = rand({1, 1, 8, 10}, {.dtype = f64});
    check_model<nn::SuperResolution>(
        x, [&](nn::Module& model) { return mse_loss(model(x), target); }, 0.97,
        nn::SuperResolutionOptions{.width = 4, .upsampler = way});
  }
  CHECK_THROWS_AS(nn::SuperResolution({.width = 1}), ValueError);
  CHECK_THROWS_AS(nn::SuperResolution({.scale = 1}), ValueError);
  CHECK_THROWS_AS(nn::SuperResolution()(ones({1, 2, 4, 4})), ShapeError);
}

TEST_CASE("vae: sizes, derivatives of its parts and of the bound, learning") {
  const nn::VaeOptions tiny{.image_size = 8, .latent = 2, .base_channels = 2};
  manual_seed(8);
  const Tensor x = rand({2, 1, 8, 8}, {.dtype = f64});
  check_model<nn::Vae>(
      x,
      [&](nn::Vae& model) {
        Generator same(1);
        return model.loss(x, same);
      },
      0.995, tiny);
  nn::Vae vae(tiny);
  vae.to(f64);
  CHECK(vae.encode(x).log_variance.shape() == Shape{2, 2});
  CHECK(vae.decode(zeros({3, 2}, {.dtype = f64})).shape() == Shape{3, 1, 8, 8});
  CHECK_THROWS_AS(nn::Vae({.image_size = 30}), ValueError);
  CHECK_THROWS_AS(vae(ones({1, 1, 4, 4})), ShapeError);
  CHECK_THROWS_AS(vae.decode(ones({1, 3})), ShapeError);
  // With codes that are exactly standard normal the divergence is 0, and what is left is the pixels' cross entropy.
  for (const auto& [name, tensor] : vae.named_parameters())
    if (name.starts_with("to_code")) nn::init::zeros_(tensor);
  Generator noise(3), again(3);
  const double bound = vae.loss(x, noise).item();
  const Tensor logits = vae.decode(randn({2, 2}, {.dtype = f64}, again));
  CHECK(bound ==
        doctest::Approx(binary_cross_entropy_with_logits(logits, x, {.reduction = Reduction::sum}).item() / 2));
}

TEST_CASE("digit net: sizes, derivatives, learning, features under the head") {
  const nn::DigitNetOptions tiny{.image_size = 8, .classes = 3, .width = 2, .features = 4};
  manual_seed(12);
  const Tensor x = rand({3, 1, 8, 8}, {.dtype = f64}), truth = arange(0, 3, 1, {.dtype = i64});
  check_model<nn::DigitNet>(
      x, [&](nn::Module& model) { return cross_entropy(model(x), truth); }, 0.97, tiny);
  nn::DigitNet net;
  net.eval();
  CHECK(net(ones({2, 1, 28, 28})).shape() == Shape{2, 10});
  CHECK(net.features(ones({2, 1, 28, 28})).shape() == Shape{2, 64});
  CHECK_THROWS_AS(net(ones({2, 1, 32, 32})), ShapeError);
  CHECK_THROWS_AS(nn::DigitNet({.classes = 0}), ValueError);
}

TEST_CASE("weight files of the zoo describe their models, and what is broken or foreign is refused") {
  const TemporaryFolder folder;
  const std::string path = folder / "model.safetensors";
  const auto refusal = [&](auto load) {
    try {
      load(path);
    } catch (const Error& error) {
      return std::string(error.what());
    }
    return std::string("none");
  };
  nn::GanGenerator generator({.image_size = 8, .latent = 3, .base_channels = 2});
  generator.save(path, {.more = {{"run", "7"}}});
  nn::ModelDescription description;
  const auto loaded = nn::GanGenerator::load(path, &description);
  CHECK(loaded->describe() == generator.describe());
  CHECK(description.more == Metadata{{"run", "7"}});
  generator.eval();
  loaded->eval();
  CHECK((*loaded)(ones({1, 3})).to_vector() == generator(ones({1, 3})).to_vector());
  CHECK(
      contains(refusal([](const std::string& p) { return nn::DigitNet::load(p); }), "a GanGenerator, not a DigitNet"));
  const nn::GanGenerator deeper({.image_size = 8, .latent = 3, .base_channels = 2, .hidden = 5});
  deeper.save(folder / "deeper.safetensors");
  CHECK(nn::GanGenerator::load(folder / "deeper.safetensors")->describe() == deeper.describe());
  save_safetensors(path, generator.state_dict(),
                   {{"architecture", "GanGenerator"},
                    {"options", R"({"image_size":8,"channels":1,"latent":3,"base_channels":2,"hidden":65536})"},
                    {"classes", "[]"},
                    {"normalization", R"({"mean":[],"deviation":[]})"},
                    {"threshold", "0.5"}});
  CHECK(contains(refusal([](const std::string& p) { return nn::GanGenerator::load(p); }), "ask for 0.weight"));
  // Claims of sizes that the file does not hold are met before anything is made.
  save_safetensors(path, generator.state_dict(),
                   {{"architecture", "GanGenerator"},
                    {"options", R"({"image_size":4096,"channels":1,"latent":65536,"base_channels":65536})"},
                    {"classes", "[]"},
                    {"normalization", R"({"mean":[],"deviation":[]})"},
                    {"threshold", "0.5"}});
  CHECK(contains(refusal([](const std::string& p) { return nn::GanGenerator::load(p); }), "ask for 0.weight"));

  nn::SuperResolution fine({.scale = 3, .width = 4, .upsampler = nn::Upsampler::transposed});
  fine.save(path);
  CHECK(nn::SuperResolution::load(path)->describe() == fine.describe());
  nn::DigitNet net({.image_size = 8, .width = 2, .features = 3});
  net.to(f64);
  net.save(path, {.classes = {"a", "b"}});
  CHECK(nn::DigitNet::load(path, &description)->head.weight.dtype() == f64);
  CHECK(description.classes == std::vector<std::string>{"a", "b"});
  std::filesystem::resize_file(path, 300);
  CHECK_THROWS_AS(nn::DigitNet::load(path), IoError);
}
