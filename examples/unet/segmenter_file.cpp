// What a weight file says of its segmenter beside the net: classes, normalization, threshold, what labels look like.
#include <charconv>

#include <duet/core/fail.hpp>

#include "unet/segmenter.hpp"

namespace duet::examples {
namespace {

/// What the label images looked like, in the weight file's metadata.
constexpr const char *labels_key = "labels", *black_and_white_labels = "0/255", *id_labels = "ids";
constexpr const char *ignore_key = "ignore", *palette_key = "palette", *per_image_key = "normalization_per_image";

std::string find(const nn::ModelDescription& description, const char* key, const std::string& otherwise) {
  for (const auto& [name, text] : description.more)
    if (name == key) return text;
  return otherwise;
}

/// Numbers with blanks between; IoError for anything else.
std::vector<double> numbers(const std::string& path, const char* key, const std::string& text) {
  std::vector<double> list;
  const char *at = text.data(), *end = at + text.size();
  while (at < end) {
    double value = 0;
    const auto [next, error] = std::from_chars(at, end, value);
    if (error != std::errc() || (next != end && *next != ' '))
      fail<IoError>("load", "{}: its {} are no numbers: {}", path, key, text);
    list.push_back(value);
    at = next + 1;
  }
  return list;
}

std::string joined(const std::vector<double>& list) {
  std::string text;
  for (const double value : list) text += fmt::format("{}{}", text.empty() ? "" : " ", value);
  return text;
}

}  // namespace

void Segmenter::save(const std::string& path) const {
  const data::Normalization& normalization = options_.normalization;
  nn::ModelDescription description{
      .classes = {},
      .mean = normalization.mean,
      .deviation = normalization.deviation,
      .threshold = threshold_,
      .more = {{labels_key, options_.black_and_white ? black_and_white_labels : id_labels}}};
  if (options_.ignore >= 0) description.more.emplace_back(ignore_key, std::to_string(options_.ignore));
  if (!options_.palette.empty())
    description.more.emplace_back(palette_key, joined({options_.palette.begin(), options_.palette.end()}));
  if (normalization.per_image)
    description.more.emplace_back(per_image_key, joined({normalization.low, normalization.high}));
  for (int c = 0; c < options_.classes; ++c) description.classes.push_back(std::to_string(c));
  net_->save(path, description);
}

Segmenter Segmenter::load(const std::string& path) {
  nn::ModelDescription description;
  Segmenter segmenter;
  segmenter.net_ = nn::UNet::load(path, &description);
  const nn::UNetOptions& net = segmenter.net_->options;
  const auto classes = static_cast<std::int64_t>(description.classes.size());
  const auto channels = static_cast<std::size_t>(net.in_channels);
  if (channels > 4 || net.rank != 2 || classes < 2 || classes > 255 || net.out_channels != (classes == 2 ? 1 : classes))
    fail<IoError>(
        "load",
        "{} holds a U-Net of rank {} with {} inputs, {} outputs and {} classes; images have 2 dimensions and 1 "
        "to 4 channels, and 2 classes have one output, more one each",
        path, net.rank, net.in_channels, net.out_channels, classes);
  if (description.mean.size() != channels || description.deviation.size() != channels)
    fail<IoError>("load", "{} has no normalisation for {} channels", path, channels);
  segmenter.threshold_ = description.threshold;
  const std::string labels = find(description, labels_key, classes == 2 ? black_and_white_labels : id_labels);
  SegmenterOptions& options = segmenter.options_;
  options = {net.base_channels,
             net.depth,
             static_cast<int>(channels),
             static_cast<int>(classes),
             labels == black_and_white_labels,
             {description.mean, description.deviation}};
  options.variant = net;
  const auto ignore = numbers(path, ignore_key, find(description, ignore_key, ""));
  if (!ignore.empty()) {
    if (!(ignore[0] >= 0 && ignore[0] <= 255))
      fail<IoError>("load", "{}: it ignores the label {}, which none is", path, ignore[0]);
    options.ignore = static_cast<int>(ignore[0]);
  }
  for (const double value : numbers(path, palette_key, find(description, palette_key, ""))) {
    if (!(value >= 0 && value <= 255)) fail<IoError>("load", "{}: its palette has the value {}", path, value);
    options.palette.push_back(static_cast<std::uint8_t>(value));
  }
  const auto range = numbers(path, per_image_key, find(description, per_image_key, ""));
  if (range.empty()) return segmenter;
  if (range.size() != 2 || !(range[0] >= 0 && range[0] < range[1] && range[1] <= 100))
    fail<IoError>("load", "{}: its normalization has no two percentiles", path);
  options.normalization.per_image = true;
  options.normalization.low = range[0];
  options.normalization.high = range[1];
  return segmenter;
}

}  // namespace duet::examples
