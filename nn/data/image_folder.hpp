// ImageFolder: images of one size, sorted into a folder for each class.
#pragma once

#include <string>
#include <vector>

#include <duet/nn/data/dataset.hpp>

namespace duet::data {

struct ImageFolderOptions {
  int channels = 0;                                 ///< 1: gray, 3: RGB; 0: what the images are, which then must agree
  std::int64_t max_pixels = std::int64_t{1} << 28;  ///< of one image
};

/// FOLDER/CLASS/*.png, classes and images in the order of their names; or FOLDER/*.png, all of one class without a
/// name. Sample i is its image, f32 (channels, height, width) in [0, 1], and its class, a scalar i64. Images are
/// decoded when they are asked for.
class ImageFolder : public Dataset {
 public:
  /// Looks at the head of every file. IoError: no such folder, no image, a broken file. ShapeError: images of different
  /// sizes, or, with channels 0, some gray and some in colours; the first two that differ are named.
  explicit ImageFolder(const std::string& folder, const ImageFolderOptions& options = {});
  std::int64_t size() const override;
  Sample get(std::int64_t index, Generator& random) const override;

  /// Names of the classes; one empty name where there are none.
  const std::vector<std::string>& classes() const { return classes_; }
  /// The class of sample i.
  std::int64_t label(std::int64_t i) const;
  const std::string& path(std::int64_t i) const;  ///< its file
  /// (channels, height, width) of every image.
  const Shape& image_shape() const { return shape_; }

 private:
  struct Entry {
    std::string path;
    std::int64_t label;
  };
  std::vector<Entry> entries_;
  std::vector<std::string> classes_;
  Shape shape_;
};

}  // namespace duet::data
