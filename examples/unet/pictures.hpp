// Pictures for people: class ids as colours, and image, truth and prediction side by side.
#pragma once

#include <vector>

#include <duet/core/tensor.hpp>

namespace duet::examples {

/// Class ids (height, width) u8 as (3, height, width) u8: black and white for two classes, else a colour each; gray for
/// what is no class.
Tensor paint(const Tensor& ids, int classes);

/// The colours of that many classes, r, g, b, r, …, as write_png's palette.
std::vector<std::uint8_t> class_colours(int classes);

/// An image (channels, height, width) u8 or f32 as (3, height, width) u8: three or more channels as colours, else the
/// first as gray. Floating point that leaves [0, 1] is scaled from its least to its largest value.
Tensor as_rgb(const Tensor& image);

/// The image with each class but 0 as half a colour over it; labels that are no class below `classes` are white.
Tensor overlay(const Tensor& image, const Tensor& ids, int classes);

/// The image (1 to 4, height, width), the truth, the prediction, and where they differ: red what should have been the
/// lower class, blue the higher. (3, height, …) u8; small images are enlarged.
Tensor side_by_side(const Tensor& image, const Tensor& truth, const Tensor& prediction, int classes);

}  // namespace duet::examples
