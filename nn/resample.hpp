// Layers that change the resolution of images, and sliding windows as columns.
#pragma once

#include <duet/nn/module.hpp>
#include <duet/ops/resample.hpp>
#include <duet/ops/unfold.hpp>

namespace duet::nn {

/// interpolate() with fixed options: nn::Upsample{{.scale_factor = {2}, .mode = InterpolateMode::bilinear}}.
struct Upsample : Module {
  explicit Upsample(const InterpolateOptions& given) : Upsample(nullptr, "", given) {}
  /// ValueError for neither or both of size and scale_factor.
  Upsample(Module* parent, std::string name, const InterpolateOptions& given);
  Tensor forward(const Tensor& x) override;
  std::string describe() const override;
  InterpolateOptions options;
};

/// (…, C·r², H, W) to (…, C, H·r, W·r). ValueError for a factor below 1.
struct PixelShuffle : Module {
  explicit PixelShuffle(std::int64_t factor) : PixelShuffle(nullptr, "", factor) {}
  PixelShuffle(Module* parent, std::string name, std::int64_t factor);
  Tensor forward(const Tensor& x) override;
  std::string describe() const override;
  std::int64_t upscale_factor;
};

/// And back.
struct PixelUnshuffle : Module {
  explicit PixelUnshuffle(std::int64_t factor) : PixelUnshuffle(nullptr, "", factor) {}
  PixelUnshuffle(Module* parent, std::string name, std::int64_t factor);
  Tensor forward(const Tensor& x) override;
  std::string describe() const override;
  std::int64_t downscale_factor;
};

/// (N, C, H, W) to (N, C·kH·kW, L), one column a window.
struct Unfold : Module {
  explicit Unfold(const UnfoldOptions& given) : options(given) {}
  Unfold(Module* parent, std::string name, const UnfoldOptions& given)
      : Module(parent, std::move(name)), options(given) {}
  Tensor forward(const Tensor& x) override;
  std::string describe() const override;
  UnfoldOptions options;
};

/// The adjoint: columns added into an image.
struct Fold : Module {
  explicit Fold(const FoldOptions& given) : options(given) {}
  Fold(Module* parent, std::string name, const FoldOptions& given) : Module(parent, std::move(name)), options(given) {}
  Tensor forward(const Tensor& x) override;
  std::string describe() const override;
  FoldOptions options;
};

}  // namespace duet::nn
