// The four ways, each around one convolution.
#include <duet/nn/upsample.hpp>

#include <duet/core/raw.hpp>
#include <duet/core/tape.hpp>
#include <duet/nn/conv.hpp>
#include <duet/nn/layer.hpp>
#include <duet/ops/elementwise.hpp>
#include <duet/ops/resample.hpp>

namespace duet::nn {
namespace {

constexpr const char* names[] = {"nearest", "bilinear", "pixel-shuffle", "transposed"};

/// A random mixture of the channels, interpolated: every output channel is smooth from the start.
void bilinear_mixture(Tensor weight) {
  const NoGradGuard no_grad;
  Tensor kernel = Tensor::empty({1, 1, weight.size(2), weight.size(3)});
  init::bilinear_(kernel);
  Tensor mixture = Tensor::empty({weight.size(0), weight.size(1), 1, 1});
  init::kaiming_normal_(mixture, {.mode = init::FanMode::fan_out, .nonlinearity = init::Nonlinearity::relu});
  raw::copy(mixture * kernel, weight);
}

std::unique_ptr<Module> make_conv(std::int64_t in, std::int64_t out, Upsampler upsampler, const UpsampleOptions& o) {
  if (upsampler == Upsampler::transposed) {
    const std::int64_t kernel = 2 * o.scale - o.scale % 2;
    auto conv = std::make_unique<ConvTranspose2d>(
        in, out, kernel, ConvTranspose2dOptions{.stride = o.scale, .padding = o.scale / 2, .bias = o.bias});
    if (o.smooth_init) {
      bilinear_mixture(conv->weight);
      if (o.bias) init::zeros_(conv->bias);
    }
    return conv;
  }
  const bool shuffle = upsampler == Upsampler::pixel_shuffle;
  auto conv = std::make_unique<Conv2d>(in, shuffle ? out * o.scale * o.scale : out, o.kernel_size,
                                       Conv2dOptions{.padding = o.kernel_size / 2, .bias = o.bias});
  if (o.smooth_init && shuffle) init::icnr_(conv->weight, o.scale);
  if (o.smooth_init && o.bias) init::zeros_(conv->bias);
  return conv;
}

}  // namespace

const char* name(Upsampler upsampler) { return names[static_cast<std::size_t>(upsampler)]; }

Upsampler upsampler_from_name(const std::string& given) {
  for (const Upsampler upsampler : all_upsamplers)
    if (given == name(upsampler)) return upsampler;
  fail<ValueError>("UpsampleBlock", "'{}' is none of nearest, bilinear, pixel-shuffle, transposed", given);
}

UpsampleBlock::UpsampleBlock(Module* parent, std::string name, std::int64_t in_channels, std::int64_t out_channels,
                             Upsampler way, const Options& given)
    : Module(parent, std::move(name)), upsampler(way), options(given) {
  constexpr const char* layer = "UpsampleBlock";
  require_at_least(layer, "in_channels", in_channels, 1);
  require_at_least(layer, "out_channels", out_channels, 1);
  if (given.scale < 2 || given.scale > 16) fail<ValueError>(layer, "scale must be 2 to 16, got {}", given.scale);
  if (given.kernel_size < 1 || given.kernel_size % 2 == 0)
    fail<ValueError>(layer, "kernel_size must be odd, got {}", given.kernel_size);
  conv_ = make_conv(in_channels, out_channels, way, given);
  register_heap_child("conv", *conv_);
}

Tensor UpsampleBlock::forward(const Tensor& x) {
  const auto scale = static_cast<double>(options.scale);
  switch (upsampler) {
    case Upsampler::nearest:
      return (*conv_)(interpolate(x, {.scale_factor = {scale}}));
    case Upsampler::bilinear:
      return (*conv_)(interpolate(x, {.scale_factor = {scale}, .mode = InterpolateMode::bilinear}));
    case Upsampler::pixel_shuffle:
      return pixel_shuffle((*conv_)(x), options.scale);
    default:
      return (*conv_)(x);
  }
}

std::string UpsampleBlock::describe() const { return fmt::format("{}, scale={}", nn::name(upsampler), options.scale); }

}  // namespace duet::nn
