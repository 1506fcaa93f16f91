// Pairs of images, patches of them, and scores of what was made of the small ones.
#include <algorithm>
#include <chrono>
#include <filesystem>

#include <duet/core/raw.hpp>
#include <duet/core/tape.hpp>
#include <duet/nn/data/crop.hpp>
#include <duet/nn/data/image_file.hpp>
#include <duet/nn/data/image_set.hpp>
#include <duet/ops/elementwise.hpp>
#include <duet/ops/resample.hpp>
#include <duet/ops/shape.hpp>

#include "common/canvas.hpp"
#include "common/spectrum.hpp"
#include "superres/image_quality.hpp"
#include "superres/superres_training.hpp"

namespace duet::examples {
namespace {

constexpr std::int64_t spectrum_block = 64;
constexpr std::int64_t generated_size = 256;

Tensor unit_plane(const Tensor& image) {
  const Tensor plane = reshape(image, {image.size(-2), image.size(-1)});
  return plane.dtype() == u8 ? to(plane, f32) / 255.0 : plane;
}

Tensor as_batch(const Tensor& plane) { return reshape(plane, {1, 1, plane.size(0), plane.size(1)}); }

Tensor unit_range(const Tensor& batch) {
  return clamp(reshape(batch, {batch.size(2), batch.size(3)}), {.min = 0, .max = 1});
}

}  // namespace

std::vector<ImagePair> load_pairs(const std::string& folder, std::int64_t generated, std::int64_t scale) {
  std::vector<ImagePair> pairs;
  const auto add = [&](const std::string& name, const Tensor& image) {
    const Tensor whole = unit_plane(image), small = reduce_bicubic(whole, scale);
    const Tensor large = contiguous(slice(slice(whole, 0, 0, small.size(0) * scale), 1, 0, small.size(1) * scale));
    if (large.size(0) < spectrum_block || large.size(1) < spectrum_block)
      fail<ValueError>("superres", "{} is {}: at least {} x {} pixels are needed", name, large.shape(), spectrum_block,
                       spectrum_block);
    pairs.push_back({name, large, small});
  };
  if (folder.empty()) {
    for (std::int64_t i = 0; i < generated; ++i)
      add(fmt::format("{:03}", i), data::synthetic_membrane(i, {.size = generated_size, .noise = 0.02}).image);
    return pairs;
  }
  const std::filesystem::path below = std::filesystem::path(folder) / "image";
  const std::string place = std::filesystem::is_directory(below) ? below.string() : folder;
  for (const data::ImageFile& file : data::list_images(place)) add(file.stem, data::read_image(file.path, 1));
  if (pairs.empty()) fail<IoError>("superres", "{} has no images", place);
  return pairs;
}

PatchPairs::PatchPairs(std::vector<ImagePair> pairs, std::int64_t scale, std::int64_t patch, std::int64_t count)
    : pairs_(std::move(pairs)), scale_(scale), patch_(patch), count_(count) {
  for (const ImagePair& pair : pairs_)
    if (pair.small.size(0) < patch || pair.small.size(1) < patch)
      fail<ValueError>("--patch", "a patch of {} pixels does not fit into {}, which is {} when small", patch, pair.name,
                       pair.small.shape());
}

data::Sample PatchPairs::get(std::int64_t, Generator& random) const {
  const ImagePair& pair = pairs_[static_cast<std::size_t>(random.integer(0, static_cast<std::int64_t>(pairs_.size())))];
  data::CropPlace place;
  place.top = random.integer(0, pair.small.size(0) - patch_ + 1);
  place.left = random.integer(0, pair.small.size(1) - patch_ + 1);
  place.transpose = random.integer(0, 2) == 1;
  place.flip_y = random.integer(0, 2) == 1;
  place.flip_x = random.integer(0, 2) == 1;
  const auto planes = [](const Tensor& plane) {
    return raw::view(plane, {1, plane.size(0), plane.size(1)}, {plane.numel(), plane.size(1), 1});
  };
  data::Sample sample;
  sample.image = data::crop(planes(pair.small), patch_, place);
  place.top *= scale_;
  place.left *= scale_;
  sample.target = data::crop(planes(pair.large), patch_ * scale_, place);
  return sample;
}

Tensor enlarge(nn::SuperResolution& net, const Tensor& small) {
  const NoGradGuard no_grad;
  return unit_range(net(as_batch(small)));
}

Tensor enlarge_bicubic(const Tensor& small, std::int64_t scale) {
  const NoGradGuard no_grad;
  return unit_range(
      interpolate(as_batch(small), {.scale_factor = {static_cast<double>(scale)}, .mode = InterpolateMode::bicubic}));
}

Tensor smoothed(const Tensor& small) {
  constexpr std::int64_t coarse = 16;
  return enlarge_bicubic(reduce_bicubic(small, coarse), coarse);
}

Quality quality_of(const std::vector<ImagePair>& pairs, std::int64_t scale,
                   FunctionRef<Tensor(const Tensor&)> make_large) {
  const NoGradGuard no_grad;
  Quality mean;
  const auto share = 1 / static_cast<double>(pairs.size());
  Tensor spectrum, of_smooth;
  for (const ImagePair& pair : pairs) {
    const auto start = std::chrono::steady_clock::now();
    const Tensor large = make_large(pair.small);
    mean.milliseconds +=
        share * std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count();
    mean.psnr += share * psnr(large, pair.large);
    mean.ssim += share * ssim(large, pair.large);
    const Tensor power = power_spectrum(large - pair.large, spectrum_block);
    const Tensor smooth = power_spectrum(make_large(smoothed(pair.small)), spectrum_block);
    spectrum = spectrum.defined() ? spectrum + power : power;
    of_smooth = of_smooth.defined() ? of_smooth + smooth : smooth;
  }
  mean.checkerboard = checkerboard_decibels(spectrum, scale);
  mean.pattern = 255 * checkerboard_strength(of_smooth * share, scale);
  return mean;
}

Tensor comparison_picture(const ImagePair& pair, std::int64_t scale, const std::vector<Tensor>& enlarged) {
  const std::int64_t side = std::min<std::int64_t>({96, pair.large.size(0), pair.large.size(1)}) / scale * scale;
  const std::int64_t top = (pair.small.size(0) - side / scale) / 2, left = (pair.small.size(1) - side / scale) / 2;
  const auto cut = [](const Tensor& plane, std::int64_t y, std::int64_t x, std::int64_t size) {
    return slice(slice(plane, 0, y, y + size), 1, x, x + size);
  };
  constexpr std::int64_t zoom = 3;
  std::vector<Tensor> panels{as_picture(cut(pair.small, top, left, side / scale), zoom * scale)};
  for (const Tensor& plane : enlarged) panels.push_back(as_picture(cut(plane, top * scale, left * scale, side), zoom));
  panels.push_back(as_picture(cut(pair.large, top * scale, left * scale, side), zoom));
  return mosaic(panels, static_cast<std::int64_t>(panels.size()), 6);
}

}  // namespace duet::examples
