// The U-Net (Ronneberger, Fischer and Brox, "U-Net: convolutional networks for biomedical image segmentation", 2015,
// arXiv:1505.04597), padded so that outputs have the size of inputs, with batch norm.
#pragma once

#include <duet/nn/container.hpp>
#include <duet/nn/conv.hpp>
#include <duet/nn/models/description.hpp>
#include <duet/nn/norm.hpp>

namespace duet::nn {

/// Twice: convolution 3×3, batch norm, ReLU.
class UNetBlock : public Module {
 public:
  UNetBlock(std::int64_t in_channels, std::int64_t out_channels);
  Tensor forward(const Tensor& x) override;

  Conv2d conv1;
  BatchNorm2d bn1;
  Conv2d conv2;
  BatchNorm2d bn2;
};

/// Doubles the size by a transposed convolution, joins what the way down kept, and runs a block over both.
class UNetUp : public UNetBlock {
 public:
  /// From twice `channels` to `channels`.
  explicit UNetUp(std::int64_t channels);
  /// `skip` may be larger than twice x by one row and one column.
  Tensor operator()(const Tensor& x, const Tensor& skip) {
    return call([&](const Tensor& deep, const Tensor& kept) { return forward(deep, kept); }, x, skip);
  }
  Tensor forward(const Tensor& x, const Tensor& skip);

  ConvTranspose2d upconv;

 private:
  using UNetBlock::forward;
};

struct UNetOptions {
  std::int64_t in_channels = 1;
  std::int64_t out_channels = 1;   ///< 1 logit for two classes, else one a class
  std::int64_t base_channels = 16;  ///< of the first level; each level below has twice as many
  std::int64_t depth = 4;          ///< levels
};

/// x (N, in_channels, H, W) to logits (N, out_channels, H, W), for any H and W of at least 2^(depth − 1).
class UNet : public Module {
 public:
  using Options = UNetOptions;
  /// ValueError for an option below 1.
  explicit UNet(const Options& given = {}) : UNet(nullptr, "", given) {}
  UNet(Module* parent, std::string name, const Options& given = {});
  Tensor forward(const Tensor& x) override;
  std::string describe() const override;

  /// Writes weights, options and `description` into one safetensors file, whole or not at all.
  void save(const std::string& path, const ModelDescription& description = {}) const;
  /// The model in a file that save() wrote, with `description` filled in where it is given. IoError for a file that is
  /// broken or of another architecture, ValueError for tensors that do not fit its options.
  static std::unique_ptr<UNet> load(const std::string& path, ModelDescription* description = nullptr);

  Options options;
  ModuleList<UNetBlock> down{this, "down"};
  ModuleList<UNetUp> up{this, "up"};
  Conv2d head;
};

}  // namespace duet::nn
