// Resampling geometry as the tables of taps that the kernels read. Internal to ops/.
#pragma once

#include <duet/ops/define.hpp>
#include <duet/ops/kernels/resample.hpp>
#include <duet/ops/resample.hpp>

namespace duet {

/// Throws ShapeError or ValueError where the geometry's fields do not fit together.
void validate(const char* op, const ResampleGeometry& geometry);

/// The taps of every axis; axes in front of a plane of fewer than three are the identity.
kernels::SeparableMap separable_map(const ResampleGeometry& geometry);

/// The map applied to x (..., large), giving (..., small); and its adjoint.
Tensor apply_map(const char* op, const Tensor& x, const ResampleGeometry& geometry);
Tensor apply_adjoint(const char* op, const Tensor& g, const ResampleGeometry& geometry);

}  // namespace duet
