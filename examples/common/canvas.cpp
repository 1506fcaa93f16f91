// Pixels copied and coloured.
#include "common/canvas.hpp"

#include <algorithm>
#include <cmath>
#include <string>

#include <duet/core/factory.hpp>
#include <duet/core/fail.hpp>
#include <duet/core/raw.hpp>

namespace duet::examples {
namespace {

/// Copies a picture into another with its upper left corner at (left, top).
void place(const Tensor& picture, Tensor& into, std::int64_t left, std::int64_t top) {
  const std::int64_t height = picture.size(1), width = picture.size(2), rows = into.size(1), columns = into.size(2);
  for (std::int64_t c = 0; c < 3; ++c)
    for (std::int64_t y = 0; y < height; ++y)
      std::copy_n(raw::data<std::uint8_t>(picture) + (c * height + y) * width, width,
                  raw::data<std::uint8_t>(into) + (c * rows + top + y) * columns + left);
}

std::uint8_t byte_of(double value) {
  return static_cast<std::uint8_t>(std::lround(255 * (value > 0 ? std::min(value, 1.0) : 0.0)));
}

/// A colour that grows brighter all the way: between five stops.
std::uint8_t heat(double value, std::int64_t channel) {
  static constexpr double stops[5][3] = {{68, 1, 84}, {59, 82, 139}, {33, 145, 140}, {94, 201, 98}, {253, 231, 37}};
  const double at = 4 * std::clamp(value, 0.0, 1.0);
  const auto low = std::min<std::size_t>(3, static_cast<std::size_t>(at));
  const auto c = static_cast<std::size_t>(channel);
  return static_cast<std::uint8_t>(
      std::lround(stops[low][c] + (at - static_cast<double>(low)) * (stops[low + 1][c] - stops[low][c])));
}

// Rows of three dots, the first in the highest bits.
constexpr unsigned digit_dots[] = {0b111101101101111, 0b010110010010111, 0b111001111100111, 0b111001111001111,
                                   0b101101111001001, 0b111100111001111, 0b111100111101111, 0b111001001001001,
                                   0b111101111101111, 0b111101111001111};

}  // namespace

Tensor as_picture(const Tensor& image, std::int64_t zoom) {
  if (image.rank() != 2 && !(image.rank() == 3 && (image.size(0) == 1 || image.size(0) == 3)))
    fail<ShapeError>("as_picture", "needs (height, width) or (1 or 3, height, width), got {}", image.shape());
  const std::int64_t height = image.size(-2), width = image.size(-1);
  const bool colours = image.rank() == 3 && image.size(0) == 3;
  const std::vector<double> values = image.to_vector();
  Tensor out = Tensor::empty({3, height * zoom, width * zoom}, {.dtype = u8});
  std::uint8_t* to = raw::data<std::uint8_t>(out);
  for (std::int64_t c = 0; c < 3; ++c)
    for (std::int64_t y = 0; y < height * zoom; ++y)
      for (std::int64_t x = 0; x < width * zoom; ++x) {
        const double value =
            values[static_cast<std::size_t>(((colours ? c : 0) * height + y / zoom) * width + x / zoom)];
        *to++ = image.dtype() == u8 ? static_cast<std::uint8_t>(value) : byte_of(value);
      }
  return out;
}

Tensor heat_map(const Tensor& map, double low, double high, std::int64_t zoom) {
  if (map.rank() != 2) fail<ShapeError>("heat_map", "needs (height, width), got {}", map.shape());
  const std::vector<double> values = map.to_vector();
  if (low == high && !values.empty()) {
    low = *std::min_element(values.begin(), values.end());
    high = *std::max_element(values.begin(), values.end());
  }
  const double range = high > low ? high - low : 1;
  const std::int64_t height = map.size(0), width = map.size(1);
  Tensor out = Tensor::empty({3, height * zoom, width * zoom}, {.dtype = u8});
  std::uint8_t* to = raw::data<std::uint8_t>(out);
  for (std::int64_t c = 0; c < 3; ++c)
    for (std::int64_t y = 0; y < height * zoom; ++y)
      for (std::int64_t x = 0; x < width * zoom; ++x)
        *to++ = heat((values[static_cast<std::size_t>(y / zoom * width + x / zoom)] - low) / range, c);
  return out;
}

Tensor mosaic(const std::vector<Tensor>& pictures, std::int64_t columns, std::int64_t gap) {
  if (pictures.empty() || columns < 1)
    fail<ValueError>("mosaic", "{} pictures in {} columns", pictures.size(), columns);
  std::int64_t height = 0, width = 0;
  for (const Tensor& picture : pictures) {
    height = std::max(height, picture.size(1));
    width = std::max(width, picture.size(2));
  }
  const auto count = static_cast<std::int64_t>(pictures.size());
  columns = std::min(columns, count);
  const std::int64_t rows = (count + columns - 1) / columns;
  Tensor out = full({3, rows * (height + gap) - gap, columns * (width + gap) - gap}, 255, {.dtype = u8});
  for (std::int64_t i = 0; i < count; ++i)
    place(pictures[static_cast<std::size_t>(i)], out, i % columns * (width + gap), i / columns * (height + gap));
  return out;
}

Tensor image_grid(const Tensor& images, std::int64_t columns, std::int64_t zoom) {
  std::vector<Tensor> pictures;
  const Tensor all = raw::contiguous(images.detach());
  const Shape one{images.size(1), images.size(2), images.size(3)};
  for (std::int64_t i = 0; i < images.size(0); ++i)
    pictures.push_back(as_picture(raw::view(all, one, contiguous_strides(one), i * one.numel()), zoom));
  return mosaic(pictures, columns);
}

void draw_number(Tensor& picture, std::int64_t number, std::int64_t x, std::int64_t y, std::int64_t dot, int grey) {
  const std::string digits = std::to_string(number);
  const auto wide = static_cast<std::int64_t>(digits.size()) * 4 * dot - dot;
  const std::int64_t height = picture.size(1), width = picture.size(2);
  std::int64_t left = x - wide / 2;
  for (const char digit : digits) {
    if (digit < '0' || digit > '9') fail<ValueError>("draw_number", "{} has no digits for it", number);
    for (std::int64_t row = 0; row < 5 * dot; ++row)
      for (std::int64_t column = 0; column < 3 * dot; ++column) {
        const std::int64_t at_y = y - 5 * dot / 2 + row, at_x = left + column;
        if ((digit_dots[digit - '0'] >> (14 - (row / dot * 3 + column / dot)) & 1u) == 0) continue;
        if (at_y < 0 || at_y >= height || at_x < 0 || at_x >= width) continue;
        for (std::int64_t c = 0; c < 3; ++c)
          raw::data<std::uint8_t>(picture)[(c * height + at_y) * width + at_x] = static_cast<std::uint8_t>(grey);
      }
    left += 4 * dot;
  }
}

}  // namespace duet::examples
