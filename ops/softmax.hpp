// Softmax and its logarithm along one dimension of x, of any shape, which is the result's. f32 or f64 (DtypeError).
#pragma once

#include <duet/core/options.hpp>
#include <duet/core/tensor.hpp>

namespace duet {

struct SoftmaxOptions {
  std::int64_t dim = -1;
  void fields(FieldVisitor& visitor) { visitor.field("dim", dim); }
};

/// e^x / sum e^x along `dim` (ShapeError if out of range), without overflow.
Tensor softmax(const Tensor& x, const SoftmaxOptions& options = {});
/// Its logarithm, computed as such.
Tensor log_softmax(const Tensor& x, const SoftmaxOptions& options = {});

/// The gradients, from cotangent and output, which have one shape (ShapeError).
Tensor softmax_backward(const Tensor& g, const Tensor& y, const SoftmaxOptions& options);
Tensor log_softmax_backward(const Tensor& g, const Tensor& y, const SoftmaxOptions& options);  ///< of log_softmax()

}  // namespace duet
