// Reading and checking labelled images.
#include <duet/nn/data/image_set.hpp>

#include <algorithm>
#include <array>
#include <cmath>
#include <filesystem>
#include <numeric>

#include <duet/core/fail.hpp>
#include <duet/core/fnv1a.hpp>
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

}  // namespace

struct ImageSet::Entry {
  std::string name, image, label;  // paths are empty for generated images
  std::int64_t page = 0;
  Shape extent;
  LabelledImage cached;  // undefined: read again
};

struct ImageSet::Source {
  using Entry = ImageSet::Entry;
  std::vector<Entry> entries;
  int channels = 1, classes = 2;
  bool black_and_white = true;
  std::int64_t max_pixels = 0;
  std::vector<std::uint8_t> palette;
  std::string palette_from;                     // the label file that has it
  std::array<std::uint8_t, 256> class_of = {};  // what a stored label value stands for

  LabelledImage load(const Entry& entry) const {
    if (entry.cached.image.defined()) return entry.cached;
    const ReadImageOptions options{.max_pixels = max_pixels, .page = entry.page};
    LabelledImage loaded{read_image(entry.image, channels, options), read_label(entry.label, options)};
    to_classes(loaded.label);
    return loaded;
  }

  /// Tells 0/255 from class ids by the values that occur (each with the first file that has it), and counts classes.
  void read_values(const std::array<std::string, 256>& first_with, const ImageSetOptions& options) {
    int highest = 0;
    for (int id = 0; id < 255; ++id)
      if (id != options.ignore && !first_with[static_cast<std::size_t>(id)].empty()) highest = id;
    const bool has_white = options.ignore != 255 && !first_with[255].empty();
    // 0 and 255, or one of them
    black_and_white = highest == 0 && options.classes <= 2 && options.ignore != 255;
    if (highest != 0 && has_white)
      fail<ValueError>("ImageSet", "labels are 0 and 255, or class ids below 255: {} has the value 255, {} has {}",
                       first_with[255], first_with[static_cast<std::size_t>(highest)], highest);
    const int largest = has_white && !black_and_white ? 255 : highest;
    classes = options.classes > 0 ? options.classes : std::max(2, highest + 1);
    if (!black_and_white && largest >= classes)
      fail<ValueError>("ImageSet", "label {} has the value {}: with {} classes ids go up to {}",
                       first_with[static_cast<std::size_t>(largest)], largest, classes, classes - 1);
    for (std::size_t id = 0; id < 256; ++id)
      class_of[id] = black_and_white ? static_cast<std::uint8_t>(id != 0) : static_cast<std::uint8_t>(id);
    if (options.ignore >= 0) class_of[static_cast<std::size_t>(options.ignore)] = ignored_label;
  }

  /// Takes a label file's palette. Files may have more or fewer colours, but an id's must be the same in all of them.
  void add_palette(const std::string& path) {
    std::vector<std::uint8_t> colours = read_palette(path);
    for (std::size_t i = 0; i < std::min(colours.size(), palette.size()); ++i)
      if (colours[i] != palette[i])
        fail<ValueError>("ImageSet", "the palettes of {} and {} differ in the colour of id {}", palette_from, path,
                         i / 3);
    if (colours.size() <= palette.size()) return;
    palette = std::move(colours);
    palette_from = path;
  }

  void to_classes(Tensor& label) const {
    std::uint8_t* ids = raw::data<std::uint8_t>(label);
    for (std::int64_t i = 0; i < label.numel(); ++i) ids[i] = class_of[ids[i]];
  }

  /// What all images can be brought to: gray where some have colours is RGB.
  void choose_channels(int asked) {
    std::array<std::string, 5> first_with;
    for (const Entry& entry : entries) {
      const ImageInfo info = read_image_info(entry.image, entry.page);
      auto& path = first_with[static_cast<std::size_t>(std::clamp(info.channels - (info.alpha ? 1 : 0), 1, 4))];
      if (path.empty()) path = entry.image;
    }
    channels = 1;
    for (int c = 4; c > 1 && channels == 1; --c)
      if (!first_with[static_cast<std::size_t>(c)].empty()) channels = c;
    for (int c = 1; c < channels && asked == 0; ++c)
      if (const auto& path = first_with[static_cast<std::size_t>(c)]; !path.empty() && !(c == 1 && channels == 3))
        fail<ShapeError>("ImageSet", "{} has {} channel{}, {} has {}", path, c, c == 1 ? "" : "s",
                         first_with[static_cast<std::size_t>(channels)], channels);
    if (asked != 0) channels = asked;
  }
};

namespace {

/// Pairs the files of two listings by stem, or says which one stands alone.
std::vector<std::pair<ImageFile, ImageFile>> paired(const std::string& folder) {
  const auto images = list_images(folder + "/image"), labels = list_images(folder + "/label");
  if (images.empty()) fail<IoError>("ImageSet", "{}/image has no PNG or TIFF files", folder);
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
  if (options.channels < 0 || options.channels > 4)
    fail<ValueError>("ImageSet", "channels must be 0 to 4, got {}", options.channels);
  if (options.classes != 0 && (options.classes < 2 || options.classes > 255))
    fail<ValueError>("ImageSet", "classes must be 0 or 2 to 255, got {}", options.classes);
  if (options.ignore < -1 || options.ignore > 255)
    fail<ValueError>("ImageSet", "ignore must be -1 to 255, got {}", options.ignore);
  if (!fs::is_directory(folder)) fail<IoError>("ImageSet", "there is no folder {}", folder);
  auto source = std::make_shared<Source>();
  source->max_pixels = options.max_pixels;
  for (const auto& [image, label] : paired(folder)) {
    const std::int64_t pages = read_image_info(image.path).pages, label_pages = read_image_info(label.path).pages;
    if (pages != label_pages)
      fail<IoError>("ImageSet", "label {} has {} pages, its image {} has {}", label.path, label_pages, image.path,
                    pages);
    source->add_palette(label.path);
    for (std::int64_t page = 0; page < pages; ++page)
      source->entries.push_back({.name = pages == 1 ? image.stem : fmt::format("{}.{:03}", image.stem, page),
                                 .image = image.path,
                                 .label = label.path,
                                 .page = page,
                                 .extent = {},
                                 .cached = {}});
  }
  source->choose_channels(options.channels);
  std::int64_t bytes = 0;
  std::array<std::string, 256> first_with;  // the first file that has a label value; empty: none
  for (Source::Entry& entry : source->entries) {
    const ReadImageOptions read{.max_pixels = options.max_pixels, .page = entry.page};
    const LabelledImage loaded{read_image(entry.image, source->channels, read), read_label(entry.label, read)};
    entry.extent = loaded.label.shape();
    if (loaded.image.size(1) != entry.extent[0] || loaded.image.size(2) != entry.extent[1])
      fail<ShapeError>("ImageSet", "label {} is {} x {} pixels, its image {} is {} x {}", entry.label, entry.extent[0],
                       entry.extent[1], entry.image, loaded.image.size(1), loaded.image.size(2));
    for (const std::uint8_t id : loaded.label.span<std::uint8_t>())
      if (first_with[id].empty()) first_with[id] = entry.label;
    bytes += loaded.image.bytes() + loaded.label.bytes();
    if (bytes <= options.cache_bytes) entry.cached = loaded;
  }
  source->read_values(first_with, options);
  for (Source::Entry& entry : source->entries)
    if (entry.cached.image.defined()) source->to_classes(entry.cached.label);
  return ImageSet(std::move(source));
}

std::shared_ptr<ImageSet::Source> ImageSet::drawn(std::int64_t count, FunctionRef<LabelledImage(std::int64_t)> draw) {
  if (count < 1) fail<ValueError>("ImageSet", "needs at least one image, got {}", count);
  auto source = std::make_shared<Source>();
  for (std::int64_t i = 0; i < count; ++i) {
    const LabelledImage image = draw(i);
    source->entries.push_back(
        {.name = fmt::format("{:03}", i), .image = {}, .label = {}, .extent = image.label.shape(), .cached = image});
  }
  return source;
}

ImageSet ImageSet::generated(std::int64_t count, const SyntheticOptions& options) {
  return ImageSet(drawn(count, [&](std::int64_t i) { return synthetic_membrane(i, options); }));
}

ImageSet ImageSet::generated_shapes(std::int64_t count, const SyntheticShapesOptions& options) {
  auto source = drawn(count, [&](std::int64_t i) { return synthetic_shapes(i, options); });
  source->classes = synthetic_shape_classes;
  source->black_and_white = false;
  return ImageSet(std::move(source));
}

ImageSet::ImageSet(std::shared_ptr<const Source> source) : source_(std::move(source)) {
  indices_.resize(source_->entries.size());
  std::iota(indices_.begin(), indices_.end(), 0);
}

int ImageSet::channels() const { return source_->channels; }
int ImageSet::classes() const { return source_->classes; }
bool ImageSet::black_and_white() const { return source_->black_and_white; }
const std::vector<std::uint8_t>& ImageSet::palette() const { return source_->palette; }
const std::string& ImageSet::palette_file() const { return source_->palette_from; }

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

Normalization ImageSet::percentiles(double low, double high) const {
  if (!(low >= 0 && low < high && high <= 100))
    fail<ValueError>("ImageSet.percentiles", "needs 0 <= low < high <= 100, got {} and {}", low, high);
  constexpr std::int64_t most_values = std::int64_t{1} << 24;
  const std::int64_t step = low == 0 && high == 100 ? 1 : (pixels() + most_values - 1) / most_values;
  Normalization result;
  for (int c = 0; c < channels(); ++c) {
    std::vector<float> values;
    for (std::int64_t i = 0; i < size(); ++i) {
      const Tensor image = load(i).image;
      const std::int64_t plane = image.numel() / channels();
      visit_image(image, [&](auto* from) {
        for (std::int64_t k = 0; k < plane; k += std::max<std::int64_t>(1, step))
          values.push_back(static_cast<float>(unit_value(from[c * plane + k])));
      });
    }
    const double least = percentile(values, low), most = percentile(values, high);
    result.mean.push_back(least);
    result.deviation.push_back(most - least > 1e-10 ? most - least : 1);
  }
  return result;
}

std::vector<std::int64_t> ImageSet::class_counts() const {
  std::vector<std::int64_t> counts(static_cast<std::size_t>(classes()));
  for (std::int64_t i = 0; i < size(); ++i) {
    const Tensor label = load(i).label;
    for (const std::uint8_t id : label.span<std::uint8_t>())
      if (id != ignored_label) ++counts[id];
  }
  return counts;
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

}  // namespace duet::data
