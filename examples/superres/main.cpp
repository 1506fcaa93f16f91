// duet_superres: small images made large. Trains a net, enlarges images with it, and compares ways of upsampling.
#include <fmt/format.h>

#include <cstdio>
#include <exception>
#include <filesystem>
#include <memory>

#include <duet/core/parallel.hpp>
#include <duet/core/tape.hpp>
#include <duet/core/version.hpp>
#include <duet/nn/data/image_set.hpp>
#include <duet/nn/data/png.hpp>
#include <duet/ops/elementwise.hpp>
#include <duet/ops/shape.hpp>

#include "common/program.hpp"
#include "superres/superres_training.hpp"

namespace duet::examples {
namespace {

void train(SuperresFlags flags, const CLI::App& command) {
  if (flags.resume) take_flags_of_run(flags, command);
  if (flags.steps == 0 && flags.epochs == 0 && flags.minutes == 0) flags.steps = 2000;
  check(flags);
  if (flags.threads > 0) set_num_threads(flags.threads);
  SuperresTraining training(flags);
  training.begin();
  training.run();
  training.finish();
}

struct UpscaleFlags {
  std::vector<std::string> images;
  std::string weights, out = "upscaled";
  int threads = 0;
};

void upscale(const UpscaleFlags& flags) {
  if (flags.threads > 0) set_num_threads(flags.threads);
  const auto net = nn::SuperResolution::load(flags.weights);
  std::vector<std::pair<std::string, Tensor>> read;  // all of them, before anything is written
  for (const std::string& path : flags.images) {
    const std::string stem = std::filesystem::path(path).stem().string();
    for (const auto& entry : read)
      if (entry.first == stem)
        fail<ValueError>("upscale", "{} and an image before it would both be written as {}.png", path, stem);
    read.emplace_back(stem, data::read_image(path));
  }
  RunFolder folder = RunFolder::start(flags.out);
  for (const auto& [stem, image] : read) {
    const NoGradGuard no_grad;
    const Tensor unit = image.dtype() == u8 ? to(image, f32) / 255.0 : image;
    Tensors planes;  // the net knows brightness only: colours go through it one by one
    for (std::int64_t c = 0; c < unit.size(0); ++c) planes.push_back(enlarge(*net, contiguous(select(unit, 0, c))));
    data::write_png(folder.path(stem + ".png"), stack(planes, 0));
  }
  folder.publish();
  fmt::print("{} image{} {} times as large in {}\n", read.size(), read.size() == 1 ? "" : "s", net->options.scale,
             flags.out);
}

struct CompareFlags {
  std::vector<std::string> weights;
  std::string data, out = "comparison";
  std::int64_t generated = 16, val = 4;
  int threads = 0;
};

void compare(const CompareFlags& flags) {
  if (flags.threads > 0) set_num_threads(flags.threads);
  std::vector<std::unique_ptr<nn::SuperResolution>> nets;
  for (const std::string& path : flags.weights) {
    nets.push_back(nn::SuperResolution::load(path));
    if (nets.back()->options.scale != nets[0]->options.scale)
      fail<ValueError>("compare", "{} enlarges {} times, {} {} times", flags.weights[0], nets[0]->options.scale, path,
                       nets.back()->options.scale);
  }
  const std::int64_t scale = nets[0]->options.scale;
  std::vector<ImagePair> pairs = load_pairs(flags.data, flags.generated, scale);
  if (flags.val > 0 && flags.val < static_cast<std::int64_t>(pairs.size()))
    pairs.erase(pairs.begin(), pairs.end() - flags.val);
  std::vector<std::vector<std::string>> rows{
      {"way", "PSNR", "SSIM", "checkerboard, dB", "on smooth, of 255", "ms an image"}};
  const auto score = [&](const std::string& name, FunctionRef<Tensor(const Tensor&)> way) {
    const Quality q = quality_of(pairs, scale, way);
    rows.push_back({name, fmt::format("{:.3f}", q.psnr), fmt::format("{:.4f}", q.ssim),
                    fmt::format("{:.2f}", q.checkerboard), fmt::format("{:.4f}", q.pattern),
                    fmt::format("{:.1f}", q.milliseconds)});
  };
  score("bicubic", [&](const Tensor& small) { return enlarge_bicubic(small, scale); });
  for (const auto& net : nets)
    score(std::string(nn::name(net->options.upsampler)) + (net->options.smooth_init ? "" : " (plain init)"),
          [&](const Tensor& small) { return enlarge(*net, small); });
  for (const auto& row : rows)
    fmt::print("{:<28}  {:>8}  {:>8}  {:>16}  {:>17}  {:>11}\n", row[0], row[1], row[2], row[3], row[4], row[5]);

  RunFolder folder = RunFolder::start(flags.out);
  Report report(fmt::format("Ways to make images {} times as large", scale));
  report.table(rows);
  std::string order = "small, bicubic";
  for (std::size_t i = 2; i < rows.size(); ++i) order += ", " + rows[i][0];
  for (const ImagePair& pair : pairs) {
    std::vector<Tensor> enlarged{enlarge_bicubic(pair.small, scale)};
    for (const auto& net : nets) enlarged.push_back(enlarge(*net, pair.small));
    const Tensor picture = comparison_picture(pair, scale, enlarged);
    data::write_png(folder.path(pair.name + ".png"), picture);
    report.picture(picture, pair.name + ": " + order + ", truth");
  }
  folder.write("report.html", report.html());
  folder.publish();
  fmt::print("look at {}\n", folder.published("report.html"));
}

void add_commands(CLI::App& program) {
  auto flags = std::make_shared<SuperresFlags>();
  CLI::App* command =
      program.add_subcommand("train", "Train a net that enlarges images; 2000 steps unless told otherwise");
  add_flags(*command, *flags);
  command->callback([flags, command] { train(*flags, *command); });

  auto large = std::make_shared<UpscaleFlags>();
  CLI::App* second = program.add_subcommand("upscale", "Enlarge images, each channel by itself");
  second->add_option("images", large->images, "PNG or TIFF files")->required();
  second->add_option("--weights", large->weights, "last.safetensors that train wrote")->required();
  second->add_option("--out", large->out, "folder for NAME.png")->capture_default_str();
  second->add_option("--threads", large->threads, "how many threads compute. Default: all cores")
      ->check(CLI::Range(1, 1024));
  second->callback([large] { upscale(*large); });

  auto compared = std::make_shared<CompareFlags>();
  CLI::App* third =
      program.add_subcommand("compare", "Score weights side by side, with bicubic interpolation, on images held out");
  third->add_option("--weights", compared->weights, "one or more last.safetensors that train wrote")->required();
  third->add_option("--data", compared->data, "folder as train takes it. Without it, images are generated");
  third->add_option("--generated", compared->generated, "how many images to generate when there is no --data")
      ->check(CLI::Range(1, 100000))
      ->capture_default_str();
  third->add_option("--val", compared->val, "the last N images; 0: all")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  third->add_option("--out", compared->out, "folder for pictures and report")->capture_default_str();
  third->add_option("--threads", compared->threads, "how many threads compute. Default: all cores")
      ->check(CLI::Range(1, 1024));
  third->callback([compared] { compare(*compared); });
}

}  // namespace
}  // namespace duet::examples

int main(int argc, char** argv) {
  return duet::examples::run_program("duet_superres", "Make small images large: train, use and compare nets for it.",
                                     duet::examples::add_commands, argc, argv);
}
