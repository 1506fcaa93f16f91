// Shapes of a convolution's three tensors, and the check that every index fits.
#include <duet/ops/conv_geometry.hpp>

#include <duet/core/fail.hpp>

namespace duet {
namespace {
constexpr std::int64_t index_limit = std::int64_t{1} << 40;  // keeps every sum of products within 63 bits
}

Shape ConvGeometry::large_shape(std::int64_t batch) const {
  Shape shape{batch, large_channels};
  for (int i = 0; i < rank; ++i) shape.push_back(axis[i].large);
  return shape;
}

Shape ConvGeometry::small_shape(std::int64_t batch) const {
  Shape shape{batch, small_channels};
  for (int i = 0; i < rank; ++i) shape.push_back(axis[i].small);
  return shape;
}

Shape ConvGeometry::weight_shape() const {
  Shape shape{small_channels, large_channels / groups};
  for (int i = 0; i < rank; ++i) shape.push_back(axis[i].kernel);
  return shape;
}

void ConvGeometry::validate(const char* op) const {
  if (rank < 1 || rank > max_conv_rank)
    fail<ValueError>(op, "geometry needs 1 to {} spatial axes, got {}", max_conv_rank, rank);
  if (groups < 1) fail<ValueError>(op, "groups must be at least 1, got {}", groups);
  if (large_channels < 0 || small_channels < 0 || large_channels % groups != 0 || small_channels % groups != 0)
    fail<ShapeError>(op, "groups {} must divide the channels, {} and {}", groups, large_channels, small_channels);
  for (int i = 0; i < rank; ++i) {
    const ConvAxis& a = axis[i];
    if (a.large < 0 || a.small < 0) fail<ShapeError>(op, "negative size on axis {}: {} and {}", i, a.large, a.small);
    if (a.kernel < 1 || a.stride < 1 || a.dilation < 1)
      fail<ValueError>(op, "kernel, stride and dilation must be at least 1 on axis {}, got {}, {} and {}", i,
                       a.kernel, a.stride, a.dilation);
    const std::int64_t padding_size = a.padding < 0 ? -a.padding : a.padding;
    const std::int64_t reach = checked_add(op, checked_mul(op, a.small, a.stride), checked_mul(op, a.kernel, a.dilation));
    if (padding_size > index_limit || reach > index_limit || a.large > index_limit)
      fail<ShapeError>(op, "axis {} is too long: sizes {} and {}, kernel {}, stride {}, padding {}, dilation {}", i,
                       a.large, a.small, a.kernel, a.stride, a.padding, a.dilation);
  }
}

}  // namespace duet
