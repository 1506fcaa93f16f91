// CropDataset: random crops of labelled images, flipped and turned, for training.
#pragma once

#include <duet/nn/data/dataset.hpp>
#include <duet/nn/data/image_set.hpp>
#include <duet/nn/data/transforms.hpp>

namespace duet::data {

struct CropOptions {
  std::int64_t size = 128;           ///< side of the square
  std::int64_t crops_per_image = 0;  ///< in an epoch; 0: as many as cover an average image once
  bool flips = true;                 ///< mirrored in half of the cases, along each axis
  bool rotations = true;             ///< turned by 0, 90, 180 or 270 degrees
  int classes = 0;                   ///< 0: as many as the images have
  double brightness = 0;             ///< deviation of a random factor (around 1) and offset (around 0) on the image
  Transform transform = {};          ///< done last, to the normalized crop; must keep its size
};

/// Index i of a row of n, continued by reflection at the outermost elements, which are not repeated: 2 1 0 1 2 1 0.
std::int64_t reflect(std::int64_t i, std::int64_t n);

/// A square piece of an image and its labels.
struct CropPlace {
  std::int64_t top = 0, left = 0;  ///< may lie outside: the image goes on reflected at its border pixels
  bool transpose = false, flip_y = false, flip_x = false;  ///< applied in this order
};

/// size × size pixels of every plane of `planes` (channels, height, width): out(y, x) is the pixel that the place
/// says. Any dtype. ShapeError for another rank or a size below 1.
Tensor crop(const Tensor& planes, std::int64_t size, const CropPlace& place);

/// Sample i is a crop of image i mod the number of images. An image smaller than the crop is continued by reflection.
/// image: (channels, size, size) f32, normalized. target: for two classes f32 (1, size, size) of 0 and 1, what
/// binary_cross_entropy_with_logits takes, and −1 for pixels that do not count; else class ids i64 (size, size), what
/// cross_entropy takes with ignored_label as its ignore_index.
class CropDataset : public Dataset {
 public:
  /// ValueError for an empty set, an option out of range, fewer classes than the images have.
  CropDataset(ImageSet images, Normalization normalization, const CropOptions& options = {});
  std::int64_t size() const override { return images_.size() * per_image_; }
  Sample get(std::int64_t index, Generator& random) const override;

 private:
  ImageSet images_;
  std::vector<Normalization> normalization_;  // one for all, or one an image
  CropOptions options_;
  std::int64_t per_image_;
};

}  // namespace duet::data
