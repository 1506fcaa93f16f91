// ConvGeometry: the one description of a convolution that all three ops of the triple share.
//
// A convolution pairs a `large` side (conv2d's input, conv_transpose2d's output) with a `small` side (conv2d's
// output, conv_transpose2d's input). Along each axis, tap t of the kernel joins
//
//     small index s   and   large index   l = s * stride - padding + t * dilation,
//
// wherever 0 <= s < small and 0 <= l < large; everything outside is zero. Both sizes are stored, so nothing
// needs to be derived again: an inexact stride, an output_padding that no convolution produces, or an uneven
// "same" padding are ordinary values here.
#pragma once

#include <cstdint>

#include <duet/core/shape.hpp>

namespace duet {

/// One axis of a convolution; all counts are in elements.
struct ConvAxis {
  std::int64_t large = 1;     ///< size of the larger side
  std::int64_t small = 1;     ///< size of the smaller side
  std::int64_t kernel = 1;    ///< taps
  std::int64_t stride = 1;    ///< step on the large side per step on the small side
  std::int64_t padding = 0;   ///< leading padding of the large side; the trailing one is implied
  std::int64_t dilation = 1;  ///< step on the large side per tap
  friend bool operator==(const ConvAxis&, const ConvAxis&) = default;
};

/// The highest number of spatial axes.
inline constexpr int max_conv_rank = 3;

/// Geometry of T(x, w, y) = <conv(x, w), y> with x (N, large_channels, large...),
/// w (small_channels, large_channels / groups, kernel...) and y (N, small_channels, small...).
class ConvGeometry {
 public:
  ConvGeometry() {}  // user-provided, so that {.groups = 2} can only mean the options
  int rank = 2;      ///< spatial axes, 1 to 3; the last one is contiguous in memory
  std::int64_t large_channels = 1;
  std::int64_t small_channels = 1;
  std::int64_t groups = 1;
  ConvAxis axis[max_conv_rank];

  Shape large_shape(std::int64_t batch) const;  ///< (N, large_channels, large...)
  Shape small_shape(std::int64_t batch) const;  ///< (N, small_channels, small...)
  Shape weight_shape() const;                   ///< (small_channels, large_channels / groups, kernel...)

  /// Throws ShapeError or ValueError in the name of `op` if any field is out of range: rank 1 to 3, sizes and
  /// channels >= 0, kernel, stride, dilation, groups >= 1, channels divisible by groups; and padding, large and
  /// small * stride + kernel * dilation within 2^40, so that every index that a kernel computes has 63 bits.
  void validate(const char* op) const;

  friend bool operator==(const ConvGeometry&, const ConvGeometry&) = default;
};

}  // namespace duet
