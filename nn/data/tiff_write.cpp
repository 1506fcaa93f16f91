// Writing pages: strips of about 64 kB, compressed by deflate.
#include <duet/nn/data/tiff_stream.hpp>

#ifdef DUET_HAS_TIFF

#include <algorithm>
#include <cmath>
#include <cstdarg>
#include <cstdio>
#include <cstring>

#include <duet/core/fail.hpp>
#include <duet/core/platform.hpp>
#include <duet/core/raw.hpp>
#include <duet/nn/data/tiff.hpp>

namespace duet::data {
namespace detail {

namespace {

int keep_message(TIFF*, void* stream, const char*, const char* format, va_list arguments) {
  auto& message = static_cast<TiffStream*>(stream)->message;
  std::vsnprintf(message, sizeof message, format, arguments);
  return 1;
}
int drop_message(TIFF*, void*, const char*, const char*, va_list) { return 1; }

}  // namespace

tmsize_t TiffStream::read(thandle_t handle, void* to, tmsize_t count) {
  auto& self = *static_cast<TiffStream*>(handle);
  const std::span<const std::uint8_t> bytes = self.writes_ ? std::span<const std::uint8_t>(self.sink_) : self.source_;
  if (count <= 0 || self.position_ >= bytes.size()) return 0;
  const std::size_t there = std::min<std::size_t>(static_cast<std::size_t>(count), bytes.size() - self.position_);
  std::memcpy(to, bytes.data() + self.position_, there);
  self.position_ += there;
  return static_cast<tmsize_t>(there);
}

tmsize_t TiffStream::write(thandle_t handle, void* from, tmsize_t count) {
  auto& self = *static_cast<TiffStream*>(handle);
  if (!self.writes_ || count < 0) return 0;
  const auto bytes = static_cast<std::size_t>(count);
  try {
    if (self.position_ + bytes > self.sink_.size()) self.sink_.resize(self.position_ + bytes);
  } catch (...) {
    self.failed_ = true;  // An exception must not cross libtiff's frames.
    return 0;
  }
  std::memcpy(self.sink_.data() + self.position_, from, bytes);
  self.position_ += bytes;
  return count;
}

toff_t TiffStream::seek(thandle_t handle, toff_t offset, int whence) {
  auto& self = *static_cast<TiffStream*>(handle);
  if (whence == SEEK_SET)
    self.position_ = offset;
  else if (whence == SEEK_CUR)
    self.position_ += offset;
  else
    self.position_ = size(handle) + offset;
  return self.position_;
}

toff_t TiffStream::size(thandle_t handle) {
  const auto& self = *static_cast<TiffStream*>(handle);
  return self.writes_ ? self.sink_.size() : self.source_.size();
}

int TiffStream::map(thandle_t handle, void** base, toff_t* bytes) {
  const auto& self = *static_cast<TiffStream*>(handle);
  if (self.writes_) return 0;
  *base = const_cast<std::uint8_t*>(self.source_.data());
  *bytes = self.source_.size();
  return 1;
}

void TiffStream::open(const char* mode, std::size_t largest) {
  TIFFOpenOptions* options = TIFFOpenOptionsAlloc();
  if (options == nullptr) fail<MemoryError>("tiff", "libtiff cannot start");
  TIFFOpenOptionsSetMaxSingleMemAlloc(options, static_cast<tmsize_t>(largest));
  TIFFOpenOptionsSetErrorHandlerExtR(options, keep_message, this);
  TIFFOpenOptionsSetWarningHandlerExtR(options, drop_message, this);
  tiff_ = TIFFClientOpenExt(
      "memory", mode, this, read, write, seek, [](thandle_t) { return 0; }, size, map, [](thandle_t, void*, toff_t) {},
      options);
  TIFFOpenOptionsFree(options);
}

TiffStream::TiffStream(std::span<const std::uint8_t> bytes, const std::string& name) : source_(bytes) {
  // D: the places of strips are read with the first of them, not with the head, which may announce a million of them
  // for no pixels. By then their number is checked: no more than there are rows. c: nor is a long strip cut up into as
  // many short ones.
  open("rDc", std::max<std::size_t>(std::size_t{64} << 20, 2 * bytes.size()));
  if (tiff_ == nullptr) fail<IoError>("read_tiff", "{} is not a TIFF file ({} bytes): {}", name, bytes.size(), message);
}

TiffStream::TiffStream(bool big) : writes_(true) {
  open(big ? "w8" : "w", 0);
  if (tiff_ == nullptr) fail<IoError>("write_tiff", "libtiff: {}", message);
}

TiffStream::~TiffStream() {
  if (tiff_ != nullptr) TIFFClose(tiff_);
}

std::vector<std::uint8_t> TiffStream::finish() {
  const bool flushed = TIFFFlush(tiff_) == 1;
  TIFFClose(tiff_);
  tiff_ = nullptr;
  if (!flushed || failed_) fail<IoError>("write_tiff", "libtiff: {}", failed_ ? "out of memory" : message);
  return std::move(sink_);
}

}  // namespace detail

namespace {

/// The stored number of a value.
template <class T>
double stored(T value, int bits) {
  if (bits == 32) return static_cast<double>(value);
  const double top = bits == 8 ? 255 : 65535;
  if constexpr (std::is_same_v<T, std::uint8_t>) return bits == 8 ? value : value * 257.0;
  if constexpr (std::is_same_v<T, std::int64_t>) {
    if (value < 0 || static_cast<double>(value) > top)
      fail<ValueError>("write_tiff", "{} does not fit {} bits", value, bits);
    return static_cast<double>(value);
  }
  return static_cast<double>(std::lround(std::min(1.0, std::max(0.0, static_cast<double>(value))) * top));  // NaN: 0
}

/// Row y of slice z, pixels of all channels behind each other.
void fill_row(const Tensor& image, std::int64_t z, std::int64_t y, int bits, std::vector<std::uint8_t>& row) {
  const std::int64_t channels = image.size(0), slice = image.size(2) * image.size(3), width = image.size(3);
  raw::dispatch_all(image.dtype(), [&](auto zero) {
    const auto* values = raw::data<decltype(zero)>(image);
    for (std::int64_t c = 0; c < channels; ++c)
      for (std::int64_t x = 0; x < width; ++x) {
        const double value = stored(values[(c * image.size(1) + z) * slice + y * width + x], bits);
        std::uint8_t* to = row.data() + (x * channels + c) * (bits / 8);
        const auto word = static_cast<std::uint16_t>(bits == 32 ? 0 : value);
        const auto real = static_cast<float>(value);
        if (bits == 8) *to = static_cast<std::uint8_t>(word);
        if (bits == 16) std::memcpy(to, &word, 2);
        if (bits == 32) std::memcpy(to, &real, 4);
      }
  });
}

void write_page(detail::TiffStream& stream, const Tensor& image, std::int64_t z, int bits, bool compress) {
  TIFF* tiff = stream.tiff();
  const auto channels = static_cast<std::uint16_t>(image.size(0));
  const bool colours = channels >= 3;
  TIFFSetField(tiff, TIFFTAG_IMAGEWIDTH, static_cast<std::uint32_t>(image.size(3)));
  TIFFSetField(tiff, TIFFTAG_IMAGELENGTH, static_cast<std::uint32_t>(image.size(2)));
  TIFFSetField(tiff, TIFFTAG_SAMPLESPERPIXEL, channels);
  TIFFSetField(tiff, TIFFTAG_BITSPERSAMPLE, static_cast<std::uint16_t>(bits));
  TIFFSetField(tiff, TIFFTAG_SAMPLEFORMAT,
               static_cast<std::uint16_t>(bits == 32 ? SAMPLEFORMAT_IEEEFP : SAMPLEFORMAT_UINT));
  TIFFSetField(tiff, TIFFTAG_PHOTOMETRIC,
               static_cast<std::uint16_t>(colours ? PHOTOMETRIC_RGB : PHOTOMETRIC_MINISBLACK));
  TIFFSetField(tiff, TIFFTAG_PLANARCONFIG, static_cast<std::uint16_t>(PLANARCONFIG_CONTIG));
  TIFFSetField(tiff, TIFFTAG_COMPRESSION,
               static_cast<std::uint16_t>(compress ? COMPRESSION_ADOBE_DEFLATE : COMPRESSION_NONE));
  TIFFSetField(tiff, TIFFTAG_ROWSPERSTRIP, TIFFDefaultStripSize(tiff, 0));
  if (const int extra = channels - (colours ? 3 : 1); extra > 0) {
    const std::uint16_t kinds[3] = {EXTRASAMPLE_UNSPECIFIED, EXTRASAMPLE_UNSPECIFIED, EXTRASAMPLE_UNSPECIFIED};
    TIFFSetField(tiff, TIFFTAG_EXTRASAMPLES, static_cast<std::uint16_t>(extra), kinds);
  }
  if (image.size(1) > 1) {
    TIFFSetField(tiff, TIFFTAG_SUBFILETYPE, static_cast<std::uint32_t>(FILETYPE_PAGE));
    TIFFSetField(tiff, TIFFTAG_PAGENUMBER, static_cast<std::uint16_t>(z), static_cast<std::uint16_t>(image.size(1)));
  }
  std::vector<std::uint8_t> row(static_cast<std::size_t>(image.size(3) * channels * (bits / 8)));
  for (std::int64_t y = 0; y < image.size(2); ++y) {
    fill_row(image, z, y, bits, row);
    if (TIFFWriteScanline(tiff, row.data(), static_cast<std::uint32_t>(y), 0) != 1)
      fail<IoError>("write_tiff", "libtiff: {}", stream.message);
  }
  if (TIFFWriteDirectory(tiff) != 1) fail<IoError>("write_tiff", "libtiff: {}", stream.message);
}

}  // namespace

std::vector<std::uint8_t> encode_tiff(const Tensor& image, const WriteTiffOptions& options) {
  const int rank = image.rank();
  if (rank < 2 || rank > 4 || image.numel() == 0 || (rank > 2 && image.size(0) > 4))
    fail<ShapeError>("write_tiff",
                     "needs (height, width), (1 to 4, height, width) or (1 to 4, depth, height, width), "
                     "got {}",
                     image.shape());
  int bits = options.bit_depth;
  if (bits == 0) bits = image.dtype() == u8 ? 8 : image.dtype() == i64 ? 16 : 32;
  if (bits != 8 && bits != 16 && bits != 32)
    fail<ValueError>("write_tiff", "bit_depth must be 8, 16 or 32, got {}", options.bit_depth);
  if (bits == 32 && !is_floating(image.dtype()))
    fail<DtypeError>("write_tiff", "32 bits need f32 or f64, got {}", name(image.dtype()));
  const Shape& s = image.shape();
  const Shape as_volume = rank == 2 ? Shape{1, 1, s[0], s[1]} : rank == 3 ? Shape{s[0], 1, s[1], s[2]} : s;
  if (as_volume[1] > 0xffff || as_volume[2] > 0x7fffffff || as_volume[3] > 0x7fffffff)
    fail<ShapeError>("write_tiff", "pages must be fewer than 65536 and sides fit 31 bits, got {}", s);
  const Tensor source = raw::contiguous(image);
  const Tensor volume = raw::view(source, as_volume, contiguous_strides(as_volume));
  detail::TiffStream stream(image.numel() > (std::int64_t{3} << 30) / (bits / 8));
  for (std::int64_t z = 0; z < as_volume[1]; ++z) write_page(stream, volume, z, bits, options.compress);
  return stream.finish();
}

void write_tiff(const std::string& path, const Tensor& image, const WriteTiffOptions& options) {
  const std::vector<std::uint8_t> bytes = encode_tiff(image, options);
  AtomicFile file("write_tiff", path);
  file.write(bytes.data(), static_cast<std::int64_t>(bytes.size()));
  file.commit();
}

}  // namespace duet::data

#endif
