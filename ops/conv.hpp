// The pair, in one, two and three dimensions. conv and conv_transpose are two readings of one trilinear form
//
//     T(x, w, y) = sum over n, k, c, s, t of x[n, c, l(s, t)] * w[k, c, t] * y[n, k, s],   l = s*stride - padding + t*dilation,
//
// and convN_weight is the third: each is T differentiated by one argument, and each one's derivatives are the other
// two. A user calls them with PyTorch's options; derivatives call them with the ConvGeometry that the first call
// fixed, so nothing about padding is ever derived twice. (Dumoulin and Visin, "A guide to convolution arithmetic
// for deep learning", 2016, arXiv:1603.07285.)
#pragma once

#include <vector>

#include <duet/core/options.hpp>
#include <duet/core/tensor.hpp>
#include <duet/ops/conv_geometry.hpp>

namespace duet {

/// Padding of a convolution: elements on both sides of each axis, "valid" (none), or "same" (stride 1: the output has
/// the input's size; an odd total puts the extra element behind).
template <int N>
struct ConvPadding {
  Extent<N> amount = 0;
  std::string word = {};  ///< "same", "valid" or empty

  ConvPadding() = default;
  template <class I>
    requires std::is_integral_v<I>
  ConvPadding(I all) : amount(all) {}
  template <class... I>
    requires(sizeof...(I) == N && N > 1 && (std::is_integral_v<I> && ...))
  ConvPadding(I... each) : amount(each...) {}
  ConvPadding(const Extent<N>& each) : amount(each) {}
  ConvPadding(const char* name) : word(name) {}
};

template <int N>
struct ConvOptions {
  Extent<N> stride = 1;
  ConvPadding<N> padding = {};
  Extent<N> dilation = 1;
  std::int64_t groups = 1;
  void fields(FieldVisitor& visitor) {
    visitor.field("stride", stride);
    visitor.integers("padding", {padding.amount.data(), N}, padding.word);
    visitor.field("dilation", dilation);
    visitor.field("groups", groups);
  }
};

template <int N>
struct ConvTransposeOptions {
  Extent<N> stride = 1;
  Extent<N> padding = 0;         ///< what the conv that this is the adjoint of pads its input with; here cut off both ends
  Extent<N> output_padding = 0;  ///< added to the output's far end; below max(stride, dilation)
  Extent<N> dilation = 1;
  std::int64_t groups = 1;
  void fields(FieldVisitor& visitor) {
    visitor.field("stride", stride);
    visitor.field("padding", padding);
    visitor.field("output_padding", output_padding);
    visitor.field("dilation", dilation);
    visitor.field("groups", groups);
  }
};

using Conv1dOptions = ConvOptions<1>;
using Conv2dOptions = ConvOptions<2>;
using Conv3dOptions = ConvOptions<3>;
using ConvTranspose1dOptions = ConvTransposeOptions<1>;
using ConvTranspose2dOptions = ConvTransposeOptions<2>;
using ConvTranspose3dOptions = ConvTransposeOptions<3>;

/// The geometry that conv, conv_transpose and the weight op share, from what a user wrote. Throws ShapeError or
/// ValueError in the name of `op`.
template <int N>
ConvGeometry conv_geometry(const char* op, const Shape& x, const Shape& weight, const ConvOptions<N>& options);
template <int N>
ConvGeometry conv_transpose_geometry(const char* op, const Shape& x, const Shape& weight,
                                     const ConvTransposeOptions<N>& options);  ///< likewise

/// One reachable output size of a transposed convolution along one axis.
struct ReachableSize {
  std::int64_t size;
  std::int64_t output_padding;
};
/// Every output size that a transposed convolution reaches from `size` along one axis, smallest first, with the
/// output_padding that each needs: (size-1)·stride − 2·padding + dilation·(kernel−1) + 1 and the
/// max(stride, dilation) − 1 sizes above it. Sizes below 1 are left out. ValueError for arguments out of range, or where
/// there would be more than 2^20.
std::vector<ReachableSize> reachable_output_sizes(std::int64_t size, std::int64_t kernel, std::int64_t stride = 1,
                                                  std::int64_t padding = 0, std::int64_t dilation = 1);

/// The output_padding with which a transposed convolution of spatial size `input` gives `output_size`. Throws
/// ShapeError with the reachable range if there is none.
template <int N>
Extent<N> output_padding_for(const Extent<N>& input, const Extent<N>& output_size, const Extent<N>& kernel,
                             const ConvTransposeOptions<N>& options);

///@{
/// For each rank: conv(x, w) with x (N, C_in, L...) and w (C_out, C_in/groups, K...) gives (N, C_out, ...);
/// conv_transpose(x, w) with x (N, C_in, L...) and w (C_in, C_out/groups, K...) gives (N, C_out, ...) of spatial size
/// (L-1)·stride − 2·padding + dilation·(K-1) + output_padding + 1; bias is (C_out). In these two x may lack the batch.
/// The convN_weight(x, y) overloads give dT/dw (C_small, C_large/groups, K...) for x (N, C_large, L...), y (N, C_small, S...).
/// All take f32 or f64. ShapeError: rank, channels, groups that do not divide, an empty output. ValueError: stride,
/// dilation or groups < 1, negative padding, output_padding >= max(stride, dilation). DtypeError: integers, or a mix.
/// The overloads with a ConvGeometry are the primitives; their tensors must have exactly its shapes.
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
