// Listing and checking, then decoding on demand.
#include <duet/nn/data/image_folder.hpp>

#include <algorithm>
#include <filesystem>

#include <duet/core/fail.hpp>
#include <duet/core/raw.hpp>
#include <duet/nn/data/image_file.hpp>
#include <duet/nn/data/normalization.hpp>

namespace duet::data {
namespace {

namespace fs = std::filesystem;

/// Folders directly below, by name.
std::vector<std::string> folders_in(const std::string& folder) {
  std::error_code error;
  std::vector<std::string> names;
  for (fs::directory_iterator at(folder, error), end; !error && at != end; at.increment(error))
    if (at->is_directory()) names.push_back(at->path().filename().string());
  if (error) fail<IoError>("ImageFolder", "cannot read the folder {}: {}", folder, error.message());
  std::sort(names.begin(), names.end());
  return names;
}

}  // namespace

ImageFolder::ImageFolder(const std::string& folder, const ImageFolderOptions& options) {
  if (options.channels != 0 && options.channels != 1 && options.channels != 3)
    fail<ValueError>("ImageFolder", "channels must be 0, 1 or 3, got {}", options.channels);
  for (const std::string& name : folders_in(folder)) {
    const auto files = list_images((fs::path(folder) / name).string());
    if (files.empty()) continue;
    for (const ImageFile& file : files) entries_.push_back({file.path, static_cast<std::int64_t>(classes_.size())});
    classes_.push_back(name);
  }
  if (classes_.empty()) {
    for (const ImageFile& file : list_images(folder)) entries_.push_back({file.path, 0});
    classes_.emplace_back();
  }
  if (entries_.empty()) fail<IoError>("ImageFolder", "{} has no images, and no folders with some", folder);
  for (const Entry& entry : entries_) {
    const ImageInfo info = read_image_info(entry.path);
    if (info.height * info.width > options.max_pixels)
      fail<IoError>("ImageFolder", "{} has {} x {} pixels, more than {}", entry.path, info.height, info.width,
                    options.max_pixels);
    const Shape shape{options.channels != 0                             ? options.channels
                      : info.palette || info.channels - info.alpha >= 3 ? 3
                                                                        : 1,
                      info.height, info.width};
    if (shape_.empty()) shape_ = shape;
    if (shape != shape_)
      fail<ShapeError>("ImageFolder", "images differ: {} is {} and {} is {} (channels, height, width)",
                       entries_.front().path, shape_, entry.path, shape);
  }
}

std::int64_t ImageFolder::size() const { return static_cast<std::int64_t>(entries_.size()); }
std::int64_t ImageFolder::label(std::int64_t i) const { return entries_.at(static_cast<std::size_t>(i)).label; }
const std::string& ImageFolder::path(std::int64_t i) const { return entries_.at(static_cast<std::size_t>(i)).path; }

Sample ImageFolder::get(std::int64_t index, Generator&) const {
  if (index < 0 || index >= size()) fail<ValueError>("ImageFolder", "sample {} of {}", index, size());
  const Entry& entry = entries_[static_cast<std::size_t>(index)];
  const Tensor stored = read_image(entry.path, static_cast<int>(shape_[0]));
  if (stored.shape() != shape_)
    fail<IoError>("ImageFolder", "{} was {} when the folder was opened and is {} now", entry.path, shape_,
                  stored.shape());
  const Normalization none{std::vector<double>(static_cast<std::size_t>(shape_[0]), 0),
                           std::vector<double>(static_cast<std::size_t>(shape_[0]), 1)};
  return {normalize(stored, none), Tensor::scalar(static_cast<double>(entry.label), {.dtype = i64})};
}

}  // namespace duet::data
