// duet_unet predict: masks for images, at their full size.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <filesystem>
#include <map>
#include <memory>

#include <duet/core/fail.hpp>
#include <duet/core/parallel.hpp>
#include <duet/core/raw.hpp>
#include <duet/nn/data/png.hpp>

#include "common/run_folder.hpp"
#include "unet/commands.hpp"
#include "unet/segmenter.hpp"

namespace duet::examples {
namespace {

struct PredictFlags {
  std::vector<std::string> inputs;
  std::string weights, out = "predictions";
  bool probabilities = false;
  std::int64_t tile = 1024;
  int threads = 0;
};

/// Every image that is asked for; two of one name would overwrite each other's masks.
std::vector<data::ImageFile> gather(const std::vector<std::string>& inputs) {
  std::vector<data::ImageFile> files;
  for (const std::string& input : inputs) {
    if (std::filesystem::is_directory(input)) {
      const auto listed = data::list_images(input);
      if (listed.empty()) fail<IoError>("predict", "{} has no PNG files", input);
      files.insert(files.end(), listed.begin(), listed.end());
    } else {
      files.push_back({std::filesystem::path(input).stem().string(), input});
    }
  }
  std::map<std::string, std::string> seen;
  for (const auto& [stem, path] : files) {
    const auto [at, fresh] = seen.emplace(stem, path);
    if (!fresh) fail<ValueError>("predict", "{} and {} would both be written as {}.png", at->second, path, stem);
    data::read_png_info(path);
  }
  return files;
}

void predict(const PredictFlags& flags) {
  if (flags.threads > 0) set_num_threads(flags.threads);
  Segmenter segmenter = Segmenter::load(flags.weights);
  const SegmenterOptions& options = segmenter.options();
  const std::vector<data::ImageFile> files = gather(flags.inputs);
  RunFolder folder = RunFolder::start(flags.out);
  for (const auto& [stem, path] : files) {
    const Tensor probabilities = segmenter.probabilities(data::read_image(path, options.channels), flags.tile);
    Tensor mask = segmenter.classify(probabilities);
    if (options.black_and_white) {
      std::uint8_t* ids = raw::data<std::uint8_t>(mask);
      for (std::int64_t i = 0; i < mask.numel(); ++i) ids[i] = static_cast<std::uint8_t>(255 * ids[i]);
    }
    data::write_png(folder.path(stem + ".png"), mask);
    if (!flags.probabilities) continue;
    const std::int64_t plane = mask.numel();
    for (std::int64_t c = 0; c < probabilities.size(0); ++c)
      data::write_png(folder.path(fmt::format("{}.probability-{}.png", stem, options.classes == 2 ? 1 : c)),
                      raw::view(probabilities, mask.shape(), contiguous_strides(mask.shape()), c * plane),
                      {.bit_depth = 16});
  }
  folder.publish();
  fmt::print("{} mask{} in {}\n", files.size(), files.size() == 1 ? "" : "s", flags.out);
}

}  // namespace

void add_predict(CLI::App& program) {
  auto flags = std::make_shared<PredictFlags>();
  CLI::App& command = *program.add_subcommand("predict", "Write a mask for each image");
  command.add_option("images", flags->inputs, "PNG files, or folders of them")->required();
  command.add_option("--weights", flags->weights, "safetensors file that train wrote")->required();
  command.add_option("--out", flags->out, "folder for NAME.png: 0 and 255, or class ids, as the labels were")
      ->capture_default_str();
  command.add_flag("--probabilities", flags->probabilities,
                   "also write NAME.probability-CLASS.png, 16 bits, black 0 and white 1");
  command.add_option("--tile", flags->tile, "cut images with longer sides into overlapping tiles of this side")
      ->check(CLI::Range(64, 1 << 20))
      ->capture_default_str();
  command.add_option("--threads", flags->threads, "how many threads compute. Default: all cores")
      ->check(CLI::Range(1, 1024));
  command.callback([flags] { predict(*flags); });
}

}  // namespace duet::examples
