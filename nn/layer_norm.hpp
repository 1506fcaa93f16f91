// Normalisation over trailing dimensions; over channels: norm.hpp.
#pragma once

#include <optional>

#include <duet/nn/module.hpp>

namespace duet::nn {

struct LayerNormOptions {
  double eps = 1e-5;
  bool elementwise_affine = true;  ///< learns a weight
  bool bias = true;                ///< and beside it a bias
};

/// Normalises the trailing dimensions `normalized_shape` of x together (Ba et al. 2016). weight and bias have that
/// shape and begin as ones and zeros. ValueError for a size below 1 or no size at all; ShapeError in forward if x does
/// not end in normalized_shape.
class LayerNorm : public Module {
 public:
  using Options = LayerNormOptions;
  explicit LayerNorm(const Shape& normalized, const Options& given = {}) : LayerNorm(nullptr, "", normalized, given) {}
  LayerNorm(Module* parent, std::string name, const Shape& normalized, const Options& given = {});
  Tensor forward(const Tensor& x) override;
  std::string describe() const override;

  Options options;
  Shape normalized_shape;
  Parameter weight, bias;
};

struct RMSNormOptions {
  std::optional<double> eps = {};  ///< none: the distance from 1 to the next number of x's dtype
  bool elementwise_affine = true;  ///< learns a weight
};

/// x / sqrt(mean(x²) + eps) · weight over the trailing dimensions (Zhang and Sennrich 2019). Errors as LayerNorm's.
class RMSNorm : public Module {
 public:
  using Options = RMSNormOptions;
  explicit RMSNorm(const Shape& normalized, const Options& given = {}) : RMSNorm(nullptr, "", normalized, given) {}
  RMSNorm(Module* parent, std::string name, const Shape& normalized, const Options& given = {});
  Tensor forward(const Tensor& x) override;
  std::string describe() const override;

  Options options;
  Shape normalized_shape;
  Parameter weight;
};

}  // namespace duet::nn
