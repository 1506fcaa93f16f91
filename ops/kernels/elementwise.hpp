// Broadcasting without index arithmetic: an elementwise loop over any shapes becomes a few stacks of rows, in each of
// which an operand either steps by one or stands still. Knows neither tensors nor the tape.
#pragma once

#include <duet/core/callable.hpp>
#include <duet/core/shape.hpp>
#include <duet/ops/kernels/elementwise_table.hpp>

namespace duet::kernels {

inline constexpr int max_operands = 3;

/// An input seen at the output's shape: strides in elements, 0 where it is broadcast. Along its innermost dimension
/// of more than one element it must step by 0 or 1 (steps_by_rows()).
struct Operand {
  const void* data;
  Shape strides;
};

/// Whether strides, at `shape`, satisfy what Operand asks.
bool steps_by_rows(const Shape& shape, const Shape& strides);

/// A stack of rows, for a body of one's own: operand k of row r begins at offset[k] + r * row_stride[k].
struct Rows {
  std::int64_t offset[max_operands] = {}, row_stride[max_operands] = {};
  bool step[max_operands] = {};
  std::int64_t out = 0;  // where the first row begins in the contiguous output; rows follow each other
  std::int64_t rows = 0, n = 0;
};

/// Cuts the output's elements into stacks of rows and calls `body` on each, in parallel.
void for_rows(const Shape& shape, const Operand* operands, int count, FunctionRef<void(const Rows&)> body);

/// out = map(operands; p, q), for float (double where `f64`); out is contiguous.
void map(Map map, bool f64, const Shape& shape, const Operand* operands, int count, void* out, double p = 0,
         double q = 0);

}  // namespace duet::kernels
