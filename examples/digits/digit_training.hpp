// Training of the classifier that `duet_digits train` makes, apart from its command line.
#pragma once

#include <duet/nn/data/tensor_set.hpp>
#include <duet/nn/models/digit_net.hpp>
#include <duet/nn/optim/optimizers.hpp>

#include "common/run.hpp"
#include "digits/digit_data.hpp"
#include "digits/judge.hpp"

namespace duet::examples {

struct DigitFlags : RunFlags {
  DigitFlags() { out = "digits-run"; }
  std::string data;
  std::int64_t generated = 6000, val = -1, batch = 64, width = 32, features = 64;
  double lr = 2e-3, warp = 1;

  template <class Visit>
  void fields(Visit&& visit) {
    visit("data", data, Resume::fixed,
          "folder with IDX files (MNIST) or with images, a folder for each class. Without it, digits are drawn");
    visit("generated", generated, Resume::fixed, "how many digits to draw when there is no --data");
    visit("val", val, Resume::fixed, "hold out the last N images for validation. Default: a fifth");
    visit("batch", batch, Resume::fixed, "images a step");
    visit("width", width, Resume::fixed, "channels of the first convolution");
    visit("features", features, Resume::fixed, "numbers that the last layer decides by");
    visit("lr", lr, Resume::fixed, "highest learning rate; it rises over the first tenth of the run, then falls to 0");
    visit("warp", warp, Resume::fixed, "how much images are turned, scaled and moved at random; 0: not at all");
    run_fields(visit);
  }
};

/// ValueError for a flag out of its range.
void check(const DigitFlags& flags);

/// Sample i is image i, turned, scaled and moved a little, normalized, and its class.
class WarpedDigits : public data::Dataset {
 public:
  WarpedDigits(const Tensor& images, const Tensor& labels, double warp);  // images (N, C, side, side) f32
  std::int64_t size() const override { return set_.size(); }
  data::Sample get(std::int64_t index, Generator& random) const override;

 private:
  data::TensorDataset set_;
  double warp_, background_;
};

/// An image (C, side, side) f32 turned by `angle` about its middle, scaled, and moved by (x, y) pixels, read between
/// pixels; what lies outside is `background`.
Tensor warp_image(const Tensor& image, double angle, double scale, double x, double y, double background);

/// How often class `truth` was taken for class `predicted`: counts (truth, predicted).
using Confusions = std::vector<std::vector<std::int64_t>>;
Confusions confusions_of(const Sight& sight, const Tensor& labels, std::size_t classes);
double accuracy_of(const Confusions& counts);
/// The table as a picture: rows are the truth, columns the answer; the darker, the larger its share of the row.
Tensor confusion_picture(const Confusions& counts);

class DigitTraining {
 public:
  explicit DigitTraining(const DigitFlags& flags);
  void begin();
  void run();
  void finish();

 private:
  void step();
  void validate();
  void save();
  Sight look_at_val();
  void write_report(const Confusions& counts, const Sight& sight);

  DigitFlags flags_;
  DigitSplit data_;
  double mean_, deviation_;
  Tensor val_images_;  // normalized
  nn::DigitNet net_;
  optim::AdamW optimizer_;
  Feed feed_;
  Run run_;
  double loss_sum_ = 0;
  std::int64_t loss_count_ = 0;
};

}  // namespace duet::examples
