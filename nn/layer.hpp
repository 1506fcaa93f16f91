// What layers share: their initial values and their description. Internal to nn: it needs fmt.
#pragma once

#include <cmath>

#include <duet/core/fail.hpp>
#include <duet/nn/init.hpp>
#include <duet/nn/module.hpp>

namespace duet::nn {

/// A weight that begins as PyTorch's layers do: kaiming_uniform with slope sqrt(5), that is uniform within
/// ±1/sqrt(fan_in).
inline Tensor uniform_weight(const Shape& shape) {
  Tensor weight = Tensor::empty(shape);
  if (weight.numel() > 0) init::kaiming_uniform_(weight, {.a = std::sqrt(5.0)});
  return weight;
}

/// The bias beside a weight: uniform within the same bound.
inline Tensor uniform_bias(std::int64_t size, const Shape& weight) {
  Tensor bias = Tensor::empty({size});
  const auto fan_in = static_cast<double>(init::fans(weight).in);
  const double bound = fan_in > 0 ? 1 / std::sqrt(fan_in) : 0;
  init::uniform_(bias, -bound, bound);
  return bias;
}

/// Throws ValueError in the layer's name unless `value` is at least `least`.
inline void require_at_least(const char* layer, const char* what, std::int64_t value, std::int64_t least) {
  if (value < least) fail<ValueError>(layer, "{} must be at least {}, got {}", what, least, value);
}

}  // namespace duet::nn
