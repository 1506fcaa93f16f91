// ImageSet: images with a class for every pixel, from a pair of folders or from the generator.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <duet/core/tensor.hpp>
#include <duet/nn/data/synthetic.hpp>

namespace duet::data {

/// An image and its labels, in full size.
struct LabelledImage {
  Tensor image;  ///< (channels, height, width): u8, or f32 in [0, 1] from 16 bits
  Tensor label;  ///< (height, width) class ids, u8
};

/// Mean and deviation of each channel, pixels counted in [0, 1]: what training subtracts and divides by, and so has to
/// be kept with the weights.
struct Normalization {
  std::vector<double> mean, deviation;
};

struct ImageSetOptions {
  int channels = 0;                                  ///< 1: gray, 3: RGB; 0: RGB if any image has colours
  std::int64_t cache_bytes = std::int64_t{1} << 30;  ///< decoded images that are kept; others are read again
  std::int64_t max_pixels = std::int64_t{1} << 28;   ///< of one image
};

/// A list of labelled images. Copies and subsets share what was decoded. Safe to read from several threads.
class ImageSet {
 public:
  /// The PNG files of `folder`/image with the labels of the same stem in `folder`/label, in name order. Labels are
  /// gray: 0 and 255 stand for classes 0 and 1 when there are no other values, other values are class ids below 255.
  /// Every file is read and checked once. IoError: a missing or empty folder, an image without label or the reverse,
  /// two files of one stem, a broken PNG, a label with colours. ShapeError: a label of another size than its image.
  /// ValueError: label values that are neither.
  static ImageSet open(const std::string& folder, const ImageSetOptions& options = {});
  /// Images of the generator (see synthetic.hpp), named 000, 001, …
  static ImageSet generated(std::int64_t count, const SyntheticOptions& options = {});

  std::int64_t size() const { return static_cast<std::int64_t>(indices_.size()); }
  int channels() const;
  /// The number of classes: the highest id + 1, and at least 2.
  int classes() const;
  /// Whether label files hold 0/255, not class ids.
  bool black_and_white() const;
  /// The stem of image i.
  const std::string& name(std::int64_t i) const;
  /// Height and width of image i.
  Shape extent(std::int64_t i) const;
  /// Pixels of all images.
  std::int64_t pixels() const;
  LabelledImage load(std::int64_t i) const;
  /// Images [begin, end); ValueError out of range.
  ImageSet subset(std::int64_t begin, std::int64_t end) const;
  /// Over the images of this (sub)set. A constant channel gets deviation 1.
  Normalization statistics() const;
  /// A hash of names, pixels and labels: "fnv1a64:0123456789abcdef".
  std::string hash() const;

 private:
  struct Entry;
  struct Source;
  explicit ImageSet(std::shared_ptr<const Source> source);
  const Entry& entry(std::int64_t i) const;
  std::shared_ptr<const Source> source_;
  std::vector<std::int64_t> indices_;
};

/// A PNG as an image of 1 (gray, by Rec. 601 luma from colours) or 3 channels, alpha left out; 0 keeps what it is.
/// ValueError for other channel counts; IoError as read_png.
Tensor read_image(const std::string& path, int channels = 0, std::int64_t max_pixels = std::int64_t{1} << 28);

/// A PNG file in a folder.
struct ImageFile {
  std::string stem, path;
};
/// The PNG files in a folder, in the order of their stems. IoError: no such folder, two files of one stem.
std::vector<ImageFile> list_images(const std::string& folder);

/// Scale and shift that take a stored value of this dtype (u8 counted as v / 255) to (value − mean) / deviation.
std::pair<float, float> affine(Dtype dtype, const Normalization& normalization, std::size_t channel);

/// (image − mean) / deviation as f32, for (channels, height, width). ShapeError if the channel counts differ.
Tensor normalize(const Tensor& image, const Normalization& normalization);

}  // namespace duet::data
