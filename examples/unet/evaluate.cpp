// duet_unet evaluate: scores of a weight file on labelled images.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <memory>

#include <duet/core/parallel.hpp>
#include <duet/core/platform.hpp>

#include "unet/commands.hpp"
#include "unet/image_choice.hpp"
#include "unet/segmenter.hpp"

namespace duet::examples {
namespace {

struct EvaluateFlags {
  std::string data, weights, csv = "evaluation.csv";
  std::int64_t generated = 24, val = 0;
  int threads = 0;
};

void evaluate(const EvaluateFlags& flags) {
  if (flags.threads > 0) set_num_threads(flags.threads);
  Segmenter segmenter = Segmenter::load(flags.weights);
  const int classes = segmenter.options().classes;
  data::ImageSet images = open_images(flags.data, flags.generated, segmenter.options().channels);
  check_classes(images, classes);
  if (flags.val > 0) images = last_images(images, flags.val);

  data::ConfusionMatrix pooled(classes);
  std::string csv = "image,accuracy";
  for (int c = 0; c < classes; ++c) csv += fmt::format(",iou_{}", c);
  csv += '\n';
  segmenter.score(images, [&](std::int64_t i, const Tensor&, const data::ConfusionMatrix& matrix) {
    pooled.add(matrix);
    csv += fmt::format("{},{:.6f}", images.name(i), matrix.accuracy());
    for (int c = 0; c < classes; ++c) csv += fmt::format(",{:.6f}", matrix.iou(c));
    csv += '\n';
  });
  AtomicFile file("evaluate", flags.csv);
  file.write(csv.data(), static_cast<std::int64_t>(csv.size()));
  file.commit();
  fmt::print("accuracy {:.6f}\n", pooled.accuracy());
  for (int c = 0; c < classes; ++c) fmt::print("IoU {} {:.6f}\n", c, pooled.iou(c));
  fmt::print("images {}, each in {}\n", images.size(), flags.csv);
}

}  // namespace

void add_evaluate(CLI::App& program) {
  auto flags = std::make_shared<EvaluateFlags>();
  CLI::App& command = *program.add_subcommand("evaluate", "Score weights on labelled images");
  command.add_option("--weights", flags->weights, "safetensors file that train wrote")->required();
  command.add_option("--data", flags->data, "folder with image/ and label/. Without it, images are generated");
  command.add_option("--generated", flags->generated, "how many images to generate when there is no --data")
      ->check(CLI::Range(1, 100000))
      ->capture_default_str();
  command.add_option("--val", flags->val, "only the last N images in name order")->check(CLI::NonNegativeNumber);
  command.add_option("--csv", flags->csv, "where the scores of each image go")->capture_default_str();
  command.add_option("--threads", flags->threads, "how many threads compute. Default: all cores")
      ->check(CLI::Range(1, 1024));
  command.callback([flags] { evaluate(*flags); });
}

}  // namespace duet::examples
