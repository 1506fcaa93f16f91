// The U-Net's layers and forward. Its weight files: unet_file.cpp.
#include <duet/nn/models/unet.hpp>

#include <algorithm>
#include <numeric>

#include <duet/nn/conv.hpp>
#include <duet/nn/layer.hpp>
#include <duet/nn/models/unet_check.hpp>
#include <duet/nn/norm.hpp>
#include <duet/ops/activation.hpp>
#include <duet/ops/dropout.hpp>
#include <duet/ops/elementwise.hpp>
#include <duet/ops/pad.hpp>
#include <duet/ops/pool.hpp>
#include <duet/ops/resample.hpp>
#include <duet/ops/shape.hpp>

namespace duet::nn {
namespace {

using Part = std::unique_ptr<Module>;

/// A convolution that keeps the size.
Part make_conv(std::int64_t rank, std::int64_t in, std::int64_t out, std::int64_t kernel, bool bias) {
  const std::int64_t padding = kernel / 2;
  if (rank == 3) return std::make_unique<Conv3d>(in, out, kernel, Conv3dOptions{.padding = padding, .bias = bias});
  return std::make_unique<Conv2d>(in, out, kernel, Conv2dOptions{.padding = padding, .bias = bias});
}

/// A normalisation; one by the batch may have the relu in it.
Part make_norm(const UNetOptions& options, std::int64_t channels, bool relu) {
  if (options.norm == UNetNormalization::group)
    return std::make_unique<GroupNorm>(channels / std::gcd(channels, std::int64_t{8}), channels);
  if (options.norm == UNetNormalization::instance) {
    const InstanceNormOptions affine{.affine = true};
    if (options.rank == 3) return std::make_unique<InstanceNorm3d>(channels, affine);
    return std::make_unique<InstanceNorm2d>(channels, affine);
  }
  if (options.rank == 3) return std::make_unique<BatchNorm3d>(channels, BatchNormOptions{.relu = relu});
  return std::make_unique<BatchNorm2d>(channels, BatchNormOptions{.relu = relu});
}

/// Sizes along the image's axes.
Shape extent_of(const Tensor& x) { return Shape(std::span(x.shape().begin() + 2, x.shape().size() - 2)); }

/// Channels to pixels, 2 along each axis: pixel_shuffle for images, the same for volumes.
Tensor shuffled(const Tensor& x) {
  if (x.rank() == 4) return pixel_shuffle(x, 2);
  const std::int64_t n = x.size(0), c = x.size(1) / 8, d = x.size(2), h = x.size(3), w = x.size(4);
  return reshape(permute(reshape(x, {n, c, 2, 2, 2, d, h, w}), {0, 1, 5, 2, 6, 3, 7, 4}), {n, c, 2 * d, 2 * h, 2 * w});
}

/// x with its last pixel along an axis repeated where `size` wants one more than twice the half.
Tensor fitted(const Tensor& x, const Shape& size) {
  PadOptions options{.mode = PadMode::replicate};
  bool any = false;
  for (int axis = size.rank() - 1; axis >= 0; --axis) {
    const std::int64_t missing = size[axis] - x.size(axis + 2);
    options.pad.insert(options.pad.end(), {0, missing});
    any = any || missing != 0;
  }
  return any ? pad(x, options) : x;
}

Tensor doubled(const Tensor& x, bool between) {
  const InterpolateMode linear = x.rank() == 5 ? InterpolateMode::trilinear : InterpolateMode::bilinear;
  return interpolate(x, {.scale_factor = {2}, .mode = between ? linear : InterpolateMode::nearest});
}

}  // namespace

UNetBlock::UNetBlock(std::int64_t in_channels, std::int64_t out_channels, const UNetOptions& options)
    : residual_(options.residual), relu_in_norm_(options.norm == UNetNormalization::batch), dropout_(options.dropout) {
  const bool batch = relu_in_norm_;
  conv1 = make_conv(options.rank, in_channels, out_channels, 3, false);
  register_heap_child("conv1", *conv1);
  norm1 = make_norm(options, out_channels, true);
  register_heap_child(batch ? "bn1" : "norm1", *norm1);
  conv2 = make_conv(options.rank, out_channels, out_channels, 3, false);
  register_heap_child("conv2", *conv2);
  norm2 = make_norm(options, out_channels, !residual_);
  register_heap_child(batch ? "bn2" : "norm2", *norm2);
  if (!residual_ || in_channels == out_channels) return;
  shortcut = make_conv(options.rank, in_channels, out_channels, 1, false);
  register_heap_child("shortcut", *shortcut);
}

Tensor UNetBlock::forward(const Tensor& x) {
  Tensor y = (*norm1)((*conv1)(x));
  if (!relu_in_norm_) y = relu(y);
  y = (*conv2)(y);  // on a line of its own, so that what it read is gone before the norm makes the next
  y = (*norm2)(y);
  if (residual_) y = y + (shortcut ? (*shortcut)(x) : x);
  if (residual_ || !relu_in_norm_) y = relu(y);
  return dropout2d(y, {.p = dropout_, .training = is_training()});
}

UNetGate::UNetGate(Module* parent, std::string name, std::int64_t channels, std::int64_t rank)
    : Module(parent, std::move(name)) {
  const std::int64_t between = std::max<std::int64_t>(1, channels / 2);
  skip = make_conv(rank, channels, between, 1, false);
  register_heap_child("skip", *skip);
  gate = make_conv(rank, channels, between, 1, true);
  register_heap_child("gate", *gate);
  psi = make_conv(rank, between, 1, 1, true);
  register_heap_child("psi", *psi);
}

Tensor UNetGate::operator()(const Tensor& kept, const Tensor& up) {
  return call([&](const Tensor& a, const Tensor& b) { return forward(a, b); }, kept, up);
}

Tensor UNetGate::forward(const Tensor& kept, const Tensor& up) {
  return kept * sigmoid((*psi)(relu((*skip)(kept) + (*gate)(up))));
}

UNetUp::UNetUp(std::int64_t channels, const UNetOptions& options)
    : UNetBlock(2 * channels, channels, options), up_(options.up) {
  if (up_ == UNetUpsampling::transpose && options.rank == 3)
    upconv = std::make_unique<ConvTranspose3d>(2 * channels, channels, 2, ConvTranspose3dOptions{.stride = 2});
  else if (up_ == UNetUpsampling::transpose)
    upconv = std::make_unique<ConvTranspose2d>(2 * channels, channels, 2, ConvTranspose2dOptions{.stride = 2});
  else
    upconv = make_conv(options.rank, 2 * channels,
                       up_ == UNetUpsampling::pixel_shuffle ? channels << options.rank : channels, 3, true);
  register_heap_child("upconv", *upconv);
  if (options.attention) attention = std::make_unique<UNetGate>(this, "attention", channels, options.rank);
  if (!options.deep_supervision || channels == options.base_channels) return;
  head = make_conv(options.rank, channels, options.out_channels, 1, true);
  register_heap_child("head", *head);
}

Tensor UNetUp::upsampled(const Tensor& x, const Shape& size) {
  switch (up_) {
    case UNetUpsampling::transpose:
      if (size.rank() == 3) return static_cast<ConvTranspose3d&>(*upconv)(x, {size[0], size[1], size[2]});
      return static_cast<ConvTranspose2d&>(*upconv)(x, {size[0], size[1]});
    case UNetUpsampling::pixel_shuffle:
      return fitted(shuffled((*upconv)(x)), size);
    default:
      return (*upconv)(fitted(doubled(x, up_ == UNetUpsampling::bilinear), size));
  }
}

Tensor UNetUp::operator()(const Tensor& x, Tensor kept) {
  return call(
      [&](const Tensor& a, const Tensor& b) {
        Tensor own = b;
        kept = {};
        return forward(a, std::move(own));
      },
      x, kept);
}

Tensor UNetUp::merged(const Tensor& x, const Tensor& kept) {
  const Tensor larger = upsampled(x, extent_of(kept));
  return cat({attention ? static_cast<UNetGate&>(*attention)(kept, larger) : kept, larger}, 1);
}

Tensor UNetUp::forward(const Tensor& x, Tensor kept) {
  const Tensor both = merged(x, kept);
  kept = {};  // the parts are gone when the block runs
  return UNetBlock::forward(both);
}

UNet::UNet(Module* parent, std::string name, const Options& given)
    : Module(parent, std::move(name)), options((check_unet(given), given)) {
  head = make_conv(options.rank, options.base_channels, options.out_channels, 1, true);
  register_heap_child("head", *head);
  const auto width = [&](std::int64_t level) { return options.base_channels << level; };
  for (std::int64_t level = 0; level < options.depth; ++level)
    down.add(level == 0 ? options.in_channels : width(level - 1), width(level), options);
  for (std::int64_t level = options.depth - 2; level >= 0; --level) up.add(width(level), options);
}

Tensor UNet::forward(const Tensor& x) { return run(x, nullptr); }

Tensors UNet::scales(const Tensor& x) {
  return call(
      [&](const Tensor& given) {
        Tensors all;
        all.push_back(run(given, &all));
        std::reverse(all.begin(), all.end());
        return all;
      },
      x);
}

Tensor UNet::run(const Tensor& x, Tensors* coarse) {
  bool fits = x.rank() == options.rank + 2 && x.size(1) == options.in_channels;
  for (int axis = 2; axis < x.rank(); ++axis) fits = fits && x.size(axis) >= stride();
  if (!fits)
    fail<ShapeError>("UNet", "with {} levels needs x (N, {}, {}H, W) with {}H and W of at least {}, got {}",
                     options.depth, options.in_channels, options.rank == 3 ? "D, " : "", options.rank == 3 ? "D, " : "",
                     stride(), x.shape());
  Tensors kept;
  Tensor value = x;
  for (std::size_t level = 0; level < down.size(); ++level) {
    value = down[level](value);
    if (level + 1 == down.size()) break;
    kept.push_back(value);
    value = options.rank == 3 ? max_pool3d(value, 2) : max_pool2d(value, 2);
  }
  for (UNetUp& step : up) {
    Tensor own = std::move(kept.back());
    kept.pop_back();
    value = step(value, std::move(own));
    if (coarse != nullptr && step.head) coarse->push_back((*step.head)(value));
  }
  return (*head)(value);
}

std::int64_t UNet::reach() const {
  // Two convolutions 3×3 a block, on every level down and, but for the lowest, up; what the way up adds; and where in
  // its pool a pixel lies.
  std::int64_t pixels = 0;
  for (std::int64_t level = 0; level < options.depth; ++level) {
    const std::int64_t scale = std::int64_t{1} << level;
    pixels += 2 * scale + (level == 0 ? 0 : scale / 2);
    if (level + 1 == options.depth) break;
    pixels += 2 * scale;
    if (options.up == UNetUpsampling::nearest) pixels += scale;
    if (options.up == UNetUpsampling::bilinear) pixels += 3 * scale;
    if (options.up == UNetUpsampling::pixel_shuffle) pixels += 2 * scale;
  }
  return (pixels + stride() - 1) / stride() * stride();
}

std::string UNet::describe() const {
  std::string text = fmt::format("in_channels={}, out_channels={}, base_channels={}, depth={}", options.in_channels,
                                 options.out_channels, options.base_channels, options.depth);
  const std::string variant = unet_variant(options);
  return variant.empty() ? text : text + ", " + variant;
}

}  // namespace duet::nn
