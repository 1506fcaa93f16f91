// duet_volume: a U-Net in three dimensions. Draws volumes of noisy balls among noisy rods, trains on them, and scores
// the net on one that it has not seen: the balls are the class, and only along the third axis do the two differ.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cmath>
#include <cstdio>

#include <duet/core/random.hpp>
#include <duet/core/raw.hpp>
#include <duet/core/tape.hpp>
#include <duet/nn/data/png.hpp>
#include <duet/nn/data/tiff.hpp>
#include <duet/nn/metrics/confusion.hpp>
#include <duet/nn/models/unet.hpp>
#include <duet/nn/optim/optimizers.hpp>
#include <duet/nn/tiled.hpp>
#include <duet/ops/elementwise.hpp>
#include <duet/ops/loss.hpp>
#include <duet/ops/shape.hpp>

#include "common/progress.hpp"
#include "common/run_folder.hpp"
#include "unet/pictures.hpp"

namespace duet::examples {
namespace {

/// image (1, s, s, s) f32, label (s, s, s) u8: 1 in balls. A rod is as wide as a ball in every slice, and much longer.
struct Volume {
  Tensor image, label;
};

Volume draw(std::int64_t side, Generator& random) {
  Volume volume{Tensor::empty({1, side, side, side}), Tensor::empty({side, side, side}, {.dtype = u8})};
  raw::fill(volume.label, 0);
  float* pixels = raw::data<float>(volume.image);
  for (std::int64_t i = 0; i < volume.image.numel(); ++i) pixels[i] = static_cast<float>(0.5 * random.normal());
  const auto count = static_cast<int>(side * side * side / 2700);
  for (int body = 0; body < count; ++body) {
    const bool rod = body % 2 == 0;
    double centre[3];
    for (double& c : centre) c = static_cast<double>(side) * random.uniform();
    const double radius = 2.6 + 1.6 * random.uniform();
    for (std::int64_t i = 0; i < volume.label.numel(); ++i) {
      const double z = static_cast<double>(i / (side * side)) - centre[0],
                   y = static_cast<double>(i / side % side) - centre[1], x = static_cast<double>(i % side) - centre[2];
      const double along = rod ? z / 4 : z;
      if (along * along + y * y + x * x > radius * radius) continue;
      pixels[i] += 1;
      raw::data<std::uint8_t>(volume.label)[i] = !rod;
    }
  }
  return volume;
}

/// Two volumes as a batch: x (2, 1, s, s, s), t of the same shape.
std::pair<Tensor, Tensor> batch(std::int64_t side, Generator& random) {
  Tensors images, targets;
  for (int i = 0; i < 2; ++i) {
    const Volume volume = draw(side, random);
    images.push_back(volume.image);
    targets.push_back(unsqueeze(to(volume.label, f32), 0));
  }
  return {stack(images), stack(targets)};
}

void run(std::int64_t steps, std::uint64_t seed, const std::string& out) {
  manual_seed(seed);
  Generator random(seed);
  nn::UNet net({.base_channels = 6, .depth = 3, .rank = 3});
  optim::Adam optimizer(net.parameters(), {.lr = 1e-2});
  Progress progress(Verbosity::normal);
  fmt::print("{} parameters\n", net.parameter_count());
  for (std::int64_t step = 1; step <= steps; ++step) {
    const auto [x, target] = batch(24, random);
    optimizer.set_lr(1e-2 * 0.5 * (1 + std::cos(3.14159265 * static_cast<double>(step) / static_cast<double>(steps))));
    optimizer.zero_grad();
    const Tensor loss = dice_bce_loss(net(x), target);
    loss.backward();
    optimizer.step();
    progress.update(static_cast<double>(step) / static_cast<double>(steps), 0,
                    fmt::format("step {}  loss {:.4f}", step, loss.item()));
  }
  progress.clear();

  // A larger volume than any of training, in tiles.
  net.eval();
  const Volume unseen = draw(72, random);
  const Tensor logits = nn::predict_tiled(net, unseen.image, {.tile = 64});
  Tensor mask = Tensor::empty(unseen.label.shape(), {.dtype = u8});
  for (std::int64_t i = 0; i < mask.numel(); ++i) raw::data<std::uint8_t>(mask)[i] = raw::data<float>(logits)[i] > 0;
  metrics::ConfusionMatrix matrix(2);
  matrix.add(mask, unseen.label);
  fmt::print("accuracy {:.4f}\nIoU 0 {:.4f}\nIoU 1 {:.4f}\nDice 1 {:.4f}\n", matrix.accuracy(), matrix.iou(0),
             matrix.iou(1), matrix.dice(1));

  RunFolder folder = RunFolder::start(out);
  net.save(folder.path("volume.safetensors"), {.classes = {"other", "ball"}});
  const auto slice_of = [](const Tensor& volume, std::int64_t z) {
    return contiguous(select(volume, volume.rank() - 3, z));
  };
  const std::int64_t z = 36;
  data::write_png(folder.path("slice.png"),
                  side_by_side(slice_of(unseen.image, z), slice_of(unseen.label, z), slice_of(mask, z), 2));
  if (data::has_tiff()) {
    data::write_tiff(folder.path("image.tif"), unseen.image);
    data::write_tiff(folder.path("mask.tif"), unsqueeze(mask, 0));
  }
  folder.publish();
  fmt::print("look at {}\n", folder.published("slice.png"));
}

}  // namespace
}  // namespace duet::examples

int main(int argc, char** argv) {
  CLI::App program("Train a three-dimensional U-Net on volumes that it draws itself.", "duet_volume");
  std::int64_t steps = 150;
  std::uint64_t seed = 0;
  std::string out = "volume-run";
  program.add_option("--steps", steps, "steps of training")->check(CLI::Range(1, 1000000))->capture_default_str();
  program.add_option("--seed", seed, "of weights and volumes")->capture_default_str();
  program.add_option("--out", out, "folder for weights, volumes and a picture of a slice")->capture_default_str();
  try {
    program.parse(argc, argv);
    duet::examples::run(steps, seed, out);
  } catch (const CLI::ParseError& error) {
    return program.exit(error);
  } catch (const std::exception& error) {
    fmt::print(stderr, "duet_volume: {}\n", error.what());
    return 1;
  }
  return 0;
}
