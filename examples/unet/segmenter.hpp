// Segmenter: a U-Net with what it takes to use it on images: normalisation, classes, threshold. All of it is in the
// weight file.
#pragma once

#include <memory>
#include <string>

#include <duet/nn/data/confusion.hpp>
#include <duet/nn/data/image_set.hpp>
#include <duet/nn/models/unet.hpp>

#include "unet/history.hpp"

namespace duet::examples {

struct SegmenterOptions {
  std::int64_t base = 16, depth = 4;
  int channels = 1, classes = 2;
  bool black_and_white = true;  ///< masks are written as 0/255
  data::Normalization normalization;
};

class Segmenter {
 public:
  /// New weights, drawn from the default generator.
  explicit Segmenter(const SegmenterOptions& options);
  /// IoError, naming the file, for weights that are not a segmenter's.
  static Segmenter load(const std::string& path);
  void save(const std::string& path) const;

  const SegmenterOptions& options() const { return options_; }
  nn::UNet& net() { return *net_; }
  std::int64_t parameter_count() const { return net_->parameter_count(); }

  /// The mean of cross entropy, and for two classes `dice` times the dice loss, for a batch as CropDataset makes it.
  Tensor loss(const Tensor& logits, const Tensor& target, double dice) const;

  /// Probabilities of an image (channels, height, width) as data::ImageSet and data::read_image give it: (1, height,
  /// width) of class 1 for two classes, else (classes, height, width). Runs in evaluation mode, without recording. A
  /// side longer than `tile` is cut into tiles that overlap as far as the net can see, so the result is the same.
  Tensor probabilities(const Tensor& image, std::int64_t tile = 1024);
  /// (height, width) u8 class ids from probabilities: two classes by the threshold, more by the largest.
  Tensor classify(const Tensor& probabilities) const;

  /// Scores every image at its full size. `each(i, prediction, matrix)` sees them one by one.
  Scores score(const data::ImageSet& images,
               FunctionRef<void(std::int64_t, const Tensor&, const data::ConfusionMatrix&)> each);

 private:
  Segmenter() = default;
  Tensor whole(const Tensor& normalized);

  SegmenterOptions options_;
  double threshold_ = 0.5;
  std::unique_ptr<nn::UNet> net_;
};

}  // namespace duet::examples
