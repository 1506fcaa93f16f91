// Pictures put together: (3, height, width) u8 tensors made of panels, numbers and coloured maps.
#pragma once

#include <cstdint>
#include <vector>

#include <duet/core/tensor.hpp>

namespace duet::examples {

/// An image (height, width) or (1 or 3, height, width), f32 or f64 in [0, 1] or u8, as (3, height, width) u8; each
/// pixel `zoom` times.
Tensor as_picture(const Tensor& image, std::int64_t zoom = 1);

/// A map (height, width) as colours, from dark blue at `low` over green to yellow at `high`; low = high: its extremes.
Tensor heat_map(const Tensor& map, double low = 0, double high = 0, std::int64_t zoom = 1);

/// Pictures in rows of `columns`, `gap` white pixels apart; each has the place of the largest.
Tensor mosaic(const std::vector<Tensor>& pictures, std::int64_t columns, std::int64_t gap = 2);

/// Images (N, 1 or 3, height, width) in [0, 1] in rows of `columns`.
Tensor image_grid(const Tensor& images, std::int64_t columns, std::int64_t zoom = 1);

/// Writes a number's digits into a picture, centred at (x, y), each 3 × 5 dots of `dot` pixels.
void draw_number(Tensor& picture, std::int64_t number, std::int64_t x, std::int64_t y, std::int64_t dot, int grey);

}  // namespace duet::examples
