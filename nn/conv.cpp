// Convolution layers.
#include <duet/nn/conv.hpp>

#include <duet/nn/layer.hpp>

namespace duet::nn {
namespace {

template <int N>
Shape with_kernel(std::int64_t first, std::int64_t second, Extent<N> kernel) {
  Shape shape{first, second};
  for (int i = 0; i < N; ++i) shape.push_back(kernel[i]);
  return shape;
}

template <int N>
Shape as_shape(Extent<N> extent) {
  return Shape(std::span<const std::int64_t>(extent.data(), N));
}

template <int N>
void check(const char* layer, std::int64_t in, std::int64_t out, const Extent<N>& kernel, std::int64_t groups) {
  require_at_least(layer, "in_channels", in, 1);
  require_at_least(layer, "out_channels", out, 1);
  require_at_least(layer, "groups", groups, 1);
  for (int i = 0; i < N; ++i) require_at_least(layer, "kernel_size", kernel[i], 1);
  if (in % groups != 0 || out % groups != 0)
    fail<ValueError>(layer, "{} groups do not divide {} input and {} output channels", groups, in, out);
}

constexpr const char* conv_names[] = {"Conv1d", "Conv2d", "Conv3d"};
constexpr const char* transpose_names[] = {"ConvTranspose1d", "ConvTranspose2d", "ConvTranspose3d"};

}  // namespace

template <int N>
Conv<N>::Conv(Module* parent, std::string name, std::int64_t in_channels, std::int64_t out_channels,
              Extent<N> kernel_size, Options given)
    : Module(parent, std::move(name)), options(given), weight(this, "weight"), bias(this, "bias") {
  check(conv_names[N - 1], in_channels, out_channels, kernel_size, options.groups);
  weight = uniform_weight(with_kernel(out_channels, in_channels / options.groups, kernel_size));
  if (options.bias) bias = uniform_bias(out_channels, weight.shape());
}

template <int N>
Tensor Conv<N>::forward(const Tensor& x) {
  const ConvOptions<N> op{options.stride, options.padding, options.dilation, options.groups};
  if constexpr (N == 1) return conv1d(x, weight, bias, op);
  if constexpr (N == 2) return conv2d(x, weight, bias, op);
  if constexpr (N == 3) return conv3d(x, weight, bias, op);
}

template <int N>
std::string Conv<N>::kind() const {
  return conv_names[N - 1];
}

template <int N>
std::string Conv<N>::describe() const {
  return fmt::format("{}, {}, kernel_size={}, stride={}, padding={}, dilation={}, groups={}, bias={}",
                     weight.shape()[1] * options.groups, weight.shape()[0],
                     Shape(std::span(weight.shape().begin() + 2, N)), as_shape(options.stride),
                     options.padding.word.empty() ? to_string(as_shape(options.padding.amount)) : options.padding.word,
                     as_shape(options.dilation), options.groups, options.bias);
}

template <int N>
ConvTranspose<N>::ConvTranspose(Module* parent, std::string name, std::int64_t in_channels, std::int64_t out_channels,
                                Extent<N> kernel_size, Options given)
    : Module(parent, std::move(name)), options(given), weight(this, "weight"), bias(this, "bias") {
  check(transpose_names[N - 1], in_channels, out_channels, kernel_size, options.groups);
  weight = uniform_weight(with_kernel(in_channels, out_channels / options.groups, kernel_size));
  if (options.bias) bias = uniform_bias(out_channels, weight.shape());
}

template <int N>
Tensor ConvTranspose<N>::convolve(const Tensor& x, const Extent<N>& output_padding) {
  const ConvTransposeOptions<N> op{options.stride, options.padding, output_padding, options.dilation, options.groups};
  if constexpr (N == 1) return conv_transpose1d(x, weight, bias, op);
  if constexpr (N == 2) return conv_transpose2d(x, weight, bias, op);
  if constexpr (N == 3) return conv_transpose3d(x, weight, bias, op);
}

template <int N>
Tensor ConvTranspose<N>::operator()(const Tensor& x, const Extent<N>& output_size) {
  return call([&](const Tensor& given) { return forward(given, output_size); }, x);
}

template <int N>
Tensor ConvTranspose<N>::forward(const Tensor& x, const Extent<N>& output_size) {
  if (x.rank() < N) fail<ShapeError>(transpose_names[N - 1], "x needs {} spatial dimensions, got {}", N, x.shape());
  Extent<N> input, kernel;
  for (int i = 0; i < N; ++i) {
    input[i] = x.shape()[x.rank() - N + i];
    kernel[i] = weight.shape()[2 + i];
  }
  const ConvTransposeOptions<N> op{options.stride, options.padding, 0, options.dilation, options.groups};
  return convolve(x, output_padding_for<N>(input, output_size, kernel, op));
}

template <int N>
std::string ConvTranspose<N>::kind() const {
  return transpose_names[N - 1];
}

template <int N>
std::string ConvTranspose<N>::describe() const {
  return fmt::format(
      "{}, {}, kernel_size={}, stride={}, padding={}, output_padding={}, dilation={}, groups={}, bias={}",
      weight.shape()[0], weight.shape()[1] * options.groups, Shape(std::span(weight.shape().begin() + 2, N)),
      as_shape(options.stride), as_shape(options.padding), as_shape(options.output_padding), as_shape(options.dilation),
      options.groups, options.bias);
}

template class Conv<1>;
template class Conv<2>;
template class Conv<3>;
template class ConvTranspose<1>;
template class ConvTranspose<2>;
template class ConvTranspose<3>;

}  // namespace duet::nn
