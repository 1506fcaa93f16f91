// The U-Net (Ronneberger, Fischer and Brox, "U-Net: convolutional networks for biomedical image segmentation", 2015,
// arXiv:1505.04597), padded so that outputs have the size of inputs, with batch norm; for images and for volumes
// (Çiçek et al., "3D U-Net", 2016, arXiv:1606.06650), with the variants that are in use.
#pragma once

#include <duet/nn/container.hpp>
#include <duet/nn/models/description.hpp>

namespace duet::nn {

/// How the way up doubles the size.
enum class UNetUpsampling {
  transpose,      ///< transposed convolution of stride 2
  nearest,        ///< pixels repeated, then a convolution 3×3 (Odena et al. 2016)
  bilinear,       ///< values between pixels (trilinear in volumes), then a convolution 3×3
  pixel_shuffle,  ///< a convolution 3×3 to 2^rank times the channels, which become pixels (Shi et al. 2016)
};

/// What stands after each convolution. Group and instance norm look at one sample alone, in training and evaluation
/// alike, which suits batches of one or two; they need more than one pixel on the lowest level.
enum class UNetNormalization { batch, group, instance };

struct UNetOptions {
  std::int64_t in_channels = 1;
  std::int64_t out_channels = 1;    ///< 1 logit for two classes, else one a class
  std::int64_t base_channels = 16;  ///< of the first level; each level below has twice as many
  std::int64_t depth = 4;           ///< levels
  std::int64_t rank = 2;            ///< 2: images (N, C, H, W); 3: volumes (N, C, D, H, W)
  UNetUpsampling up = UNetUpsampling::transpose;
  UNetNormalization norm = UNetNormalization::batch;  ///< groups are of 8 channels, or what divides
  bool residual = false;   ///< a block adds its input, by a convolution 1×1 where channels differ (He et al. 2015)
  bool attention = false;  ///< gates on what the way down kept (Oktay et al. 2018, arXiv:1804.03999)
  double dropout = 0;      ///< share of channels that a block's output loses in training, in [0, 1)
  /// A head on each level of the way up, for scales() (Lee et al. 2015, arXiv:1409.5185); of three levels or more.
  bool deep_supervision = false;
};

/// Twice: convolution 3×3, norm, ReLU.
class UNetBlock : public Module {
 public:
  UNetBlock(std::int64_t in_channels, std::int64_t out_channels, const UNetOptions& options);
  Tensor forward(const Tensor& x) override;

  std::unique_ptr<Module> conv1, norm1, conv2, norm2;  ///< the norms are named bn1, bn2 where they are batch norms
  std::unique_ptr<Module> shortcut;  ///< null: the input itself, or nothing if the block is not residual

 private:
  bool residual_, relu_in_norm_;
  double dropout_;
};

/// Weighs each pixel of what the way down kept: a(s, g) = sigmoid(psi(relu(skip(s) + gate(g)))) s.
class UNetGate : public Module {
 public:
  UNetGate(Module* parent, std::string name, std::int64_t channels, std::int64_t rank);
  Tensor operator()(const Tensor& kept, const Tensor& up);
  Tensor forward(const Tensor& kept, const Tensor& up);  ///< kept, weighed

  std::unique_ptr<Module> skip, gate, psi;

 private:
  using Module::forward;
};

/// Doubles the size, joins what the way down kept, and runs a block over both.
class UNetUp : public UNetBlock {
 public:
  /// From twice `channels` to `channels`.
  UNetUp(std::int64_t channels, const UNetOptions& options);
  /// `kept` may be larger than twice x by one along each axis. It is the caller's to move here: once joined, nobody
  /// reads it again, and its memory is free for the block.
  Tensor operator()(const Tensor& x, Tensor kept);
  Tensor forward(const Tensor& x, Tensor kept);  ///< x of twice the size, joined

  std::unique_ptr<Module> upconv;
  std::unique_ptr<Module> attention;  ///< a UNetGate; null: what was kept is joined as it is
  std::unique_ptr<Module> head;       ///< to logits of this scale; null without deep supervision, and on the last

 private:
  using UNetBlock::forward;
  Tensor upsampled(const Tensor& x, const Shape& size);
  Tensor merged(const Tensor& x, const Tensor& kept);
  UNetUpsampling up_;
};

/// x (N, in_channels, H, W) to logits (N, out_channels, H, W), for any H and W of at least 2^(depth − 1); with one D
/// more in front of H where rank is 3.
class UNet : public Module {
 public:
  using Options = UNetOptions;
  /// ValueError for an option out of range.
  explicit UNet(const Options& given = {}) : UNet(nullptr, "", given) {}
  UNet(Module* parent, std::string name, const Options& given = {});
  Tensor forward(const Tensor& x) override;
  /// What forward() gives and, with deep supervision, logits of half the size (rounded down), a quarter, … as far as
  /// the way up goes: with losses of their own they train the lower levels. forward() alone does not compute them.
  Tensors scales(const Tensor& x);
  std::string describe() const override;

  /// Pixels of x for one of the lowest level: 2^(depth − 1). A tile that begins at a multiple of it sees the same grid
  /// as the whole image.
  std::int64_t stride() const { return std::int64_t{1} << (options.depth - 1); }
  /// How far an output pixel can see along an axis, rounded up to a multiple of stride(). (A norm that is not batch
  /// norm looks at all of a tile, wherever that ends.)
  std::int64_t reach() const;

  /// Writes weights, options and `description` into one safetensors file, whole or not at all.
  void save(const std::string& path, const ModelDescription& description = {}) const;
  /// The model in a file that save() wrote, with `description` filled in where it is given. IoError for a file that is
  /// broken or of another architecture, ValueError for tensors that do not fit its options.
  static std::unique_ptr<UNet> load(const std::string& path, ModelDescription* description = nullptr);

  Options options;
  ModuleList<UNetBlock> down{this, "down"};
  ModuleList<UNetUp> up{this, "up"};
  std::unique_ptr<Module> head;

 private:
  /// Logits; those of the lower levels are put into `coarse`, if it is given, the lowest first.
  Tensor run(const Tensor& x, Tensors* coarse);
};

}  // namespace duet::nn
