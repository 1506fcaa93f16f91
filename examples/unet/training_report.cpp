// What a run leaves for people: run.json, pictures, report.html, and the last lines on the terminal.
#include <filesystem>

#include <nlohmann/json.hpp>

#include <duet/core/fail.hpp>
#include <duet/core/parallel.hpp>
#include <duet/core/version.hpp>
#include <duet/nn/data/png.hpp>
#include <duet/ops/kernels/simd.hpp>

#include "common/machine.hpp"
#include "common/report.hpp"
#include "unet/pictures.hpp"
#include "unet/training.hpp"

namespace duet::examples {
namespace {

nlohmann::json describe(const data::ImageSet& images) {
  nlohmann::json names = nlohmann::json::array();
  for (std::int64_t i = 0; i < images.size(); ++i) names.push_back(images.name(i));
  return {{"images", names}, {"hash", images.hash()}};
}

nlohmann::json to_json(const Scores& scores) {
  return {{"loss", scores.loss}, {"accuracy", scores.accuracy}, {"mean_iou", scores.mean_iou}, {"iou", scores.iou}};
}

std::string text_of(const Scores& scores) {
  std::string text = fmt::format("accuracy {:.4f}", scores.accuracy);
  for (std::size_t c = 0; c < scores.iou.size(); ++c) text += fmt::format("  IoU {} {:.4f}", c, scores.iou[c]);
  return text;
}

/// The last scores, or those of one step; null if there are none.
const Scores* find_scores(const History& history, std::int64_t step = -1) {
  for (auto row = history.rbegin(); row != history.rend(); ++row)
    if (!row->val.iou.empty() && (step < 0 || row->step == step)) return &row->val;
  return nullptr;
}

std::vector<Chart> charts_of(const History& history, int classes) {
  Chart loss{.title = "Loss", .x_label = "step", .curves = {{"training", {}}, {"validation (entropy)", {}}}};
  Chart scores{.title = "Validation", .x_label = "step", .curves = {{"accuracy", {}}}};
  Chart rate{.title = "Learning rate", .x_label = "step", .curves = {{"learning rate", {}}}};
  for (int c = 0; c < std::min(classes, 5); ++c) scores.curves.push_back({fmt::format("IoU {}", c), {}});
  for (const HistoryRow& row : history) {
    const auto x = static_cast<double>(row.step);
    loss.curves[0].points.emplace_back(x, row.loss);
    loss.curves[1].points.emplace_back(x, row.val.loss);
    rate.curves[0].points.emplace_back(x, row.lr);
    scores.curves[0].points.emplace_back(x, row.val.accuracy);
    for (std::size_t c = 0; c + 1 < scores.curves.size() && c < row.val.iou.size(); ++c)
      scores.curves[c + 1].points.emplace_back(x, row.val.iou[c]);
  }
  if (find_scores(history) == nullptr) return {loss, rate};
  return {loss, scores, rate};
}

}  // namespace

std::string Training::run_json() const {
  nlohmann::json run = {{"program", "duet_unet train"},
                        {"version", DUET_VERSION},
                        {"flags", flags_json(flags_)},
                        {"seed", flags_.seed},
                        {"steps", step_},
                        {"complete", fraction() >= 1},
                        {"seconds", seconds()},
                        {"cpu", cpu_name()},
                        {"simd", kernels::name(kernels::active_simd())},
                        {"threads", num_threads()},
                        {"processes", ranks_.size()},
                        {"parameters", segmenter_.parameter_count()},
                        {"train", describe(images_.train)},
                        {"validation", describe(images_.val)}};
  if (const Scores* last = find_scores(history_)) run["last"] = to_json(*last);
  if (const Scores* best = find_scores(history_, best_step_)) {
    run["best"] = to_json(*best);
    run["best"]["step"] = best_step_;
  }
  return run.dump(2) + "\n";
}

void Training::write_report() {
  const bool validated = images_.val.size() > 0;
  const data::ImageSet& shown = validated ? images_.val : images_.train;
  const int classes = segmenter_.options().classes;
  Report report("U-Net on " + (flags_.data.empty() ? std::string("generated images") : flags_.data));
  report.paragraph(fmt::format("{} steps of {} crops of {} x {} pixels in {}; {}.", step_, flags_.batch, flags_.crop,
                               flags_.crop, clock_text(seconds()), fraction() >= 1 ? "complete" : "interrupted"));
  report.heading("Curves");
  report.charts(charts_of(history_, classes));
  if (const Scores* last = find_scores(history_)) {
    report.heading("Scores on the validation images, all pixels together");
    std::vector<std::vector<std::string>> rows{{"weights", "step", "accuracy"}};
    for (int c = 0; c < classes; ++c) rows[0].push_back(fmt::format("IoU {}", c));
    const auto add = [&](const char* name, std::int64_t step, const Scores& scores) {
      rows.push_back({name, std::to_string(step), fmt::format("{:.4f}", scores.accuracy)});
      for (const double iou : scores.iou) rows.back().push_back(fmt::format("{:.4f}", iou));
    };
    add("last.safetensors", step_, *last);
    if (const Scores* best = find_scores(history_, best_step_)) add("best.safetensors", best_step_, *best);
    report.table(rows);
  }
  report.heading(validated ? "Validation images: image, truth, prediction, differences"
                           : "Training images: image, truth, prediction, differences");
  report.paragraph(classes == 2 ? "Red: class 0 taken for class 1. Blue: class 1 taken for class 0."
                                : "Red: a class taken for a higher one. Blue: for a lower one.");
  const std::int64_t count = std::min<std::int64_t>(shown.size(), flags_.pictures);
  if (count > 0)
    segmenter_.score(shown.subset(0, count),
                     [&](std::int64_t i, const Tensor& mask, const metrics::ConfusionMatrix& matrix) {
                       const data::LabelledImage whole = shown.load(i);
                       const Tensor picture = side_by_side(whole.image, whole.label, mask, classes);
                       data::write_png(folder_->path("pictures/" + shown.name(i) + ".png"), picture);
                       report.picture(picture, fmt::format("{}: accuracy {:.4f}, mean IoU {:.4f}", shown.name(i),
                                                           matrix.accuracy(), matrix.mean_iou()));
                     });
  report.heading("Flags");
  report.table(flags_table(flags_));
  folder_->write("report.html", report.html());
}

void Training::finish() {
  if (!ranks_.is_first()) return;
  save();
  write_report();
  std::filesystem::remove(folder_->path(state_file) +
                          ".previous");  // the checkpoint before, which the last one replaces
  folder_->publish();
  const bool complete = fraction() >= 1;
  progress_.print(
      fmt::format("{} after {} steps, {}", complete ? "done" : "interrupted", step_, clock_text(seconds())));
  if (const Scores* last = find_scores(history_)) progress_.print("last  " + text_of(*last));
  if (const Scores* best = find_scores(history_, best_step_))
    progress_.print(fmt::format("best  {}  (step {})", text_of(*best), best_step_));
  progress_.print(fmt::format("look at {}, {}/", folder_->published("report.html"), folder_->published("pictures")));
  if (!complete) progress_.print(fmt::format("go on with: duet_unet train --resume --out {}", flags_.out));
}

}  // namespace duet::examples
