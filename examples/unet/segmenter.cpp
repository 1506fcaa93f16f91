// Weight files, tiles, scores.
#include "unet/segmenter.hpp"

#include <algorithm>
#include <cmath>

#include <duet/core/fail.hpp>
#include <duet/core/raw.hpp>
#include <duet/core/safetensors.hpp>
#include <duet/core/tape.hpp>
#include <duet/ops/activation.hpp>
#include <duet/ops/elementwise.hpp>
#include <duet/ops/loss.hpp>
#include <duet/ops/shape.hpp>
#include <duet/ops/softmax.hpp>

namespace duet::examples {
namespace {

/// What the label images looked like, in the weight file's metadata.
constexpr const char *labels_key = "labels", *black_and_white_labels = "0/255", *id_labels = "ids";

/// How far a pixel of the output can see: two 3x3 convolutions a block on every level down and up, and the pooling
/// and up-convolution between. Rounded up to a multiple of the coarsest level's pixels, so that tiles keep its grid.
std::int64_t margin_of(std::int64_t depth) { return std::int64_t{4} << depth; }

/// Calls visit(begin, end, from, to) for tiles along a side: [begin, end) is written, [from, to) is read.
template <class Visit>
void for_each_tile(std::int64_t size, std::int64_t tile, std::int64_t margin, Visit visit) {
  if (size <= tile) return visit(0, size, 0, size);
  const std::int64_t step = (tile - 2 * margin) / margin * margin;
  for (std::int64_t begin = 0; begin < size; begin += step)
    visit(begin, std::min(size, begin + step), std::max<std::int64_t>(0, begin - margin),
          std::min(size, begin + step + margin));
}

}  // namespace

Segmenter::Segmenter(const SegmenterOptions& options) : options_(options) {
  net_ = std::make_unique<nn::UNet>(nn::UNetOptions{.in_channels = options.channels,
                                                    .out_channels = options.classes == 2 ? 1 : options.classes,
                                                    .base_channels = options.base,
                                                    .depth = options.depth});
}

void Segmenter::save(const std::string& path) const {
  nn::ModelDescription description{
      .classes = {},
      .mean = options_.normalization.mean,
      .deviation = options_.normalization.deviation,
      .threshold = threshold_,
      .more = {{labels_key, options_.black_and_white ? black_and_white_labels : id_labels}}};
  for (int c = 0; c < options_.classes; ++c) description.classes.push_back(std::to_string(c));
  net_->save(path, description);
}

Segmenter Segmenter::load(const std::string& path) {
  nn::ModelDescription description;
  Segmenter segmenter;
  segmenter.net_ = nn::UNet::load(path, &description);
  const nn::UNetOptions& net = segmenter.net_->options;
  const std::string labels = [&] {
    for (const auto& [key, text] : description.more)
      if (key == labels_key) return text;
    return std::string(description.classes.size() == 2 ? black_and_white_labels : id_labels);
  }();
  const auto classes = static_cast<std::int64_t>(description.classes.size());
  const auto channels = static_cast<std::size_t>(net.in_channels);
  if ((channels != 1 && channels != 3) || classes < 2 || classes > 255 ||
      net.out_channels != (classes == 2 ? 1 : classes))
    fail<IoError>("load",
                  "{} holds a U-Net of {} inputs, {} outputs and {} classes; images have 1 or 3 channels, and 2 "
                  "classes have one output, more one each",
                  path, net.in_channels, net.out_channels, classes);
  if (description.mean.size() != channels || description.deviation.size() != channels)
    fail<IoError>("load", "{} has no normalisation for {} channels", path, channels);
  segmenter.threshold_ = description.threshold;
  segmenter.options_ = {net.base_channels,
                        net.depth,
                        static_cast<int>(channels),
                        static_cast<int>(classes),
                        labels == black_and_white_labels,
                        {description.mean, description.deviation}};
  return segmenter;
}

Tensor Segmenter::loss(const Tensor& logits, const Tensor& target, double dice) const {
  if (options_.classes > 2) return cross_entropy(logits, target);
  const Tensor entropy = binary_cross_entropy_with_logits(logits, target);
  if (dice == 0) return entropy;
  // Of both classes, so that it does not matter which of them is the rare one.
  return entropy + 0.5 * dice * (dice_loss(logits, target) + dice_loss(-logits, 1 - target));
}

Tensor Segmenter::whole(const Tensor& normalized) {
  const Tensor x = raw::view(normalized, {1, normalized.size(0), normalized.size(1), normalized.size(2)},
                             {0, normalized.strides()[0], normalized.strides()[1], 1});
  const Tensor logits = (*net_)(x);
  const Tensor probabilities = options_.classes == 2 ? sigmoid(logits) : softmax(logits, {.dim = 1});
  return reshape(probabilities, {probabilities.size(1), probabilities.size(2), probabilities.size(3)});
}

Tensor Segmenter::probabilities(const Tensor& image, std::int64_t tile) {
  const NoGradGuard no_grad;
  net_->eval();
  const std::int64_t margin = margin_of(options_.depth);
  if (tile < 3 * margin)
    fail<ValueError>("--tile", "must be at least {} for {} levels, got {}", 3 * margin, options_.depth, tile);
  const Tensor normalized = data::normalize(image, options_.normalization);
  const std::int64_t height = image.size(1), width = image.size(2);
  if (height <= tile && width <= tile) return whole(normalized);
  const std::int64_t channels = options_.classes == 2 ? 1 : options_.classes;
  Tensor out = Tensor::empty({channels, height, width});
  for_each_tile(
      height, tile, margin, [&](std::int64_t top, std::int64_t bottom, std::int64_t from_y, std::int64_t to_y) {
        for_each_tile(width, tile, margin,
                      [&](std::int64_t left, std::int64_t right, std::int64_t from_x, std::int64_t to_x) {
                        const Tensor part =
                            whole(raw::contiguous(raw::view(normalized, {image.size(0), to_y - from_y, to_x - from_x},
                                                            normalized.strides(), from_y * width + from_x)));
                        const Shape core{channels, bottom - top, right - left};
                        const Tensor inner =
                            raw::view(part, core, part.strides(), (top - from_y) * (to_x - from_x) + left - from_x);
                        Tensor place = raw::view(out, core, out.strides(), top * width + left);
                        raw::copy(inner, place);
                      });
      });
  return out;
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
                        FunctionRef<void(std::int64_t, const Tensor&, const data::ConfusionMatrix&)> each) {
  data::ConfusionMatrix pooled(options_.classes);
  double entropy = 0;
  for (std::int64_t i = 0; i < images.size(); ++i) {
    const data::LabelledImage whole_image = images.load(i);
    const Tensor p = probabilities(whole_image.image);
    const Tensor prediction = classify(p);
    data::ConfusionMatrix matrix(options_.classes);
    matrix.add(prediction, whole_image.label);
    pooled.add(matrix);
    const std::int64_t plane = prediction.numel();
    const float* values = raw::data<float>(p);
    const std::uint8_t* label = raw::data<std::uint8_t>(whole_image.label);
    for (std::int64_t k = 0; k < plane; ++k) {
      const float of_truth =
          options_.classes == 2 ? (label[k] == 1 ? values[k] : 1 - values[k]) : values[label[k] * plane + k];
      entropy -= std::log(std::max(static_cast<double>(of_truth), 1e-7));
    }
    each(i, prediction, matrix);
  }
  Scores scores{entropy / static_cast<double>(images.pixels()), pooled.accuracy(), pooled.mean_iou(), {}};
  for (int c = 0; c < options_.classes; ++c) scores.iou.push_back(pooled.iou(c));
  return scores;
}

}  // namespace duet::examples
