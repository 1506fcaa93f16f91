// Segmenter: a U-Net with what it takes to use it on images: normalisation, classes, threshold. All of it is in the
// weight file.
#pragma once

#include <memory>
#include <string>

#include <duet/nn/data/image_set.hpp>
#include <duet/nn/metrics/confusion.hpp>
#include <duet/nn/metrics/precision_recall.hpp>
#include <duet/nn/models/unet.hpp>
#include <duet/nn/tiled.hpp>

#include "unet/history.hpp"

namespace duet::examples {

struct SegmenterOptions {
  std::int64_t base = 16, depth = 4;
  int channels = 1, classes = 2;
  bool black_and_white = true;  ///< masks are written as 0/255
  data::Normalization normalization;
  int ignore = -1;                         ///< label value of pixels that do not count
  std::vector<std::uint8_t> palette = {};  ///< colours of masks, r, g, b, r, …; empty: gray
  nn::UNetOptions variant = {};            ///< all but channels, depth and rank are read
};

/// How a prediction is made.
struct PredictOptions {
  std::int64_t tile = 512;               ///< longer sides are cut into tiles that overlap as far as the net can see
  bool flips = false;                    ///< the mean over the image and its mirror images
  Callable<void(double)> progress = {};  ///< told the done share
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
  double threshold() const { return threshold_; }
  void set_threshold(double threshold) { threshold_ = threshold; }
  /// What open() of data for this model must ask for.
  data::ImageSetOptions set_options() const;

  /// Probabilities of an image (channels, height, width) as data::ImageSet and data::read_image give it: (1, height,
  /// width) of class 1 for two classes, else (classes, height, width). Runs in evaluation mode, without recording.
  Tensor probabilities(const Tensor& image, const PredictOptions& options = {});
  /// (height, width) u8 class ids from probabilities: two classes by the threshold, more by the largest.
  Tensor classify(const Tensor& probabilities) const;
  /// classify(probabilities(image)), without memory for the probabilities of the whole image.
  Tensor segment(const Tensor& image, const PredictOptions& options = {});

  /// Scores every image at its full size. `each(i, prediction, matrix)` sees them one by one. For two classes, `curve`
  /// is filled in if it is given.
  Scores score(const data::ImageSet& images,
               FunctionRef<void(std::int64_t, const Tensor&, const metrics::ConfusionMatrix&)> each,
               const PredictOptions& options = {}, metrics::PrecisionRecall* curve = nullptr);
  /// Takes the threshold at which the mean IoU on these images is highest. Only for two classes.
  void choose_threshold(const data::ImageSet& images);

 private:
  Segmenter() = default;
  Tensor of_tile(const Tensor& tile, const data::Normalization& normalization, bool flips);
  nn::TiledOptions tiles(const PredictOptions& options) const;

  SegmenterOptions options_;
  double threshold_ = 0.5;
  std::unique_ptr<nn::UNet> net_;
};

}  // namespace duet::examples
