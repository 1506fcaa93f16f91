// Pooling layers.
#include <duet/nn/pool.hpp>

#include <duet/nn/layer.hpp>

namespace duet::nn {
namespace {
constexpr const char* max_names[] = {"MaxPool1d", "MaxPool2d", "MaxPool3d"};
}

template <int N>
MaxPool<N>::MaxPool(Module* parent, std::string name, Extent<N> kernel_size, const Options& given)
    : Module(parent, std::move(name)),
      options{kernel_size, given.stride, given.padding, given.dilation, given.ceil_mode} {
  for (int i = 0; i < N; ++i) require_at_least(max_names[N - 1], "kernel_size", kernel_size[i], 1);
}

template <int N>
Tensor MaxPool<N>::forward(const Tensor& x) {
  if constexpr (N == 1) return max_pool1d(x, options);
  if constexpr (N == 2) return max_pool2d(x, options);
  if constexpr (N == 3) return max_pool3d(x, options);
}

template <int N>
std::string MaxPool<N>::kind() const {
  return max_names[N - 1];
}

template <int N>
std::string MaxPool<N>::describe() const {
  return to_string(AnyOptions(options));
}

template class MaxPool<1>;
template class MaxPool<2>;
template class MaxPool<3>;

}  // namespace duet::nn
