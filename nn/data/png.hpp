// PNG images to and from tensors, by libpng. Every size is checked before memory is taken for it.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include <duet/core/tensor.hpp>

namespace duet::data {

/// Whether this build reads and writes PNG. If not, all functions here throw IoError that names what to install.
bool has_png();

/// What the head of a PNG file says.
struct PngInfo {
  std::int64_t height = 0, width = 0;
  int channels = 0;      ///< as read_png gives them: gray 1, gray and alpha 2, RGB 3, RGBA 4; a palette's colours
  int bit_depth = 0;     ///< of a stored sample: 1, 2, 4, 8 or 16
  bool palette = false;  ///< pixels are indices into a table of colours
};

struct ReadPngOptions {
  std::int64_t max_pixels = std::int64_t{1} << 28;  ///< an image with more is refused before memory is taken
  /// Give stored numbers: a palette's indices (one channel) instead of its colours, and gray samples of 1, 2 or 4
  /// bits as they are instead of stretched to 0 … 255. For labels.
  bool stored_values = false;
};

/// The head of a file alone. IoError names the file: missing, no PNG, broken.
PngInfo read_png_info(const std::string& path);

/// An image (channels, height, width). Up to 8 bits a sample: u8; 16 bits: f32 in [0, 1], v / 65535. IoError names the
/// file: missing, no PNG, broken, truncated, more than max_pixels.
Tensor read_png(const std::string& path, const ReadPngOptions& options = {});

/// The same from memory; `name` stands in for the path in messages.
Tensor decode_png(std::span<const std::uint8_t> bytes, const std::string& name, const ReadPngOptions& options = {});

/// The colours of a palette, r, g, b, r, …; empty for an image without one, and for a file that is no PNG.
std::vector<std::uint8_t> read_palette(const std::string& path);

struct WritePngOptions {
  int bit_depth = 8;  ///< 8 or 16 (ValueError)
  /// Colours r, g, b, r, … of 1 to 256 values: u8 images of one channel are written as indices into them (ValueError
  /// for a value beyond them, or another list of colours; DtypeError, ShapeError).
  std::vector<std::uint8_t> palette = {};
};

/// Writes (height, width) or (channels, height, width) with 1 to 4 channels (ShapeError): u8 as it is, f32 and f64 from
/// [0, 1], clipped and rounded, NaN as 0 (other dtypes: DtypeError). read_png gives the same image back. IoError
/// leaves an earlier file as it was.
void write_png(const std::string& path, const Tensor& image, const WritePngOptions& options = {});

/// The same into memory; see write_png().
std::vector<std::uint8_t> encode_png(const Tensor& image, const WritePngOptions& options = {});

}  // namespace duet::data
