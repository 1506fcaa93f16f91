// The training loop, and its state in and out of a file.
#include "unet/training.hpp"

#include <algorithm>
#include <cmath>

#include <nlohmann/json.hpp>

#include <duet/core/fail.hpp>
#include <duet/core/random.hpp>
#include <duet/core/version.hpp>
#include <duet/nn/checkpoint.hpp>

#include "common/interrupt.hpp"
#include "common/run.hpp"
#include "unet/choices.hpp"

namespace duet::examples {
namespace {

/// Steps between two rows of metrics.csv.
constexpr std::int64_t row_steps = 10;
/// The share of a run over which the learning rate rises.
constexpr double rise = 0.2;

Segmenter make_segmenter(const TrainFlags& flags, const Split& images) {
  manual_seed(flags.seed);
  const int found = std::max(images.train.classes(), images.val.size() > 0 ? images.val.classes() : 2);
  SegmenterOptions options{.base = flags.base,
                           .depth = flags.depth,
                           .channels = images.train.channels(),
                           .classes = found,
                           .black_and_white = images.train.black_and_white(),
                           .normalization = normalization_of(flags, images.train),
                           .ignore = static_cast<int>(flags.ignore),
                           .palette = images.train.palette(),
                           .variant = net_variant(flags)};
  if (!options.palette.empty() && options.palette.size() < 3 * static_cast<std::size_t>(found))
    fail<ValueError>("train",
                     "{} has a palette of {} colours, there are {} classes: masks would have none for the last",
                     images.train.palette_file(), options.palette.size() / 3, found);
  return Segmenter(options);
}

data::DataLoader make_loader(const TrainFlags& flags, const Split& images, const Segmenter& segmenter,
                             const Ranks& ranks) {
  const data::CropDataset crops(images.train, segmenter.options().normalization,
                                {.size = flags.crop,
                                 .flips = flags.turns,
                                 .rotations = flags.turns,
                                 .classes = segmenter.options().classes,
                                 .brightness = flags.brightness,
                                 .transform = augmentation(flags)});
  return data::DataLoader(crops, {.batch_size = flags.batch,
                                  .drop_last = crops.size() >= flags.batch,
                                  .seed = flags.seed,
                                  .workers = flags.workers,
                                  .share = ranks.rank(),
                                  .shares = ranks.size()});
}

Split open_split(const TrainFlags& flags) {
  const data::ImageSetOptions options = set_options(flags);
  return split_images(open_images(flags.data, flags.generated, options), flags.val, options);
}

LossSettings make_loss(const TrainFlags& flags, const Split& images, const Segmenter& segmenter, const Ranks& ranks) {
  const int classes = segmenter.options().classes;
  LossSettings settings{.kind = loss_kind(flags.loss, classes),
                        .dice = flags.dice,
                        .class_weights = class_weights(flags.class_weights, images.train, classes),
                        .processes = ranks.size()};
  if (ranks.size() > 1) settings.total = [&ranks](const Tensor& x) { return ranks.total(x); };
  return settings;
}

/// What has to be the same on all ranks, a line each. `quiet` is not: the first rank speaks for all.
std::string agreement(TrainFlags flags, const data::ImageSet& images) {
  std::string text = fmt::format("Duet {}\n", DUET_VERSION);
  flags.quiet = false;
  flags.fields(
      [&](const char* name, auto& value, Resume, const char*) { text += fmt::format("--{} {}\n", name, value); });
  return text + fmt::format("images {}\n", images.hash());
}

}  // namespace

Training::Training(const TrainFlags& flags, Ranks& ranks)
    : flags_(flags),
      ranks_(ranks),
      images_(open_split(flags)),
      segmenter_(make_segmenter(flags, images_)),
      loss_(make_loss(flags, images_, segmenter_, ranks)),
      optimizer_(segmenter_.net().parameters(), {.lr = flags.lr}),
      loader_(make_loader(flags, images_, segmenter_, ranks)),
      progress_(flags.quiet || !ranks.is_first() ? Verbosity::quiet : Verbosity::normal) {
  if (!ranks.is_first()) flags_.quiet = true;
  segmenter_.set_threshold(threshold_of(flags, automatic_threshold_));
  if (automatic_threshold_ && (segmenter_.options().classes != 2 || images_.val.size() == 0))
    fail<ValueError>("--threshold", "auto needs two classes and validation images, there are {} and {}",
                     segmenter_.options().classes, images_.val.size());
}

void Training::begin() {
  ranks_.require_same("set of flags and images", agreement(flags_, images_.train));
  if (!ranks_.is_first()) ranks_.barrier();  // the first one touches the folder, the others find it in order
  if (flags_.resume) {
    folder_ = RunFolder::resume(flags_.out, state_file);
  } else if (ranks_.is_first()) {
    folder_ = RunFolder::start(flags_.out);
  }
  if (ranks_.is_first()) ranks_.barrier();
  if (flags_.resume) restore(folder_->path(state_file));
  ranks_.join(segmenter_.net(), flags_.sync_batch_norm);
  // Each rank drops other values out.
  Generator& random = default_generator();
  random.set_state(random.seed() + static_cast<std::uint64_t>(ranks_.rank()), random.position());
  if (flags_.quiet) return;
  if (flags_.resume)
    progress_.print(fmt::format("going on after step {}", step_));
  else
    progress_.print(fmt::format("{} images to train on, {} to validate, {} classes; {} parameters; {} crops an epoch",
                                images_.train.size(), images_.val.size(), segmenter_.options().classes,
                                segmenter_.parameter_count(), loader_.batches() * flags_.batch));
}

double Training::fraction() const {
  double done = 0;
  if (flags_.steps > 0) done = std::max(done, static_cast<double>(step_) / static_cast<double>(flags_.steps));
  if (flags_.epochs > 0)
    done = std::max(done, static_cast<double>(step_) / static_cast<double>(flags_.epochs * loader_.batches()));
  if (flags_.minutes > 0) done = std::max(done, clock_ / (60 * flags_.minutes));
  return std::min(done, 1.0);
}

double Training::seconds() const {
  return seconds_before_ + std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
}

void Training::run() {
  start_ = std::chrono::steady_clock::now();
  const InterruptGuard guard;
  bool stop = fraction() >= 1;
  while (!stop)
    for (auto& batch : loader_) {
      step(batch);
      validate_if_due();
      stop = fraction() >= 1 || interrupted_ || step_ == flags_.stop_after;
      if (ranks_.size() == 1) stop = stop || InterruptGuard::interrupted();
      if (stop) break;
    }
  seconds_before_ = seconds();
  start_ = std::chrono::steady_clock::now();
  progress_.clear();
}

void Training::step(const data::Sample& batch) {
  const auto begin = std::chrono::steady_clock::now();
  segmenter_.net().train();
  optimizer_.set_lr(flags_.lr * cycle_at(fraction(), rise));
  optimizer_.zero_grad();
  const Tensor loss = deep_loss(segmenter_.net().scales(batch.image), batch.target, loss_);
  loss.backward();
  ranks_.synchronize();
  optimizer_.step();
  const double value = agree(loss.item());
  ++step_;
  if (!std::isfinite(value))
    fail<ValueError>("train", "the loss is {} at step {}; a lower --lr may help. What was saved before is in {}", value,
                     step_, flags_.out);
  loss_sum_ += value;
  ++loss_count_;
  if (step_ % row_steps == 0) add_row({});
  const double took = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  step_seconds_ = step_seconds_ == 0 ? took : 0.9 * step_seconds_ + 0.1 * took;
  show(value);
}

double Training::agree(double loss) {
  const bool first = ranks_.is_first();
  const auto totals = ranks_.totals({loss, first ? seconds() : 0, InterruptGuard::interrupted() ? 1.0 : 0.0});
  clock_ = totals[1];
  interrupted_ = totals[2] > 0;
  return totals[0] / ranks_.size();
}

void Training::validate_if_due() {
  const auto due = static_cast<std::int64_t>(fraction() * flags_.validations + 1e-9);
  if (due <= validations_) return;
  validations_ = due;
  if (!ranks_.is_first()) return;
  if (images_.val.size() > 0) {
    if (automatic_threshold_) segmenter_.choose_threshold(images_.val);
    const Scores scores =
        segmenter_.score(images_.val, [](std::int64_t, const Tensor&, const metrics::ConfusionMatrix&) {});
    add_row(scores);
    if (scores.mean_iou > best_) {
      best_ = scores.mean_iou;
      best_step_ = step_;
      segmenter_.save(folder_->path("best.safetensors"));
    }
    std::string line = fmt::format("step {:5}  {:>7}  loss {:.4f}  val loss {:.4f}  accuracy {:.4f}", step_,
                                   clock_text(seconds()), history_.back().loss, scores.loss, scores.accuracy);
    for (std::size_t c = 0; c < scores.iou.size() && c < 6; ++c)
      line += fmt::format("  IoU {} {:.4f}", c, scores.iou[c]);
    if (!flags_.quiet) progress_.print(line);
  }
  save();
}

void Training::add_row(const Scores& scores) {
  // A validation right after a row belongs to that row.
  if (loss_count_ > 0 || history_.empty()) {
    const double loss = loss_count_ > 0 ? loss_sum_ / static_cast<double>(loss_count_) : no_value;
    history_.push_back({step_, step_ / loader_.batches(), seconds(), optimizer_.lr(), loss, {}});
    loss_sum_ = 0;
    loss_count_ = 0;
  }
  if (!scores.iou.empty()) history_.back().val = scores;
}

void Training::show(double loss) {
  const double done = fraction();
  const double left = flags_.minutes > 0 && flags_.steps == 0 && flags_.epochs == 0
                          ? 60 * flags_.minutes - seconds()
                          : seconds() * (1 - done) / std::max(done, 1e-6);
  std::string text = fmt::format("loss {:.4f}", loss);
  for (auto row = history_.rbegin(); row != history_.rend(); ++row)
    if (!row->val.iou.empty()) {
      text += fmt::format("  accuracy {:.3f} IoU {:.3f}", row->val.accuracy, row->val.mean_iou);
      break;
    }
  text += fmt::format("  {:.0f} images/s  step {}", static_cast<double>(flags_.batch) / step_seconds_, step_);
  progress_.update(done, left, text);
}

void Training::save() {
  const nlohmann::json state = {{"step", step_},
                                {"epoch", loader_.epoch()},
                                {"batch", loader_.batch()},
                                {"seconds", seconds()},
                                {"validations", validations_},
                                {"loss_sum", loss_sum_},
                                {"loss_count", loss_count_},
                                {"best", best_},
                                {"best_step", best_step_},
                                {"threshold", segmenter_.threshold()},
                                {"data", images_.train.hash()},
                                {"history", to_json(history_)}};
  nn::Checkpoint checkpoint;
  checkpoint.keep("model", segmenter_.net());
  checkpoint.keep("optimizer", optimizer_);
  checkpoint.keep("random", default_generator());
  checkpoint.set_text("training", state.dump());
  checkpoint.save(folder_->path(state_file));
  segmenter_.save(folder_->path("last.safetensors"));
  if (images_.val.size() == 0) segmenter_.save(folder_->path("best.safetensors"));  // nothing to tell them apart by
  folder_->write("metrics.csv", to_csv(history_, segmenter_.options().classes));
  folder_->write("run.json", run_json());
}

void Training::restore(const std::string& path) {
  const nn::Checkpoint saved = nn::Checkpoint::load_latest(path);
  try {
    const nlohmann::json state = nlohmann::json::parse(saved.text("training"));
    if (state.at("data") != images_.train.hash())
      fail<ValueError>("resume", "the images to train on are not those of the run in {}", flags_.out);
    saved.restore("model", segmenter_.net());
    saved.restore("optimizer", optimizer_);
    saved.restore("random", default_generator());
    step_ = state.at("step");
    seconds_before_ = clock_ = state.at("seconds");
    validations_ = state.at("validations");
    loss_sum_ = state.at("loss_sum");
    loss_count_ = state.at("loss_count");
    best_ = state.at("best");
    best_step_ = state.at("best_step");
    segmenter_.set_threshold(state.value("threshold", 0.5));
    history_ = history_from_json(state.at("history"));
    loader_.seek(state.at("epoch"), state.at("batch"));
  } catch (const nlohmann::json::exception& error) {
    fail<IoError>("resume", "{} is broken: {}", path, error.what());
  }
  // A larger budget than the run had makes it incomplete again, and its validations are counted anew.
  validations_ = std::min(validations_, static_cast<std::int64_t>(fraction() * flags_.validations + 1e-9));
}

}  // namespace duet::examples
