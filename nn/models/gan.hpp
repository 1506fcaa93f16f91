// Generator and discriminator of DCGAN (Radford, Metz and Chintala 2015, arXiv:1511.06434) for square images, and the
// critic of WGAN-GP (Gulrajani et al. 2017, arXiv:1704.00028), which is the discriminator without batch norm.
//
// Both are Sequential, so their state has PyTorch's keys: "0.weight", "1.running_mean", …
#pragma once

#include <memory>
#include <string>

#include <duet/core/random.hpp>
#include <duet/nn/container.hpp>
#include <duet/nn/models/description.hpp>

namespace duet::nn {

struct GanOptions {
  std::int64_t image_size = 28;  ///< side: 4 to 7, doubled once or more: 8, 28, 32, 64, …
  std::int64_t channels = 1;
  std::int64_t latent = 64;         ///< numbers that a picture is made from
  std::int64_t base_channels = 64;  ///< at half the image's size; each halving doubles them
  /// Units of one more layer, between z and the generator's first picture and before the discriminator's answer (as in
  /// Chen et al. 2016, arXiv:1606.03657): strokes that lie apart then know of each other. 0: no such layer, as in
  /// DCGAN.
  std::int64_t hidden = 0;
};

/// z (N, latent) or (N, latent, 1, 1) to images (N, channels, size, size) in (−1, 1): conv_transpose2d to 4 to 7
/// pixels, then doublings by kernels of 4; batch norm and ReLU between, tanh at the end. Convolutions have no bias and
/// begin normal with deviation 0.02.
class GanGenerator : public Sequential {
 public:
  using Options = GanOptions;
  /// ValueError for an option out of range.
  explicit GanGenerator(const Options& given = {}) : GanGenerator(nullptr, "", given) {}
  GanGenerator(Module* parent, const std::string& name, const Options& given = {});
  Tensor forward(const Tensor& z) override;
  std::string kind() const override { return "GanGenerator"; }
  std::string describe() const override;

  /// (count, latent) of normal numbers in the dtype of the weights.
  Tensor noise(std::int64_t count, Generator& generator = default_generator()) const;

  /// Writes weights, options and `description` into one safetensors file, whole or not at all.
  void save(const std::string& path, const ModelDescription& description = {}) const;
  /// The same with other values of the state (an average of the weights).
  void save(const std::string& path, const NamedTensors& state, const ModelDescription& description = {}) const;
  /// What save() wrote. IoError for a broken file or another architecture, ValueError for tensors that do not fit.
  static std::unique_ptr<GanGenerator> load(const std::string& path, ModelDescription* description = nullptr);

  Options options;
};

/// What keeps a discriminator's layers in bounds.
enum class GanNorm {
  batch,     ///< batch norm: DCGAN
  none,      ///< nothing: WGAN-GP, whose penalty is of each image by itself
  spectral,  ///< every convolution is a SpectralNorm (Miyato et al. 2018)
};

/// Images to one number each, (N, 1, 1, 1): convolutions of 4 that halve, leaky ReLU of 0.2, and one over what is left
/// (to `hidden` units, if there are any, and from them to the number).
class GanDiscriminator : public Sequential {
 public:
  using Options = GanOptions;  // latent does not count
  explicit GanDiscriminator(const Options& given = {}, GanNorm norm = GanNorm::batch)
      : GanDiscriminator(nullptr, "", given, norm) {}
  GanDiscriminator(Module* parent, const std::string& name, const Options& given = {}, GanNorm norm = GanNorm::batch);
  Tensor forward(const Tensor& x) override;
  std::string kind() const override { return "GanDiscriminator"; }
  std::string describe() const override;

  Options options;
};

}  // namespace duet::nn
