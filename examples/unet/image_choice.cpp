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

data::ImageSet open_images(const std::string& folder, std::int64_t generated, const data::ImageSetOptions& options) {
  if (!folder.empty()) return data::ImageSet::open(folder, options);
  if (options.classes <= 2) return data::ImageSet::generated(generated, {.size = generated_size});
  if (options.classes != data::synthetic_shape_classes)
    fail<ValueError>("--classes", "generated images have 2 or {} classes, not {}", data::synthetic_shape_classes,
                     options.classes);
  return data::ImageSet::generated_shapes(generated, {.size = generated_size});
}

data::ImageSet last_images(const data::ImageSet& images, std::int64_t count) {
  if (count < 1 || count > images.size())
    fail<ValueError>("--val", "asks for the last {} images of {}", count, images.size());
  return images.subset(images.size() - count, images.size());
}

Split split_images(const data::ImageSet& images, const std::string& val, data::ImageSetOptions options) {
  std::int64_t count = images.size() < 2 ? 0 : std::max<std::int64_t>(1, (images.size() * 15 + 50) / 100);
  if (!val.empty() && !is_count(val, count)) {
    options.channels = images.channels();
    return {images, data::ImageSet::open(val, options)};
  }
  if (count < 0 || count >= images.size())
    fail<ValueError>("--val", "takes {} of {} images, which leaves none to train on", count, images.size());
  const std::int64_t first = images.size() - count;
  return {images.subset(0, first), images.subset(first, images.size())};
}

}  // namespace duet::examples
