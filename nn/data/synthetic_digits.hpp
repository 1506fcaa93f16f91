// Digits drawn by numbers: strokes with random slant, width, size, place and noise. They let examples and tests run
// without a download.
#pragma once

#include <cstdint>

#include <duet/core/tensor.hpp>
#include <duet/nn/data/dataset.hpp>

namespace duet::data {

struct SyntheticDigitOptions {
  std::int64_t size = 28;  ///< side of the square image, 8 to 1024 (ValueError)
  std::uint64_t seed = 0;
  double noise = 0.02;  ///< deviation of the noise, where black to white is 1
};

/// A digit, white on black.
struct SyntheticDigit {
  Tensor image;        ///< (1, size, size) u8
  std::int64_t label;  ///< 0 to 9
};

/// Digit `index` of the endless series of a seed; its label is index mod 10.
SyntheticDigit synthetic_digit(std::int64_t index, const SyntheticDigitOptions& options = {});

/// `count` of them: images (count, 1, size, size) u8, targets (count) i64. ValueError for a count below 1.
Sample synthetic_digits(std::int64_t count, const SyntheticDigitOptions& options = {});

}  // namespace duet::data
