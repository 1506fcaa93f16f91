// Reductions over chosen dimensions.
#pragma once

#include <duet/core/options.hpp>
#include <duet/core/tensor.hpp>

namespace duet {

struct ReduceOptions {
  Dims dim = {};         ///< dimensions to reduce, negative ones from the end; empty: all
  bool keepdim = false;  ///< keep them as sizes of 1
  void fields(FieldVisitor& visitor) {
    visitor.field("dim", dim);
    visitor.field("keepdim", keepdim);
  }
};

/// The sum over dimensions. ShapeError for a dim out of range or given twice.
Tensor sum(const Tensor& x, const ReduceOptions& options = {});

}  // namespace duet
