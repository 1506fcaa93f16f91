// Pooling layers: each calls its op of N dimensions.
#include <duet/nn/pool.hpp>

#include <duet/nn/layer.hpp>

namespace duet::nn {
namespace {

/// "MaxPool2d".
template <int N>
std::string named(const char* layer) {
  return fmt::format("{}{}d", layer, N);
}

template <int N>
void require_kernel(const char* layer, const Extent<N>& kernel_size) {
  for (int i = 0; i < N; ++i) require_at_least(named<N>(layer).c_str(), "kernel_size", kernel_size[i], 1);
}

template <int N>
void require_output_size(const char* layer, const Extent<N>& output_size) {
  for (int i = 0; i < N; ++i)
    if (output_size[i] != -1) require_at_least(named<N>(layer).c_str(), "output_size", output_size[i], 1);
}

}  // namespace

template <int N>
MaxPool<N>::MaxPool(Module* parent, std::string name, Extent<N> kernel_size, const Options& given)
    : Module(parent, std::move(name)),
      options{kernel_size, given.stride, given.padding, given.dilation, given.ceil_mode} {
  require_kernel("MaxPool", kernel_size);
}

template <int N>
Tensor MaxPool<N>::forward(const Tensor& x) {
  if constexpr (N == 1) return max_pool1d(x, options);
  if constexpr (N == 2) return max_pool2d(x, options);
  if constexpr (N == 3) return max_pool3d(x, options);
}

template <int N>
MaxPoolResult MaxPool<N>::with_indices(const Tensor& x) {
  const Tensors both = call(
      [&](const Tensor& given) -> Tensors {
        MaxPoolResult result;
        if constexpr (N == 1) result = max_pool1d_with_indices(given, options);
        if constexpr (N == 2) result = max_pool2d_with_indices(given, options);
        if constexpr (N == 3) result = max_pool3d_with_indices(given, options);
        return {result.y, result.indices};
      },
      x);
  return {both[0], both[1]};
}

template <int N>
MaxUnpool<N>::MaxUnpool(Module* parent, std::string name, Extent<N> kernel_size, const Options& given)
    : Module(parent, std::move(name)), options{kernel_size, given.stride, given.padding, {}} {
  require_kernel("MaxUnpool", kernel_size);
}

template <int N>
Tensor MaxUnpool<N>::operator()(const Tensor& x, const Tensor& indices, const std::vector<std::int64_t>& output_size) {
  MaxUnpoolOptions<N> sized = options;
  sized.output_size = output_size;
  return call(
      [&](const Tensor& given, const Tensor& places) {
        if constexpr (N == 1) return max_unpool1d(given, places, sized);
        if constexpr (N == 2) return max_unpool2d(given, places, sized);
        if constexpr (N == 3) return max_unpool3d(given, places, sized);
      },
      x, indices);
}

template <int N>
AvgPool<N>::AvgPool(Module* parent, std::string name, Extent<N> kernel_size, const Options& given)
    : Module(parent, std::move(name)), options{kernel_size,
                                               given.stride,
                                               given.padding,
                                               given.ceil_mode,
                                               given.count_include_pad,
                                               given.divisor_override} {
  require_kernel("AvgPool", kernel_size);
}

template <int N>
Tensor AvgPool<N>::forward(const Tensor& x) {
  if constexpr (N == 1) return avg_pool1d(x, options);
  if constexpr (N == 2) return avg_pool2d(x, options);
  if constexpr (N == 3) return avg_pool3d(x, options);
}

template <int N>
AdaptiveAvgPool<N>::AdaptiveAvgPool(Module* parent, std::string name, Extent<N> output_size)
    : Module(parent, std::move(name)), options{output_size} {
  require_output_size("AdaptiveAvgPool", output_size);
}

template <int N>
Tensor AdaptiveAvgPool<N>::forward(const Tensor& x) {
  if constexpr (N == 1) return adaptive_avg_pool1d(x, options.output_size);
  if constexpr (N == 2) return adaptive_avg_pool2d(x, options.output_size);
  if constexpr (N == 3) return adaptive_avg_pool3d(x, options.output_size);
}

template <int N>
AdaptiveMaxPool<N>::AdaptiveMaxPool(Module* parent, std::string name, Extent<N> output_size)
    : Module(parent, std::move(name)), options{output_size} {
  require_output_size("AdaptiveMaxPool", output_size);
}

template <int N>
Tensor AdaptiveMaxPool<N>::forward(const Tensor& x) {
  if constexpr (N == 1) return adaptive_max_pool1d(x, options.output_size);
  if constexpr (N == 2) return adaptive_max_pool2d(x, options.output_size);
  if constexpr (N == 3) return adaptive_max_pool3d(x, options.output_size);
}

#define DUET_POOL_LAYER(Layer)             \
  template <int N>                         \
  std::string Layer<N>::kind() const {     \
    return named<N>(#Layer);               \
  }                                        \
  template <int N>                         \
  std::string Layer<N>::describe() const { \
    return to_string(AnyOptions(options)); \
  }                                        \
  template class Layer<1>;                 \
  template class Layer<2>;                 \
  template class Layer<3>;
DUET_POOL_LAYER(MaxPool)
DUET_POOL_LAYER(MaxUnpool)
DUET_POOL_LAYER(AvgPool)
DUET_POOL_LAYER(AdaptiveAvgPool)
DUET_POOL_LAYER(AdaptiveMaxPool)
#undef DUET_POOL_LAYER

}  // namespace duet::nn
