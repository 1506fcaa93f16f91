// duet_gan: nets that learn to make pictures from those they are shown. Trains a DCGAN or a WGAN-GP, draws samples, and
// judges them.
#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <exception>
#include <filesystem>
#include <memory>
#include <numeric>

#include <duet/core/npy.hpp>
#include <duet/core/parallel.hpp>
#include <duet/core/version.hpp>
#include <duet/nn/data/png.hpp>
#include <duet/nn/summary.hpp>
#include <duet/ops/shape.hpp>

#include "common/canvas.hpp"
#include "common/program.hpp"
#include "digits/judge.hpp"
#include "gan/gan_training.hpp"

namespace duet::examples {
namespace {

void train(GanFlags flags, const CLI::App& command) {
  if (flags.resume) take_flags_of_run(flags, command);
  if (flags.steps == 0 && flags.epochs == 0 && flags.minutes == 0) flags.epochs = 10;
  settle(flags);
  check(flags);
  if (flags.threads > 0) set_num_threads(flags.threads);
  GanTraining training(flags);
  training.begin();
  training.run();
  training.finish();
}

struct SampleFlags {
  std::string weights, out = "samples";
  std::int64_t count = 64;
  std::uint64_t seed = 0;
  bool summary = false;
  int threads = 0;
};

void sample(const SampleFlags& flags) {
  if (flags.threads > 0) set_num_threads(flags.threads);
  const auto generator = nn::GanGenerator::load(flags.weights);
  Generator random(flags.seed);
  const Tensor pictures = pictures_of(*generator, generator->noise(flags.count, random));
  const Tensor walks = pictures_of(*generator, latent_walks(*generator, 5, 12, random));
  RunFolder folder = RunFolder::start(flags.out);
  for (std::int64_t i = 0; i < flags.count; ++i)
    data::write_png(folder.path(fmt::format("sample-{:04}.png", i)), contiguous(select(pictures, 0, i)));
  data::write_png(folder.path("grid.png"), image_grid(pictures, 8, 2));
  data::write_png(folder.path("walk.png"), image_grid(walks, 12, 2));
  folder.publish();
  if (flags.summary) fmt::print("{}", nn::summary(*generator, generator->noise(1, random)).table());
  fmt::print("{} samples, grid.png and walk.png in {}\n", flags.count, flags.out);
}

struct EvaluateFlags {
  std::string weights, pictures, classifier, data;
  std::int64_t generated = 6000, val = 2000, samples = 2000;
  std::uint64_t seed = 0;
  int threads = 0;
};

/// Samples of the generator in --weights.
Tensor drawn_samples(const EvaluateFlags& flags) {
  const auto generator = nn::GanGenerator::load(flags.weights);
  Generator random(flags.seed);
  return pictures_of(*generator, generator->noise(flags.samples, random));
}

/// Samples that another program drew: (N, channels, side, side) f32 in [0, 1].
Tensor read_samples(const std::string& path) {
  const Tensor pictures = load_npy(path);
  if (pictures.dtype() != f32 || pictures.rank() != 4 || pictures.size(0) < 2)
    fail<ShapeError>("--pictures", "{} must hold f32 images (N, channels, height, width), at least two: it is {}", path,
                     to_string(spec_of(pictures)));
  for (const double value : pictures.to_vector())
    if (!(value >= 0 && value <= 1)) fail<ValueError>("--pictures", "{} holds a {}: pixels lie in [0, 1]", path, value);
  return pictures;
}

double mean_of(const std::vector<double>& values) {
  return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
}

void evaluate(const EvaluateFlags& flags) {
  if (flags.threads > 0) set_num_threads(flags.threads);
  const Judge judge(flags.classifier);
  const Tensor pictures = flags.pictures.empty() ? drawn_samples(flags) : read_samples(flags.pictures);
  const DigitSplit split = split_digits(load_digits(flags.data, flags.generated), flags.val);
  if (flags.val < 2) fail<ValueError>("--val", "a distribution needs at least 2 images, got {}", flags.val);
  const Sight made = judge.look(pictures);
  const Sight held = judge.look(unit_images(split.val.images));
  // What the same number of real images, not those held out, comes to: nothing made can be expected below it.
  const Sight known = judge.look(unit_images(split.train.part(0, std::min(flags.val, split.train.size())).images));
  fmt::print("samples {}, against the last {} images\n", pictures.size(0), flags.val);
  fmt::print("frechet distance {:.4f}\n", frechet_distance(made.features, held.features));
  fmt::print("frechet distance of real images {:.4f}\n", frechet_distance(known.features, held.features));
  fmt::print("mean confidence {:.4f}\n", mean_of(made.confidence));
  fmt::print("mean confidence of real images {:.4f}\n", mean_of(held.confidence));
  std::size_t covered = 0;
  for (std::size_t c = 0; c < judge.classes().size(); ++c) {
    const auto count = std::count(made.classes.begin(), made.classes.end(), static_cast<int>(c));
    const double share = static_cast<double>(count) / static_cast<double>(pictures.size(0));
    covered += share >= 0.04;
    fmt::print("class {} {:.4f}\n", judge.classes()[c], share);
  }
  fmt::print("classes with at least 4 % {} of {}\n", covered, judge.classes().size());
}

void add_commands(CLI::App& program) {
  auto flags = std::make_shared<GanFlags>();
  CLI::App* command = program.add_subcommand("train", "Train a DCGAN or a WGAN-GP; ten epochs unless told otherwise");
  add_flags(*command, *flags);
  command->callback([flags, command] { train(*flags, *command); });

  auto sampled = std::make_shared<SampleFlags>();
  CLI::App* second = program.add_subcommand("sample", "Draw pictures, a grid of them, and walks between them");
  second->add_option("--weights", sampled->weights, "generator.safetensors that train wrote")->required();
  second->add_option("--out", sampled->out, "folder for the PNG files")->capture_default_str();
  second->add_option("--count", sampled->count, "how many")->check(CLI::Range(1, 100000))->capture_default_str();
  second->add_option("--seed", sampled->seed, "of the random numbers that pictures are made from")
      ->capture_default_str();
  second->add_flag("--summary", sampled->summary, "print what the generator is made of, layer by layer");
  second->add_option("--threads", sampled->threads, "how many threads compute. Default: all cores")
      ->check(CLI::Range(1, 1024));
  second->callback([sampled] { sample(*sampled); });

  auto judged = std::make_shared<EvaluateFlags>();
  CLI::App* third = program.add_subcommand(
      "evaluate", "Judge samples by a digit classifier: distance to held-out images, confidence, share of each class");
  CLI::Option_group* source = third->add_option_group("what to judge");
  source->add_option("--weights", judged->weights, "generator.safetensors that train wrote");
  source->add_option("--pictures", judged->pictures,
                     "samples of any other program: a .npy file, f32 (N, channels, height, width) in [0, 1]");
  source->require_option(1);
  third->add_option("--classifier", judged->classifier, "last.safetensors of duet_digits train")->required();
  third->add_option("--data", judged->data, "folder as train takes it. Without it, digits are drawn");
  third->add_option("--generated", judged->generated, "how many digits to draw when there is no --data")
      ->check(CLI::Range(20, 1000000))
      ->capture_default_str();
  third->add_option("--val", judged->val, "the last N images are those to compare with")->capture_default_str();
  third->add_option("--samples", judged->samples, "how many samples")
      ->check(CLI::Range(2, 1000000))
      ->capture_default_str();
  third->add_option("--seed", judged->seed, "of the samples")->capture_default_str();
  third->add_option("--threads", judged->threads, "how many threads compute. Default: all cores")
      ->check(CLI::Range(1, 1024));
  third->callback([judged] { evaluate(*judged); });
}

}  // namespace
}  // namespace duet::examples

int main(int argc, char** argv) {
  return duet::examples::run_program(
      "duet_gan", "Train nets that make pictures like those they are shown, sample them, judge them.",
      duet::examples::add_commands, argc, argv);
}
