// Super-resolution after ESPCN (Shi et al. 2016, arXiv:1609.05158): convolutions at the small size, one step to the
// large one, in any of the four ways of UpsampleBlock, added to bicubic interpolation.
#pragma once

#include <memory>
#include <string>

#include <duet/nn/conv.hpp>
#include <duet/nn/models/description.hpp>
#include <duet/nn/upsample.hpp>

namespace duet::nn {

struct SuperResolutionOptions {
  std::int64_t channels = 1;
  std::int64_t scale = 2;
  std::int64_t width = 64;  ///< channels of the first layers
  Upsampler upsampler = Upsampler::pixel_shuffle;
  bool smooth_init = true;  ///< see UpsampleOptions
};

/// x (N, channels, H, W) to (N, channels, H·scale, W·scale). The net adds to interpolate(x, bicubic), so it has only
/// the details to learn.
class SuperResolution : public Module {
 public:
  using Options = SuperResolutionOptions;
  /// ValueError for an option out of range.
  explicit SuperResolution(const Options& given = {}) : SuperResolution(nullptr, "", given) {}
  SuperResolution(Module* parent, std::string name, const Options& given = {});
  Tensor forward(const Tensor& x) override;
  std::string describe() const override;

  /// Writes weights, options and `description` into one safetensors file, whole or not at all.
  void save(const std::string& path, const ModelDescription& description = {}) const;
  /// What save() wrote. IoError for a broken file or another architecture, ValueError for tensors that do not fit.
  static std::unique_ptr<SuperResolution> load(const std::string& path, ModelDescription* description = nullptr);

  Options options;
  Conv2d conv1, conv2;
  UpsampleBlock up;
};

}  // namespace duet::nn
