// Training of DCGAN and WGAN-GP, apart from the command line. All that a step changes is in state.safetensors, so that
// a run goes on exactly where it stopped.
#pragma once

#include <memory>

#include <duet/nn/ema.hpp>
#include <duet/nn/models/gan.hpp>
#include <duet/nn/optim/optimizers.hpp>

#include "common/run.hpp"
#include "digits/digit_data.hpp"

namespace duet::examples {

struct GanFlags : RunFlags {
  GanFlags() { out = "gan-run"; }
  std::string model = "dcgan", data;
  bool spectral_norm = false, ema = true;
  std::int64_t generated = 6000, val = -1, batch = 64, latent = 64, base = 32, hidden = 256, critics = 2;
  double lr = -1, lr_discriminator = -1, penalty = 10, ema_decay = 0.999;

  template <class Visit>
  void fields(Visit&& visit) {
    visit("model", model, Resume::fixed, "dcgan or wgan-gp");
    visit("spectral-norm", spectral_norm, Resume::fixed,
          "spectral norm in the discriminator, in the place of batch norm");
    visit("ema", ema, Resume::fixed,
          "make pictures with a running average of the generator's weights; --ema=false: with the weights themselves");
    visit("ema-decay", ema_decay, Resume::fixed, "of the average, for each step");
    visit("data", data, Resume::fixed, "folder with IDX files (MNIST) or with images. Without it, digits are drawn");
    visit("generated", generated, Resume::fixed, "how many digits to draw when there is no --data");
    visit("val", val, Resume::fixed, "hold out the last N images, for evaluate. Default: a fifth");
    visit("batch", batch, Resume::fixed, "images a step");
    visit("latent", latent, Resume::fixed, "numbers that a picture is made from");
    visit("base", base, Resume::fixed, "channels at half the size; each halving doubles them");
    visit("hidden", hidden, Resume::fixed, "units of a layer between z and the first picture; 0: no such layer");
    visit("critics", critics, Resume::fixed, "wgan-gp: steps of the critic for one of the generator");
    visit("penalty", penalty, Resume::fixed, "wgan-gp: weight of the gradient penalty");
    visit("lr", lr, Resume::fixed,
          "learning rate of the generator, which falls to 0 over the second half. Default: by --model");
    visit("lr-discriminator", lr_discriminator, Resume::fixed, "the discriminator's or critic's. Default: by --model");
    run_fields(visit);
  }
};

/// Fills in what the command line left to the model.
void settle(GanFlags& flags);
/// ValueError for a flag out of its range.
void check(const GanFlags& flags);
/// A learning rate's share of the highest at a point in [0, 1] of the run: all of it in the first half, then a line to
/// 0.
double rate_at(double fraction);

/// Pictures (N, channels, side, side) in [0, 1] that a generator makes of z, in evaluation mode and batches.
Tensor pictures_of(nn::GanGenerator& generator, const Tensor& z);
/// `rows` ways from one random z to another, in `columns` steps along the sphere: (rows · columns, latent).
Tensor latent_walks(const nn::GanGenerator& generator, std::int64_t rows, std::int64_t columns, Generator& random);

class GanTraining {
 public:
  /// Reads the data and makes the nets. Touches no file of --out.
  explicit GanTraining(const GanFlags& flags);
  void begin();
  void run();
  void finish();

 private:
  bool wasserstein() const { return flags_.model == "wgan-gp"; }
  void step();
  /// A step of each net; what they say of real and generated images, and losses.
  std::vector<double> dcgan_step();
  std::vector<double> wgan_step();
  void end_epoch();
  void save();
  Tensor fixed_pictures(const Tensor& z);
  void write_report();

  GanFlags flags_;
  DigitSplit data_;
  nn::GanOptions options_;
  nn::GanGenerator generator_;
  nn::GanDiscriminator discriminator_;
  optim::Adam of_generator_, of_discriminator_;
  nn::ExponentialMovingAverage average_;
  Feed feed_;
  Run run_;
  std::vector<double> sums_;  // over the steps since the last row of metrics.csv
  std::int64_t summed_ = 0;
};

}  // namespace duet::examples
