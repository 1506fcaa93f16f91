// Splits by name order, so that they are the same everywhere.
#include "unet/image_choice.hpp"

#include <algorithm>
#include <charconv>

#include <duet/core/fail.hpp>

namespace duet::examples {
namespace {

/// The side of generated images.
constexpr std::int64_t generated_size = 256;

/// Whether all of `text` is a count.
bool is_count(const std::string& text, std::int64_t& count) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), count);
  return error == std::errc() && end == text.data() + text.size();
}

}  // namespace

data::ImageSet open_images(const std::string& folder, std::int64_t generated, int channels) {
  if (!folder.empty()) return data::ImageSet::open(folder, {.channels = channels});
  return data::ImageSet::generated(generated, {.size = generated_size});
}

data::ImageSet last_images(const data::ImageSet& images, std::int64_t count) {
  if (count < 1 || count > images.size())
    fail<ValueError>("--val", "asks for the last {} images of {}", count, images.size());
  return images.subset(images.size() - count, images.size());
}

Split split_images(const data::ImageSet& images, const std::string& val) {
  std::int64_t count = images.size() < 2 ? 0 : std::max<std::int64_t>(1, (images.size() * 15 + 50) / 100);
  if (!val.empty() && !is_count(val, count))
    return {images, data::ImageSet::open(val, {.channels = images.channels()})};
  if (count < 0 || count >= images.size())
    fail<ValueError>("--val", "takes {} of {} images, which leaves none to train on", count, images.size());
  const std::int64_t first = images.size() - count;
  return {images.subset(0, first), images.subset(first, images.size())};
}

void check_classes(const data::ImageSet& images, int classes) {
  if (images.classes() > classes)
    fail<ValueError>("unet", "the labels have {} classes, the model has {}", images.classes(), classes);
}

}  // namespace duet::examples
