// What the triple's ops are recorded with, and the calls on which the sweep checks them. Internal to ops/.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include <duet/core/op.hpp>
#include <duet/ops/conv_options.hpp>

namespace duet {

/// Either a user's options or, in derivatives, a geometry that overrides them.
template <int N>
struct ConvCall {
  ConvOptions<N> options = {};
  std::optional<ConvGeometry> geometry = {};
  void fields(FieldVisitor& visitor);
};
template <int N>
struct ConvTransposeCall {
  ConvTransposeOptions<N> options = {};
  std::optional<ConvGeometry> geometry = {};
  void fields(FieldVisitor& visitor);
};
template <int N>
struct ConvWeightCall {
  Extent<N> kernel_size = 1;
  ConvOptions<N> options = {};
  std::optional<ConvGeometry> geometry = {};
  void fields(FieldVisitor& visitor);
};

/// One setting of a transposed convolution, which spans every geometry worth a sample. With three axes the third takes
/// the second one's values; with one, it is the second.
struct ConvSetting {
  std::string name;
  std::int64_t batch = 1, small_channels = 1, large_channels_per_group = 1, groups = 1;
  Pair small, kernel, stride, padding, output_padding, dilation;
  bool bias = true;
};
/// Layers that people use, inexact strides, vector edges, an output_padding that no forward convolution produces.
const std::vector<ConvSetting>& chosen_conv_settings();
/// At least 40 settings in which every two values of any two of stride, padding, output_padding (none, one, the
/// largest), dilation, kernel, channels and groups, size, batch and bias occur together.
const std::vector<ConvSetting>& pairwise_conv_settings();

template <int N>
std::vector<Sample> conv_samples();
template <int N>
std::vector<Sample> conv_transpose_samples();
template <int N>
std::vector<Sample> conv_weight_samples();

}  // namespace duet
