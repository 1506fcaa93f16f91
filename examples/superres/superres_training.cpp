// The loop, and what it leaves.
#include "superres/superres_training.hpp"

#include <algorithm>
#include <chrono>
#include <cmath>

#include <duet/core/random.hpp>
#include <duet/core/raw.hpp>
#include <duet/core/tape.hpp>
#include <duet/nn/data/png.hpp>
#include <duet/nn/optim/clip.hpp>
#include <duet/ops/loss.hpp>

namespace duet::examples {
namespace {

constexpr std::int64_t row_steps = 25;        // between two rows of metrics.csv
constexpr std::int64_t steps_an_epoch = 200;  // patches are drawn without end

SuperresFlags seeded(SuperresFlags flags) {
  manual_seed(flags.seed);
  return flags;
}

/// Takes the pairs that are held out from the end of `all`.
std::vector<ImagePair> split_off(std::vector<ImagePair>& all, std::int64_t val) {
  const auto size = static_cast<std::int64_t>(all.size());
  const std::int64_t count = val >= 0 ? val : std::max<std::int64_t>(1, (size * 15 + 50) / 100);
  if (count >= size) fail<ValueError>("--val", "takes {} of {} images, which leaves none to train on", count, size);
  std::vector<ImagePair> held(all.end() - count, all.end());
  all.resize(static_cast<std::size_t>(size - count));
  return held;
}

std::string hash_of(const std::vector<ImagePair>& pairs) {
  std::uint64_t state = 0xCBF29CE484222325u;
  for (const ImagePair& pair : pairs) {
    const std::uint8_t* bytes = raw::data<std::uint8_t>(pair.large);
    for (std::int64_t i = 0; i < pair.large.bytes(); ++i) state = (state ^ bytes[i]) * 0x100000001B3u;
  }
  return fmt::format("fnv1a64:{:016x}", state);
}

}  // namespace

void check(const SuperresFlags& flags) {
  check_run(flags);
  need(flags.generated >= 2 && flags.generated <= 100000, "generated", "2 to 100000", flags.generated);
  need(flags.scale == 2 || flags.scale == 4, "scale", "2 or 4", flags.scale);
  need(flags.width >= 2 && flags.width <= 4096, "width", "2 to 4096", flags.width);
  need(flags.batch >= 1 && flags.batch <= 65536, "batch", "1 to 65536", flags.batch);
  need(flags.patch >= 4 && flags.patch <= 4096, "patch", "4 to 4096", flags.patch);
  need(flags.lr > 0 && flags.lr <= 1e30, "lr", "more than 0", flags.lr);
  nn::upsampler_from_name(flags.upsampler);
}

SuperresTraining::SuperresTraining(const SuperresFlags& flags)
    : flags_(seeded(flags)),
      train_(load_pairs(flags.data, flags.generated, flags.scale)),
      val_(split_off(train_, flags.val)),
      hash_(hash_of(train_)),
      net_({.scale = flags.scale,
            .width = flags.width,
            .upsampler = nn::upsampler_from_name(flags.upsampler),
            .smooth_init = !flags.plain_init}),
      optimizer_(net_.parameters(), {.lr = flags.lr}),
      feed_(data::DataLoader(PatchPairs(train_, flags.scale, flags.patch, steps_an_epoch * flags.batch),
                             {.batch_size = flags.batch, .seed = flags.seed})),
      run_("duet_superres train", flags, steps_an_epoch, {"step", "epoch", "seconds", "lr", "loss", "psnr"}) {}

void SuperresTraining::begin() {
  if (const auto saved = run_.begin()) {
    if (saved->text("data") != hash_)
      fail<ValueError>("--resume", "the images to train on are not those of the run in {}", flags_.out);
    saved->restore("model", net_);
    saved->restore("optimizer", optimizer_);
    run_.restore(*saved);
    feed_.loader().seek(saved->number("epoch"), saved->number("batch"));
    return;
  }
  run_.say(fmt::format("{} images to train on, {} held out; x{} by {}, {} parameters", train_.size(), val_.size(),
                       flags_.scale, flags_.upsampler, net_.parameter_count()));
}

void SuperresTraining::run() {
  run_.loop([&] { step(); });
}

void SuperresTraining::step() {
  const data::Sample batch = feed_.next();
  optimizer_.set_lr(flags_.lr * cycle_at(run_.fraction()));
  const auto values = run_.watched([&]() -> std::vector<double> {
    optimizer_.zero_grad();
    const Tensor loss = mse_loss(net_(batch.image), batch.target);
    loss.backward();
    return {loss.item(), optim::grad_norm(net_.parameters())};
  });
  optimizer_.step();
  ++run_.step;
  loss_sum_ += values[0];
  ++loss_count_;
  const bool ends = run_.ends_epoch();
  if (run_.step % row_steps == 0 || ends) {
    double score = NAN;
    if (ends && !val_.empty())
      score = quality_of({val_.front()}, flags_.scale, [&](const Tensor& small) { return enlarge(net_, small); }).psnr;
    run_.metrics.add({static_cast<double>(run_.step), static_cast<double>(run_.epoch()), run_.seconds(),
                      optimizer_.lr(), loss_sum_ / static_cast<double>(loss_count_), score});
    loss_sum_ = 0;
    loss_count_ = 0;
    if (ends) {
      save();
      run_.say(fmt::format("step {:5}  {:>6}  loss {:.6f}  PSNR of {} {:.3f}", run_.step, clock_text(run_.seconds()),
                           run_.metrics.last("loss"), val_.empty() ? "-" : val_.front().name, score));
    }
  }
  run_.show(fmt::format("loss {:.6f}", values[0]));
}

void SuperresTraining::save() {
  nn::Checkpoint checkpoint;
  checkpoint.keep("model", net_);
  checkpoint.keep("optimizer", optimizer_);
  checkpoint.set("epoch", feed_.loader().epoch());
  checkpoint.set("batch", feed_.loader().batch());
  checkpoint.set_text("data", hash_);
  run_.save(
      checkpoint, flags_json(flags_),
      {{"parameters", net_.parameter_count()}, {"images", train_.size()}, {"data", hash_}, {"held_out", val_.size()}});
  net_.save(run_.folder().path("last.safetensors"));
}

void SuperresTraining::finish() {
  save();
  Report report(fmt::format("x{} by {}", flags_.scale, flags_.upsampler));
  report.paragraph(fmt::format("{} steps of {} patches in {}.", run_.step, flags_.batch, clock_text(run_.seconds())));
  report.heading("Curves");
  report.charts({{.title = "Loss", .x_label = "step", .curves = {{"squared error", run_.metrics.points("loss")}}},
                 {.title = "PSNR of the first image held out",
                  .x_label = "step",
                  .curves = {{"PSNR", run_.metrics.points("psnr")}}}});
  std::string result;
  if (!val_.empty()) {
    const auto by_net = [&](const Tensor& small) { return enlarge(net_, small); };
    const auto by_bicubic = [&](const Tensor& small) { return enlarge_bicubic(small, flags_.scale); };
    const Quality net = quality_of(val_, flags_.scale, by_net), bicubic = quality_of(val_, flags_.scale, by_bicubic);
    result = fmt::format(
        "{}: PSNR {:.3f}  SSIM {:.4f}  checkerboard {:.2f} dB\nbicubic: PSNR {:.3f}  SSIM {:.4f}  checkerboard {:.2f} "
        "dB",
        flags_.upsampler, net.psnr, net.ssim, net.checkerboard, bicubic.psnr, bicubic.ssim, bicubic.checkerboard);
    report.heading("Images held out");
    report.table({{"way", "PSNR", "SSIM", "checkerboard, dB"},
                  {flags_.upsampler, fmt::format("{:.3f}", net.psnr), fmt::format("{:.4f}", net.ssim),
                   fmt::format("{:.2f}", net.checkerboard)},
                  {"bicubic", fmt::format("{:.3f}", bicubic.psnr), fmt::format("{:.4f}", bicubic.ssim),
                   fmt::format("{:.2f}", bicubic.checkerboard)}});
    for (const ImagePair& pair : val_) {
      const Tensor picture = comparison_picture(pair, flags_.scale, {by_bicubic(pair.small), by_net(pair.small)});
      data::write_png(run_.folder().path("pictures/" + pair.name + ".png"), picture);
      report.picture(picture, pair.name + ": small, bicubic, net, truth");
    }
  }
  report.heading("Flags");
  report.table(flags_table(flags_));
  run_.folder().write("report.html", report.html());
  run_.publish();
  if (!result.empty()) run_.progress.print(result);
  run_.progress.print(fmt::format("look at {}", run_.folder().published("report.html")));
}

}  // namespace duet::examples
