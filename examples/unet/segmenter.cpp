// Tiles, classes, scores. Weight files: segmenter_file.cpp.
#include "unet/segmenter.hpp"

#include <algorithm>
#include <cmath>

#include <duet/core/fail.hpp>
#include <duet/core/raw.hpp>
#include <duet/core/tape.hpp>
#include <duet/ops/activation.hpp>
#include <duet/ops/elementwise.hpp>
#include <duet/ops/index.hpp>
#include <duet/ops/shape.hpp>
#include <duet/ops/softmax.hpp>

namespace duet::examples {

Segmenter::Segmenter(const SegmenterOptions& options) : options_(options) {
  nn::UNetOptions net = options.variant;
  net.in_channels = options.channels;
  net.out_channels = options.classes == 2 ? 1 : options.classes;
  net.base_channels = options.base;
  net.depth = options.depth;
  net_ = std::make_unique<nn::UNet>(net);
}

data::ImageSetOptions Segmenter::set_options() const {
  return {.channels = options_.channels, .classes = options_.classes, .ignore = options_.ignore};
}

Tensor Segmenter::of_tile(const Tensor& tile, const data::Normalization& normalization, bool flips) {
  const Shape shape{tile.size(1), tile.size(2), tile.size(3)};
  const Tensor x = unsqueeze(data::normalize(raw::view(tile, shape, contiguous_strides(shape)), normalization), 0);
  const auto run = [&](const Tensor& given) {
    const Tensor logits = (*net_)(given);
    return options_.classes == 2 ? sigmoid(logits) : softmax(logits, {.dim = 1});
  };
  if (!flips) return run(x);
  Tensor sum = run(x);
  for (const Dims& dims : {Dims{2}, Dims{3}, Dims{2, 3}}) sum = sum + flip(run(contiguous(flip(x, dims))), dims);
  return sum * 0.25;
}

nn::TiledOptions Segmenter::tiles(const PredictOptions& options) const {
  const std::int64_t least = 2 * net_->reach() + net_->stride();
  if (options.tile < least)
    fail<ValueError>("--tile", "must be at least {} for {} levels, got {}", least, options_.depth, options.tile);
  return {.tile = options.tile, .overlap = net_->reach(), .align = net_->stride(), .progress = options.progress};
}

Tensor Segmenter::probabilities(const Tensor& image, const PredictOptions& options) {
  net_->eval();
  const data::Normalization normalization = data::fitted(options_.normalization, image);
  return nn::predict_tiled([&](const Tensor& tile) { return of_tile(tile, normalization, options.flips); }, image,
                           tiles(options));
}

Tensor Segmenter::segment(const Tensor& image, const PredictOptions& options) {
  net_->eval();
  const data::Normalization normalization = data::fitted(options_.normalization, image);
  Tensor ids = Tensor::empty({image.size(1), image.size(2)}, {.dtype = u8});
  nn::predict_tiles([&](const Tensor& tile) { return of_tile(tile, normalization, options.flips); }, image,
                    tiles(options),
                    [&](const Tensor& core, const Shape& place) {
                      const Tensor part = classify(core);
                      Tensor target = raw::view(ids, part.shape(), ids.strides(), place[0] * image.size(2) + place[1]);
                      raw::copy(part, target);
                    });
  return ids;
}

Tensor Segmenter::classify(const Tensor& probabilities) const {
  const std::int64_t plane = probabilities.size(1) * probabilities.size(2);
  Tensor ids = Tensor::empty({probabilities.size(1), probabilities.size(2)}, {.dtype = u8});
  const Tensor source = raw::contiguous(probabilities);
  const float* from = raw::data<float>(source);
  std::uint8_t* to = raw::data<std::uint8_t>(ids);
  for (std::int64_t i = 0; i < plane; ++i) {
    if (options_.classes == 2) {
      to[i] = static_cast<double>(from[i]) >= threshold_;
      continue;
    }
    std::int64_t best = 0;
    for (std::int64_t c = 1; c < options_.classes; ++c)
      if (from[c * plane + i] > from[best * plane + i]) best = c;
    to[i] = static_cast<std::uint8_t>(best);
  }
  return ids;
}

Scores Segmenter::score(const data::ImageSet& images,
                        FunctionRef<void(std::int64_t, const Tensor&, const metrics::ConfusionMatrix&)> each,
                        const PredictOptions& options, metrics::PrecisionRecall* curve) {
  metrics::ConfusionMatrix pooled(options_.classes, data::ignored_label);
  double entropy = 0;
  for (std::int64_t i = 0; i < images.size(); ++i) {
    const data::LabelledImage whole_image = images.load(i);
    const Tensor p = probabilities(whole_image.image, options);
    const Tensor prediction = classify(p);
    metrics::ConfusionMatrix matrix(options_.classes, data::ignored_label);
    matrix.add(prediction, whole_image.label);
    pooled.add(matrix);
    if (curve != nullptr) curve->add(p, whole_image.label, data::ignored_label);
    const std::int64_t plane = prediction.numel();
    const float* values = raw::data<float>(p);
    const std::uint8_t* label = raw::data<std::uint8_t>(whole_image.label);
    for (std::int64_t k = 0; k < plane; ++k) {
      if (label[k] == data::ignored_label) continue;
      const float of_truth =
          options_.classes == 2 ? (label[k] == 1 ? values[k] : 1 - values[k]) : values[label[k] * plane + k];
      entropy -= std::log(std::max(static_cast<double>(of_truth), 1e-7));
    }
    each(i, prediction, matrix);
  }
  Scores scores{entropy / static_cast<double>(pooled.total()), pooled.accuracy(), pooled.mean_iou(), {}};
  for (int c = 0; c < options_.classes; ++c) scores.iou.push_back(pooled.iou(c));
  return scores;
}

void Segmenter::choose_threshold(const data::ImageSet& images) {
  if (options_.classes != 2)
    fail<ValueError>("--threshold", "is for two classes: of {} the likeliest is taken", options_.classes);
  metrics::PrecisionRecall curve;
  score(
      images, [](std::int64_t, const Tensor&, const metrics::ConfusionMatrix&) {}, {}, &curve);
  // A threshold of 0 would call everything a yes.
  threshold_ = std::max(curve.best_mean_iou().threshold, 1e-3);
}

}  // namespace duet::examples
