// The pair, in one, two and three dimensions. conv and conv_transpose are two readings of one trilinear form
//
//     T(x, w, y) = sum over n, k, c, s, t of x[n, c, l] * w[k, c, t] * y[n, k, s],
//     l = s*stride - padding + t*dilation:
//
// sample n, channels c of the large side x and k of the small side y, place l on the large side and s on the small one,
// tap t of the kernel w. conv_weight is the third: each is T differentiated by one argument, and each one's derivatives
// are the other two. A user calls them with PyTorch's options; derivatives call them with the ConvGeometry that the
// first call fixed, so nothing about padding is ever derived twice. (Dumoulin and Visin, "A guide to convolution
// arithmetic for deep learning", 2016, arXiv:1603.07285.)
#pragma once

#include <duet/core/tensor.hpp>
#include <duet/ops/conv_geometry.hpp>
#include <duet/ops/conv_options.hpp>

namespace duet {

///@{
/// The triple, for each rank: T = ⟨conv(x, w), y⟩ = ⟨x, conv_transpose(y, w)⟩ = ⟨w, conv_weight(x, y)⟩ (Dumoulin and
/// Visin 2016, arXiv:1603.07285).
///
/// conv(x, w) with x (N, C_in, L...) and w (C_out, C_in/groups, K...) gives (N, C_out, ...) of spatial size
/// floor((L + 2·padding − dilation·(K-1) − 1) / stride) + 1. conv_transpose(x, w) with x (N, C_in, L...) and w (C_in,
/// C_out/groups, K...) gives (N, C_out, ...) of spatial size (L-1)·stride − 2·padding + dilation·(K-1) + output_padding
/// + 1. In these two x may lack the batch, and bias is (C_out). conv_weight(x, y) gives (C_small, C_large/groups, K...)
/// for x (N, C_large, L...) and y (N, C_small, S...). The overloads with a ConvGeometry are the primitives; their
/// tensors must have exactly its shapes.
///
/// All take f32 or f64. ShapeError: rank, channels, groups that do not divide, an empty output. ValueError: stride,
/// dilation or groups < 1, negative padding, output_padding >= max(stride, dilation). DtypeError: integers, or a mix.
Tensor conv1d(const Tensor& x, const Tensor& weight, const Tensor& bias, const Conv1dOptions& options = {});
Tensor conv1d(const Tensor& x, const Tensor& weight, const Conv1dOptions& options = {});
Tensor conv1d(const Tensor& x, const Tensor& weight, const Tensor& bias, const ConvGeometry& geometry);
Tensor conv_transpose1d(const Tensor& x, const Tensor& weight, const Tensor& bias, const ConvTranspose1dOptions& options = {});
Tensor conv_transpose1d(const Tensor& x, const Tensor& weight, const ConvTranspose1dOptions& options = {});
Tensor conv_transpose1d(const Tensor& x, const Tensor& weight, const Tensor& bias, const ConvGeometry& geometry);
Tensor conv1d_weight(const Tensor& x, const Tensor& y, const Extent<1>& kernel_size, const Conv1dOptions& options = {});
Tensor conv1d_weight(const Tensor& x, const Tensor& y, const ConvGeometry& geometry);

Tensor conv2d(const Tensor& x, const Tensor& weight, const Tensor& bias, const Conv2dOptions& options = {});
Tensor conv2d(const Tensor& x, const Tensor& weight, const Conv2dOptions& options = {});
Tensor conv2d(const Tensor& x, const Tensor& weight, const Tensor& bias, const ConvGeometry& geometry);
Tensor conv_transpose2d(const Tensor& x, const Tensor& weight, const Tensor& bias, const ConvTranspose2dOptions& options = {});
Tensor conv_transpose2d(const Tensor& x, const Tensor& weight, const ConvTranspose2dOptions& options = {});
Tensor conv_transpose2d(const Tensor& x, const Tensor& weight, const Tensor& bias, const ConvGeometry& geometry);
Tensor conv2d_weight(const Tensor& x, const Tensor& y, const Extent<2>& kernel_size, const Conv2dOptions& options = {});
Tensor conv2d_weight(const Tensor& x, const Tensor& y, const ConvGeometry& geometry);

Tensor conv3d(const Tensor& x, const Tensor& weight, const Tensor& bias, const Conv3dOptions& options = {});
Tensor conv3d(const Tensor& x, const Tensor& weight, const Conv3dOptions& options = {});
Tensor conv3d(const Tensor& x, const Tensor& weight, const Tensor& bias, const ConvGeometry& geometry);
Tensor conv_transpose3d(const Tensor& x, const Tensor& weight, const Tensor& bias, const ConvTranspose3dOptions& options = {});
Tensor conv_transpose3d(const Tensor& x, const Tensor& weight, const ConvTranspose3dOptions& options = {});
Tensor conv_transpose3d(const Tensor& x, const Tensor& weight, const Tensor& bias, const ConvGeometry& geometry);
Tensor conv3d_weight(const Tensor& x, const Tensor& y, const Extent<3>& kernel_size, const Conv3dOptions& options = {});
Tensor conv3d_weight(const Tensor& x, const Tensor& y, const ConvGeometry& geometry);
///@}
}  // namespace duet
