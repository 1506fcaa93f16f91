// What the reducing families share: folding tensors over dimensions, and the shapes that arise. Internal to ops/.
#pragma once

#include <duet/ops/define.hpp>
#include <duet/ops/kernels/reduce.hpp>

namespace duet {

/// The shape after reducing `dims` (normalized), with or without their ones.
Shape reduced_shape(const Shape& shape, const Dims& dims, bool keepdim);

/// A result of reducing x over `dims`, reshaped so that it broadcasts against x again. Differentiable.
Tensor keep_dims(const Tensor& reduced, const Shape& x, const Dims& dims);

/// How many elements each result folds.
std::int64_t reduced_count(const Shape& shape, const Dims& dims);

/// scale · fold of a floating tensor over normalized dims, without the tape.
Tensor fold_tensor(kernels::Fold fold, const Tensor& x, const Dims& dims, bool keepdim, double scale = 1);

/// x in new memory (or its own, where it lies so already) with the kept dimensions first and the reduced ones last:
/// each result folds a row.
Tensor rows_of(const Tensor& x, const Dims& dims);

/// A shape seen as (outer, count, inner) about one dimension.
struct Axis {
  std::int64_t outer = 1, count = 1, inner = 1;
};
Axis axis_of(const Shape& shape, int dim);

}  // namespace duet
