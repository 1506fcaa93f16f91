// Whatever the source, one tensor of images and one of labels.
#include "digits/digit_data.hpp"

#include <algorithm>
#include <cmath>
#include <filesystem>

#include <duet/core/fail.hpp>
#include <duet/core/raw.hpp>
#include <duet/nn/data/idx.hpp>
#include <duet/nn/data/image_folder.hpp>
#include <duet/nn/data/synthetic_digits.hpp>
#include <duet/ops/elementwise.hpp>
#include <duet/ops/shape.hpp>

namespace duet::examples {
namespace {

namespace fs = std::filesystem;

std::vector<std::string> numbered(std::int64_t count) {
  std::vector<std::string> names;
  for (std::int64_t c = 0; c < count; ++c) names.push_back(std::to_string(c));
  return names;
}

/// The IDX files of images in a folder, by name.
std::vector<fs::path> idx_files(const std::string& folder) {
  std::vector<fs::path> files;
  std::error_code error;
  for (fs::directory_iterator at(folder, error), end; !error && at != end; at.increment(error))
    if (at->path().filename().string().find("images-idx3-ubyte") != std::string::npos) files.push_back(at->path());
  if (error) fail<IoError>("digits", "cannot read the folder {}: {}", folder, error.message());
  std::sort(files.begin(), files.end());
  return files;
}

/// The labels beside a file of images, packed like it or not.
std::string labels_beside(const fs::path& images) {
  std::string name = images.filename().string();
  name.replace(name.find("images-idx3-ubyte"), 17, "labels-idx1-ubyte");
  const std::string plain = name.ends_with(".gz") ? name.substr(0, name.size() - 3) : name;
  for (const std::string& candidate : {plain + ".gz", plain})
    if (fs::exists(images.parent_path() / candidate)) return (images.parent_path() / candidate).string();
  fail<IoError>("digits", "{} has no labels: there is no {} beside it", images.string(), plain);
}

DigitData read_idx_pairs(const std::vector<fs::path>& files) {
  Tensors images, labels;
  for (const fs::path& file : files) {
    const std::string of_labels = labels_beside(file);
    images.push_back(data::read_idx(file.string()));
    labels.push_back(data::read_idx(of_labels));
    const Shape &shape = images.back().shape(), &count = labels.back().shape();
    if (shape.rank() != 3 || images.back().dtype() != u8 || shape[1] != shape[2] || shape[1] != images[0].size(1))
      fail<ShapeError>("digits", "{} is {}: images must be square bytes, all of one size", file.string(),
                       to_string(spec_of(images.back())));
    if (count.rank() != 1 || labels.back().dtype() != u8 || count[0] != shape[0])
      fail<ValueError>("digits", "{} has {} images, {} has labels {}", file.string(), shape[0], of_labels,
                       to_string(spec_of(labels.back())));
  }
  const Tensor all = cat(images, 0), ids = to(cat(labels, 0), i64);
  if (all.size(0) == 0) fail<ValueError>("digits", "{} holds no images", files[0].string());
  std::int64_t most = 9;
  for (const double id : ids.to_vector()) most = std::max(most, static_cast<std::int64_t>(id));
  return {reshape(all, {all.size(0), 1, all.size(1), all.size(2)}), ids, numbered(most + 1)};
}

DigitData read_folder(const std::string& folder) {
  const data::ImageFolder set(folder);
  const Shape& shape = set.image_shape();
  if (shape[1] != shape[2])
    fail<ShapeError>("digits", "images must be square: {} is {} (channels, height, width)", set.path(0), shape);
  DigitData all{Tensor::empty({set.size(), shape[0], shape[1], shape[2]}, {.dtype = u8}),
                Tensor::empty({set.size()}, {.dtype = i64}), set.classes()};
  Generator none;
  for (std::int64_t i = 0; i < set.size(); ++i) {
    const data::Sample sample = set.get(i, none);
    const float* from = raw::data<float>(sample.image);
    std::uint8_t* pixels = raw::data<std::uint8_t>(all.images) + i * shape.numel();
    for (std::int64_t k = 0; k < shape.numel(); ++k)
      pixels[k] = static_cast<std::uint8_t>(std::lround(255 * std::clamp(from[k], 0.0f, 1.0f)));
    raw::data<std::int64_t>(all.labels)[i] = set.label(i);
  }
  return all;
}

}  // namespace

DigitData DigitData::part(std::int64_t begin, std::int64_t end) const {
  return {contiguous(slice(images, 0, begin, end)), contiguous(slice(labels, 0, begin, end)), classes};
}

std::string DigitData::hash() const {
  std::uint64_t state = 0xCBF29CE484222325u;
  for (const Tensor& tensor : {images, labels}) {
    const std::uint8_t* bytes = raw::data<std::uint8_t>(tensor);
    for (std::int64_t i = 0; i < tensor.bytes(); ++i) state = (state ^ bytes[i]) * 0x100000001B3u;
  }
  return fmt::format("fnv1a64:{:016x}", state);
}

DigitData load_digits(const std::string& folder, std::int64_t generated) {
  if (folder.empty()) {
    const data::Sample drawn = data::synthetic_digits(generated);
    return {drawn.image, drawn.target, numbered(10)};
  }
  const std::vector<fs::path> files = idx_files(folder);
  return files.empty() ? read_folder(folder) : read_idx_pairs(files);
}

DigitSplit split_digits(const DigitData& all, std::int64_t val) {
  if (val < 0 || val >= all.size())
    fail<ValueError>("--val", "takes {} of {} images, which leaves none to train on", val, all.size());
  const std::int64_t first = all.size() - val;
  return {all.part(0, first), all.part(first, all.size())};
}

Tensor unit_images(const Tensor& images) { return to(images, f32) / 255.0; }

}  // namespace duet::examples
