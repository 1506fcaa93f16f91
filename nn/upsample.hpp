// UpsampleBlock: from (N, in, H, W) to (N, out, H·scale, W·scale), in one of four ways. They differ in the patterns
// that they tend to leave at the scale's frequency (Odena et al., "Deconvolution and checkerboard artifacts", 2016).
#pragma once

#include <memory>
#include <string>

#include <duet/nn/module.hpp>

namespace duet::nn {

enum class Upsampler {
  nearest,        ///< repeats pixels, then convolves
  bilinear,       ///< interpolates (align_corners off), then convolves
  pixel_shuffle,  ///< convolves to scale² times the channels, then spreads those (Shi et al. 2016, arXiv:1609.05158)
  transposed,     ///< conv_transpose2d with a kernel of 2·scale (scale odd: 2·scale − 1)
};
inline constexpr Upsampler all_upsamplers[] = {Upsampler::nearest, Upsampler::bilinear, Upsampler::pixel_shuffle,
                                               Upsampler::transposed};
/// "nearest", "bilinear", "pixel-shuffle", "transposed".
const char* name(Upsampler upsampler);
/// ValueError for a name that is none of these.
Upsampler upsampler_from_name(const std::string& name);

struct UpsampleOptions {
  std::int64_t scale = 2;        ///< 2 to 16
  std::int64_t kernel_size = 3;  ///< of the convolution, odd; a transposed one's follows from the scale
  bool bias = true;
  /// Begin without a pattern: pixel_shuffle by ICNR (Aitken et al. 2017, arXiv:1707.02937), transposed as bilinear
  /// interpolation of a random mixture of the channels; biases 0. Off: every weight as in any other layer.
  bool smooth_init = true;
};

/// x (N, in, H, W) to (N, out, H·scale, W·scale) in the way that `upsampler` says.
class UpsampleBlock : public Module {
 public:
  using Options = UpsampleOptions;
  /// ValueError for an option out of its range.
  UpsampleBlock(std::int64_t in_channels, std::int64_t out_channels, Upsampler way, const Options& given = {})
      : UpsampleBlock(nullptr, "", in_channels, out_channels, way, given) {}
  UpsampleBlock(Module* parent, std::string name, std::int64_t in_channels, std::int64_t out_channels, Upsampler way,
                const Options& given = {});
  Tensor forward(const Tensor& x) override;
  std::string describe() const override;

  Upsampler upsampler;
  Options options;

 private:
  std::unique_ptr<Module> conv_;  // the convolution, by the name "conv"
};

}  // namespace duet::nn
