// The pair, in one, two and three dimensions. conv and conv_transpose are two readings of one trilinear form
//
//     T(x, w, y) = sum over n, k, c, s, t of x[n, c, l] * w[k, c, t] * y[n, k, s],
//     l = s*stride - padding + t*dilation:
//
// sample n, channels c of the large side x and k of the small side y, place l on the large side and s on the small one,
// tap t of the kernel w. conv_weight is the third: each is T differentiated by one argument, and each one's derivatives
// are the other two (Dumoulin and Visin, "A guide to convolution arithmetic for deep learning", 2016,
// arXiv:1603.07285).
//
// A user calls them with PyTorch's options; derivatives call them with the ConvGeometry that the first call fixed, so
// nothing about padding is ever derived twice. The overloads with a ConvGeometry are these primitives, whose tensors
// must have exactly its shapes. All take f32 or f64. ShapeError: ranks, channels or groups that do not fit, an empty
// output. ValueError: stride, dilation or groups below 1, a negative padding, an output_padding that is not below
// max(stride, dilation). DtypeError: integers, or a mix.
#pragma once

#include <duet/core/tensor.hpp>
#include <duet/ops/conv_geometry.hpp>
#include <duet/ops/conv_options.hpp>

namespace duet {

/// T by y, a cross-correlation: x (N, C_in, L), or (C_in, L) without the batch, weight (C_out, C_in/groups, K) and bias
/// (C_out) give (N, C_out, S) with S = floor((L + 2·padding − dilation·(K − 1) − 1) / stride) + 1.
Tensor conv1d(const Tensor& x, const Tensor& weight, const Tensor& bias, const Conv1dOptions& options = {});
Tensor conv1d(const Tensor& x, const Tensor& weight, const Conv1dOptions& options = {});
Tensor conv1d(const Tensor& x, const Tensor& weight, const Tensor& bias, const ConvGeometry& geometry);
/// T by x, the adjoint of conv1d() by its x: x (N, C_in, S), or (C_in, S) without the batch, weight (C_in,
/// C_out/groups, K) and bias (C_out) give (N, C_out, L) with L = (S − 1)·stride − 2·padding + dilation·(K − 1) +
/// output_padding + 1.
Tensor conv_transpose1d(const Tensor& x, const Tensor& weight, const Tensor& bias,
                        const ConvTranspose1dOptions& options = {});
Tensor conv_transpose1d(const Tensor& x, const Tensor& weight, const ConvTranspose1dOptions& options = {});
Tensor conv_transpose1d(const Tensor& x, const Tensor& weight, const Tensor& bias, const ConvGeometry& geometry);
/// T by w: x (N, C_large, L) and y (N, C_small, S) give (C_small, C_large/groups, K).
Tensor conv1d_weight(const Tensor& x, const Tensor& y, const Extent<1>& kernel_size, const Conv1dOptions& options = {});
Tensor conv1d_weight(const Tensor& x, const Tensor& y, const ConvGeometry& geometry);

/// conv1d() in two dimensions: x (N, C_in, H, W), weight (C_out, C_in/groups, kH, kW).
Tensor conv2d(const Tensor& x, const Tensor& weight, const Tensor& bias, const Conv2dOptions& options = {});
Tensor conv2d(const Tensor& x, const Tensor& weight, const Conv2dOptions& options = {});
Tensor conv2d(const Tensor& x, const Tensor& weight, const Tensor& bias, const ConvGeometry& geometry);
/// conv_transpose1d() in two dimensions: x (N, C_in, H, W), weight (C_in, C_out/groups, kH, kW).
Tensor conv_transpose2d(const Tensor& x, const Tensor& weight, const Tensor& bias,
                        const ConvTranspose2dOptions& options = {});
Tensor conv_transpose2d(const Tensor& x, const Tensor& weight, const ConvTranspose2dOptions& options = {});
Tensor conv_transpose2d(const Tensor& x, const Tensor& weight, const Tensor& bias, const ConvGeometry& geometry);
/// conv1d_weight() in two dimensions: x (N, C_large, H, W).
Tensor conv2d_weight(const Tensor& x, const Tensor& y, const Extent<2>& kernel_size, const Conv2dOptions& options = {});
Tensor conv2d_weight(const Tensor& x, const Tensor& y, const ConvGeometry& geometry);

/// conv1d() in three dimensions: x (N, C_in, D, H, W), weight (C_out, C_in/groups, kD, kH, kW).
Tensor conv3d(const Tensor& x, const Tensor& weight, const Tensor& bias, const Conv3dOptions& options = {});
Tensor conv3d(const Tensor& x, const Tensor& weight, const Conv3dOptions& options = {});
Tensor conv3d(const Tensor& x, const Tensor& weight, const Tensor& bias, const ConvGeometry& geometry);
/// conv_transpose1d() in three dimensions: x (N, C_in, D, H, W), weight (C_in, C_out/groups, kD, kH, kW).
Tensor conv_transpose3d(const Tensor& x, const Tensor& weight, const Tensor& bias,
                        const ConvTranspose3dOptions& options = {});
Tensor conv_transpose3d(const Tensor& x, const Tensor& weight, const ConvTranspose3dOptions& options = {});
Tensor conv_transpose3d(const Tensor& x, const Tensor& weight, const Tensor& bias, const ConvGeometry& geometry);
/// conv1d_weight() in three dimensions: x (N, C_large, D, H, W).
Tensor conv3d_weight(const Tensor& x, const Tensor& y, const Extent<3>& kernel_size, const Conv3dOptions& options = {});
Tensor conv3d_weight(const Tensor& x, const Tensor& y, const ConvGeometry& geometry);

}  // namespace duet
