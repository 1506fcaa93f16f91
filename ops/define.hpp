// What the family files share: declarations of every op, and small helpers for shape rules, vjps and samples.
// Internal to ops/.
#pragma once

#include <duet/core/fail.hpp>
#include <duet/core/op.hpp>
#include <duet/core/raw.hpp>

namespace duet {

#define DUET_OP(name) const OpPtr& name##_op();
#include <duet/ops/op_list.inc>
#undef DUET_OP

/// Puts a definition on the heap, where nodes share it.
inline OpPtr define(OpDef definition) { return std::make_shared<const OpDef>(std::move(definition)); }

/// Throws DtypeError unless the defined inputs are all of one floating dtype, which it returns.
Dtype require_floating(const ShapeCall& call);

/// Throws DtypeError unless the defined inputs are all of one dtype, which it returns.
Dtype require_same_dtype(const ShapeCall& call);

/// Throws ShapeError unless input i has this rank.
void require_rank(const ShapeCall& call, int i, int rank);

/// The name of input i as the OpDef has it, without its mark.
std::string input_name(const OpDef& op, int i);

/// Sums `gradient` over the dimensions along which `shape` was broadcast. Differentiable.
Tensor sum_to(const Tensor& gradient, const Shape& shape);

/// An f64 sample tensor with normal entries that depend only on shape and `seed`.
Tensor sample_normal(const Shape& shape, std::uint64_t seed);
/// Uniform in [low, high).
Tensor sample_uniform(const Shape& shape, double low, double high, std::uint64_t seed);
/// Normal, but moved at least `gap` away from `kink`, for piecewise functions.
Tensor sample_off_kink(const Shape& shape, double kink, double gap, std::uint64_t seed);

}  // namespace duet
