// How pixels become what a model sees: a scale and a shift of each channel, which belong to the model's weights.
#pragma once

#include <utility>
#include <vector>

#include <duet/core/tensor.hpp>

namespace duet::data {

/// x becomes (x − mean) / deviation, channel by channel, integers counted in [0, 1]. Where `per_image` is set, both
/// come from each image itself: mean is its low percentile and deviation the distance to its high one.
struct Normalization {
  std::vector<double> mean, deviation;
  bool per_image = false;
  double low = 0, high = 100;  ///< per cent
};

/// The normalization to use on an image (channels, S…): itself, or where it is per_image what that image gives.
/// ShapeError if the channel counts differ.
Normalization fitted(const Normalization& normalization, const Tensor& image);

/// Scale and shift that take a stored value of this dtype (u8 counted as v / 255) to (value − mean) / deviation.
std::pair<float, float> affine(Dtype dtype, const Normalization& normalization, std::size_t channel);

/// The image as f32, normalized, for (channels, S…). ShapeError if the channel counts differ, ValueError for one that
/// is still per_image: fit it first, to the whole image, not to a part.
Tensor normalize(const Tensor& image, const Normalization& normalization);

/// The value below which `percent` of the values lie, between neighbours by their distance (as NumPy's percentile); the
/// list is put in another order. ValueError for none, or a per cent outside [0, 100].
double percentile(std::vector<float>& values, double percent);

}  // namespace duet::data
