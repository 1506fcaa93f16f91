// What duet_checkerboard shows: how often each output pixel of a transposed convolution is written to, what generators
// leave before they have learned anything, and what cures it.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <duet/core/tensor.hpp>
#include <duet/nn/upsample.hpp>

namespace duet::examples {

/// How many taps of a transposed convolution reach each pixel of its output: conv_transpose2d of ones (count × count)
/// with a kernel of ones. (side, side) f32.
Tensor overlap_map(std::int64_t kernel, std::int64_t stride, std::int64_t count = 7);

/// The largest over the smallest overlap away from the border: 1 if stride divides the kernel. A pixel that is never
/// reached makes it infinite.
double overlap_ratio(std::int64_t kernel, std::int64_t stride);

/// How a generator doubles the size.
struct Doubling {
  std::string name;
  nn::Upsampler upsampler = nn::Upsampler::transposed;
  bool smooth_init = false;
  std::int64_t kernel = 0;  ///< of a transposed convolution of stride 2 with random weights; 0: an UpsampleBlock
};
/// The usual suspects first, then the cures.
std::vector<Doubling> doublings();

/// What generators of three doublings, fresh from their random weights, make of random numbers: (count, side, side)
/// f32, each scaled to deviation 1. side is 64.
Tensor untrained_outputs(const Doubling& doubling, std::int64_t count, std::uint64_t seed);

}  // namespace duet::examples
