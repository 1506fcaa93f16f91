// duet_unet evaluate: scores of a weight file on labelled images.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <memory>

#include <duet/core/parallel.hpp>
#include <duet/core/platform.hpp>
#include <duet/nn/metrics/boundary.hpp>

#include "unet/commands.hpp"
#include "unet/image_choice.hpp"
#include "unet/segmenter.hpp"

namespace duet::examples {
namespace {

struct EvaluateFlags {
  std::string data, weights, csv = "evaluation.csv";
  std::int64_t generated = 24, val = 0;
  bool flips = false;
  double tolerance = 2;
  int threads = 0;
};

/// A value of each class behind its name.
template <class Value>
void print_classes(const char* name, int classes, Value value) {
  for (int c = 0; c < classes; ++c) fmt::print("{} {} {:.6f}\n", name, c, value(c));
}

void evaluate(const EvaluateFlags& flags) {
  if (flags.threads > 0) set_num_threads(flags.threads);
  Segmenter segmenter = Segmenter::load(flags.weights);
  const int classes = segmenter.options().classes;
  data::ImageSet images = open_images(flags.data, flags.generated, segmenter.set_options());
  if (flags.val > 0) images = last_images(images, flags.val);

  metrics::ConfusionMatrix pooled(classes);
  metrics::BoundaryF1 outlines(classes, flags.tolerance, data::ignored_label);
  metrics::PrecisionRecall curve;
  std::string csv = "image,accuracy";
  for (int c = 0; c < classes; ++c) csv += fmt::format(",iou_{}", c);
  csv += '\n';
  segmenter.score(
      images,
      [&](std::int64_t i, const Tensor& prediction, const metrics::ConfusionMatrix& matrix) {
        pooled.add(matrix);
        outlines.add(prediction, images.load(i).label);
        csv += fmt::format("{},{:.6f}", images.name(i), matrix.accuracy());
        for (int c = 0; c < classes; ++c) csv += fmt::format(",{:.6f}", matrix.iou(c));
        csv += '\n';
      },
      {.flips = flags.flips}, classes == 2 ? &curve : nullptr);
  AtomicFile file("evaluate", flags.csv);
  file.write(csv.data(), static_cast<std::int64_t>(csv.size()));
  file.commit();
  fmt::print("accuracy {:.6f}\n", pooled.accuracy());
  print_classes("IoU", classes, [&](int c) { return pooled.iou(c); });
  fmt::print("mean IoU {:.6f}\n", pooled.mean_iou());
  print_classes("Dice", classes, [&](int c) { return pooled.dice(c); });
  print_classes("precision", classes, [&](int c) { return pooled.precision(c); });
  print_classes("recall", classes, [&](int c) { return pooled.recall(c); });
  print_classes("boundary F1", classes, [&](int c) { return outlines.f1(c); });
  if (classes == 2)
    fmt::print(
        "average precision {:.6f}\nthreshold {:.3f}, best here: {:.3f} by mean IoU {:.6f}, {:.3f} by F1 {:.6f}\n",
        curve.average_precision(), segmenter.threshold(), curve.best_mean_iou().threshold,
        curve.best_mean_iou().mean_iou, curve.best_f1().threshold, curve.best_f1().f1);
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
  command.add_flag("--flips", flags->flips, "predict from the mean over mirror images");
  command.add_option("--tolerance", flags->tolerance, "pixels that an outline may be off, for the boundary F1")
      ->check(CLI::Range(0.0, 100.0))
      ->capture_default_str();
  command.add_option("--csv", flags->csv, "where the scores of each image go")->capture_default_str();
  command.add_option("--threads", flags->threads, "how many threads compute. Default: all cores")
      ->check(CLI::Range(1, 1024));
  command.callback([flags] { evaluate(*flags); });
}

}  // namespace duet::examples
