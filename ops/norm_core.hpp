// What the normalisation ops share: geometry from shapes, statistics, and rows of coefficients for the kernels.
// Internal to ops/.
#pragma once

#include <limits>
#include <vector>

#include <duet/ops/define.hpp>
#include <duet/ops/kernels/norm.hpp>
#include <duet/ops/norm.hpp>

namespace duet {

/// Mean and 1 / sqrt(var + eps) of each group, in double.
struct GroupStatistics {
  std::vector<double> mean, inverse_deviation;
};

/// The geometry of x (N, C, S...). ShapeError below rank 2, ValueError if num_groups does not divide C.
kernels::NormGeometry norm_geometry(const char* op, const Shape& x, std::int64_t num_groups);

/// The shape of the statistics of x.
Shape statistics_shape(const Shape& x, std::int64_t num_groups);

/// Throws ShapeError unless an optional input has the shape (C,).
void require_channels(const ShapeCall& call, int i, std::int64_t channels);

/// Throws ValueError for groups of a single value, which have no variance.
void require_spread(const char* op, const kernels::NormGeometry& geometry, const Shape& x);

GroupStatistics group_statistics(const kernels::NormGeometry& geometry, const Tensor& x, double eps);

/// (x - mean) · inverse_deviation · weight + bias, at least `least`; weight and bias may be undefined.
Tensor normalize(const kernels::NormGeometry& geometry, const Tensor& x, const GroupStatistics& statistics,
                 const Tensor& weight, const Tensor& bias, double least = -std::numeric_limits<double>::infinity());

/// Numbers as a tensor of `spec`, and the other way round.
Tensor from_doubles(const std::vector<double>& values, const TensorSpec& spec);

}  // namespace duet
