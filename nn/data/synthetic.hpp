// Images like electron micrographs of tissue, drawn by numbers: cells with bright interiors, dark membranes between
// them, organelles, noise, blur and uneven light, with the true label of every pixel. They let examples and tests run
// without a download.
#pragma once

#include <cstdint>

#include <duet/core/tensor.hpp>

namespace duet::data {

struct LabelledImage;

struct SyntheticOptions {
  std::int64_t size = 256;  ///< side of the square image, 16 to 16384 (ValueError)
  std::uint64_t seed = 0;
  double cell = 34;     ///< mean distance between the centres of neighbouring cells, pixels
  double noise = 0.09;  ///< deviation of the noise, where black to white is 1
};

/// Image `index` of the endless series of a seed. image: (1, size, size) u8. label: (size, size) u8, membrane 0 and
/// interior 1; about a quarter is membrane. Organelles (dark spots and rings inside a cell) count as interior.
LabelledImage synthetic_membrane(std::int64_t index, const SyntheticOptions& options = {});

}  // namespace duet::data
