// Matrix products: matmul with batches that broadcast, and the fully connected layer.
#pragma once

#include <duet/core/options.hpp>
#include <duet/core/tensor.hpp>

namespace duet {

struct MatmulOptions {
  bool transpose_a = false, transpose_b = false;  ///< read the last two dimensions of an operand swapped
  void fields(FieldVisitor& visitor) {
    visitor.field("transpose_a", transpose_a);
    visitor.field("transpose_b", transpose_b);
  }
};

/// The product of the last two dimensions, (…, m, k) by (…, k, n) to (…, m, n); the dimensions before them broadcast.
/// A vector is taken as a row on the left, as a column on the right, and its dimension of 1 dropped again (it is
/// never transposed). ShapeError where sizes do not fit, DtypeError for integers or mixed dtypes.
Tensor matmul(const Tensor& a, const Tensor& b, const MatmulOptions& options = {});

/// x · weightᵀ + bias: x (…, in), weight (out, in), bias (out) or undefined; result (…, out). ShapeError,
/// DtypeError as matmul.
Tensor linear(const Tensor& x, const Tensor& weight, const Tensor& bias = {});

}  // namespace duet
