// A small variational autoencoder (Kingma and Welling 2013, arXiv:1312.6114) for square images in [0, 1], decoded by
// transposed convolutions.
#pragma once

#include <string>

#include <duet/core/random.hpp>
#include <duet/nn/conv.hpp>
#include <duet/nn/linear.hpp>

namespace duet::nn {

struct VaeOptions {
  std::int64_t image_size = 28;  ///< side, a multiple of 4
  std::int64_t channels = 1;
  std::int64_t latent = 16;
  std::int64_t base_channels = 32;  ///< at half the size; twice as many at a quarter
};

/// x (N, channels, size, size) to logits of the same shape, by way of a code (N, latent).
class Vae : public Module {
 public:
  using Options = VaeOptions;
  /// ValueError for an option out of range.
  explicit Vae(const Options& given = {}) : Vae(nullptr, "", given) {}
  Vae(Module* parent, std::string name, const Options& given = {});

  /// The Gaussian of each image's code, both (N, latent).
  struct Code {
    Tensor mean, log_variance;
  };
  Code encode(const Tensor& x);  ///< x (N, channels, size, size)
  /// z (N, latent) to logits of the pixels, (N, channels, size, size).
  Tensor decode(const Tensor& z);
  /// Logits of x rebuilt from the means of its codes.
  Tensor forward(const Tensor& x) override;
  /// Minus the evidence lower bound in nats an image: cross entropy of the pixels plus the divergence of the codes from
  /// a standard normal, with codes drawn from `generator`.
  Tensor loss(const Tensor& x, Generator& generator = default_generator());
  std::string describe() const override;

  Options options;
  Conv2d down1, down2;
  Linear to_code, from_code;
  ConvTranspose2d up1, up2;
};

}  // namespace duet::nn
