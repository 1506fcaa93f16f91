// Writes in place, for optimizers, initialisers and buffers. They are never recorded: each throws AutogradError
// where the write would falsify the tape (a leaf that requires a gradient, or a recorded tensor, outside a
// NoGradGuard; a source whose gradient would be lost), and raises the target's version. A source may overlap its
// target. All return the target.
#pragma once

#include <duet/core/tensor.hpp>

namespace duet {

struct AddOptions {
  double alpha = 1;  ///< factor of what is added
};

/// Every element becomes `value`. Here and below the target has any shape; ValueError for an undefined one.
Tensor& fill_(Tensor& target, double value);
Tensor& zero_(Tensor& target);  ///< every element becomes 0
/// target = source, which broadcasts to target's shape (ShapeError); any dtype is converted.
Tensor& copy_(Tensor& target, const Tensor& source);
/// target += alpha · source. Here and below: floating, one dtype (DtypeError), source broadcasts to target.
Tensor& add_(Tensor& target, const Tensor& source, const AddOptions& options = {});
Tensor& add_(Tensor& target, double value);                                          ///< target += value
Tensor& sub_(Tensor& target, const Tensor& source, const AddOptions& options = {});  ///< target −= alpha · source
Tensor& mul_(Tensor& target, const Tensor& source);                                  ///< target *= source
Tensor& mul_(Tensor& target, double factor);                                         ///< target *= factor
Tensor& div_(Tensor& target, const Tensor& source);                                  ///< target /= source
Tensor& div_(Tensor& target, double divisor);                                        ///< target /= divisor
/// target += weight · (end − target): the step of an exponential average.
Tensor& lerp_(Tensor& target, const Tensor& end, double weight);
/// target brought into [low, high].
Tensor& clamp_(Tensor& target, double low, double high);

}  // namespace duet
