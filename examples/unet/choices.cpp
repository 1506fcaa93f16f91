// Words to values.
#include "unet/choices.hpp"

#include <charconv>

#include <duet/core/fail.hpp>

namespace duet::examples {
namespace {

/// The place of a word in a list; ValueError naming the flag and the list.
template <std::size_t N>
std::size_t choice(const char* flag, const std::string& word, const char* const (&words)[N]) {
  std::string all;
  for (std::size_t i = 0; i < N; ++i) {
    if (word == words[i]) return i;
    all += std::string(i == 0 ? "" : i + 1 == N ? " or " : ", ") + words[i];
  }
  fail<ValueError>(flag, "must be {}, got {}", all, word);
}

}  // namespace

data::ImageSetOptions set_options(const TrainFlags& flags) {
  return {.classes = static_cast<int>(flags.classes), .ignore = static_cast<int>(flags.ignore)};
}

nn::UNetOptions net_variant(const TrainFlags& flags) {
  static constexpr const char* ups[] = {"transpose", "nearest", "bilinear", "pixel_shuffle"};
  static constexpr const char* norms[] = {"batch", "group", "instance"};
  return {.up = static_cast<nn::UNetUpsampling>(choice("--up", flags.up, ups)),
          .norm = static_cast<nn::UNetNormalization>(choice("--norm", flags.norm, norms)),
          .residual = flags.residual,
          .attention = flags.attention,
          .dropout = flags.dropout,
          .deep_supervision = flags.deep_supervision};
}

data::Normalization normalization_of(const TrainFlags& flags, const data::ImageSet& images) {
  static constexpr const char* kinds[] = {"deviation", "min-max", "percentile", "image-percentile"};
  const auto channels = static_cast<std::size_t>(images.channels());
  switch (choice("--normalize", flags.normalize, kinds)) {
    case 0:
      return images.statistics();
    case 1:
      return images.percentiles(0, 100);
    case 2:
      return images.percentiles(1, 99);
    default:
      return {.mean = std::vector<double>(channels, 0),
              .deviation = std::vector<double>(channels, 1),
              .per_image = true,
              .low = 1,
              .high = 99};
  }
}

data::Transform augmentation(const TrainFlags& flags) {
  std::vector<data::Transform> list;
  if (flags.elastic > 0) list.push_back(data::sometimes(0.5, data::random_elastic({.strength = flags.elastic})));
  if (flags.gamma > 0) list.push_back(data::random_intensity({.brightness = 0, .contrast = 0, .gamma = flags.gamma}));
  if (flags.blur > 0) list.push_back(data::sometimes(0.5, data::random_blur(flags.blur)));
  if (flags.noise > 0) list.push_back(data::sometimes(0.5, data::random_noise(flags.noise)));
  return list.empty() ? data::Transform() : data::compose(std::move(list));
}

double threshold_of(const TrainFlags& flags, bool& automatic) {
  automatic = flags.threshold == "auto";
  if (automatic) return 0.5;
  double value = 0;
  const char* end = flags.threshold.data() + flags.threshold.size();
  const auto [at, error] = std::from_chars(flags.threshold.data(), end, value);
  if (error != std::errc() || at != end || !(value > 0 && value < 1))
    fail<ValueError>("--threshold", "must be auto or a number between 0 and 1, got {}", flags.threshold);
  return value;
}

}  // namespace duet::examples
