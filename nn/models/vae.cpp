// Encoder, decoder and the bound that trains them.
#include <duet/nn/models/vae.hpp>

#include <duet/nn/layer.hpp>
#include <duet/ops/activation.hpp>
#include <duet/ops/elementwise.hpp>
#include <duet/ops/loss.hpp>
#include <duet/ops/reduce.hpp>
#include <duet/ops/shape.hpp>

namespace duet::nn {
namespace {

constexpr const char* architecture = "Vae";

const VaeOptions& checked(const VaeOptions& o) {
  if (o.image_size < 4 || o.image_size > 4096 || o.image_size % 4 != 0)
    fail<ValueError>(architecture, "image_size must be a multiple of 4 up to 4096, got {}", o.image_size);
  require_at_least(architecture, "channels", o.channels, 1);
  require_at_least(architecture, "latent", o.latent, 1);
  require_at_least(architecture, "base_channels", o.base_channels, 1);
  return o;
}

/// Numbers of an image at a quarter of its size.
std::int64_t inner(const VaeOptions& o) { return 2 * o.base_channels * (o.image_size / 4) * (o.image_size / 4); }

}  // namespace

Vae::Vae(Module* parent, std::string name, const Options& given)
    : Module(parent, std::move(name)),
      options(checked(given)),
      down1(this, "down1", given.channels, given.base_channels, 4, {.stride = 2, .padding = 1}),
      down2(this, "down2", given.base_channels, 2 * given.base_channels, 4, {.stride = 2, .padding = 1}),
      to_code(this, "to_code", inner(given), 2 * given.latent),
      from_code(this, "from_code", given.latent, inner(given)),
      up1(this, "up1", 2 * given.base_channels, given.base_channels, 4, {.stride = 2, .padding = 1}),
      up2(this, "up2", given.base_channels, given.channels, 4, {.stride = 2, .padding = 1}) {}

Vae::Code Vae::encode(const Tensor& x) {
  const std::int64_t side = options.image_size;
  if (x.rank() != 4 || x.size(1) != options.channels || x.size(2) != side || x.size(3) != side)
    fail<ShapeError>(architecture, "needs x (N, {}, {}, {}), got {}", options.channels, side, side, x.shape());
  const Tensor both = to_code(flatten(relu(down2(relu(down1(x)))), 1));
  return {slice(both, 1, 0, options.latent), slice(both, 1, options.latent, 2 * options.latent)};
}

Tensor Vae::decode(const Tensor& z) {
  if (z.rank() != 2 || z.size(1) != options.latent)
    fail<ShapeError>(architecture, "needs z (N, {}), got {}", options.latent, z.shape());
  const std::int64_t side = options.image_size / 4;
  return up2(relu(up1(reshape(relu(from_code(z)), {z.size(0), 2 * options.base_channels, side, side}))));
}

Tensor Vae::forward(const Tensor& x) { return decode(encode(x).mean); }

Tensor Vae::loss(const Tensor& x, Generator& generator) {
  const Code code = encode(x);
  const Tensor noise = randn(code.mean.shape(), {.dtype = x.dtype()}, generator);
  const Tensor logits = decode(code.mean + exp(code.log_variance * 0.5) * noise);
  const Tensor pixels = binary_cross_entropy_with_logits(logits, x, {.reduction = Reduction::sum});
  const Tensor divergence = sum(square(code.mean) + exp(code.log_variance) - code.log_variance - 1.0) * 0.5;
  return (pixels + divergence) / static_cast<double>(x.size(0));
}

std::string Vae::describe() const {
  return fmt::format("image_size={}, channels={}, latent={}, base_channels={}", options.image_size, options.channels,
                     options.latent, options.base_channels);
}

}  // namespace duet::nn
