// Image files of either format, told apart by their content: what a program reads pictures and labels with.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <duet/core/tensor.hpp>

namespace duet::data {

/// What the head of an image file says.
struct ImageInfo {
  std::int64_t height = 0, width = 0;
  int channels = 0;        ///< as stored, alpha included
  int bit_depth = 0;       ///< of a sample
  bool floating = false;   ///< samples of any value, not integers
  bool palette = false;    ///< pixels are indices into a table of colours
  bool alpha = false;      ///< the last channel is one
  std::int64_t pages = 1;  ///< of a TIFF file
};

struct ReadImageOptions {
  std::int64_t max_pixels = std::int64_t{1} << 28;  ///< an image with more is refused before memory is taken
  std::int64_t page = 0;                            ///< of a TIFF file
};

/// The head of an image, of one page of it where it is a TIFF file. IoError names the file: missing, neither PNG nor
/// TIFF, broken, no such page.
ImageInfo read_image_info(const std::string& path, std::int64_t page = 0);

/// An image as (channels, height, width): u8, or f32: in [0, 1] from 16 bits, as it is from floating point. `channels`
/// is 1 to 4 or 0, which keeps what there is but alpha. Gray becomes RGB or the reverse (Rec. 601 luma) where that is
/// asked for; a last channel of alpha is kept or left out. ShapeError, with the file and the counts, where channels do
/// not fit otherwise; IoError as read_png and read_tiff.
Tensor read_image(const std::string& path, int channels = 0, const ReadImageOptions& options = {});

/// Every page of a TIFF file as a volume (channels, pages, height, width). Other files are volumes of one page.
Tensor read_volume(const std::string& path, int channels = 0, std::int64_t max_pixels = std::int64_t{1} << 28);

/// The numbers of a label image as they are stored, (height, width) u8: gray values, a palette's indices; white of any
/// depth is 255. IoError for colours, ValueError for a number above 255.
Tensor read_label(const std::string& path, const ReadImageOptions& options = {});

/// Writes by the name's end: .png (8 or 16 bits; 0: 8) or .tif, .tiff (8, 16, 32 bits; 0 by the dtype). ValueError for
/// another one; what write_png and write_tiff throw.
void write_image(const std::string& path, const Tensor& image, int bit_depth = 0);

/// An image file in a folder.
struct ImageFile {
  std::string stem, path;
};
/// The PNG and TIFF files in a folder, in the order of their stems. IoError: no such folder, two files of one stem.
std::vector<ImageFile> list_images(const std::string& folder);

}  // namespace duet::data
