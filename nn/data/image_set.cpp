// Reading and checking labelled images.
#include <duet/nn/data/image_set.hpp>

#include <algorithm>
#include <array>
#include <cctype>
#include <cmath>
#include <filesystem>
#include <numeric>
#include <tuple>

#include <duet/core/fail.hpp>
#include <duet/core/raw.hpp>
#include <duet/nn/data/png.hpp>

namespace duet::data {
namespace {

namespace fs = std::filesystem;

/// Element i of a u8 or f32 image, in [0, 1].
template <class T>
double unit_value(T value) {
  return std::is_same_v<T, std::uint8_t> ? static_cast<double>(value) / 255 : static_cast<double>(value);
}

template <class Visit>
void visit_image(const Tensor& image, Visit visit) {
  if (image.dtype() == u8)
    visit(raw::data<std::uint8_t>(image));
  else
    visit(raw::data<float>(image));
}

/// Gray to RGB or RGB to gray; alpha is left out.
Tensor with_channels(const Tensor& image, int channels) {
  const std::int64_t given = image.size(0), pixels = image.numel() / given;
  if (given == channels) return image;
  Tensor out = Tensor::empty({channels, image.size(1), image.size(2)}, {.dtype = image.dtype()});
  visit_image(image, [&](auto* from) {
    using T = std::remove_pointer_t<decltype(from)>;
    T* to = raw::data<T>(out);
    if (channels == 1 && given >= 3) {
      for (std::int64_t i = 0; i < pixels; ++i) {
        const double luma = 0.299 * from[i] + 0.587 * from[pixels + i] + 0.114 * from[2 * pixels + i];
        to[i] = static_cast<T>(std::is_same_v<T, float> ? luma : std::floor(luma + 0.5));
      }
    } else {
      for (int c = 0; c < channels; ++c) std::copy_n(from + (given >= 3 ? c : 0) * pixels, pixels, to + c * pixels);
    }
  });
  return out;
}

/// The class ids of a label file as they are stored, (height, width) u8.
Tensor read_label(const std::string& path, std::int64_t max_pixels) {
  const Tensor stored = read_png(path, {.max_pixels = max_pixels, .stored_values = true});
  const std::int64_t height = stored.size(1), width = stored.size(2), pixels = height * width;
  Tensor label = Tensor::empty({height, width}, {.dtype = u8});
  std::uint8_t* out = raw::data<std::uint8_t>(label);
  visit_image(stored, [&](auto* from) {
    // RGB whose channels agree is gray in disguise.
    if (stored.size(0) >= 3 &&
        (!std::equal(from, from + pixels, from + pixels) || !std::equal(from, from + pixels, from + 2 * pixels)))
      fail<IoError>("ImageSet", "label {} has colours: it must be gray or a palette's indices", path);
    for (std::int64_t i = 0; i < pixels; ++i) {
      const double value = std::is_same_v<std::remove_pointer_t<decltype(from)>, float>
                               ? static_cast<double>(from[i]) * 65535
                               : static_cast<double>(from[i]);
      const long id = std::lround(value == 65535 ? 255 : value);  // white, in 16 bits
      if (id > 255) fail<ValueError>("ImageSet", "label {} has the value {}: class ids go up to 254", path, id);
      out[i] = static_cast<std::uint8_t>(id);
    }
  });
  return label;
}

class Fnv1a {
 public:
  void add(const void* bytes, std::int64_t count) {
    const auto* at = static_cast<const std::uint8_t*>(bytes);
    for (std::int64_t i = 0; i < count; ++i) state_ = (state_ ^ at[i]) * 0x100000001B3u;
  }
  void add(const std::string& text) { add(text.data(), static_cast<std::int64_t>(text.size()) + 1); }
  void add(const Tensor& tensor) {
    add(tensor.shape().begin(), tensor.rank() * 8);
    add(raw::data<std::uint8_t>(tensor), tensor.bytes());
  }
  std::string text() const { return fmt::format("fnv1a64:{:016x}", state_); }

 private:
  std::uint64_t state_ = 0xCBF29CE484222325u;
};

}  // namespace

struct ImageSet::Entry {
  std::string name, image, label;  // paths are empty for generated images
  Shape extent;
  LabelledImage cached;  // undefined: read again
};

struct ImageSet::Source {
  using Entry = ImageSet::Entry;
  std::vector<Entry> entries;
  int channels = 1, classes = 2;
  bool black_and_white = true;
  std::int64_t max_pixels = 0;

  LabelledImage load(const Entry& entry) const {
    if (entry.cached.image.defined()) return entry.cached;
    LabelledImage loaded{read_image(entry.image, channels, max_pixels), read_label(entry.label, max_pixels)};
    to_classes(loaded.label);
    return loaded;
  }

  /// Tells 0/255 from class ids by the values that occur, and counts the classes.
  void read_values(const std::array<std::string, 256>& first_with) {
    int highest = 0;
    for (int id = 0; id < 255; ++id)
      if (!first_with[static_cast<std::size_t>(id)].empty()) highest = id;
    black_and_white = highest == 0;  // 0 and 255, or one of them
    classes = std::max(2, highest + 1);
    if (highest != 0 && !first_with[255].empty())
      fail<ValueError>("ImageSet", "labels are 0 and 255, or class ids below 255: {} has the value 255, {} has {}",
                       first_with[255], first_with[static_cast<std::size_t>(highest)], highest);
  }

  void to_classes(Tensor& label) const {
    if (!black_and_white) return;
    std::uint8_t* ids = raw::data<std::uint8_t>(label);
    for (std::int64_t i = 0; i < label.numel(); ++i) ids[i] = ids[i] != 0;
  }
};

namespace {

/// Pairs the files of two listings by stem, or says which one stands alone.
std::vector<std::pair<ImageFile, ImageFile>> paired(const std::string& folder) {
  const auto images = list_images(folder + "/image"), labels = list_images(folder + "/label");
  if (images.empty()) fail<IoError>("ImageSet", "{}/image has no PNG files", folder);
  std::vector<std::pair<ImageFile, ImageFile>> pairs;
  std::size_t at = 0;
  for (const ImageFile& image : images) {
    if (at < labels.size() && labels[at].stem < image.stem)
      fail<IoError>("ImageSet", "label {} has no image in {}/image", labels[at].path, folder);
    if (at == labels.size() || labels[at].stem != image.stem)
      fail<IoError>("ImageSet", "image {} has no label in {}/label", image.path, folder);
    pairs.emplace_back(image, labels[at++]);
  }
  if (at < labels.size()) fail<IoError>("ImageSet", "label {} has no image in {}/image", labels[at].path, folder);
  return pairs;
}

}  // namespace

ImageSet ImageSet::open(const std::string& folder, const ImageSetOptions& options) {
  if (options.channels != 0 && options.channels != 1 && options.channels != 3)
    fail<ValueError>("ImageSet", "channels must be 0, 1 or 3, got {}", options.channels);
  if (!fs::is_directory(folder)) fail<IoError>("ImageSet", "there is no folder {}", folder);
  auto source = std::make_shared<Source>();
  source->max_pixels = options.max_pixels;
  std::int64_t bytes = 0;
  bool colours = false;
  std::array<std::string, 256> first_with;  // the first file that has a label value; empty: none
  for (const auto& [image, label] : paired(folder)) {
    LabelledImage loaded{read_png(image.path, {.max_pixels = options.max_pixels}),
                         read_label(label.path, options.max_pixels)};
    const Shape extent = loaded.label.shape();
    if (loaded.image.size(1) != extent[0] || loaded.image.size(2) != extent[1])
      fail<ShapeError>("ImageSet", "label {} is {} x {} pixels, its image {} is {} x {}", label.path, extent[0],
                       extent[1], image.path, loaded.image.size(1), loaded.image.size(2));
    for (const std::uint8_t id : loaded.label.span<std::uint8_t>())
      if (first_with[id].empty()) first_with[id] = label.path;
    colours = colours || loaded.image.size(0) >= 3;
    bytes += loaded.image.bytes() + loaded.label.bytes();
    source->entries.push_back({.name = image.stem,
                               .image = image.path,
                               .label = label.path,
                               .extent = extent,
                               .cached = bytes <= options.cache_bytes ? loaded : LabelledImage{}});
  }
  source->channels = options.channels != 0 ? options.channels : colours ? 3 : 1;
  source->read_values(first_with);
  for (Source::Entry& entry : source->entries)
    if (entry.cached.image.defined()) {
      entry.cached.image = with_channels(entry.cached.image, source->channels);
      source->to_classes(entry.cached.label);
    }
  return ImageSet(std::move(source));
}

ImageSet ImageSet::generated(std::int64_t count, const SyntheticOptions& options) {
  if (count < 1) fail<ValueError>("ImageSet", "needs at least one image, got {}", count);
  auto source = std::make_shared<Source>();
  for (std::int64_t i = 0; i < count; ++i) {
    auto [image, label] = synthetic_membrane(i, options);
    source->entries.push_back(
        {.name = fmt::format("{:03}", i), .image = {}, .label = {}, .extent = label.shape(), .cached = {image, label}});
  }
  return ImageSet(std::move(source));
}

ImageSet::ImageSet(std::shared_ptr<const Source> source) : source_(std::move(source)) {
  indices_.resize(source_->entries.size());
  std::iota(indices_.begin(), indices_.end(), 0);
}

int ImageSet::channels() const { return source_->channels; }
int ImageSet::classes() const { return source_->classes; }
bool ImageSet::black_and_white() const { return source_->black_and_white; }

const ImageSet::Entry& ImageSet::entry(std::int64_t i) const {
  if (i < 0 || i >= size()) fail<ValueError>("ImageSet", "there is no image {} among {}", i, size());
  return source_->entries[static_cast<std::size_t>(indices_[static_cast<std::size_t>(i)])];
}

const std::string& ImageSet::name(std::int64_t i) const { return entry(i).name; }
Shape ImageSet::extent(std::int64_t i) const { return entry(i).extent; }
LabelledImage ImageSet::load(std::int64_t i) const { return source_->load(entry(i)); }

std::int64_t ImageSet::pixels() const {
  std::int64_t sum = 0;
  for (std::int64_t i = 0; i < size(); ++i) sum += extent(i).numel();
  return sum;
}

ImageSet ImageSet::subset(std::int64_t begin, std::int64_t end) const {
  if (begin < 0 || end < begin || end > size())
    fail<ValueError>("ImageSet.subset", "there is no range [{}, {}) among {} images", begin, end, size());
  ImageSet part = *this;
  part.indices_.assign(indices_.begin() + begin, indices_.begin() + end);
  return part;
}

Normalization ImageSet::statistics() const {
  const auto count = static_cast<std::size_t>(channels());
  std::vector<double> sums(count), squares(count);
  for (std::int64_t i = 0; i < size(); ++i) {
    const Tensor image = load(i).image;
    const std::int64_t plane = image.numel() / channels();
    visit_image(image, [&](auto* values) {
      for (std::size_t c = 0; c < count; ++c)
        for (std::int64_t k = 0; k < plane; ++k) {
          const double value = unit_value(values[static_cast<std::int64_t>(c) * plane + k]);
          sums[c] += value;
          squares[c] += value * value;
        }
    });
  }
  Normalization result;
  for (std::size_t c = 0; c < count; ++c) {
    const auto total = static_cast<double>(std::max<std::int64_t>(pixels(), 1));
    const double mean = sums[c] / total, variance = squares[c] / total - mean * mean;
    result.mean.push_back(mean);
    result.deviation.push_back(variance > 1e-10 ? std::sqrt(variance) : 1);
  }
  return result;
}

std::string ImageSet::hash() const {
  Fnv1a hash;
  for (std::int64_t i = 0; i < size(); ++i) {
    const LabelledImage loaded = load(i);
    hash.add(name(i));
    hash.add(loaded.image);
    hash.add(loaded.label);
  }
  return hash.text();
}

Tensor read_image(const std::string& path, int channels, std::int64_t max_pixels) {
  if (channels != 0 && channels != 1 && channels != 3)
    fail<ValueError>("read_image", "channels must be 0, 1 or 3, got {}", channels);
  const Tensor image = read_png(path, {.max_pixels = max_pixels});
  return with_channels(image, channels != 0 ? channels : image.size(0) >= 3 ? 3 : 1);
}

std::vector<ImageFile> list_images(const std::string& folder) {
  std::error_code error;
  fs::directory_iterator entries(folder, error);
  if (error) fail<IoError>("list_images", "cannot read the folder {}: {}", folder, error.message());
  std::vector<ImageFile> files;
  for (const fs::directory_entry& entry : entries) {
    std::string extension = entry.path().extension().string();
    for (char& c : extension) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    const std::string stem = entry.path().stem().string();
    if (extension == ".png" && !stem.starts_with('.')) files.push_back({stem, entry.path().string()});
  }
  std::sort(files.begin(), files.end(),
            [](const ImageFile& a, const ImageFile& b) { return std::tie(a.stem, a.path) < std::tie(b.stem, b.path); });
  for (std::size_t i = 1; i < files.size(); ++i)
    if (files[i].stem == files[i - 1].stem)
      fail<IoError>("list_images", "{} and {} have the same stem", files[i - 1].path, files[i].path);
  return files;
}

Tensor normalize(const Tensor& image, const Normalization& normalization) {
  const std::size_t channels = normalization.mean.size();
  if (image.rank() != 3 || static_cast<std::size_t>(image.size(0)) != channels)
    fail<ShapeError>("normalize", "expects ({}, height, width), got {}", channels, image.shape());
  const Tensor source = raw::contiguous(image);
  Tensor out = Tensor::empty(image.shape());
  const std::int64_t plane = image.numel() / image.size(0);
  visit_image(source, [&](auto* from) {
    for (std::size_t c = 0; c < channels; ++c) {
      const std::int64_t at = static_cast<std::int64_t>(c) * plane;
      const auto [scale, shift] = affine(image.dtype(), normalization, c);
      float* to = raw::data<float>(out) + at;
      for (std::int64_t i = 0; i < plane; ++i) to[i] = static_cast<float>(from[at + i]) * scale + shift;
    }
  });
  return out;
}

std::pair<float, float> affine(Dtype dtype, const Normalization& normalization, std::size_t channel) {
  const double deviation = normalization.deviation[channel];
  return {static_cast<float>((dtype == u8 ? 1.0 / 255 : 1.0) / deviation),
          static_cast<float>(-normalization.mean[channel] / deviation)};
}

}  // namespace duet::data
