// One convolution case for duet_bench's tables: its geometry, its buffers, and how long the kernels take on them.
#pragma once

#include <cstdint>

#include <duet/core/allocator.hpp>
#include <duet/ops/conv_geometry.hpp>

#include "shapes.hpp"

namespace duet::bench {

ConvGeometry geometry_of(const ConvShape& shape);

/// `count` values that are neither all alike nor denormal.
template <class T>
void fill(T* values, std::int64_t count) {
  for (std::int64_t i = 0; i < count; ++i)
    values[i] = static_cast<T>((static_cast<std::uint32_t>(i) * 2654435761u >> 8) & 1023) / T(1024) - T(0.5);
}

/// The tensors of a case, x on the large side and y on the small one, with room for the results.
template <class T>
struct ConvBuffers {
  explicit ConvBuffers(const ConvShape& shape)
      : geometry(geometry_of(shape)),
        large(geometry.large_shape(shape.batch).numel()),
        small(geometry.small_shape(shape.batch).numel()),
        weights(geometry.weight_shape().numel()) {
    fill(x.template as<T>(), large);
    fill(y.template as<T>(), small);
    fill(w.template as<T>(), weights);
    fill(bias.template as<T>(), geometry.large_channels + geometry.small_channels);
  }
  static constexpr std::int64_t item = sizeof(T);
  const ConvGeometry geometry;
  const std::int64_t large, small, weights;
  const Scratch x{large * item}, y{small * item}, w{weights * item};
  const Scratch bias{(geometry.large_channels + geometry.small_channels) * item};
  const Scratch x_result{large * item}, y_result{small * item}, w_result{weights * item};
  std::int64_t bytes() const { return (large + small + weights) * item; }
};

template <class T>
ConvTimes time_case(const ConvShape& shape);

/// ms per GFLOP from 64 x 64 planes to 1024 x 1024 and from 1 image to 64, f64 beside f32, and scratch memory.
void print_scaling();

/// `count` random cases that a Winograd scheme fits: how long the direct path takes, how long Winograd, and what the
/// cost rule chooses.
void print_choices(int count);

}  // namespace duet::bench
