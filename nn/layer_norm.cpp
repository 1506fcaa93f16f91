// Layer and root-mean-square normalisation as modules.
#include <duet/nn/layer_norm.hpp>

#include <limits>

#include <duet/core/factory.hpp>
#include <duet/nn/layer.hpp>
#include <duet/ops/norm.hpp>

namespace duet::nn {
namespace {

void check_sizes(const char* layer, const Shape& normalized) {
  if (normalized.empty()) fail<ValueError>(layer, "normalized_shape needs at least one size");
  for (const std::int64_t size : normalized) require_at_least(layer, "every size of normalized_shape", size, 1);
}

}  // namespace

LayerNorm::LayerNorm(Module* parent, std::string name, const Shape& normalized, const Options& given)
    : Module(parent, std::move(name)),
      options(given),
      normalized_shape(normalized),
      weight(this, "weight"),
      bias(this, "bias") {
  check_sizes("LayerNorm", normalized);
  if (!options.elementwise_affine) return;
  weight = ones(normalized);
  if (options.bias) bias = zeros(normalized);
}

Tensor LayerNorm::forward(const Tensor& x) {
  return layer_norm(x, weight, bias, {.normalized_shape = normalized_shape, .eps = options.eps});
}

std::string LayerNorm::describe() const {
  return fmt::format("{}, eps={}, elementwise_affine={}, bias={}", normalized_shape, options.eps,
                     options.elementwise_affine, bias.defined());
}

RMSNorm::RMSNorm(Module* parent, std::string name, const Shape& normalized, const Options& given)
    : Module(parent, std::move(name)), options(given), normalized_shape(normalized), weight(this, "weight") {
  check_sizes("RMSNorm", normalized);
  if (options.elementwise_affine) weight = ones(normalized);
}

Tensor RMSNorm::forward(const Tensor& x) {
  const double spacing = x.dtype() == f64 ? std::numeric_limits<double>::epsilon()
                                          : static_cast<double>(std::numeric_limits<float>::epsilon());
  return rms_norm(x, weight, {.normalized_shape = normalized_shape, .eps = options.eps.value_or(spacing)});
}

std::string RMSNorm::describe() const {
  return fmt::format("{}, eps={}, elementwise_affine={}", normalized_shape,
                     options.eps ? fmt::format("{}", *options.eps) : "none", options.elementwise_affine);
}

}  // namespace duet::nn
