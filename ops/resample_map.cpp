// Taps of average pools and interpolation, axis by axis.
#include <duet/ops/resample_map.hpp>

#include <algorithm>
#include <cmath>

#include <duet/ops/pool_geometry.hpp>

namespace duet {
namespace {

using kernels::AxisMap;

/// One axis of a ResampleGeometry.
struct Axis {
  std::int64_t large, small, kernel, stride, padding;
  double scale;  ///< inputs an output; 0 where the sizes say it
};

/// Output o averages inputs o·stride - padding up to kernel further.
AxisMap window_map(const Axis& axis, bool count_include_pad, double override_weight) {
  AxisMap map;
  map.clear(axis.large);
  for (std::int64_t o = 0; o < axis.small; ++o) {
    const std::int64_t start = o * axis.stride - axis.padding, end = std::min(start + axis.kernel, axis.large + axis.padding);
    const std::int64_t low = std::clamp<std::int64_t>(start, 0, axis.large), high = std::clamp(end, low, axis.large);
    const std::int64_t divisor = count_include_pad ? end - start : high - low;
    const double weight = override_weight != 0 ? override_weight : 1 / static_cast<double>(divisor);
    map.add(low, std::vector<double>(static_cast<std::size_t>(high - low), weight));
  }
  return map;
}

/// Output o averages its share of the inputs, rounded outwards to whole ones.
AxisMap adaptive_map(const Axis& axis) {
  AxisMap map;
  map.clear(axis.large);
  for (std::int64_t o = 0; o < axis.small; ++o) {
    const std::int64_t start = o * axis.large / axis.small, end = ((o + 1) * axis.large + axis.small - 1) / axis.small;
    map.add(start, std::vector<double>(static_cast<std::size_t>(end - start), 1 / static_cast<double>(end - start)));
  }
  return map;
}

/// Output o is one input. In single precision, as PyTorch computes it, so that the same pixel is chosen.
AxisMap nearest_map(const Axis& axis, bool exact) {
  AxisMap map;
  map.clear(axis.large);
  const float scale = axis.scale > 0 ? static_cast<float>(axis.scale)
                                     : static_cast<float>(axis.large) / static_cast<float>(axis.small);
  for (std::int64_t o = 0; o < axis.small; ++o) {
    const float place = (static_cast<float>(o) + (exact ? 0.5f : 0.0f)) * scale;
    map.add(std::min(static_cast<std::int64_t>(std::floor(place)), axis.large - 1), {1});
  }
  return map;
}

/// The place among the inputs that output o stands for.
double source_place(const Axis& axis, bool align_corners, std::int64_t o) {
  if (align_corners)
    return axis.small > 1 ? static_cast<double>(axis.large - 1) / static_cast<double>(axis.small - 1) * static_cast<double>(o) : 0;
  const double scale = axis.scale > 0 ? axis.scale : static_cast<double>(axis.large) / static_cast<double>(axis.small);
  return scale * (static_cast<double>(o) + 0.5) - 0.5;
}

AxisMap linear_map(const Axis& axis, bool align_corners) {
  AxisMap map;
  map.clear(axis.large);
  for (std::int64_t o = 0; o < axis.small; ++o) {
    const double place = std::max(0.0, source_place(axis, align_corners, o));
    const std::int64_t low = std::min(static_cast<std::int64_t>(place), axis.large - 1);
    const double part = std::clamp(place - static_cast<double>(low), 0.0, 1.0);
    if (low == axis.large - 1 || part == 0)
      map.add(low, {1});
    else
      map.add(low, {1 - part, part});
  }
  return map;
}

/// Keys' cubic convolution kernel at distance d.
double cubic_weight(double d) {
  constexpr double a = -0.75;
  d = std::abs(d);
  if (d <= 1) return ((a + 2) * d - (a + 3)) * d * d + 1;
  return ((a * d - 5 * a) * d + 8 * a) * d - 4 * a;
}

/// Four inputs around each output; beyond an edge the edge counts again.
AxisMap cubic_map(const Axis& axis, bool align_corners) {
  AxisMap map;
  map.clear(axis.large);
  for (std::int64_t o = 0; o < axis.small; ++o) {
    const double place = source_place(axis, align_corners, o), base = std::floor(place);
    const auto inside = [&](std::int64_t index) { return std::clamp<std::int64_t>(index, 0, axis.large - 1); };
    const std::int64_t low = static_cast<std::int64_t>(base) - 1, first = inside(low);
    std::vector<double> taps(static_cast<std::size_t>(inside(low + 3) - first + 1), 0);
    for (std::int64_t t = 0; t < 4; ++t)
      taps[static_cast<std::size_t>(inside(low + t) - first)] += cubic_weight(place - static_cast<double>(low + t));
    map.add(first, taps);
  }
  return map;
}

}  // namespace

void ResampleGeometry::fields(FieldVisitor& visitor) {
  static constexpr const char* methods[] = {"window", "adaptive", "nearest", "nearest-exact", "linear", "cubic"};
  visitor.choice("method", method, methods);
  visitor.field("large", large);
  visitor.field("small", small);
  visitor.field("kernel", kernel);
  visitor.field("stride", stride);
  visitor.field("padding", padding);
  visitor.field("count_include_pad", count_include_pad);
  visitor.field("divisor_override", divisor_override);
  visitor.field("align_corners", align_corners);
  visitor.field("scale", scale);
}

void validate(const char* op, const ResampleGeometry& geometry) {
  const int rank = geometry.large.rank();
  if (rank < 1 || rank > 3 || geometry.small.rank() != rank)
    fail<ShapeError>(op, "needs 1 to 3 sizes on both sides, got {} and {}", geometry.large, geometry.small);
  for (int i = 0; i < rank; ++i)
    if (geometry.large[i] < 1 || geometry.small[i] < 1)
      fail<ShapeError>(op, "sizes must be at least 1, got {} to {}", geometry.large, geometry.small);
  if (!geometry.scale.empty() && geometry.scale.size() != static_cast<std::size_t>(rank))
    fail<ValueError>(op, "needs a scale for each of {} dimensions, got {}", rank, geometry.scale.size());
  if (geometry.method != ResampleMethod::window) return;
  constexpr std::int64_t largest = std::int64_t{1} << 31;
  const auto require = [&](const char* name, const Shape& values, std::int64_t lowest) {
    bool good = values.rank() == rank;
    for (std::int64_t value : values) good = good && value >= lowest && value <= largest;
    if (!good) fail<ValueError>(op, "{} must be {} numbers in [{}, 2^31], got {}", name, rank, lowest, values);
  };
  require("kernel", geometry.kernel, 1);
  require("stride", geometry.stride, 1);
  require("padding", geometry.padding, 0);
  if (geometry.divisor_override == 0) fail<ValueError>(op, "divisor_override must not be 0");
}

kernels::SeparableMap separable_map(const ResampleGeometry& geometry) {
  kernels::SeparableMap map;
  const int rank = geometry.large.rank();
  for (int i = 0; i < rank; ++i) {
    Axis axis{geometry.large[i], geometry.small[i], 1, 1, 0, geometry.scale.empty() ? 0 : geometry.scale[static_cast<std::size_t>(i)]};
    if (geometry.method == ResampleMethod::window) {
      axis.kernel = geometry.kernel[i];
      axis.stride = geometry.stride[i];
      axis.padding = geometry.padding[i];
    }
    // The last axis carries the whole divisor.
    const double override_weight =
        !geometry.divisor_override ? 0 : i + 1 < rank ? 1 : 1 / static_cast<double>(*geometry.divisor_override);
    AxisMap& target = map.axis[3 - rank + i];
    switch (geometry.method) {
      case ResampleMethod::window: target = window_map(axis, geometry.count_include_pad, override_weight); break;
      case ResampleMethod::adaptive: target = adaptive_map(axis); break;
      case ResampleMethod::nearest: target = nearest_map(axis, false); break;
      case ResampleMethod::nearest_exact: target = nearest_map(axis, true); break;
      case ResampleMethod::linear: target = linear_map(axis, geometry.align_corners); break;
      case ResampleMethod::cubic: target = cubic_map(axis, geometry.align_corners); break;
    }
  }
  return map;
}

namespace {

/// Runs a kernel from one side to the other.
template <class Kernel>
Tensor run_map(const char* op, const Tensor& from, const Shape& to_sizes, const ResampleGeometry& geometry, Kernel&& kernel) {
  const Tensor source = raw::contiguous(from);
  const Tensor target = Tensor::empty(with_trailing(from.shape(), to_sizes), {.dtype = from.dtype()});
  std::int64_t planes = 1;
  for (int i = 0; i < from.rank() - to_sizes.rank(); ++i) planes *= from.shape()[i];
  const kernels::SeparableMap map = separable_map(geometry);
  raw::dispatch_floating(op, from.dtype(), [&](auto zero) {
    using T = decltype(zero);
    kernel(planes, map, raw::data<T>(source), raw::data<T>(target));
  });
  return target;
}

}  // namespace

Tensor apply_map(const char* op, const Tensor& x, const ResampleGeometry& geometry) {
  return run_map(op, x, geometry.small, geometry, [](std::int64_t planes, const auto& map, const auto* from, auto* to) {
    kernels::separable_forward(planes, map, from, to);
  });
}

Tensor apply_adjoint(const char* op, const Tensor& g, const ResampleGeometry& geometry) {
  return run_map(op, g, geometry.large, geometry, [](std::int64_t planes, const auto& map, const auto* from, auto* to) {
    kernels::separable_backward(planes, map, from, to);
  });
}

}  // namespace duet
