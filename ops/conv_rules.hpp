// From a call of one of the triple's ops to its geometry and its shapes. Internal to ops/.
#pragma once

#include <duet/ops/conv_samples.hpp>
#include <duet/ops/define.hpp>

namespace duet {

template <int N>
inline constexpr const char* conv_name = N == 1   ? "conv1d"
                                         : N == 2 ? "conv2d"
                                                  : "conv3d";
template <int N>
inline constexpr const char* transpose_name = N == 1   ? "conv_transpose1d"
                                              : N == 2 ? "conv_transpose2d"
                                                       : "conv_transpose3d";
template <int N>
inline constexpr const char* weight_name = N == 1   ? "conv1d_weight"
                                           : N == 2 ? "conv2d_weight"
                                                    : "conv3d_weight";

/// The geometry of a call whose inputs have shapes a and b: the one that it carries, or what its options come to.
/// The weight op's tensors give both sides; options give how they are joined, and must be able to give y's size.
template <int N>
ConvGeometry geometry_of(const ConvCall<N>& call, const Shape& a, const Shape& b);
template <int N>
ConvGeometry geometry_of(const ConvTransposeCall<N>& call, const Shape& a, const Shape& b);
template <int N>
ConvGeometry geometry_of(const ConvWeightCall<N>& call, const Shape& x, const Shape& y);

/// Shape rules: whichever way the geometry came, the tensors must have its shapes.
template <int N>
Specs conv_rule(const ShapeCall& c);
template <int N>
Specs transpose_rule(const ShapeCall& c);
template <int N>
Specs weight_rule(const ShapeCall& c);

}  // namespace duet
