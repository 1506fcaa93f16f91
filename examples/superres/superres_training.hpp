// Training of a net that enlarges images, and its score beside bicubic interpolation's.
#pragma once

#include <string>
#include <vector>

#include <duet/nn/data/dataset.hpp>
#include <duet/nn/models/super_resolution.hpp>
#include <duet/nn/optim/optimizers.hpp>

#include "common/run.hpp"

namespace duet::examples {

struct SuperresFlags : RunFlags {
  SuperresFlags() { out = "superres-run"; }
  std::string data, upsampler = "pixel-shuffle";
  bool plain_init = false;
  std::int64_t generated = 16, val = -1, scale = 2, width = 64, batch = 16, patch = 32;
  double lr = 2e-3;

  template <class Visit>
  void fields(Visit&& visit) {
    visit("data", data, Resume::fixed, "folder with images, or with image/ in it. Without it, images are generated");
    visit("generated", generated, Resume::fixed, "how many images to generate when there is no --data");
    visit("val", val, Resume::fixed, "hold out the last N images in name order. Default: about 15 %");
    visit("scale", scale, Resume::fixed, "how many times larger images become: 2 or 4");
    visit("upsampler", upsampler, Resume::fixed, "nearest, bilinear, pixel-shuffle or transposed");
    visit("plain-init", plain_init, Resume::fixed,
          "begin with weights that leave a pattern, without ICNR or bilinear weights");
    visit("width", width, Resume::fixed, "channels of the first layers");
    visit("batch", batch, Resume::fixed, "patches a step");
    visit("patch", patch, Resume::fixed, "side of a patch in small pixels");
    visit("lr", lr, Resume::fixed, "highest learning rate; it rises over the first tenth of the run, then falls to 0");
    run_fields(visit);
  }
};

/// ValueError for a flag out of its range.
void check(const SuperresFlags& flags);

/// A gray image and what it is reduced to, planes f32 in [0, 1]; the large one is cut to scale times the small one.
struct ImagePair {
  std::string name;
  Tensor large, small;
};
/// The images of a folder (or of its image/, or generated ones), gray, each with its reduction. IoError for a folder
/// without images; ValueError for an image that is too small to be scored.
std::vector<ImagePair> load_pairs(const std::string& folder, std::int64_t generated, std::int64_t scale);

/// Random patches, mirrored and turned: image is the small one, target the large one.
class PatchPairs : public data::Dataset {
 public:
  PatchPairs(std::vector<ImagePair> pairs, std::int64_t scale, std::int64_t patch, std::int64_t count);
  std::int64_t size() const override { return count_; }
  data::Sample get(std::int64_t index, Generator& random) const override;

 private:
  std::vector<ImagePair> pairs_;
  std::int64_t scale_, patch_, count_;
};

/// Means over images. `checkerboard` is the peak of the error's spectrum at the scale's frequencies, in decibels;
/// `pattern` what the enlargement of a smooth image has at these frequencies, where there is nothing to be seen, in
/// steps of 1/255.
struct Quality {
  double psnr = 0, ssim = 0, checkerboard = 0, pattern = 0, milliseconds = 0;
};
/// A small plane with nothing finer than some 32 pixels: reduced to a sixteenth, and enlarged again.
Tensor smoothed(const Tensor& small);
/// A small plane enlarged, in [0, 1]: by a net, or by bicubic interpolation (a = −0.75).
Tensor enlarge(nn::SuperResolution& net, const Tensor& small);
Tensor enlarge_bicubic(const Tensor& small, std::int64_t scale);
Quality quality_of(const std::vector<ImagePair>& pairs, std::int64_t scale, FunctionRef<Tensor(const Tensor&)> enlarge);
/// A cut of each enlargement side by side: what it was made from, the ways in order, the truth.
Tensor comparison_picture(const ImagePair& pair, std::int64_t scale, const std::vector<Tensor>& enlarged);

class SuperresTraining {
 public:
  explicit SuperresTraining(const SuperresFlags& flags);
  void begin();
  void run();
  void finish();

 private:
  void step();
  void save();

  SuperresFlags flags_;
  std::vector<ImagePair> train_, val_;
  std::string hash_;
  nn::SuperResolution net_;
  optim::Adam optimizer_;
  Feed feed_;
  Run run_;
  double loss_sum_ = 0;
  std::int64_t loss_count_ = 0;
};

}  // namespace duet::examples
