// Ops that move or view elements without computing.
#pragma once

#include <duet/core/options.hpp>
#include <duet/core/tensor.hpp>

namespace duet {

struct ShapeOptions {
  Shape shape = {};
  void fields(FieldVisitor& visitor) { visitor.field("shape", shape); }
};

/// The same elements in another shape; one size may be -1 and is computed. A view where strides allow it. ShapeError
/// if the counts differ.
Tensor reshape(const Tensor& x, const Shape& shape);

/// x seen at a larger shape: sizes of 1 are repeated, new dimensions come in front; -1 keeps a size. A view.
/// ShapeError if x does not broadcast to `shape`.
Tensor expand(const Tensor& x, const Shape& shape);

}  // namespace duet
