// Reading: libtiff over a span of bytes. Its heads are believed only after they were checked, and it may allocate no
// more than the file itself explains. Writing: tiff_write.cpp.
#include <duet/nn/data/tiff.hpp>

#include <duet/core/fail.hpp>
#include <duet/core/platform.hpp>
#include <duet/core/raw.hpp>
#include <duet/nn/data/tiff_stream.hpp>

#ifdef DUET_HAS_TIFF
#include <algorithm>
#include <cstring>

namespace duet::data {

bool has_tiff() { return true; }

namespace {

using detail::TiffStream;

std::span<const std::uint8_t> bytes_of(const MappedFile& file) {
  return {reinterpret_cast<const std::uint8_t*>(file.data()), static_cast<std::size_t>(file.size())};
}

/// What a page's head says, as far as reading needs it.
struct Page {
  TiffInfo info;
  bool separate = false;  // one plane after the other, not pixels of all channels
  bool white_is_zero = false;
  double gain = 1;  // the most bytes that one compressed byte can become; 0 where only the image's size is a limit
};

/// That of a method, or a negative number for one that is not read: LZMA, ZSTD, WebP and LERC take as much memory as
/// the file tells them to, whatever the size of its image.
double gain_of(std::uint16_t compression) {
  switch (compression) {
    case COMPRESSION_NONE:
      return 1;
    case COMPRESSION_PACKBITS:
      return 64;
    case COMPRESSION_DEFLATE:
    case COMPRESSION_ADOBE_DEFLATE:
      return 1032;
    case COMPRESSION_LZW:
      return 2731;  // codes of 12 bits for at most 4096 bytes
    case COMPRESSION_CCITTRLE:
    case COMPRESSION_CCITTRLEW:
    case COMPRESSION_CCITTFAX3:
    case COMPRESSION_CCITTFAX4:
    case COMPRESSION_JPEG:
    case COMPRESSION_PIXARLOG:
      return 0;
    default:
      return -1;
  }
}

std::uint16_t small_field(TIFF* tiff, std::uint32_t tag) {
  std::uint16_t value = 0;
  return TIFFGetFieldDefaulted(tiff, tag, &value) == 1 ? value : std::uint16_t{0};
}

Page read_page(TIFF* tiff, const std::string& name) {
  Page page;
  std::uint32_t width = 0, height = 0;
  TIFFGetField(tiff, TIFFTAG_IMAGEWIDTH, &width);
  TIFFGetField(tiff, TIFFTAG_IMAGELENGTH, &height);
  std::uint16_t photometric = 0;
  if (width == 0 || height == 0 || TIFFGetField(tiff, TIFFTAG_PHOTOMETRIC, &photometric) != 1)
    fail<IoError>("read_tiff", "{} is broken: a page of {} x {} pixels, or without a colour model", name, height,
                  width);
  const int samples = small_field(tiff, TIFFTAG_SAMPLESPERPIXEL), bits = small_field(tiff, TIFFTAG_BITSPERSAMPLE);
  const int format = small_field(tiff, TIFFTAG_SAMPLEFORMAT);
  const bool floating = format == SAMPLEFORMAT_IEEEFP;
  if (!(floating ? bits == 32 : (bits == 1 || bits == 8 || bits == 16) && format != SAMPLEFORMAT_INT) || format > 4)
    fail<IoError>("read_tiff",
                  "{} has samples of {} bits and format {}: 1, 8 and 16 bits without sign and 32 bits "
                  "floating point are read",
                  name, bits, format);
  const bool gray = photometric == PHOTOMETRIC_MINISBLACK || photometric == PHOTOMETRIC_MINISWHITE;
  const bool palette = photometric == PHOTOMETRIC_PALETTE && samples == 1 && bits == 8;
  const bool colours = photometric == PHOTOMETRIC_RGB && samples >= 3;
  if (!(gray || palette || colours) || samples < 1 || samples > 4 || (bits == 1 && samples != 1))
    fail<IoError>("read_tiff",
                  "{} has {} channels of {} bits and colour model {}: 1 to 4 of gray, RGB or an 8-bit "
                  "palette are read",
                  name, samples, bits, photometric);
  const std::uint16_t compression = small_field(tiff, TIFFTAG_COMPRESSION);
  page.gain = gain_of(compression);
  if (page.gain < 0 || TIFFIsCODECConfigured(compression) != 1)
    fail<IoError>("read_tiff",
                  "{} is compressed by method {}: none, PackBits, LZW, deflate, CCITT, JPEG and PixarLog are read, if "
                  "this libtiff has them",
                  name, compression);
  std::uint16_t extra = 0;
  std::uint16_t* kinds = nullptr;
  TIFFGetFieldDefaulted(tiff, TIFFTAG_EXTRASAMPLES, &extra, &kinds);
  const bool alpha = extra > 0 && kinds != nullptr &&
                     (kinds[extra - 1] == EXTRASAMPLE_ASSOCALPHA || kinds[extra - 1] == EXTRASAMPLE_UNASSALPHA);
  page.info = {height, width, palette ? 3 : samples, bits, floating, palette, alpha, 0};
  page.separate = samples > 1 && small_field(tiff, TIFFTAG_PLANARCONFIG) == PLANARCONFIG_SEPARATE;
  page.white_is_zero = photometric == PHOTOMETRIC_MINISWHITE && !floating;
  return page;
}

/// Refuses what is too large, or larger than this many compressed bytes can hold by the methods whose gain is known.
void check_size(const Page& page, std::int64_t pages, std::size_t file_bytes, const std::string& name,
                std::int64_t max_pixels) {
  const TiffInfo& info = page.info;
  if (info.height > max_pixels / info.width / pages)
    fail<IoError>("read_tiff", "{} has {} x {} pixels, more than the limit of {}", name,
                  pages == 1 ? std::to_string(info.height) : fmt::format("{} x {}", pages, info.height), info.width,
                  max_pixels);
  const double stored = static_cast<double>(info.height) * static_cast<double>(info.width) *
                        (info.palette ? 1 : info.channels) * info.bit_depth / 8;
  if (page.gain > 0 && stored > page.gain * static_cast<double>(file_bytes) + 1024)
    fail<IoError>("read_tiff", "{} is truncated: {} bytes cannot hold {} x {} pixels", name, file_bytes, info.height,
                  info.width);
}

/// The pixels of a row or a tile, as libtiff decoded them.
struct Block {
  std::vector<std::uint8_t> bytes;
  std::int64_t row_bytes = 0;
  std::int64_t top = 0, left = 0, rows = 0, columns = 0;  // what of it lies in the image
  int channel = 0, channels = 1;                          // the first one in it, and how many
};

double sample(const Block& block, int bits, std::int64_t y, std::int64_t x, int c) {
  const std::uint8_t* row = block.bytes.data() + y * block.row_bytes;
  const std::int64_t at = x * block.channels + c;
  if (bits == 1) return row[at >> 3] >> (7 - (at & 7)) & 1;
  if (bits == 8) return row[at];
  if (bits == 16) {
    std::uint16_t value;
    std::memcpy(&value, row + 2 * at, 2);
    return value;
  }
  float value;
  std::memcpy(&value, row + 4 * at, 4);
  return static_cast<double>(value);
}

/// Where the values of a page go: planes of an image or of a slice of a volume.
template <class T>
struct Target {
  T* first;
  std::int64_t plane;  // elements from one channel to the next
};

template <class T>
void put(const Block& block, const Page& page, bool stored_values, const Target<T>& to) {
  const int bits = page.info.bit_depth;
  const double top = bits == 1 ? 1 : bits == 8 ? 255 : 65535;
  const double scale = page.info.floating ? 1 : bits == 16 ? 1.0 / 65535 : bits == 1 && !stored_values ? 255 : 1;
  const bool invert = page.white_is_zero && !stored_values;
  for (int c = 0; c < block.channels; ++c)
    for (std::int64_t y = 0; y < block.rows; ++y) {
      T* out = to.first + (block.channel + c) * to.plane + (block.top + y) * page.info.width + block.left;
      for (std::int64_t x = 0; x < block.columns; ++x) {
        const double value = sample(block, bits, y, x, c);
        out[x] = static_cast<T>(static_cast<float>((invert ? top - value : value) * scale));
      }
    }
}

/// Reads the current page tile by tile, or row by row where it is stored in strips, which may be as long as the image.
template <class Use>
void for_each_block(const TiffStream& stream, const Page& page, const std::string& name, std::int64_t max_pixels,
                    Use use) {
  TIFF* tiff = stream.tiff();
  const TiffInfo& info = page.info;
  const bool tiled = TIFFIsTiled(tiff) != 0;
  const int stored = info.palette ? 1 : info.channels;
  std::uint32_t block_height = tiled ? 0 : 1, block_width = static_cast<std::uint32_t>(info.width);
  if (tiled) {
    TIFFGetField(tiff, TIFFTAG_TILELENGTH, &block_height);
    TIFFGetField(tiff, TIFFTAG_TILEWIDTH, &block_width);
  }
  const std::uint64_t row_bytes = tiled ? TIFFTileRowSize64(tiff) : TIFFScanlineSize64(tiff);
  const std::uint64_t bytes = tiled ? TIFFTileSize64(tiff) : row_bytes;
  // A tile may be larger than the image, but not by more than tiles are, nor than an image may be or the file explains.
  const auto most = static_cast<std::uint64_t>(info.height * info.width * stored) * 4 + (std::uint64_t{64} << 20);
  const double explained = page.gain > 0 ? page.gain * static_cast<double>(stream.source_bytes()) + 1024 : 0x1p63;
  if (block_height == 0 || block_width == 0 || bytes == 0 || bytes > most || row_bytes * block_height > bytes ||
      block_height > max_pixels / block_width || static_cast<double>(bytes) > explained)
    fail<IoError>("read_tiff", "{} is broken: blocks of {} x {} pixels and {} bytes", name, block_height, block_width,
                  bytes);
  Block block;
  block.bytes.resize(bytes);
  block.row_bytes = static_cast<std::int64_t>(row_bytes);
  block.channels = page.separate ? 1 : stored;
  for (block.channel = 0; block.channel < (page.separate ? stored : 1); ++block.channel)
    for (block.top = 0; block.top < info.height; block.top += block_height)
      for (block.left = 0; block.left < info.width; block.left += block_width) {
        block.rows = std::min<std::int64_t>(block_height, info.height - block.top);
        block.columns = std::min<std::int64_t>(block_width, info.width - block.left);
        const auto x = static_cast<std::uint32_t>(block.left), y = static_cast<std::uint32_t>(block.top);
        const auto plane = static_cast<std::uint16_t>(block.channel);
        const auto wanted = static_cast<tmsize_t>(bytes);
        const bool good = tiled ? TIFFReadEncodedTile(tiff, TIFFComputeTile(tiff, x, y, 0, plane), block.bytes.data(),
                                                      wanted) == wanted
                                : TIFFReadScanline(tiff, block.bytes.data(), y, plane) == 1;
        if (!good) fail<IoError>("read_tiff", "{} is broken or truncated: {}", name, stream.message);
        use(block);
      }
}

/// A palette's indices to its colours.
void apply_palette(TIFF* tiff, const Block& block, const Page& page, const Target<std::uint8_t>& to) {
  std::uint16_t* maps[3] = {};
  TIFFGetField(tiff, TIFFTAG_COLORMAP, &maps[0], &maps[1], &maps[2]);
  if (maps[0] == nullptr || maps[1] == nullptr || maps[2] == nullptr) return;
  for (int c = 0; c < 3; ++c)
    for (std::int64_t y = 0; y < block.rows; ++y)
      for (std::int64_t x = 0; x < block.columns; ++x)
        to.first[c * to.plane + (block.top + y) * page.info.width + block.left + x] =
            static_cast<std::uint8_t>(maps[c][block.bytes[static_cast<std::size_t>(y * block.row_bytes + x)]] >> 8);
}

/// Reads the current page into `first` and the planes behind it.
void read_pixels(const TiffStream& stream, const Page& page, const std::string& name, const ReadTiffOptions& options,
                 Tensor& image, std::int64_t offset, std::int64_t plane) {
  const bool stored_values = options.stored_values;
  for_each_block(stream, page, name, options.max_pixels, [&](const Block& block) {
    if (image.dtype() == f32)
      put<float>(block, page, stored_values, {raw::data<float>(image) + offset, plane});
    else if (page.info.palette && !stored_values)
      apply_palette(stream.tiff(), block, page, {raw::data<std::uint8_t>(image) + offset, plane});
    else
      put<std::uint8_t>(block, page, stored_values, {raw::data<std::uint8_t>(image) + offset, plane});
  });
}

Dtype dtype_of_page(const Page& page) { return page.info.bit_depth > 8 ? f32 : u8; }

int channels_of(const Page& page, bool stored_values) {
  return page.info.palette && stored_values ? 1 : page.info.channels;
}

void go_to_page(TIFF* tiff, std::int64_t page, const TiffStream& stream, const std::string& name) {
  if (page < 0 || page > 0xffff || TIFFSetDirectory(tiff, static_cast<tdir_t>(page)) != 1)
    fail<IoError>("read_tiff", "{} has no page {}: {}", name, page, stream.message);
}

}  // namespace

TiffInfo read_tiff_info(const std::string& path, std::int64_t page) {
  const auto file = MappedFile::open("read_tiff", path);
  TiffStream stream(bytes_of(*file), path);
  go_to_page(stream.tiff(), page, stream, path);
  TiffInfo info = read_page(stream.tiff(), path).info;
  info.pages = static_cast<std::int64_t>(TIFFNumberOfDirectories(stream.tiff()));
  return info;
}

Tensor read_tiff(const std::string& path, const ReadTiffOptions& options) {
  const auto file = MappedFile::open("read_tiff", path);
  return decode_tiff(bytes_of(*file), path, options);
}

Tensor decode_tiff(std::span<const std::uint8_t> bytes, const std::string& name, const ReadTiffOptions& options) {
  TiffStream stream(bytes, name);
  go_to_page(stream.tiff(), options.page, stream, name);
  const Page page = read_page(stream.tiff(), name);
  check_size(page, 1, bytes.size(), name, options.max_pixels);
  Tensor image = Tensor::empty({channels_of(page, options.stored_values), page.info.height, page.info.width},
                               {.dtype = dtype_of_page(page)});
  read_pixels(stream, page, name, options, image, 0, page.info.height * page.info.width);
  return image;
}

Tensor read_tiff_volume(const std::string& path, const ReadTiffOptions& options) {
  const auto file = MappedFile::open("read_tiff", path);
  TiffStream stream(bytes_of(*file), path);
  TIFF* tiff = stream.tiff();
  const auto pages = static_cast<std::int64_t>(TIFFNumberOfDirectories(tiff));
  go_to_page(tiff, 0, stream, path);
  const Page first = read_page(tiff, path);
  check_size(first, std::max<std::int64_t>(1, pages), bytes_of(*file).size(), path, options.max_pixels);
  const std::int64_t plane = first.info.height * first.info.width;
  Tensor volume = Tensor::empty({channels_of(first, options.stored_values), pages, first.info.height, first.info.width},
                                {.dtype = dtype_of_page(first)});
  for (std::int64_t z = 0; z < pages; ++z) {
    if (z > 0 && TIFFReadDirectory(tiff) != 1)
      fail<IoError>("read_tiff", "{} has no page {}: {}", path, z, stream.message);
    const Page page = read_page(tiff, path);
    const TiffInfo &a = first.info, &b = page.info;
    if (a.height != b.height || a.width != b.width || a.channels != b.channels || a.bit_depth != b.bit_depth ||
        a.floating != b.floating || a.palette != b.palette)
      fail<IoError>("read_tiff", "{} is no volume: page {} is {} x {} x {} of {} bits, the first {} x {} x {} of {}",
                    path, z, b.channels, b.height, b.width, b.bit_depth, a.channels, a.height, a.width, a.bit_depth);
    check_size(page, 1, bytes_of(*file).size(), path, options.max_pixels);
    read_pixels(stream, page, path, options, volume, z * plane, pages * plane);
  }
  return volume;
}

}  // namespace duet::data

#else

namespace duet::data {
namespace {
[[noreturn]] void missing(const std::string& name) {
  fail<IoError>("tiff",
                "{}: this build of Duet reads and writes no TIFF. On Debian: apt-get install libtiff-dev, then "
                "build again",
                name);
}
}  // namespace

bool has_tiff() { return false; }
TiffInfo read_tiff_info(const std::string& path, std::int64_t) { missing(path); }
Tensor read_tiff(const std::string& path, const ReadTiffOptions&) { missing(path); }
Tensor decode_tiff(std::span<const std::uint8_t>, const std::string& name, const ReadTiffOptions&) { missing(name); }
Tensor read_tiff_volume(const std::string& path, const ReadTiffOptions&) { missing(path); }
void write_tiff(const std::string& path, const Tensor&, const WriteTiffOptions&) { missing(path); }
std::vector<std::uint8_t> encode_tiff(const Tensor&, const WriteTiffOptions&) { missing("encode_tiff"); }

}  // namespace duet::data

#endif
