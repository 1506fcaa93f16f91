// Images of several classes, drawn by numbers, for examples and tests of segmentation with more than two: on a noisy,
// unevenly lit background lie plain bright bodies, striped dark ones, and a few small bright discs with a dark rim.
#pragma once

#include <cstdint>

#include <duet/core/tensor.hpp>

namespace duet::data {

struct LabelledImage;

/// The classes of synthetic_shapes.
inline constexpr int synthetic_shape_classes = 4;

struct SyntheticShapesOptions {
  std::int64_t size = 256;  ///< side of the square image, 64 to 16384 (ValueError)
  std::uint64_t seed = 0;
  double noise = 0.07;  ///< deviation of the noise, where black to white is 1
};

/// Image `index` of the endless series of a seed. image: (1, size, size) u8. label: (size, size) u8: 0 background, 1
/// plain bodies, 2 striped bodies, 3 rimmed discs, which are about one pixel in a hundred. Bright discs without a rim
/// are background.
LabelledImage synthetic_shapes(std::int64_t index, const SyntheticShapesOptions& options = {});

}  // namespace duet::data
