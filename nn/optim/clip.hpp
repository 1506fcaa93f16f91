// Gradient clipping, between backward() and step().
#pragma once

#include <vector>

#include <duet/core/tensor.hpp>

namespace duet::optim {

struct ClipOptions {
  double norm_type = 2;              ///< of the norm; infinity for the largest absolute value
  bool error_if_nonfinite = false;   ///< ValueError for a norm that is infinite or NaN, gradients unchanged
};

/// The norm of all gradients taken as one vector, whatever their shapes; parameters without gradient count as zero.
/// ValueError for a norm_type that is not positive.
double grad_norm(const std::vector<Tensor>& parameters, double norm_type = 2);

/// Scales all gradients, of any shapes, by the same factor so that their norm is at most max_norm; gives back the norm
/// they had. ValueError for a max_norm or norm_type that is not positive.
double clip_grad_norm_(const std::vector<Tensor>& parameters, double max_norm, const ClipOptions& options = {});

/// Brings each element of each gradient, whatever its shape, into [-clip_value, clip_value]; ValueError for a negative
/// one.
void clip_grad_value_(const std::vector<Tensor>& parameters, double clip_value);

}  // namespace duet::optim
