// Each module calls its op.
#include <duet/nn/resample.hpp>

#include <duet/nn/layer.hpp>

namespace duet::nn {

Upsample::Upsample(Module* parent, std::string name, const InterpolateOptions& given)
    : Module(parent, std::move(name)), options(given) {
  if (options.size.empty() == options.scale_factor.empty())
    fail<ValueError>("Upsample", "needs either size or scale_factor");
}
Tensor Upsample::forward(const Tensor& x) { return interpolate(x, options); }
std::string Upsample::describe() const { return to_string(AnyOptions(options)); }

PixelShuffle::PixelShuffle(Module* parent, std::string name, std::int64_t factor)
    : Module(parent, std::move(name)), upscale_factor(factor) {
  require_at_least("PixelShuffle", "upscale_factor", factor, 1);
}
Tensor PixelShuffle::forward(const Tensor& x) { return pixel_shuffle(x, upscale_factor); }
std::string PixelShuffle::describe() const { return fmt::format("upscale_factor={}", upscale_factor); }

PixelUnshuffle::PixelUnshuffle(Module* parent, std::string name, std::int64_t factor)
    : Module(parent, std::move(name)), downscale_factor(factor) {
  require_at_least("PixelUnshuffle", "downscale_factor", factor, 1);
}
Tensor PixelUnshuffle::forward(const Tensor& x) { return pixel_unshuffle(x, downscale_factor); }
std::string PixelUnshuffle::describe() const { return fmt::format("downscale_factor={}", downscale_factor); }

Tensor Unfold::forward(const Tensor& x) { return unfold(x, options); }
std::string Unfold::describe() const { return to_string(AnyOptions(options)); }

Tensor Fold::forward(const Tensor& x) { return fold(x, options); }
std::string Fold::describe() const { return to_string(AnyOptions(options)); }

}  // namespace duet::nn
