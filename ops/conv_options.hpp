// What a user says of a convolution, in one, two and three dimensions, with PyTorch's names and defaults, and the
// geometry that it comes to: the only place where paddings are reckoned with.
#pragma once

#include <string>
#include <type_traits>
#include <vector>

#include <duet/core/options.hpp>
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
  requires std::is_integral_v<I> ConvPadding(I all) : amount(all) {}
  template <class... I>
  requires(sizeof...(I) == N && N > 1 && (std::is_integral_v<I> && ...)) ConvPadding(I... each) : amount(each...) {}
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
  Extent<N> padding = 0;         ///< the adjoint conv's padding of its input: here cut off both ends
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
/// max(stride, dilation) − 1 sizes above it. Sizes below 1 are left out. ValueError for arguments out of range, or
/// where there would be more than 2^20.
std::vector<ReachableSize> reachable_output_sizes(std::int64_t size, std::int64_t kernel, std::int64_t stride = 1,
                                                  std::int64_t padding = 0, std::int64_t dilation = 1);

/// The output_padding with which a transposed convolution of spatial size `input` gives `output_size`. Throws
/// ShapeError with the reachable range if there is none.
template <int N>
Extent<N> output_padding_for(const Extent<N>& input, const Extent<N>& output_size, const Extent<N>& kernel,
                             const ConvTransposeOptions<N>& options);

}  // namespace duet
