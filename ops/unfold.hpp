// Sliding windows as columns, and back.
#pragma once

#include <duet/core/options.hpp>
#include <duet/core/tensor.hpp>

namespace duet {

struct UnfoldOptions {
  Pair kernel_size = 1;
  Pair dilation = 1;
  Pair padding = 0;
  Pair stride = 1;
  void fields(FieldVisitor& visitor) {
    visitor.field("kernel_size", kernel_size);
    visitor.field("dilation", dilation);
    visitor.field("padding", padding);
    visitor.field("stride", stride);
  }
};

struct FoldOptions {
  Pair output_size = 1;
  Pair kernel_size = 1;
  Pair dilation = 1;
  Pair padding = 0;
  Pair stride = 1;
  void fields(FieldVisitor& visitor) {
    visitor.field("output_size", output_size);
    visitor.field("kernel_size", kernel_size);
    visitor.field("dilation", dilation);
    visitor.field("padding", padding);
    visitor.field("stride", stride);
  }
  /// The unfold() that this turns back.
  UnfoldOptions unfold() const { return {kernel_size, dilation, padding, stride}; }
};

/// x (N, C, H, W) or (C, H, W) to (N, C·kH·kW, L): column l holds window l, in row-major order, zeros where it lies in
/// the padding. ShapeError for another rank or a window that does not fit, ValueError for options out of range.
Tensor unfold(const Tensor& x, const UnfoldOptions& options);

/// The adjoint: x (N, C·kH·kW, L) or (C·kH·kW, L) to (N, C, output_size), overlapping windows added. ShapeError where
/// rows do not divide by the window's elements or the columns are not as many as there are windows.
Tensor fold(const Tensor& x, const FoldOptions& options);

}  // namespace duet
