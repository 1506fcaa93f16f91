// The classifier's training loop, its warped images, and its confusions.
#include "digits/digit_training.hpp"

#include <algorithm>
#include <cmath>

#include <duet/core/factory.hpp>
#include <duet/core/random.hpp>
#include <duet/core/raw.hpp>
#include <duet/nn/data/png.hpp>
#include <duet/nn/optim/clip.hpp>
#include <duet/ops/elementwise.hpp>
#include <duet/ops/loss.hpp>
#include <duet/ops/reduce.hpp>
#include <duet/ops/shape.hpp>

#include "common/canvas.hpp"

namespace duet::examples {
namespace {

constexpr std::int64_t row_steps = 25;  // between two rows of metrics.csv

DigitFlags seeded(DigitFlags flags) {
  manual_seed(flags.seed);
  return flags;
}

std::int64_t held_out(const DigitFlags& flags, const DigitData& all) {
  return flags.val >= 0 ? flags.val : std::max<std::int64_t>(1, all.size() / 5);
}

nn::DigitNetOptions net_options(const DigitFlags& flags, const DigitData& data) {
  return {.image_size = data.side(),
          .channels = data.channels(),
          .classes = static_cast<std::int64_t>(data.classes.size()),
          .width = flags.width,
          .features = flags.features};
}

}  // namespace

void check(const DigitFlags& flags) {
  check_run(flags);
  need(flags.generated >= 20 && flags.generated <= 1000000, "generated", "20 to 1000000", flags.generated);
  need(flags.batch >= 1 && flags.batch <= 65536, "batch", "1 to 65536", flags.batch);
  need(flags.width >= 1 && flags.width <= 4096, "width", "1 to 4096", flags.width);
  need(flags.features >= 1 && flags.features <= 4096, "features", "1 to 4096", flags.features);
  need(flags.lr > 0 && flags.lr <= 1e30, "lr", "more than 0", flags.lr);
  need(flags.warp >= 0 && flags.warp <= 10, "warp", "0 to 10", flags.warp);
}

WarpedDigits::WarpedDigits(const Tensor& images, const Tensor& labels, double warp)
    : set_(images, labels), warp_(warp), background_(amin(images).item()) {}

data::Sample WarpedDigits::get(std::int64_t index, Generator& random) const {
  data::Sample sample = set_.get(index, random);
  if (warp_ == 0) return sample;
  const auto around = [&](double most) { return most * warp_ * (2 * random.uniform() - 1); };
  const double angle = around(0.2), scale = std::exp(around(0.12)),
               pixels = static_cast<double>(sample.image.size(2)) / 28;
  const double x = around(2 * pixels), y = around(2 * pixels);
  sample.image = warp_image(sample.image, angle, scale, x, y, background_);
  return sample;
}

Tensor warp_image(const Tensor& image, double angle, double scale, double x, double y, double background) {
  const std::int64_t channels = image.size(0), height = image.size(1), width = image.size(2);
  const Tensor source = raw::contiguous(image);
  Tensor out = Tensor::empty(image.shape());
  const double c = std::cos(angle) / scale, s = std::sin(angle) / scale;
  const double middle_y = static_cast<double>(height - 1) / 2, middle_x = static_cast<double>(width - 1) / 2;
  float* to = raw::data<float>(out);
  for (std::int64_t plane = 0; plane < channels; ++plane) {
    const float* from = raw::data<float>(source) + plane * height * width;
    const auto pixel = [&](std::int64_t row, std::int64_t column) {
      return row < 0 || row >= height || column < 0 || column >= width
                 ? background
                 : static_cast<double>(from[row * width + column]);
    };
    for (std::int64_t i = 0; i < height * width; ++i) {
      const double v = static_cast<double>(i / width) - middle_y - y, u = static_cast<double>(i % width) - middle_x - x;
      const double at_y = middle_y + c * v - s * u, at_x = middle_x + s * v + c * u;
      const double top = std::floor(at_y), left = std::floor(at_x), fy = at_y - top, fx = at_x - left;
      const auto row = static_cast<std::int64_t>(top), column = static_cast<std::int64_t>(left);
      *to++ = static_cast<float>((1 - fy) * ((1 - fx) * pixel(row, column) + fx * pixel(row, column + 1)) +
                                 fy * ((1 - fx) * pixel(row + 1, column) + fx * pixel(row + 1, column + 1)));
    }
  }
  return out;
}

Confusions confusions_of(const Sight& sight, const Tensor& labels, std::size_t classes) {
  Confusions counts(classes, std::vector<std::int64_t>(classes));
  for (std::size_t i = 0; i < sight.classes.size(); ++i)
    ++counts.at(static_cast<std::size_t>(raw::data<std::int64_t>(labels)[i]))
          .at(static_cast<std::size_t>(sight.classes[i]));
  return counts;
}

double accuracy_of(const Confusions& counts) {
  std::int64_t right = 0, all = 0;
  for (std::size_t t = 0; t < counts.size(); ++t)
    for (std::size_t p = 0; p < counts.size(); ++p) {
      all += counts[t][p];
      if (t == p) right += counts[t][p];
    }
  return static_cast<double>(right) / static_cast<double>(std::max<std::int64_t>(all, 1));
}

Tensor confusion_picture(const Confusions& counts) {
  constexpr std::int64_t cell = 36;
  const auto n = static_cast<std::int64_t>(counts.size());
  Tensor picture = full({3, (n + 1) * cell, (n + 1) * cell}, 255, {.dtype = u8});
  std::uint8_t* pixels = raw::data<std::uint8_t>(picture);
  const std::int64_t side = (n + 1) * cell;
  for (std::int64_t t = 0; t < n; ++t) {
    draw_number(picture, t, cell / 2, (t + 1) * cell + cell / 2, 3, 120);
    draw_number(picture, t, (t + 1) * cell + cell / 2, cell / 2, 3, 120);
    std::int64_t row = 0;
    for (const std::int64_t count : counts[static_cast<std::size_t>(t)]) row += count;
    for (std::int64_t p = 0; p < n; ++p) {
      const std::int64_t count = counts[static_cast<std::size_t>(t)][static_cast<std::size_t>(p)];
      // The square root lets a single mistake be seen beside hundreds of right answers.
      const double share = row == 0 ? 0 : std::sqrt(static_cast<double>(count) / static_cast<double>(row));
      const double paper[3] = {245, 245, 245},
                   ink[3] = {t == p ? 20.0 : 200.0, t == p ? 90.0 : 40.0, t == p ? 130.0 : 30.0};
      for (std::int64_t c = 0; c < 3; ++c)
        for (std::int64_t y = 1; y < cell; ++y)
          for (std::int64_t x = 1; x < cell; ++x)
            pixels[(c * side + (t + 1) * cell + y) * side + (p + 1) * cell + x] =
                static_cast<std::uint8_t>(paper[c] + share * (ink[c] - paper[c]));
      if (count > 0)
        draw_number(picture, count, (p + 1) * cell + cell / 2, (t + 1) * cell + cell / 2, 2, share > 0.5 ? 255 : 30);
    }
  }
  return picture;
}

DigitTraining::DigitTraining(const DigitFlags& flags)
    : flags_(seeded(flags)),
      data_([&] {
        const DigitData all = load_digits(flags.data, flags.generated);
        return split_digits(all, held_out(flags, all));
      }()),
      mean_(mean(unit_images(data_.train.images)).item()),
      deviation_(std::max(1e-3, std(unit_images(data_.train.images)).item())),
      val_images_((unit_images(data_.val.images) - mean_) / deviation_),
      net_(net_options(flags, data_.train)),
      optimizer_(net_.parameters(), {.lr = flags.lr}),
      feed_(data::DataLoader(
          WarpedDigits((unit_images(data_.train.images) - mean_) / deviation_, data_.train.labels, flags.warp),
          {.batch_size = flags.batch, .drop_last = true, .seed = flags.seed})),
      run_("duet_digits train", flags, feed_.loader().batches(),
           {"step", "epoch", "seconds", "lr", "loss", "val_accuracy"}) {}

void DigitTraining::begin() {
  if (const auto saved = run_.begin()) {
    if (saved->text("data") != data_.train.hash())
      fail<ValueError>("--resume", "the images to train on are not those of the run in {}", flags_.out);
    saved->restore("model", net_);
    saved->restore("optimizer", optimizer_);
    saved->restore("random", default_generator());
    run_.restore(*saved);
    feed_.loader().seek(saved->number("epoch"), saved->number("batch"));
    return;
  }
  run_.say(fmt::format("{} images to train on, {} held out, {} classes; {} parameters", data_.train.size(),
                       data_.val.size(), data_.train.classes.size(), net_.parameter_count()));
}

void DigitTraining::run() {
  run_.loop([&] { step(); });
}

void DigitTraining::step() {
  const data::Sample batch = feed_.next();
  optimizer_.set_lr(flags_.lr * cycle_at(run_.fraction()));
  net_.train();
  const auto values = run_.watched([&]() -> std::vector<double> {
    optimizer_.zero_grad();
    const Tensor loss = cross_entropy(net_(batch.image), batch.target);
    loss.backward();
    return {loss.item(), optim::grad_norm(net_.parameters())};
  });
  optimizer_.step();
  ++run_.step;
  loss_sum_ += values[0];
  ++loss_count_;
  if (run_.ends_epoch()) {
    validate();
  } else if (run_.step % row_steps == 0) {
    run_.metrics.add({static_cast<double>(run_.step), static_cast<double>(run_.epoch()), run_.seconds(),
                      optimizer_.lr(), loss_sum_ / static_cast<double>(loss_count_), NAN});
    loss_sum_ = 0;
    loss_count_ = 0;
  }
  run_.show(fmt::format("loss {:.4f}  accuracy {:.4f}", values[0], run_.metrics.last("val_accuracy")));
}

Sight DigitTraining::look_at_val() {
  const Sight sight = look(net_, val_images_);
  net_.train();
  return sight;
}

void DigitTraining::validate() {
  const double accuracy = data_.val.size() == 0
                              ? NAN
                              : accuracy_of(confusions_of(look_at_val(), data_.val.labels, data_.val.classes.size()));
  run_.metrics.add({static_cast<double>(run_.step), static_cast<double>(run_.epoch()), run_.seconds(), optimizer_.lr(),
                    loss_count_ > 0 ? loss_sum_ / static_cast<double>(loss_count_) : NAN, accuracy});
  run_.say(fmt::format("step {:5}  {:>6}  loss {:.4f}  accuracy {:.4f}", run_.step, clock_text(run_.seconds()),
                       run_.metrics.last("loss"), accuracy));
  loss_sum_ = 0;
  loss_count_ = 0;
  save();
}

void DigitTraining::save() {
  nn::Checkpoint checkpoint;
  checkpoint.keep("model", net_);
  checkpoint.keep("optimizer", optimizer_);
  checkpoint.keep("random", default_generator());
  checkpoint.set("epoch", feed_.loader().epoch());
  checkpoint.set("batch", feed_.loader().batch());
  checkpoint.set_text("data", data_.train.hash());
  run_.save(checkpoint, flags_json(flags_),
            {{"parameters", net_.parameter_count()},
             {"images", data_.train.size()},
             {"data", data_.train.hash()},
             {"held_out", data_.val.size()}});
  net_.save(run_.folder().path("last.safetensors"),
            {.classes = data_.train.classes, .mean = {mean_}, .deviation = {deviation_}});
}

void DigitTraining::finish() {
  save();
  if (data_.val.size() > 0) {
    const Sight sight = look_at_val();
    const Confusions counts = confusions_of(sight, data_.val.labels, data_.val.classes.size());
    write_report(counts, sight);
    run_.publish();
    run_.progress.print(fmt::format("accuracy {:.4f} on {} images held out", accuracy_of(counts), data_.val.size()));
  } else {
    write_report({}, {});
    run_.publish();
  }
  run_.progress.print(fmt::format("look at {}", run_.folder().published("report.html")));
}

void DigitTraining::write_report(const Confusions& counts, const Sight& sight) {
  Report report("Digits from " + (flags_.data.empty() ? std::string("a drawing hand") : flags_.data));
  report.paragraph(fmt::format("{} steps of {} images in {}.", run_.step, flags_.batch, clock_text(run_.seconds())));
  report.heading("Curves");
  report.charts({{.title = "Loss", .x_label = "step", .curves = {{"training", run_.metrics.points("loss")}}},
                 {.title = "Accuracy on images held out",
                  .x_label = "step",
                  .curves = {{"accuracy", run_.metrics.points("val_accuracy")}}}});
  if (!counts.empty()) {
    const Tensor picture = confusion_picture(counts);
    data::write_png(run_.folder().path("confusions.png"), picture);
    report.heading(fmt::format("Confusions: accuracy {:.4f}", accuracy_of(counts)));
    report.picture(picture, "Rows: the truth. Columns: the answer. Blue: right, red: wrong.");
    std::vector<Tensor> wrong;
    const Tensor images = unit_images(data_.val.images);
    for (std::size_t i = 0; i < sight.classes.size() && wrong.size() < 40; ++i)
      if (const auto truth = raw::data<std::int64_t>(data_.val.labels)[i]; truth != sight.classes[i]) {
        Tensor one = as_picture(select(images, 0, static_cast<std::int64_t>(i)), 2);
        draw_number(one, sight.classes[i], one.size(2) - 6, 8, 2, 160);
        wrong.push_back(one);
      }
    if (!wrong.empty()) {
      data::write_png(run_.folder().path("mistakes.png"), mosaic(wrong, 10));
      report.picture(mosaic(wrong, 10), "Mistakes, each with the answer in its corner.");
    }
  }
  report.heading("Flags");
  report.table(flags_table(flags_));
  run_.folder().write("report.html", report.html());
}

}  // namespace duet::examples
