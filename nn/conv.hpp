// Convolution layers, one to three dimensions, with PyTorch's parameters, names and initial values.
#pragma once

#include <optional>

#include <duet/nn/module.hpp>
#include <duet/ops/conv.hpp>

namespace duet::nn {

template <int N>
struct ConvLayerOptions {
  Extent<N> stride = 1;
  ConvPadding<N> padding = {};
  Extent<N> dilation = 1;
  std::int64_t groups = 1;
  bool bias = true;
};

/// y = conv(x, weight) + bias. weight is (out, in / groups, kernel…), bias (out); both begin uniform within
/// ±1/sqrt(in / groups · taps). ValueError for channels below 1 or groups that do not divide them; what forward
/// refuses, the op documents.
template <int N>
class Conv : public Module {
 public:
  using Options = ConvLayerOptions<N>;
  Conv(std::int64_t in_channels, std::int64_t out_channels, Extent<N> kernel_size, Options given = {})
      : Conv(nullptr, "", in_channels, out_channels, kernel_size, given) {}
  Conv(Module* parent, std::string name, std::int64_t in_channels, std::int64_t out_channels, Extent<N> kernel_size,
       Options given = {});
  Tensor forward(const Tensor& x) override;
  std::string kind() const override;
  std::string describe() const override;

  Options options;
  Parameter weight, bias;
};

template <int N>
struct ConvTransposeLayerOptions {
  Extent<N> stride = 1;
  Extent<N> padding = 0;
  Extent<N> output_padding = 0;
  Extent<N> dilation = 1;
  std::int64_t groups = 1;
  bool bias = true;
};

/// y = conv_transpose(x, weight) + bias, the adjoint of a convolution of the same weight. weight is
/// (in, out / groups, kernel…), bias (out).
template <int N>
class ConvTranspose : public Module {
 public:
  using Options = ConvTransposeLayerOptions<N>;
  ConvTranspose(std::int64_t in_channels, std::int64_t out_channels, Extent<N> kernel_size, Options given = {})
      : ConvTranspose(nullptr, "", in_channels, out_channels, kernel_size, given) {}
  ConvTranspose(Module* parent, std::string name, std::int64_t in_channels, std::int64_t out_channels,
                Extent<N> kernel_size, Options given = {});
  using Module::operator();
  /// Chooses the output_padding that gives this spatial size; ShapeError with the reachable range if none does.
  Tensor operator()(const Tensor& x, const Extent<N>& output_size);
  Tensor forward(const Tensor& x) override { return convolve(x, options.output_padding); }
  Tensor forward(const Tensor& x, const Extent<N>& output_size);
  std::string kind() const override;
  std::string describe() const override;

  Options options;
  Parameter weight, bias;

 private:
  Tensor convolve(const Tensor& x, const Extent<N>& output_padding);
};

extern template class Conv<1>;
extern template class Conv<2>;
extern template class Conv<3>;
extern template class ConvTranspose<1>;
extern template class ConvTranspose<2>;
extern template class ConvTranspose<3>;

using Conv1d = Conv<1>;
using Conv2d = Conv<2>;
using Conv3d = Conv<3>;
using ConvTranspose1d = ConvTranspose<1>;
using ConvTranspose2d = ConvTranspose<2>;
using ConvTranspose3d = ConvTranspose<3>;
using Conv1dOptions = ConvLayerOptions<1>;
using Conv2dOptions = ConvLayerOptions<2>;
using Conv3dOptions = ConvLayerOptions<3>;
using ConvTranspose1dOptions = ConvTransposeLayerOptions<1>;
using ConvTranspose2dOptions = ConvTransposeLayerOptions<2>;
using ConvTranspose3dOptions = ConvTransposeLayerOptions<3>;

}  // namespace duet::nn
