// Softmax and its logarithm along one dimension.
#pragma once

#include <duet/core/options.hpp>
#include <duet/core/tensor.hpp>

namespace duet {

struct SoftmaxOptions {
  std::int64_t dim = -1;
  void fields(FieldVisitor& visitor) { visitor.field("dim", dim); }
};

/// e^x / sum e^x along `dim` (ShapeError if out of range), without overflow. f32 or f64.
Tensor softmax(const Tensor& x, const SoftmaxOptions& options = {});
/// Its logarithm, computed as such.
Tensor log_softmax(const Tensor& x, const SoftmaxOptions& options = {});

/// The gradients, from cotangent and output.
Tensor softmax_backward(const Tensor& g, const Tensor& y, const SoftmaxOptions& options);
Tensor log_softmax_backward(const Tensor& g, const Tensor& y, const SoftmaxOptions& options);  ///< of log_softmax()

}  // namespace duet
