// Making images smaller, and how well they were made larger again.
#pragma once

#include <cstdint>

#include <duet/core/tensor.hpp>

namespace duet::examples {

/// A plane (height, width) f32 at 1/scale of its size (cut to a multiple): Keys' bicubic kernel with a = −0.5, widened
/// by the scale so that nothing aliases; weights at the borders are normalized. ValueError for a scale below 2 or
/// planes that are smaller than it.
Tensor reduce_bicubic(const Tensor& plane, std::int64_t scale);

/// 10 log₁₀(1 / mean squared error) of images in [0, 1], in decibels. ShapeError for different shapes.
double psnr(const Tensor& image, const Tensor& truth);

/// The mean structural similarity of two planes (height, width) in [0, 1]: Gaussian windows of 11 with deviation 1.5,
/// as Wang et al. 2004. ShapeError for different or small shapes.
double ssim(const Tensor& image, const Tensor& truth);

}  // namespace duet::examples
