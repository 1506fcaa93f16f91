// duet_unet generate: the generator's images as a data folder, for trying the other commands on.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <memory>

#include <duet/core/fail.hpp>
#include <duet/core/raw.hpp>
#include <duet/nn/data/png.hpp>

#include "common/run_folder.hpp"
#include "unet/commands.hpp"
#include "unet/image_choice.hpp"
#include "unet/pictures.hpp"

namespace duet::examples {
namespace {

struct GenerateFlags {
  std::string out, format = "png";
  std::int64_t count = 8, size = 256, first = 0;
  int classes = 2;
};

void generate(const GenerateFlags& flags) {
  RunFolder folder = RunFolder::start(flags.out);
  for (std::int64_t i = flags.first; i < flags.first + flags.count; ++i) {
    const data::LabelledImage image = flags.classes == 2 ? data::synthetic_membrane(i, {.size = flags.size})
                                                         : data::synthetic_shapes(i, {.size = flags.size});
    data::write_image(folder.path(fmt::format("image/{:03}.{}", i, flags.format)), image.image);
    if (flags.classes == 2)
      for (std::int64_t k = 0; k < image.label.numel(); ++k)
        raw::data<std::uint8_t>(image.label)[k] =
            static_cast<std::uint8_t>(255 * raw::data<std::uint8_t>(image.label)[k]);
    data::write_png(folder.path(fmt::format("label/{:03}.png", i)), image.label,
                    {.palette = flags.classes == 2 ? std::vector<std::uint8_t>() : class_colours(flags.classes)});
  }
  folder.publish();
  fmt::print("{} image{} and labels in {}\n", flags.count, flags.count == 1 ? "" : "s", flags.out);
}

}  // namespace

void add_generate(CLI::App& program) {
  auto flags = std::make_shared<GenerateFlags>();
  CLI::App& command = *program.add_subcommand("generate", "Write a data folder of images that are drawn");
  command.add_option("--out", flags->out, "folder for image/ and label/")->required();
  command.add_option("--count", flags->count, "how many images")->check(CLI::Range(1, 100000))->capture_default_str();
  command.add_option("--first", flags->first, "number of the first one")
      ->check(CLI::Range(0, 1000000000))
      ->capture_default_str();
  command.add_option("--size", flags->size, "side in pixels")->check(CLI::Range(64, 16384))->capture_default_str();
  command.add_option("--classes", flags->classes, "2: membranes; 4: bodies of three kinds, labels with a palette")
      ->check(CLI::IsMember({2, 4}))
      ->capture_default_str();
  command.add_option("--format", flags->format, "of the images: png or tif")
      ->check(CLI::IsMember({"png", "tif"}))
      ->capture_default_str();
  command.callback([flags] { generate(*flags); });
}

}  // namespace duet::examples
