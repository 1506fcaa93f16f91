// Exercise 5: what is asked for.
#pragma once

#include <duet/core/tensor.hpp>

/// The gradient of sum(conv(x, w)·g) by the kernel w, (kernel, kernel), where x is (H, W) and g what arrives at the
/// output; one channel, no padding, f64, dense.
duet::Tensor weight_gradient(const duet::Tensor& x, const duet::Tensor& g, std::int64_t kernel, std::int64_t stride);
