// Small images with classes, from IDX files, an image folder, or the generator: all in memory.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <duet/core/tensor.hpp>

namespace duet::examples {

struct DigitData {
  Tensor images;  ///< (N, channels, side, side) u8
  Tensor labels;  ///< (N) i64
  std::vector<std::string> classes;

  std::int64_t size() const { return images.size(0); }
  std::int64_t channels() const { return images.size(1); }
  std::int64_t side() const { return images.size(2); }
  /// Images [begin, end).
  DigitData part(std::int64_t begin, std::int64_t end) const;
  /// Pixels and labels as "fnv1a64:0123456789abcdef".
  std::string hash() const;
};

/// `folder` holds IDX files (NAME-images-idx3-ubyte and NAME-labels-idx1-ubyte, with or without .gz; several pairs
/// follow each other by name), or images as data::ImageFolder reads them; "" draws `generated` digits. IoError for
/// a folder without either, or a broken file; ShapeError for images that are not square or of different sizes or
/// channels; ValueError for other numbers of labels than images.
DigitData load_digits(const std::string& folder, std::int64_t generated);

struct DigitSplit {
  DigitData train, val;
};
/// The last `val` images held out. ValueError if that leaves none to train on.
DigitSplit split_digits(const DigitData& all, std::int64_t val);

/// u8 images as f32 in [0, 1].
Tensor unit_images(const Tensor& images);

}  // namespace duet::examples
