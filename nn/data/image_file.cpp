// One face for libpng and libtiff.
#include <duet/nn/data/image_file.hpp>

#include <algorithm>
#include <cctype>
#include <cmath>
#include <filesystem>
#include <tuple>

#include <duet/core/fail.hpp>
#include <duet/core/platform.hpp>
#include <duet/core/raw.hpp>
#include <duet/nn/data/png.hpp>
#include <duet/nn/data/tiff.hpp>

namespace duet::data {
namespace {

namespace fs = std::filesystem;

enum class Format { png, tiff };

Format format_of(const std::string& path) {
  const auto file = MappedFile::open("read_image", path);
  const auto* at = reinterpret_cast<const unsigned char*>(file->data());
  if (file->size() >= 4) {
    if (at[0] == 0x89 && at[1] == 'P' && at[2] == 'N' && at[3] == 'G') return Format::png;
    const bool little = at[0] == 'I' && at[1] == 'I' && (at[2] == 42 || at[2] == 43) && at[3] == 0;
    const bool big = at[0] == 'M' && at[1] == 'M' && at[2] == 0 && (at[3] == 42 || at[3] == 43);
    if (little || big) return Format::tiff;
  }
  fail<IoError>("read_image", "{} is neither a PNG nor a TIFF file ({} bytes)", path, file->size());
}

std::string lower_extension(const std::string& path) {
  std::string extension = fs::path(path).extension().string();
  for (char& c : extension) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return extension;
}

template <class Visit>
void visit_image(const Tensor& image, Visit visit) {
  if (image.dtype() == u8)
    visit(raw::data<std::uint8_t>(image));
  else
    visit(raw::data<float>(image));
}

/// Planes brought to `channels` of them; see read_image.
Tensor with_channels(const Tensor& image, int channels, bool alpha, const std::string& path) {
  const auto given = static_cast<int>(image.size(0)), colours = given - (alpha ? 1 : 0);
  if (channels == 0) channels = colours;
  if (given == channels) return image;
  const bool as_it_is = colours == channels, to_colours = colours == 1 && channels == 3,
             to_gray = colours == 3 && channels == 1;
  if (!as_it_is && !to_colours && !to_gray)
    fail<ShapeError>("read_image", "{} has {} channel{}, not {}", path, colours, colours == 1 ? "" : "s", channels);
  Shape shape = image.shape();
  shape[0] = channels;
  const std::int64_t pixels = image.numel() / given;
  Tensor out = Tensor::empty(shape, {.dtype = image.dtype()});
  visit_image(image, [&](auto* from) {
    using T = std::remove_pointer_t<decltype(from)>;
    T* to = raw::data<T>(out);
    if (!to_gray) {
      for (int c = 0; c < channels; ++c) std::copy_n(from + (to_colours ? 0 : c) * pixels, pixels, to + c * pixels);
      return;
    }
    for (std::int64_t i = 0; i < pixels; ++i) {
      const double luma = 0.299 * from[i] + 0.587 * from[pixels + i] + 0.114 * from[2 * pixels + i];
      to[i] = static_cast<T>(std::is_same_v<T, float> ? luma : std::floor(luma + 0.5));
    }
  });
  return out;
}

void check_channels(int channels) {
  if (channels < 0 || channels > 4) fail<ValueError>("read_image", "channels must be 0 to 4, got {}", channels);
}

}  // namespace

ImageInfo read_image_info(const std::string& path, std::int64_t page) {
  if (format_of(path) == Format::tiff) {
    const TiffInfo t = read_tiff_info(path, page);
    return {t.height, t.width, t.channels, t.bit_depth, t.floating, t.palette, t.alpha, t.pages};
  }
  const PngInfo p = read_png_info(path);
  if (page != 0) fail<IoError>("read_image", "{} is a PNG file and has no page {}", path, page);
  return {p.height, p.width, p.channels, p.bit_depth, false, p.palette, p.channels == 2 || p.channels == 4, 1};
}

Tensor read_image(const std::string& path, int channels, const ReadImageOptions& options) {
  check_channels(channels);
  const ImageInfo info = read_image_info(path, options.page);
  const Tensor stored = format_of(path) == Format::tiff
                            ? read_tiff(path, {.page = options.page, .max_pixels = options.max_pixels})
                            : read_png(path, {.max_pixels = options.max_pixels});
  return with_channels(stored, channels, info.alpha, path);
}

Tensor read_volume(const std::string& path, int channels, std::int64_t max_pixels) {
  check_channels(channels);
  if (format_of(path) == Format::tiff)
    return with_channels(read_tiff_volume(path, {.max_pixels = max_pixels}), channels, read_tiff_info(path).alpha,
                         path);
  const Tensor image = read_image(path, channels, {.max_pixels = max_pixels});
  const Shape shape{image.size(0), 1, image.size(1), image.size(2)};
  return raw::view(image, shape, contiguous_strides(shape));
}

Tensor read_label(const std::string& path, const ReadImageOptions& options) {
  const Tensor stored =
      format_of(path) == Format::tiff
          ? read_tiff(path, {.page = options.page, .max_pixels = options.max_pixels, .stored_values = true})
          : read_png(path, {.max_pixels = options.max_pixels, .stored_values = true});
  const bool floating = read_image_info(path, options.page).floating;
  const std::int64_t height = stored.size(1), width = stored.size(2), pixels = height * width;
  Tensor label = Tensor::empty({height, width}, {.dtype = u8});
  std::uint8_t* out = raw::data<std::uint8_t>(label);
  visit_image(stored, [&](auto* from) {
    // RGB whose channels agree is gray in disguise.
    if (stored.size(0) >= 3 &&
        (!std::equal(from, from + pixels, from + pixels) || !std::equal(from, from + pixels, from + 2 * pixels)))
      fail<IoError>("read_label", "label {} has colours: it must be gray or a palette's indices", path);
    const bool sixteen = std::is_same_v<std::remove_pointer_t<decltype(from)>, float> && !floating;
    for (std::int64_t i = 0; i < pixels; ++i) {
      const double value = static_cast<double>(from[i]) * (sixteen ? 65535 : 1);
      if (!(value >= 0 && value < 65536) || (floating && value != std::floor(value)))
        fail<ValueError>("read_label", "label {} has the value {}: it is no class id", path, value);
      const long id = std::lround(sixteen && value > 65534.5 ? 255 : value);  // white, in 16 bits
      if (id > 255) fail<ValueError>("read_label", "label {} has the value {}: class ids go up to 254", path, id);
      out[i] = static_cast<std::uint8_t>(id);
    }
  });
  return label;
}

void write_image(const std::string& path, const Tensor& image, int bit_depth) {
  const std::string extension = lower_extension(path);
  if (extension == ".png") return write_png(path, image, {.bit_depth = bit_depth == 0 ? 8 : bit_depth});
  if (extension == ".tif" || extension == ".tiff") return write_tiff(path, image, {.bit_depth = bit_depth});
  fail<ValueError>("write_image", "{} ends neither in .png nor in .tif: the end says which format is written", path);
}

std::vector<ImageFile> list_images(const std::string& folder) {
  std::error_code error;
  fs::directory_iterator entries(folder, error);
  if (error) fail<IoError>("list_images", "cannot read the folder {}: {}", folder, error.message());
  std::vector<ImageFile> files;
  for (const fs::directory_entry& entry : entries) {
    const std::string path = entry.path().string(), extension = lower_extension(path);
    const std::string stem = entry.path().stem().string();
    const bool known = extension == ".png" || extension == ".tif" || extension == ".tiff";
    if (known && !stem.starts_with('.')) files.push_back({stem, path});
  }
  std::sort(files.begin(), files.end(),
            [](const ImageFile& a, const ImageFile& b) { return std::tie(a.stem, a.path) < std::tie(b.stem, b.path); });
  for (std::size_t i = 1; i < files.size(); ++i)
    if (files[i].stem == files[i - 1].stem)
      fail<IoError>("list_images", "{} and {} have the same stem", files[i - 1].path, files[i].path);
  return files;
}

}  // namespace duet::data
