// The two ways to train, and the state in and out of a file.
#include "gan/gan_training.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

#include <duet/autograd/backward.hpp>
#include <duet/core/factory.hpp>
#include <duet/core/raw.hpp>
#include <duet/core/tape.hpp>
#include <duet/nn/data/png.hpp>
#include <duet/nn/data/tensor_set.hpp>
#include <duet/nn/optim/clip.hpp>
#include <duet/ops/activation.hpp>
#include <duet/ops/elementwise.hpp>
#include <duet/ops/loss.hpp>
#include <duet/ops/reduce.hpp>
#include <duet/ops/shape.hpp>

#include "common/canvas.hpp"

namespace duet::examples {
namespace {

constexpr std::int64_t row_steps = 25;  // between two rows of metrics.csv

GanFlags seeded(GanFlags flags) {
  manual_seed(flags.seed);
  return flags;
}

DigitSplit load(const GanFlags& flags) {
  const DigitData all = load_digits(flags.data, flags.generated);
  return split_digits(all, flags.val >= 0 ? flags.val : std::max<std::int64_t>(1, all.size() / 5));
}

nn::GanNorm norm_of(const GanFlags& flags) {
  if (flags.spectral_norm) return nn::GanNorm::spectral;
  return flags.model == "wgan-gp" ? nn::GanNorm::none : nn::GanNorm::batch;
}

optim::AdamOptions adam_of(const GanFlags& flags, double lr) {
  const bool wasserstein = flags.model == "wgan-gp";
  return {.lr = lr, .betas = {wasserstein ? 0.0 : 0.5, wasserstein ? 0.9 : 0.999}};
}

Tensor judged(const Tensor& logits, double truth) {
  return binary_cross_entropy_with_logits(logits, full_like(logits, truth));
}

}  // namespace

void settle(GanFlags& flags) {
  const bool wasserstein = flags.model == "wgan-gp";
  if (flags.lr < 0) flags.lr = wasserstein ? 5e-4 : 1e-3;
  if (flags.lr_discriminator < 0) flags.lr_discriminator = wasserstein ? 1e-3 : 2e-4;
}

double rate_at(double fraction) { return std::min(1.0, 2 * (1 - fraction)); }

void check(const GanFlags& flags) {
  check_run(flags);
  need(flags.model == "dcgan" || flags.model == "wgan-gp", "model", "dcgan or wgan-gp", flags.model);
  need(flags.generated >= 20 && flags.generated <= 1000000, "generated", "20 to 1000000", flags.generated);
  need(flags.batch >= 2 && flags.batch <= 65536, "batch", "2 to 65536", flags.batch);
  need(flags.latent >= 1 && flags.latent <= 65536, "latent", "1 to 65536", flags.latent);
  need(flags.base >= 1 && flags.base <= 4096, "base", "1 to 4096", flags.base);
  need(flags.hidden >= 0 && flags.hidden <= 65536, "hidden", "0 to 65536", flags.hidden);
  need(flags.critics >= 1 && flags.critics <= 1000, "critics", "1 to 1000", flags.critics);
  need(flags.penalty >= 0 && flags.penalty <= 1e6, "penalty", "0 to 1000000", flags.penalty);
  need(flags.lr > 0 && flags.lr <= 1e30, "lr", "more than 0", flags.lr);
  need(flags.lr_discriminator > 0 && flags.lr_discriminator <= 1e30, "lr-discriminator", "more than 0",
       flags.lr_discriminator);
  need(flags.ema_decay >= 0 && flags.ema_decay < 1, "ema-decay", "at least 0 and below 1", flags.ema_decay);
}

Tensor pictures_of(nn::GanGenerator& generator, const Tensor& z) {
  const NoGradGuard no_grad;
  generator.eval();
  constexpr std::int64_t batch = 100;
  Tensors parts;
  for (std::int64_t begin = 0; begin < z.size(0); begin += batch)
    parts.push_back(generator(slice(z, 0, begin, std::min(begin + batch, z.size(0)))) * 0.5 + 0.5);
  return cat(parts, 0);
}

Tensor latent_walks(const nn::GanGenerator& generator, std::int64_t rows, std::int64_t columns, Generator& random) {
  const NoGradGuard no_grad;
  Tensors points;
  for (std::int64_t row = 0; row < rows; ++row) {
    const Tensor a = generator.noise(1, random), b = generator.noise(1, random);
    const double cosine = sum(a * b).item() / (norm(a).item() * norm(b).item()),
                 angle = std::acos(std::clamp(cosine, -1.0, 1.0));
    for (std::int64_t i = 0; i < columns; ++i) {
      const double t = columns == 1 ? 0 : static_cast<double>(i) / static_cast<double>(columns - 1);
      const bool straight = std::sin(angle) < 1e-6;  // the same direction, or the opposite one
      const double left = straight ? 1 - t : std::sin((1 - t) * angle) / std::sin(angle);
      const double right = straight ? t : std::sin(t * angle) / std::sin(angle);
      points.push_back(a * left + b * right);
    }
  }
  return cat(points, 0);
}

GanTraining::GanTraining(const GanFlags& flags)
    : flags_(seeded(flags)),
      data_(load(flags)),
      options_{.image_size = data_.train.side(),
               .channels = data_.train.channels(),
               .latent = flags.latent,
               .base_channels = flags.base,
               .hidden = flags.hidden},
      generator_(options_),
      discriminator_(options_, norm_of(flags)),
      of_generator_(generator_.parameters(), adam_of(flags, flags.lr)),
      of_discriminator_(discriminator_.parameters(), adam_of(flags, flags.lr_discriminator)),
      average_(generator_, {.decay = flags.ema_decay, .warm_up = true}),
      feed_(data::DataLoader(data::TensorDataset(unit_images(data_.train.images) * 2.0 - 1.0, data_.train.labels),
                             {.batch_size = flags.batch, .drop_last = true, .seed = flags.seed})),
      run_("duet_gan train", flags,
           std::max<std::int64_t>(1, feed_.loader().batches() / (flags.model == "wgan-gp" ? flags.critics : 1)),
           {"step", "epoch", "seconds", "loss_discriminator", "loss_generator", "on_real", "on_fake", "slope"}) {}

void GanTraining::begin() {
  if (const auto saved = run_.begin()) {
    if (saved->text("data") != data_.train.hash())
      fail<ValueError>("--resume", "the images to train on are not those of the run in {}", flags_.out);
    saved->restore("generator", generator_);
    saved->restore("discriminator", discriminator_);
    saved->restore("generator_optimizer", of_generator_);
    saved->restore("discriminator_optimizer", of_discriminator_);
    saved->restore("average", average_);
    saved->restore("random", default_generator());
    run_.restore(*saved);
    feed_.loader().seek(saved->number("epoch"), saved->number("batch"));
    return;
  }
  run_.say(fmt::format("{}: {} images of {} x {} to learn from, {} held out; generator {} parameters, discriminator {}",
                       flags_.model, data_.train.size(), data_.train.side(), data_.train.side(), data_.val.size(),
                       generator_.parameter_count(), discriminator_.parameter_count()));
}

void GanTraining::run() {
  run_.loop([&] { step(); });
}

std::vector<double> GanTraining::dcgan_step() {
  const Tensor real = feed_.next().image, z = generator_.noise(flags_.batch);
  Tensor fake, on_real, on_fake;
  const auto first = run_.watched([&]() -> std::vector<double> {
    of_discriminator_.zero_grad();
    fake = generator_(z);
    on_real = discriminator_(real);
    on_fake = discriminator_(fake.detach());
    const Tensor loss = judged(on_real, 1) + judged(on_fake, 0);
    loss.backward();
    return {loss.item(), optim::grad_norm(discriminator_.parameters())};
  });
  of_discriminator_.step();
  discriminator_.set_requires_grad(false);  // only what reaches the generator is of interest
  bool again = false;
  const auto second = run_.watched([&]() -> std::vector<double> {
    of_generator_.zero_grad();
    if (std::exchange(again, true)) fake = generator_(z);  // the first backward freed its graph
    const Tensor loss = judged(discriminator_(fake), 1);
    loss.backward();
    return {loss.item(), optim::grad_norm(generator_.parameters())};
  });
  of_generator_.step();
  discriminator_.set_requires_grad(true);
  return {first[0], second[0], mean(sigmoid(on_real)).item(), mean(sigmoid(on_fake)).item(), NAN};
}

std::vector<double> GanTraining::wgan_step() {
  std::vector<double> of_critic;
  double slope_norm = 0, said_real = 0, said_fake = 0;
  for (std::int64_t i = 0; i < flags_.critics; ++i) {
    const Tensor real = feed_.next().image, z = generator_.noise(flags_.batch), a = rand({flags_.batch, 1, 1, 1});
    of_critic = run_.watched([&]() -> std::vector<double> {
      of_discriminator_.zero_grad();
      Tensor fake;
      {
        const NoGradGuard no_grad;
        fake = generator_(z);
      }
      Tensor mix = (a * real + (1.0 - a) * fake).detach();
      mix.set_requires_grad();
      const Tensor slope = norm(grad({sum(discriminator_(mix))}, {mix}, {.create_graph = true})[0], {.dim = {1, 2, 3}});
      const Tensor on_real = mean(discriminator_(real)), on_fake = mean(discriminator_(fake));
      const Tensor loss = on_fake - on_real + mean(square(slope - 1.0)) * flags_.penalty;
      loss.backward();
      slope_norm = mean(slope).item();
      said_real = on_real.item();
      said_fake = on_fake.item();
      return {loss.item(), optim::grad_norm(discriminator_.parameters())};
    });
    of_discriminator_.step();
  }
  const Tensor z = generator_.noise(flags_.batch);
  discriminator_.set_requires_grad(false);
  const auto of_maker = run_.watched([&]() -> std::vector<double> {
    of_generator_.zero_grad();
    const Tensor loss = -mean(discriminator_(generator_(z)));
    loss.backward();
    return {loss.item(), optim::grad_norm(generator_.parameters())};
  });
  of_generator_.step();
  discriminator_.set_requires_grad(true);
  return {of_critic[0], of_maker[0], said_real, said_fake, slope_norm};
}

void GanTraining::step() {
  generator_.train();
  discriminator_.train();
  of_generator_.set_lr(flags_.lr * rate_at(run_.fraction()));
  of_discriminator_.set_lr(flags_.lr_discriminator * rate_at(run_.fraction()));
  const std::vector<double> values = wasserstein() ? wgan_step() : dcgan_step();
  average_.update();
  ++run_.step;
  if (sums_.empty()) sums_.resize(values.size());
  for (std::size_t i = 0; i < values.size(); ++i) sums_[i] += values[i];
  ++summed_;
  const bool ends = run_.ends_epoch();
  if (run_.step % row_steps == 0 || ends) {
    std::vector<double> row{static_cast<double>(run_.step), static_cast<double>(run_.epoch()), run_.seconds()};
    for (const double sum : sums_) row.push_back(sum / static_cast<double>(summed_));
    run_.metrics.add(std::move(row));
    sums_.clear();
    summed_ = 0;
  }
  if (ends) end_epoch();
  run_.show(fmt::format("discriminator {:.3f}  generator {:.3f}", values[0], values[1]));
}

void GanTraining::end_epoch() {
  Generator fixed(flags_.seed + 1);
  const std::int64_t number = (run_.step + run_.steps_per_epoch - 1) / run_.steps_per_epoch;
  data::write_png(run_.folder().path(fmt::format("grids/epoch-{:04}.png", number)),
                  image_grid(fixed_pictures(generator_.noise(64, fixed)), 8, 2));
  save();
  run_.say(fmt::format("epoch {:4}  step {:6}  {:>6}  discriminator {:.3f}  generator {:.3f}{}", number, run_.step,
                       clock_text(run_.seconds()), run_.metrics.last("loss_discriminator"),
                       run_.metrics.last("loss_generator"),
                       wasserstein() ? fmt::format("  slope {:.3f}", run_.metrics.last("slope")) : std::string()));
}

Tensor GanTraining::fixed_pictures(const Tensor& z) {
  if (flags_.ema) average_.swap();
  const Tensor pictures = pictures_of(generator_, z);
  if (flags_.ema) average_.swap();
  generator_.train();
  return pictures;
}

void GanTraining::save() {
  nn::Checkpoint checkpoint;
  checkpoint.keep("generator", generator_);
  checkpoint.keep("discriminator", discriminator_);
  checkpoint.keep("generator_optimizer", of_generator_);
  checkpoint.keep("discriminator_optimizer", of_discriminator_);
  checkpoint.keep("average", average_);
  checkpoint.keep("random", default_generator());
  checkpoint.set("epoch", feed_.loader().epoch());
  checkpoint.set("batch", feed_.loader().batch());
  checkpoint.set_text("data", data_.train.hash());
  run_.save(checkpoint, flags_json(flags_),
            {{"generator_parameters", generator_.parameter_count()},
             {"discriminator_parameters", discriminator_.parameter_count()},
             {"images", data_.train.size()},
             {"data", data_.train.hash()},
             {"held_out", data_.val.size()}});
  generator_.save(run_.folder().path("generator.safetensors"),
                  flags_.ema ? average_.average() : generator_.state_dict(), {.more = {{"trained_by", flags_.model}}});
}

}  // namespace duet::examples
