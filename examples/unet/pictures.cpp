// Pixels copied into panels.
#include "unet/pictures.hpp"

#include <algorithm>
#include <cmath>

#include <duet/core/factory.hpp>
#include <duet/core/raw.hpp>
#include <duet/nn/data/image_set.hpp>

namespace duet::examples {
namespace {

/// Copies a (3, h, w) panel into a picture, each pixel `zoom` times.
void place(const Tensor& panel, Tensor& picture, std::int64_t left, std::int64_t zoom) {
  const std::int64_t height = panel.size(1), width = panel.size(2), rows = picture.size(1), columns = picture.size(2);
  const std::uint8_t* from = raw::data<std::uint8_t>(panel);
  std::uint8_t* to = raw::data<std::uint8_t>(picture);
  for (std::int64_t c = 0; c < 3; ++c)
    for (std::int64_t y = 0; y < height * zoom; ++y)
      for (std::int64_t x = 0; x < width * zoom; ++x)
        to[(c * rows + y) * columns + left + x] = from[(c * height + y / zoom) * width + x / zoom];
}

/// A colour for class c, spread around the circle of hues by the golden ratio; class 0 is black.
std::uint8_t colour(int c, int channel) {
  if (c == 0) return 0;
  const double hue = 6.283185307 * 0.618033988749895 * c;
  return static_cast<std::uint8_t>(std::lround(140 + 110 * std::cos(hue - 2.0943951 * channel)));
}

/// The image, paled, with what is wrong in colour.
Tensor differences(const Tensor& rgb, const Tensor& truth, const Tensor& prediction) {
  const std::int64_t plane = truth.numel();
  Tensor out = Tensor::empty(rgb.shape(), {.dtype = u8});
  const std::uint8_t *is = raw::data<std::uint8_t>(truth), *said = raw::data<std::uint8_t>(prediction);
  static constexpr int red[] = {215, 40, 40}, blue[] = {40, 90, 215};
  for (std::int64_t c = 0; c < 3; ++c)
    for (std::int64_t i = 0; i < plane; ++i) {
      const int pale = 128 + raw::data<std::uint8_t>(rgb)[c * plane + i] / 2;
      const int value = is[i] == said[i] || is[i] == data::ignored_label ? pale : is[i] < said[i] ? red[c] : blue[c];
      raw::data<std::uint8_t>(out)[c * plane + i] = static_cast<std::uint8_t>(value);
    }
  return out;
}

}  // namespace

std::vector<std::uint8_t> class_colours(int classes) {
  std::vector<std::uint8_t> list;
  for (int c = 0; c < classes; ++c)
    for (int channel = 0; channel < 3; ++channel) list.push_back(colour(c, channel));
  return list;
}

Tensor as_rgb(const Tensor& image) {
  const std::int64_t plane = image.size(1) * image.size(2);
  const Tensor source = raw::contiguous(image);
  Tensor rgb = Tensor::empty({3, image.size(1), image.size(2)}, {.dtype = u8});
  float low = 0, range = 1;
  if (image.dtype() == f32) {
    const auto [least, most] = std::minmax_element(raw::data<float>(source), raw::data<float>(source) + image.numel());
    if (*least < 0 || *most > 1) {
      low = *least;
      range = *most > *least ? *most - *least : 1;
    }
  }
  for (std::int64_t c = 0; c < 3; ++c)
    for (std::int64_t i = 0; i < plane; ++i) {
      const std::int64_t at = (image.size(0) >= 3 ? c : 0) * plane + i;
      raw::data<std::uint8_t>(rgb)[c * plane + i] =
          image.dtype() == u8 ? raw::data<std::uint8_t>(source)[at]
                              : static_cast<std::uint8_t>(std::lround(
                                    255 * std::clamp((raw::data<float>(source)[at] - low) / range, 0.0f, 1.0f)));
    }
  return rgb;
}

Tensor overlay(const Tensor& image, const Tensor& ids, int classes) {
  Tensor picture = as_rgb(image);
  const std::int64_t plane = ids.numel();
  for (std::int64_t c = 0; c < 3; ++c)
    for (std::int64_t i = 0; i < plane; ++i) {
      const int id = raw::data<std::uint8_t>(ids)[i];
      std::uint8_t& pixel = raw::data<std::uint8_t>(picture)[c * plane + i];
      if (id != 0)
        pixel = static_cast<std::uint8_t>((pixel + (id < classes ? colour(id, static_cast<int>(c)) : 255)) / 2);
    }
  return picture;
}

Tensor paint(const Tensor& ids, int classes) {
  const std::int64_t plane = ids.numel();
  Tensor out = Tensor::empty({3, ids.size(0), ids.size(1)}, {.dtype = u8});
  for (std::int64_t c = 0; c < 3; ++c)
    for (std::int64_t i = 0; i < plane; ++i) {
      const int id = raw::data<std::uint8_t>(ids)[i];
      raw::data<std::uint8_t>(out)[c * plane + i] = id >= classes  ? std::uint8_t{128}
                                                    : classes == 2 ? static_cast<std::uint8_t>(255 * id)
                                                                   : colour(id, static_cast<int>(c));
    }
  return out;
}

Tensor side_by_side(const Tensor& image, const Tensor& truth, const Tensor& prediction, int classes) {
  const std::int64_t height = truth.size(0), width = truth.size(1);
  const std::int64_t zoom = std::clamp<std::int64_t>(256 / std::max(height, width), 1, 4), gap = 6;
  const std::int64_t step = width * zoom + gap;
  Tensor picture = full({3, height * zoom, 4 * step - gap}, 255, {.dtype = u8});
  const Tensor rgb = as_rgb(image);
  place(rgb, picture, 0, zoom);
  place(paint(truth, classes), picture, step, zoom);
  place(paint(prediction, classes), picture, 2 * step, zoom);
  place(differences(rgb, truth, prediction), picture, 3 * step, zoom);
  return picture;
}

}  // namespace duet::examples
