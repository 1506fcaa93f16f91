// Cutting, reflecting and turning, in one pass over the output.
#include <duet/nn/data/crop.hpp>

#include <algorithm>
#include <vector>

#include <duet/core/fail.hpp>
#include <duet/core/raw.hpp>

namespace duet::data {
namespace {

/// Where each row (or column) of a piece comes from, times `stride`.
std::vector<std::int64_t> sources(std::int64_t start, std::int64_t size, bool flip, std::int64_t n,
                                  std::int64_t stride) {
  std::vector<std::int64_t> at(static_cast<std::size_t>(size));
  for (std::int64_t i = 0; i < size; ++i)
    at[static_cast<std::size_t>(i)] = reflect(start + (flip ? size - 1 - i : i), n) * stride;
  return at;
}

/// A label as what a loss takes.
Tensor target_of(const Tensor& label, bool binary) {
  const Tensor ids = raw::contiguous(label);
  const std::int64_t height = label.size(0), width = label.size(1);
  Tensor target = Tensor::empty(binary ? Shape{1, height, width} : Shape{height, width}, {.dtype = binary ? f32 : i64});
  const std::uint8_t* from = raw::data<std::uint8_t>(ids);
  if (!binary) {
    std::copy_n(from, ids.numel(), raw::data<std::int64_t>(target));
    return target;
  }
  std::transform(from, from + ids.numel(), raw::data<float>(target),
                 [](std::uint8_t id) { return id == ignored_label ? -1.0f : static_cast<float>(id); });
  return target;
}

}  // namespace

std::int64_t reflect(std::int64_t i, std::int64_t n) {
  if (n == 1) return 0;
  const std::int64_t period = 2 * (n - 1);
  i = ((i % period) + period) % period;
  return i < n ? i : period - i;
}

Tensor crop(const Tensor& planes, std::int64_t size, const CropPlace& place) {
  if (planes.rank() != 3 || planes.numel() == 0 || size < 1)
    fail<ShapeError>("crop", "needs (channels, height, width) and a size of at least 1, got {} and {}", planes.shape(),
                     size);
  const Tensor source = raw::contiguous(planes);
  const std::int64_t channels = planes.size(0), height = planes.size(1), width = planes.size(2);
  Tensor out = Tensor::empty({channels, size, size}, {.dtype = planes.dtype()});
  // out(y, x) = source(rows[y] + columns[x]), with the roles of y and x exchanged by a transposition.
  const auto rows = sources(place.top, size, place.transpose ? place.flip_x : place.flip_y, height, width);
  const auto columns = sources(place.left, size, place.transpose ? place.flip_y : place.flip_x, width, 1);
  const auto& by_y = place.transpose ? columns : rows;
  const auto& by_x = place.transpose ? rows : columns;
  raw::dispatch_all(planes.dtype(), [&](auto zero) {
    using T = decltype(zero);
    T* to = raw::data<T>(out);
    for (std::int64_t c = 0; c < channels; ++c) {
      const T* from = raw::data<T>(source) + c * height * width;
      for (const std::int64_t y : by_y)
        for (const std::int64_t x : by_x) *to++ = from[y + x];
    }
  });
  return out;
}

CropDataset::CropDataset(ImageSet images, Normalization normalization, const CropOptions& options)
    : images_(std::move(images)), options_(options) {
  if (images_.size() < 1) fail<ValueError>("CropDataset", "there are no images");
  if (options.size < 1) fail<ValueError>("CropDataset", "size must be at least 1, got {}", options.size);
  if (options.crops_per_image < 0)
    fail<ValueError>("CropDataset", "crops_per_image must not be negative, got {}", options.crops_per_image);
  if (!(options.brightness >= 0))
    fail<ValueError>("CropDataset", "brightness must not be negative, got {}", options.brightness);
  if (options_.classes == 0) options_.classes = images_.classes();
  if (options_.classes < images_.classes())
    fail<ValueError>("CropDataset", "the images have {} classes, not {}", images_.classes(), options_.classes);
  if (normalization.per_image)
    for (std::int64_t i = 0; i < images_.size(); ++i)
      normalization_.push_back(fitted(normalization, images_.load(i).image));
  else
    normalization_.push_back(std::move(normalization));
  const std::int64_t area = checked_mul("CropDataset", options.size, options.size);
  per_image_ = options.crops_per_image;
  if (per_image_ == 0) per_image_ = std::max<std::int64_t>(1, images_.pixels() / images_.size() / area);
  checked_mul("CropDataset", per_image_, images_.size());
}

Sample CropDataset::get(std::int64_t index, Generator& random) const {
  const LabelledImage whole = images_.load(index % images_.size());
  const std::int64_t size = options_.size;
  // Where the image is smaller than the crop, the crop lies around it.
  const auto start = [&](std::int64_t n) {
    return random.integer(std::min<std::int64_t>(0, n - size), std::max<std::int64_t>(0, n - size) + 1);
  };
  CropPlace place;
  place.top = start(whole.label.size(0));
  place.left = start(whole.label.size(1));
  if (options_.rotations) {
    const std::int64_t turns = random.integer(0, 4);
    place.transpose = turns % 2 == 1;
    place.flip_y = turns == 2 || turns == 3;
    place.flip_x = turns == 1 || turns == 2;
  }
  if (options_.flips) {
    place.flip_y ^= random.integer(0, 2) == 1;
    place.flip_x ^= random.integer(0, 2) == 1;
  }
  const std::size_t which = normalization_.size() == 1 ? 0 : static_cast<std::size_t>(index % images_.size());
  const Tensor ids = crop(raw::view(whole.label, {1, whole.label.size(0), whole.label.size(1)},
                                    {whole.label.numel(), whole.label.size(1), 1}),
                          size, place);
  LabelledImage piece{normalize(crop(whole.image, size, place), normalization_[which]),
                      raw::view(ids, {size, size}, {size, 1})};
  if (options_.brightness > 0) {
    const auto factor = static_cast<float>(1 + options_.brightness * random.normal());
    const auto offset = static_cast<float>(options_.brightness * random.normal());
    float* values = raw::data<float>(piece.image);
    for (std::int64_t i = 0; i < piece.image.numel(); ++i) values[i] = values[i] * factor + offset;
  }
  if (options_.transform) options_.transform(piece, random);
  return {piece.image, target_of(piece.label, options_.classes == 2)};
}

}  // namespace duet::data
