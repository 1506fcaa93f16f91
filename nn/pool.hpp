// Pooling layers: the largest or the mean of windows, of windows as many as asked for, and the way back.
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
  /// Maxima and where they lie, which MaxUnpool takes.
  MaxPoolResult with_indices(const Tensor& x);
  std::string kind() const override;
  std::string describe() const override;

  MaxPoolOptions<N> options;
};

template <int N>
struct MaxUnpoolLayerOptions {
  Extent<N> stride = 0;  ///< 0: the kernel's size
  Extent<N> padding = 0;
};

/// Zeros with each value at its index: MaxPool::with_indices() turned back.
template <int N>
class MaxUnpool : public Module {
 public:
  using Options = MaxUnpoolLayerOptions<N>;
  explicit MaxUnpool(Extent<N> kernel_size, const Options& given = {}) : MaxUnpool(nullptr, "", kernel_size, given) {}
  MaxUnpool(Module* parent, std::string name, Extent<N> kernel_size, const Options& given = {});
  /// `output_size` tells the spatial sizes where the windows leave several; empty: the smallest.
  Tensor operator()(const Tensor& x, const Tensor& indices, const std::vector<std::int64_t>& output_size = {});
  std::string kind() const override;
  std::string describe() const override;

  MaxUnpoolOptions<N> options;
};

template <int N>
struct AvgPoolLayerOptions {
  Extent<N> stride = 0;  ///< 0: the kernel's size
  Extent<N> padding = 0;
  bool ceil_mode = false;
  bool count_include_pad = true;  ///< divide by what a window spans, padding included
  std::optional<std::int64_t> divisor_override = {};
};

/// The mean of each window of x (N, C, S…) or (C, S…).
template <int N>
class AvgPool : public Module {
 public:
  using Options = AvgPoolLayerOptions<N>;
  explicit AvgPool(Extent<N> kernel_size, const Options& given = {}) : AvgPool(nullptr, "", kernel_size, given) {}
  AvgPool(Module* parent, std::string name, Extent<N> kernel_size, const Options& given = {});
  Tensor forward(const Tensor& x) override;
  std::string kind() const override;
  std::string describe() const override;

  AvgPoolOptions<N> options;
};

/// The mean of as many windows as `output_size` says; -1 keeps the input's size.
template <int N>
class AdaptiveAvgPool : public Module {
 public:
  explicit AdaptiveAvgPool(Extent<N> output_size) : AdaptiveAvgPool(nullptr, "", output_size) {}
  AdaptiveAvgPool(Module* parent, std::string name, Extent<N> output_size);
  Tensor forward(const Tensor& x) override;
  std::string kind() const override;
  std::string describe() const override;

  AdaptivePoolOptions<N> options;
};

/// The same with the maximum.
template <int N>
class AdaptiveMaxPool : public Module {
 public:
  explicit AdaptiveMaxPool(Extent<N> output_size) : AdaptiveMaxPool(nullptr, "", output_size) {}
  AdaptiveMaxPool(Module* parent, std::string name, Extent<N> output_size);
  Tensor forward(const Tensor& x) override;
  std::string kind() const override;
  std::string describe() const override;

  AdaptivePoolOptions<N> options;
};

#define DUET_POOL_LAYER(Layer)    \
  extern template class Layer<1>; \
  extern template class Layer<2>; \
  extern template class Layer<3>; \
  using Layer##1d = Layer<1>;     \
  using Layer##2d = Layer<2>;     \
  using Layer##3d = Layer<3>;
DUET_POOL_LAYER(MaxPool)
DUET_POOL_LAYER(MaxUnpool)
DUET_POOL_LAYER(AvgPool)
DUET_POOL_LAYER(AdaptiveAvgPool)
DUET_POOL_LAYER(AdaptiveMaxPool)
#undef DUET_POOL_LAYER

}  // namespace duet::nn
