// Moves between channels and space: each is one strided copy, and the other's adjoint.
#include <duet/ops/define.hpp>
#include <duet/ops/resample.hpp>

namespace duet {
namespace {

void require_image(const char* op, const Shape& x, std::int64_t factor) {
  if (x.rank() < 3) fail<ShapeError>(op, "x needs at least 3 dimensions (..., C, H, W), got {}", x);
  if (factor < 1 || factor > std::int64_t{1} << 31) fail<ValueError>(op, "the factor must be in [1, 2^31], got {}", factor);
}

/// The shape of pixel_shuffle's result.
Shape shuffled(const char* op, Shape x, std::int64_t factor) {
  require_image(op, x, factor);
  const int channels = x.rank() - 3;
  if (x[channels] % (factor * factor) != 0)
    fail<ShapeError>(op, "{} channels of x {} do not divide by {}²", x[channels], x, factor);
  x[channels] /= factor * factor;
  for (int i = 1; i <= 2; ++i) x[channels + i] = checked_mul(op, x[channels + i], factor);
  return x;
}

Shape unshuffled(const char* op, Shape x, std::int64_t factor) {
  require_image(op, x, factor);
  const int channels = x.rank() - 3;
  for (int i = 1; i <= 2; ++i) {
    if (x[channels + i] % factor != 0) fail<ShapeError>(op, "size {} of x {} does not divide by {}", x[channels + i], x, factor);
    x[channels + i] /= factor;
  }
  x[channels] = checked_mul(op, x[channels], factor * factor);
  return x;
}

/// The elements of `wide` (..., C, H·r, W·r), which lie in a row, in the order of (batch, C, r, r, H, W).
Tensor by_phase(const Tensor& wide, std::int64_t r) {
  const int channels = wide.rank() - 3;
  std::int64_t batch = 1;
  for (int i = 0; i < channels; ++i) batch *= wide.shape()[i];
  const std::int64_t planes = wide.shape()[channels], height = wide.shape()[channels + 1], width = wide.shape()[channels + 2];
  return raw::view(wide, {batch, planes, r, r, height / r, width / r},
                   {planes * height * width, height * width, width, 1, r * width, r});
}

template <class Options>
std::vector<Sample> pixel_samples(bool shuffle) {
  std::vector<Sample> samples;
  const auto add = [&](const char* name, Shape wide, std::int64_t r) {
    if (shuffle) wide = unshuffled("sample", wide, r);
    samples.push_back({name, {sample_normal(wide, samples.size())}, Options{r}});
  };
  add("two", {2, 2, 4, 6}, 2);
  add("three", {1, 2, 6, 9}, 3);
  add("one", {2, 3, 4, 5}, 1);
  add("unbatched", {2, 4, 6}, 2);
  add("column", {1, 2, 8, 2}, 2);
  add("row", {1, 2, 2, 8}, 2);
  add("channels", {1, 17, 2, 2}, 2);
  add("width", {1, 1, 2, 66}, 2);
  add("video", {2, 1, 2, 4, 4}, 2);
  add("single", {1, 1, 3, 3}, 3);
  add("large", {1, 1, 5, 10}, 5);
  add("batch", {5, 1, 4, 2}, 2);
  return samples;
}

}  // namespace

const OpPtr& pixel_shuffle_op() {
  static const OpPtr op = define({
      .name = "pixel_shuffle",
      .doc = "Channels laid out as pixels: (..., C r r, H, W) to (..., C, H r, W r).",
      .inputs = {"x"},
      .options = &options_type<PixelShuffleOptions>(),
      .shape_rule = [](const ShapeCall& c) -> Specs {
        return {{shuffled(c.name(), c[0].shape, c.opt<PixelShuffleOptions>().upscale_factor), c[0].dtype}};
      },
      .forward = [](const Call& c) -> Tensors {
        const Tensor out = c.empty(), x = raw::contiguous(c[0]);
        Tensor phases = by_phase(out, c.opt<PixelShuffleOptions>().upscale_factor);
        raw::copy(raw::view(x, phases.shape(), contiguous_strides(phases.shape())), phases);
        return {out};
      },
      .vjp = [](const Vjp& v) -> Tensors {
        return {pixel_unshuffle(v.cotangent(), v.opt<PixelShuffleOptions>().upscale_factor)};
      },
      .linear = {0},
      .dual = "pixel_unshuffle",
      .onnx = "DepthToSpace",
      .source = "Shi et al. 2016",
      .samples = [] { return pixel_samples<PixelShuffleOptions>(true); },
  });
  return op;
}

const OpPtr& pixel_unshuffle_op() {
  static const OpPtr op = define({
      .name = "pixel_unshuffle",
      .doc = "Pixels laid out as channels: (..., C, H r, W r) to (..., C r r, H, W).",
      .inputs = {"x"},
      .options = &options_type<PixelUnshuffleOptions>(),
      .shape_rule = [](const ShapeCall& c) -> Specs {
        return {{unshuffled(c.name(), c[0].shape, c.opt<PixelUnshuffleOptions>().downscale_factor), c[0].dtype}};
      },
      .forward = [](const Call& c) -> Tensors {
        const Tensor phases = by_phase(raw::contiguous(c[0]), c.opt<PixelUnshuffleOptions>().downscale_factor);
        return {raw::view(raw::clone(phases), c.spec().shape, contiguous_strides(c.spec().shape))};
      },
      .vjp = [](const Vjp& v) -> Tensors {
        return {pixel_shuffle(v.cotangent(), v.opt<PixelUnshuffleOptions>().downscale_factor)};
      },
      .linear = {0},
      .dual = "pixel_shuffle",
      .onnx = "SpaceToDepth",
      .samples = [] { return pixel_samples<PixelUnshuffleOptions>(false); },
  });
  return op;
}

Tensor pixel_shuffle(const Tensor& x, std::int64_t upscale_factor) {
  return apply1(pixel_shuffle_op(), {x}, PixelShuffleOptions{upscale_factor});
}
Tensor pixel_unshuffle(const Tensor& x, std::int64_t downscale_factor) {
  return apply1(pixel_unshuffle_op(), {x}, PixelUnshuffleOptions{downscale_factor});
}

}  // namespace duet
