// Where an image has its power: averaged spectra of square blocks, and how far a pattern of a given period stands out.
#pragma once

#include <cstdint>

#include <duet/core/tensor.hpp>

namespace duet::examples {

/// The mean power spectrum of the half-overlapping blocks of a plane (height, width), windowed by Hann (Welch 1967):
/// (block, block) f64, frequency 0 in the middle. ValueError unless both sides are at least `block` and it is even.
Tensor power_spectrum(const Tensor& plane, std::int64_t block = 64);

/// How far the power at the frequencies of a checkerboard of period `stride` (multiples of 1/stride along either axis,
/// but 0) stands above that of the frequencies around, in decibels. About 0: no pattern. ValueError unless stride
/// divides the block.
double checkerboard_decibels(const Tensor& spectrum, std::int64_t stride);

/// The strength of what a plane of this power_spectrum() has at those frequencies and up to four bins around them: the
/// root of its mean square, in the plane's units. A checkerboard of ±a gives a. Errors as above.
double checkerboard_strength(const Tensor& spectrum, std::int64_t stride);

}  // namespace duet::examples
