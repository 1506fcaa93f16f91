// Dropout: random zeros, as a product with a mask, so that every derivative uses the mask that was drawn.
#pragma once

#include <duet/core/random.hpp>
#include <duet/core/tensor.hpp>

namespace duet {

struct DropoutOptions {
  double p = 0.5;        ///< the share of elements that become zero
  bool training = true;  ///< otherwise x is returned as it is
};

/// x, of any shape, with each element zero with probability p, the others divided by 1 - p (Srivastava et al. 2014).
/// ValueError for a p outside [0, 1].
Tensor dropout(const Tensor& x, const DropoutOptions& options = {}, Generator& generator = default_generator());

/// The same for whole channels of x (N, C, ...) (Tompson et al. 2015). ShapeError below rank 2.
Tensor dropout2d(const Tensor& x, const DropoutOptions& options = {}, Generator& generator = default_generator());

/// What dropout multiplies with: 0 with probability p, else 1 / (1 - p).
Tensor dropout_mask(const Shape& shape, double p, Dtype dtype = f32, Generator& generator = default_generator());

}  // namespace duet
