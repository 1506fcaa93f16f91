// TIFF images and stacks to and from tensors, by libtiff (Debian: libtiff-dev), which Duet does without where it is
// not there. Every size is checked before memory is taken for it.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include <duet/core/tensor.hpp>

namespace duet::data {

/// Whether this build reads and writes TIFF. If not, all functions here throw IoError that names what to install.
bool has_tiff();

/// What a TIFF file says of one page.
struct TiffInfo {
  std::int64_t height = 0, width = 0;
  int channels = 0;        ///< samples of a pixel, as stored; 3 for a palette
  int bit_depth = 0;       ///< 1, 8, 16 or 32
  bool floating = false;   ///< 32-bit numbers of any value
  bool palette = false;    ///< pixels are indices into a table of colours
  bool alpha = false;      ///< the last channel is one
  std::int64_t pages = 0;  ///< of the file
};

struct ReadTiffOptions {
  std::int64_t page = 0;
  std::int64_t max_pixels = std::int64_t{1} << 28;  ///< an image with more is refused before memory is taken
  bool stored_values = false;  ///< a palette's indices instead of its colours, 0 and 1 of 1-bit pages. For labels
};

/// The head of a page. IoError names the file: missing, no TIFF, broken, no such page, or of a kind that is not read:
/// other than unsigned integers of 1, 8 or 16 bits or 32-bit floating point, 1 to 4 channels, gray, RGB or palette.
TiffInfo read_tiff_info(const std::string& path, std::int64_t page = 0);

/// A page (channels, height, width), in strips or tiles, plain or compressed by PackBits, LZW, deflate, CCITT, JPEG or
/// PixarLog (others take memory that max_pixels does not limit). 1 bit (as 0 and 255)
/// and 8 bits: u8; 16 bits: f32 in [0, 1], v / 65535; floating point: f32 as it is. Orientation tags are not applied.
/// IoError as read_tiff_info; for truncated or broken pixels, and more than max_pixels.
Tensor read_tiff(const std::string& path, const ReadTiffOptions& options = {});
/// The same from memory; `name` stands in for the path in messages.
Tensor decode_tiff(std::span<const std::uint8_t> bytes, const std::string& name, const ReadTiffOptions& options = {});

/// Every page as one volume (channels, pages, height, width); max_pixels limits it as a whole. IoError as read_tiff,
/// and for pages of different sizes or kinds. options.page is not read.
Tensor read_tiff_volume(const std::string& path, const ReadTiffOptions& options = {});

struct WriteTiffOptions {
  int bit_depth = 0;     ///< 8, 16, or 32 (floating point); 0: u8 as 8, i64 as 16, f32 and f64 as 32
  bool compress = true;  ///< by deflate, which every reader knows
};

/// Writes (height, width) or (channels, height, width) as one page, or a volume (channels, depth, height, width) as one
/// page a slice; 1 to 4 channels (ShapeError). u8 goes to 8 bits or 16 (times 257); i64 to 8 or 16 bits as it is
/// (ValueError where it does not fit); f32 and f64 go to 8 or 16 bits from [0, 1], clipped and rounded, or to 32 as
/// they are. DtypeError for what is left. IoError leaves an earlier file as it was.
void write_tiff(const std::string& path, const Tensor& image, const WriteTiffOptions& options = {});
std::vector<std::uint8_t> encode_tiff(const Tensor& image, const WriteTiffOptions& options = {});  ///< as bytes; see write_tiff()

}  // namespace duet::data
