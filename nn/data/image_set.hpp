// ImageSet: images with a class for every pixel, from a pair of folders or from the generator.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <duet/core/callable.hpp>
#include <duet/core/tensor.hpp>
#include <duet/nn/data/image_file.hpp>
#include <duet/nn/data/normalization.hpp>
#include <duet/nn/data/synthetic.hpp>
#include <duet/nn/data/synthetic_shapes.hpp>

namespace duet::data {

/// What a pixel that does not count has as its label.
inline constexpr std::uint8_t ignored_label = 255;

/// An image and its labels, in full size.
struct LabelledImage {
  Tensor image;  ///< (channels, height, width): u8, or f32: in [0, 1] from 16 bits, as it is from floating point
  Tensor label;  ///< (height, width) class ids, u8; ignored_label where it does not count
};

struct ImageSetOptions {
  int channels = 0;  ///< 1 to 4; 0: what the images have, RGB if gray and colours are mixed
  std::int64_t cache_bytes = std::int64_t{1} << 30;  ///< decoded images that are kept; others are read again
  std::int64_t max_pixels = std::int64_t{1} << 28;   ///< of one image
  int classes = 0;                                   ///< 2 to 255; 0: the highest class id + 1, at least 2
  int ignore = -1;                                   ///< the label value of pixels that do not count; -1: none
};

/// A list of labelled images. Copies and subsets share what was decoded. Safe to read from several threads.
class ImageSet {
 public:
  /// The PNG and TIFF files of `folder`/image with the labels of the same stem in `folder`/label, in name order; of a
  /// TIFF file with several pages each page is an image, named STEM.000, STEM.001, …. Labels are gray or a palette's
  /// indices: 0 and 255 stand for classes 0 and 1 when no other values count, other values are class ids below 255.
  /// Every file is read and checked once. IoError: a missing or empty folder, an image without label or the reverse,
  /// two files of one stem, a broken file, a label with colours or another number of pages. ShapeError: a label of
  /// another size than its image, channel counts that do not fit. ValueError: label values that are neither, or no
  /// class among options.classes, palettes that give an id different colours.
  static ImageSet open(const std::string& folder, const ImageSetOptions& options = {});
  /// Images of a generator (see synthetic.hpp, synthetic_shapes.hpp), named 000, 001, …
  static ImageSet generated(std::int64_t count, const SyntheticOptions& options = {});
  static ImageSet generated_shapes(std::int64_t count, const SyntheticShapesOptions& options = {});  ///< likewise

  std::int64_t size() const { return static_cast<std::int64_t>(indices_.size()); }
  int channels() const;  ///< of every image
  /// The number of classes: options.classes, or the highest id + 1 and at least 2.
  int classes() const;
  /// Whether label files hold 0/255, not class ids.
  bool black_and_white() const;
  /// The colours (r, g, b, r, …) of the label whose palette has the most of them, and that file; empty if none has one.
  const std::vector<std::uint8_t>& palette() const;
  const std::string& palette_file() const;  ///< the label that has it
  /// The stem of image i.
  const std::string& name(std::int64_t i) const;
  /// Height and width of image i.
  Shape extent(std::int64_t i) const;
  /// Pixels of all images.
  std::int64_t pixels() const;
  LabelledImage load(std::int64_t i) const;  ///< image i and its label, read now
  /// Images [begin, end); ValueError out of range.
  ImageSet subset(std::int64_t begin, std::int64_t end) const;
  /// Mean and deviation of each channel over the images of this (sub)set. A constant channel gets deviation 1.
  Normalization statistics() const;
  /// What takes the low and the high percentile of each channel, over all pixels, to 0 and 1 (0 and 100: the least and
  /// the largest value). Of many pixels every n-th is looked at. ValueError unless 0 <= low < high <= 100.
  Normalization percentiles(double low, double high) const;
  /// Pixels of each class, ignored ones left out.
  std::vector<std::int64_t> class_counts() const;
  /// A hash of names, pixels and labels: "fnv1a64:0123456789abcdef".
  std::string hash() const;

 private:
  struct Entry;
  struct Source;
  explicit ImageSet(std::shared_ptr<const Source> source);
  static std::shared_ptr<Source> drawn(std::int64_t count, FunctionRef<LabelledImage(std::int64_t)> draw);
  const Entry& entry(std::int64_t i) const;
  std::shared_ptr<const Source> source_;
  std::vector<std::int64_t> indices_;
};

}  // namespace duet::data
