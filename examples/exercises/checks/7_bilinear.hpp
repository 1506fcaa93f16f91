// Exercise 7: what is asked for.
#pragma once

#include <duet/core/tensor.hpp>

/// The (2·stride, 2·stride) kernel, f64, with which conv_transpose2d of that (even) stride and padding stride / 2 is
/// bilinear interpolation: a hat in each direction.
duet::Tensor bilinear_kernel(std::int64_t stride);
