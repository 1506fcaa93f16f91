// Exercise 4: what is asked for.
#pragma once

#include <duet/core/tensor.hpp>

/// conv_transpose2d by its definition: x (H, W) and w (kH, kW), one channel, f64, dense; the result has
/// (H − 1)·stride − 2·padding + kH rows, and columns likewise. Let each input cell scatter.
duet::Tensor scatter(const duet::Tensor& x, const duet::Tensor& w, std::int64_t stride, std::int64_t padding);
