// Changing the resolution of images: interpolation, and moves between channels and space. Also the linear pair that
// average pools and interpolation share.
#pragma once

#include <optional>
#include <vector>

#include <duet/core/options.hpp>
#include <duet/core/tensor.hpp>

namespace duet {

/// How interpolate() finds a value between pixels.
enum class InterpolateMode { nearest, nearest_exact, linear, bilinear, trilinear, bicubic, area };

struct InterpolateOptions {
  std::vector<std::int64_t> size = {};    ///< output sizes, one for all or one a dimension; or
  std::vector<double> scale_factor = {};  ///< factors, one for all or one a dimension: floor(size · factor)
  InterpolateMode mode = InterpolateMode::nearest;
  bool align_corners = false;  ///< corner pixels' centres coincide, not their outer edges; linear and cubic modes only
  bool recompute_scale_factor = false;  ///< take the ratio of the sizes for the factor, once that has set the size
  void fields(FieldVisitor& visitor) {
    static constexpr const char* modes[] = {"nearest", "nearest-exact", "linear", "bilinear", "trilinear", "bicubic", "area"};
    visitor.field("size", size);
    visitor.field("scale_factor", scale_factor);
    visitor.choice("mode", mode, modes);
    visitor.field("align_corners", align_corners);
    visitor.field("recompute_scale_factor", recompute_scale_factor);
  }
};

/// x (N, C, S...) with one to three S at another size. linear needs one S, bilinear and bicubic two, trilinear three;
/// the others take any. bicubic is Keys' kernel with a = -0.75. ShapeError for ranks that do not fit, ValueError for
/// neither or both of size and scale_factor, or a size below 1.
Tensor interpolate(const Tensor& x, const InterpolateOptions& options);

/// What becomes of one axis in a separable linear map.
enum class ResampleMethod { window, adaptive, nearest, nearest_exact, linear, cubic };

/// A separable map of the last dimensions, one entry each: `large` of them become `small`.
class ResampleGeometry {
 public:
  ResampleGeometry() {}  // user-provided, so that a list in braces can only mean the options
  ResampleMethod method = ResampleMethod::window;
  Shape large, small;
  Shape kernel, stride, padding;                 ///< of windows
  bool count_include_pad = true;                 ///< windows divide by what they span, padding included
  std::optional<std::int64_t> divisor_override;  ///< or by this
  bool align_corners = false;                    ///< of linear and cubic
  std::vector<double> scale;                     ///< inputs an output, one a dimension, where sizes do not say it
  void fields(FieldVisitor& visitor);
};

/// Average pooling and interpolation as one linear op, and its adjoint. x ends in geometry.large, g in geometry.small,
/// behind any number of dimensions (ShapeError). f32 or f64 (DtypeError).
Tensor resample(const Tensor& x, const ResampleGeometry& geometry);
Tensor resample_backward(const Tensor& g, const ResampleGeometry& geometry);  ///< its adjoint, see resample()

struct PixelShuffleOptions {
  std::int64_t upscale_factor = 1;
  void fields(FieldVisitor& visitor) { visitor.field("upscale_factor", upscale_factor); }
};
struct PixelUnshuffleOptions {
  std::int64_t downscale_factor = 1;
  void fields(FieldVisitor& visitor) { visitor.field("downscale_factor", downscale_factor); }
};

/// (..., C·r², H, W) to (..., C, H·r, W·r) (Shi et al. 2016), and back. ShapeError where r² does not divide the
/// channels, or r the sizes; ValueError for r below 1.
Tensor pixel_shuffle(const Tensor& x, std::int64_t upscale_factor);
Tensor pixel_unshuffle(const Tensor& x, std::int64_t downscale_factor);  ///< see pixel_shuffle()

}  // namespace duet
