// What the pooling ops share: geometry from options, with its checks, and its form for the kernels. Internal to ops/.
#pragma once

#include <duet/ops/define.hpp>
#include <duet/ops/kernels/pool.hpp>
#include <duet/ops/pool.hpp>

namespace duet {

/// The windows as an op's options give them: one entry a pooled dimension.
struct PoolWindows {
  Shape kernel, stride, padding, dilation;
  bool ceil_mode = false;
};

/// Checks windows against x and computes the small side.
PoolGeometry pool_geometry(const char* op, const Shape& x, const PoolWindows& windows);

/// x with its last dimensions, as many as `sizes` has, replaced.
Shape with_trailing(Shape x, const Shape& sizes);

/// Throws ShapeError unless input i ends in `sizes`, behind any number of dimensions.
void require_trailing(const ShapeCall& call, int i, const Shape& sizes);

/// For the kernels: three axes, those in front of size 1.
kernels::PoolPlanes pool_planes(const PoolGeometry& geometry, const Shape& x);

/// An f64 sample: a permutation of well separated values, of which no step of a finite difference changes the order.
Tensor sample_distinct(const Shape& shape, std::uint64_t seed);

template <int N>
Shape to_shape(const Extent<N>& extent) {
  Shape shape;
  for (int i = 0; i < N; ++i) shape.push_back(extent[i]);
  return shape;
}

}  // namespace duet
