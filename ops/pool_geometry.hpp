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

/// Throws ShapeError or ValueError unless the lists of a geometry that a caller made are of one length and in range.
void require_geometry(const char* op, const PoolGeometry& geometry);

/// x with its last dimensions, as many as `sizes` has, replaced.
Shape with_trailing(Shape x, const Shape& sizes);

/// Throws ShapeError unless input i ends in `sizes`, behind any number of dimensions.
void require_trailing(const ShapeCall& call, int i, const Shape& sizes);

/// For the kernels: three axes, those in front of size 1.
kernels::PoolPlanes pool_planes(const PoolGeometry& geometry, const Shape& x);

/// An f64 sample: a permutation of well separated values, of which no step of a finite difference changes the order.
Tensor sample_distinct(const Shape& shape, std::uint64_t seed);

/// The last `rank` sizes of x.
Shape trailing(const Shape& x, int rank);

/// Throws ShapeError unless x is (N, C, S...) or (C, S...) with `rank` sizes S.
void require_planes(const char* op, const Shape& x, int rank);

/// The output sizes of an adaptive pool of x, -1 meaning the input's. ShapeError for one below 1, or such an x.
Shape adaptive_sizes(const char* op, const Shape& x, const Shape& output_size);

/// A call on which adaptive pools are checked.
struct AdaptivePoolCase {
  const char* name;
  Shape x, output_size;
};
std::vector<AdaptivePoolCase> adaptive_pool_cases(int rank);

template <int N>
Shape to_shape(const Extent<N>& extent) {
  Shape shape;
  for (int i = 0; i < N; ++i) shape.push_back(extent[i]);
  return shape;
}

/// The first N of a shape's entries.
template <int N>
Extent<N> to_extent(const Shape& shape) {
  Extent<N> extent;
  for (int i = 0; i < N; ++i) extent[i] = shape[i];
  return extent;
}

}  // namespace duet
