// libpng behind two memory buffers. Its errors leave by longjmp, which must not skip a destructor: so libpng is only
// called inside `guarded` lambdas that own nothing, and everything with a destructor lives outside of them.
#include <duet/nn/data/png.hpp>

#include <png.h>

#include <algorithm>
#include <cmath>
#include <csetjmp>
#include <cstdio>
#include <cstring>

#include <duet/core/fail.hpp>
#include <duet/core/platform.hpp>
#include <duet/core/raw.hpp>

namespace duet::data {
namespace {

/// What libpng's callbacks see. Plain old data but for the sink, which only grows outside of libpng's own state.
struct Channel {
  const std::uint8_t* source = nullptr;
  std::size_t left = 0;
  std::vector<std::uint8_t>* sink = nullptr;
  char message[160] = "unknown error";
};

void on_error(png_structp png, png_const_charp text) {
  auto* channel = static_cast<Channel*>(png_get_error_ptr(png));
  std::snprintf(channel->message, sizeof channel->message, "%s", text);
  png_longjmp(png, 1);
}

void on_warning(png_structp, png_const_charp) {}

void on_read(png_structp png, png_bytep out, std::size_t count) {
  auto* channel = static_cast<Channel*>(png_get_io_ptr(png));
  if (channel->left < count) png_error(png, "the file ends too early");
  std::memcpy(out, channel->source, count);
  channel->source += count;
  channel->left -= count;
}

void on_write(png_structp png, png_bytep bytes, std::size_t count) {
  auto* channel = static_cast<Channel*>(png_get_io_ptr(png));
  bool full = false;
  try {
    channel->sink->insert(channel->sink->end(), bytes, bytes + count);
  } catch (...) {
    full = true;  // An exception must not cross libpng's frames.
  }
  if (full) png_error(png, "out of memory");
}

void on_flush(png_structp) {}

/// Runs calls to libpng; false if one failed (the channel has the message). `step` must own nothing.
template <class Step>
bool guarded(png_structp png, Step step) {
  static_assert(std::is_trivially_destructible_v<Step>);
  if (setjmp(png_jmpbuf(png))) return false;
  step();
  return true;
}

/// A libpng reader or writer and its info, freed at the end of the scope.
struct Handle {
  png_structp png;
  png_infop info = nullptr;
  bool writes;
  Handle(Channel& channel, bool write) : writes(write) {
    png = write ? png_create_write_struct(PNG_LIBPNG_VER_STRING, &channel, on_error, on_warning)
                : png_create_read_struct(PNG_LIBPNG_VER_STRING, &channel, on_error, on_warning);
    if (png != nullptr) info = png_create_info_struct(png);
    if (info == nullptr) {
      destroy();
      fail<MemoryError>("png", "libpng {} cannot start", PNG_LIBPNG_VER_STRING);
    }
  }
  ~Handle() { destroy(); }
  Handle(const Handle&) = delete;
  Handle& operator=(const Handle&) = delete;
  void destroy() {
    if (writes)
      png_destroy_write_struct(&png, &info);
    else
      png_destroy_read_struct(&png, &info, nullptr);
  }
};

std::span<const std::uint8_t> bytes_of(const MappedFile& file) {
  return {reinterpret_cast<const std::uint8_t*>(file.data()), static_cast<std::size_t>(file.size())};
}

/// Reads the head. Only then is it known how much memory the image takes.
PngInfo read_head(const Handle& handle, Channel& channel, std::span<const std::uint8_t> bytes,
                  const std::string& name) {
  if (bytes.size() < 8 || png_sig_cmp(bytes.data(), 0, 8) != 0)
    fail<IoError>("read_png", "{} is not a PNG file ({} bytes)", name, bytes.size());
  channel.source = bytes.data();
  channel.left = bytes.size();
  PngInfo head;
  PngInfo* out = &head;
  const png_structp png = handle.png;
  const png_infop info = handle.info;
  Channel* io = &channel;
  const bool good = guarded(png, [=] {
    png_set_read_fn(png, io, on_read);
    // Texts and profiles are not used, and may unpack to a thousand times their size: libpng is to step over them, of
    // whatever length they are.
    png_set_keep_unknown_chunks(png, PNG_HANDLE_CHUNK_NEVER, nullptr, -1);
    png_set_chunk_malloc_max(png, 0);
    png_set_user_limits(png, 0x7fffffffu, 0x7fffffffu);
    png_read_info(png, info);
    const int color = png_get_color_type(png, info);
    out->height = png_get_image_height(png, info);
    out->width = png_get_image_width(png, info);
    out->bit_depth = png_get_bit_depth(png, info);
    out->palette = color == PNG_COLOR_TYPE_PALETTE;
    out->channels = (color & PNG_COLOR_MASK_COLOR) != 0 ? 3 : 1;
    if ((color & PNG_COLOR_MASK_ALPHA) != 0 || png_get_valid(png, info, PNG_INFO_tRNS) != 0) ++out->channels;
  });
  if (!good) fail<IoError>("read_png", "{} is broken: {}", name, channel.message);
  return head;
}

/// Refuses what is too large, or larger than this many compressed bytes can hold: deflate gains at most 1032 to 1.
void check_size(const PngInfo& head, std::size_t row_bytes, std::size_t file_bytes, const std::string& name,
                const ReadPngOptions& options) {
  if (head.height > options.max_pixels / head.width)
    fail<IoError>("read_png", "{} has {} x {} pixels, more than the limit of {}", name, head.height, head.width,
                  options.max_pixels);
  const auto stored = static_cast<double>(head.height) * static_cast<double>(row_bytes);
  if (stored > 1032.0 * static_cast<double>(file_bytes) + 1024)
    fail<IoError>("read_png", "{} is truncated: {} bytes cannot hold {} x {} pixels", name, file_bytes, head.height,
                  head.width);
}

/// Interleaved rows to planes.
Tensor planes(const std::vector<std::uint8_t>& rows, std::int64_t channels, std::int64_t height, std::int64_t width,
              bool wide) {
  Tensor image = Tensor::empty({channels, height, width}, {.dtype = wide ? f32 : u8});
  const std::int64_t pixels = height * width;
  for (std::int64_t c = 0; c < channels; ++c) {
    if (wide) {
      float* out = raw::data<float>(image) + c * pixels;
      for (std::int64_t i = 0; i < pixels; ++i) {
        const std::uint8_t* at = rows.data() + 2 * (i * channels + c);  // big-endian
        out[i] = static_cast<float>(at[0] * 256 + at[1]) / 65535.0f;
      }
    } else {
      std::uint8_t* out = raw::data<std::uint8_t>(image) + c * pixels;
      for (std::int64_t i = 0; i < pixels; ++i) out[i] = rows[static_cast<std::size_t>(i * channels + c)];
    }
  }
  return image;
}

/// The image that `write` stores: rows of interleaved samples, two big-endian bytes each for 16 bits.
std::vector<std::uint8_t> interleave(const Tensor& image, std::int64_t channels, bool wide) {
  const Tensor source = raw::contiguous(image);
  const std::int64_t pixels = image.numel() / channels;
  std::vector<std::uint8_t> rows(static_cast<std::size_t>(image.numel()) * (wide ? 2 : 1));
  const auto put = [&](std::int64_t c, std::int64_t i, unsigned value) {
    const auto at = static_cast<std::size_t>(i * channels + c);
    if (wide) {
      rows[2 * at] = static_cast<std::uint8_t>(value >> 8);
      rows[2 * at + 1] = static_cast<std::uint8_t>(value);
    } else {
      rows[at] = static_cast<std::uint8_t>(value);
    }
  };
  raw::dispatch_all(image.dtype(), [&](auto zero) {
    using T = decltype(zero);
    const T* values = raw::data<T>(source);
    const double top = wide ? 65535 : 255;
    for (std::int64_t c = 0; c < channels; ++c)
      for (std::int64_t i = 0; i < pixels; ++i) {
        const T value = values[c * pixels + i];
        if constexpr (std::is_same_v<T, std::uint8_t>)
          put(c, i, value * (wide ? 257u : 1u));
        else if constexpr (std::is_floating_point_v<T>)  // max(0, NaN) is 0
          put(c, i, static_cast<unsigned>(std::lround(std::min(1.0, std::max(0.0, static_cast<double>(value))) * top)));
      }
  });
  return rows;
}

/// Refuses what is no image of indices into these colours.
std::vector<png_color> palette_of(const Tensor& image, std::int64_t channels, const WritePngOptions& options) {
  std::vector<png_color> colours;
  if (options.palette.empty()) return colours;
  if (options.palette.size() % 3 != 0 || options.palette.size() > 768 || options.bit_depth != 8)
    fail<ValueError>("write_png", "a palette has 3 numbers each of 1 to 256 colours and 8 bits, got {} and {} bits",
                     options.palette.size(), options.bit_depth);
  if (image.dtype() != u8) fail<DtypeError>("write_png", "a palette's indices are u8, got {}", name(image.dtype()));
  if (channels != 1) fail<ShapeError>("write_png", "a palette's indices are one channel, got {}", image.shape());
  for (std::size_t i = 0; i < options.palette.size(); i += 3)
    colours.push_back({options.palette[i], options.palette[i + 1], options.palette[i + 2]});
  const Tensor source = raw::contiguous(image);
  for (const std::uint8_t id : source.span<std::uint8_t>())
    if (id >= colours.size()) fail<ValueError>("write_png", "{} is no index into {} colours", id, colours.size());
  return colours;
}

}  // namespace

bool has_png() { return true; }

PngInfo read_png_info(const std::string& path) {
  const auto file = MappedFile::open("read_png", path);
  Channel channel;
  const Handle handle(channel, false);
  return read_head(handle, channel, bytes_of(*file), path);
}

std::vector<std::uint8_t> read_palette(const std::string& path) {
  const auto file = MappedFile::open("read_palette", path);
  if (file->size() < 8 || png_sig_cmp(bytes_of(*file).data(), 0, 8) != 0) return {};
  Channel channel;
  const Handle handle(channel, false);
  if (!read_head(handle, channel, bytes_of(*file), path).palette) return {};
  png_colorp colours = nullptr;
  int count = 0;
  const png_structp png = handle.png;
  const png_infop info = handle.info;
  if (!guarded(png, [=, where = &colours, of = &count] { png_get_PLTE(png, info, where, of); })) return {};
  std::vector<std::uint8_t> list;
  for (int i = 0; i < count; ++i) list.insert(list.end(), {colours[i].red, colours[i].green, colours[i].blue});
  return list;
}

Tensor read_png(const std::string& path, const ReadPngOptions& options) {
  const auto file = MappedFile::open("read_png", path);
  return decode_png(bytes_of(*file), path, options);
}

Tensor decode_png(std::span<const std::uint8_t> bytes, const std::string& name, const ReadPngOptions& options) {
  Channel channel;
  const Handle handle(channel, false);
  const PngInfo head = read_head(handle, channel, bytes, name);
  const png_structp png = handle.png;
  const png_infop info = handle.info;
  check_size(head, png_get_rowbytes(png, info), bytes.size(), name, options);
  const bool stored = options.stored_values && (head.palette || (head.channels == 1 && head.bit_depth < 8));
  if (!guarded(png, [=] {
        if (stored)
          png_set_packing(png);
        else
          png_set_expand(png);
        png_set_interlace_handling(png);
        png_read_update_info(png, info);
      }))
    fail<IoError>("read_png", "{} is broken: {}", name, channel.message);

  const auto channels = static_cast<std::int64_t>(png_get_channels(png, info));
  const bool wide = png_get_bit_depth(png, info) == 16;
  const std::size_t row_bytes = png_get_rowbytes(png, info);
  std::vector<std::uint8_t> rows(static_cast<std::size_t>(head.height) * row_bytes);
  std::vector<png_bytep> pointers(static_cast<std::size_t>(head.height));
  for (std::size_t y = 0; y < pointers.size(); ++y) pointers[y] = rows.data() + y * row_bytes;
  png_bytep* first = pointers.data();
  if (!guarded(png, [=] {
        png_read_image(png, first);
        png_read_end(png, nullptr);
      }))
    fail<IoError>("read_png", "{} is broken: {}", name, channel.message);
  return planes(rows, channels, head.height, head.width, wide);
}

std::vector<std::uint8_t> encode_png(const Tensor& image, const WritePngOptions& options) {
  if (options.bit_depth != 8 && options.bit_depth != 16)
    fail<ValueError>("write_png", "bit_depth must be 8 or 16, got {}", options.bit_depth);
  if (image.dtype() != u8 && !is_floating(image.dtype()))
    fail<DtypeError>("write_png", "needs u8, f32 or f64, got {}", duet::name(image.dtype()));
  const int rank = image.rank();
  const std::int64_t channels = rank == 3 ? image.size(0) : 1;
  if ((rank != 2 && rank != 3) || channels < 1 || channels > 4 || image.numel() == 0)
    fail<ShapeError>("write_png", "needs (height, width) or (1 to 4, height, width), got {}", image.shape());
  const std::int64_t height = image.size(-2), width = image.size(-1);
  if (height > 0x7fffffff || width > 0x7fffffff)
    fail<ShapeError>("write_png", "a side must fit 31 bits, got {}", image.shape());

  const bool wide = options.bit_depth == 16;
  std::vector<std::uint8_t> rows = interleave(image, channels, wide), out;
  std::vector<png_bytep> pointers(static_cast<std::size_t>(height));
  for (std::size_t y = 0; y < pointers.size(); ++y) pointers[y] = rows.data() + y * (rows.size() / pointers.size());
  Channel channel;
  channel.sink = &out;
  const Handle handle(channel, true);
  const png_structp png = handle.png;
  const png_infop info = handle.info;
  static constexpr int colors[] = {PNG_COLOR_TYPE_GRAY, PNG_COLOR_TYPE_GRAY_ALPHA, PNG_COLOR_TYPE_RGB,
                                   PNG_COLOR_TYPE_RGB_ALPHA};
  const std::vector<png_color> palette = palette_of(image, channels, options);
  const int color = palette.empty() ? colors[channels - 1] : PNG_COLOR_TYPE_PALETTE, depth = options.bit_depth;
  const png_color* plte = palette.data();
  const int plte_size = static_cast<int>(palette.size());
  png_bytep* first = pointers.data();
  Channel* io = &channel;
  if (!guarded(png, [=] {
        png_set_write_fn(png, io, on_write, on_flush);
        png_set_user_limits(png, 0x7fffffffu, 0x7fffffffu);
        png_set_IHDR(png, info, static_cast<png_uint_32>(width), static_cast<png_uint_32>(height), depth, color,
                     PNG_INTERLACE_NONE, PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
        if (plte_size > 0) png_set_PLTE(png, info, plte, plte_size);
        png_write_info(png, info);
        png_write_image(png, first);
        png_write_end(png, nullptr);
      }))
    fail<IoError>("write_png", "libpng: {}", channel.message);
  return out;
}

void write_png(const std::string& path, const Tensor& image, const WritePngOptions& options) {
  const std::vector<std::uint8_t> bytes = encode_png(image, options);
  AtomicFile file("write_png", path);
  file.write(bytes.data(), static_cast<std::int64_t>(bytes.size()));
  file.commit();
}

}  // namespace duet::data
