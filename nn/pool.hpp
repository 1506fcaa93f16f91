// Pooling layers.
#pragma once

#include <duet/nn/module.hpp>
#include <duet/ops/pool.hpp>

namespace duet::nn {

template <int N>
struct MaxPoolLayerOptions {
  Extent<N> stride = 0;  ///< 0: the kernel's size
  Extent<N> padding = 0;
  Extent<N> dilation = 1;
  bool ceil_mode = false;
};

/// The maximum of each window of x (N, C, S…) or (C, S…).
template <int N>
class MaxPool : public Module {
 public:
  using Options = MaxPoolLayerOptions<N>;
  explicit MaxPool(Extent<N> kernel_size, const Options& given = {}) : MaxPool(nullptr, "", kernel_size, given) {}
  MaxPool(Module* parent, std::string name, Extent<N> kernel_size, const Options& given = {});
  Tensor forward(const Tensor& x) override;
  std::string kind() const override;
  std::string describe() const override;

  MaxPoolOptions<N> options;
};

extern template class MaxPool<1>;
extern template class MaxPool<2>;
extern template class MaxPool<3>;
using MaxPool1d = MaxPool<1>;
using MaxPool2d = MaxPool<2>;
using MaxPool3d = MaxPool<3>;

}  // namespace duet::nn
