// duet_unet count: the objects in masks, numbered and measured; or in images, which are segmented first.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <map>
#include <memory>
#include <optional>

#include <duet/core/fail.hpp>
#include <duet/core/parallel.hpp>
#include <duet/core/raw.hpp>
#include <duet/nn/data/components.hpp>
#include <duet/nn/data/png.hpp>
#include <duet/nn/data/tiff.hpp>

#include "common/run_folder.hpp"
#include "unet/batch.hpp"
#include "unet/commands.hpp"
#include "unet/pictures.hpp"
#include "unet/segmenter.hpp"

namespace duet::examples {
namespace {

struct CountFlags {
  std::vector<std::string> inputs;
  std::string weights, images, out = "objects", format = "png";
  int of_class = -1, threads = 0;
  std::int64_t min_area = 1;
  bool diagonal = false, colours = false;
};

/// A mask (height, width), or (depth, height, width) of several pages, and what it was made of, if that is known.
struct Subject {
  Tensor mask, image;
};

/// The label values of every page.
Tensor read_mask(const std::string& path) {
  const std::int64_t pages = data::read_image_info(path).pages;
  const Tensor first = data::read_label(path);
  if (pages == 1) return first;
  Tensor volume = Tensor::empty({pages, first.size(0), first.size(1)}, {.dtype = u8});
  for (std::int64_t z = 0; z < pages; ++z) {
    const Tensor page = data::read_label(path, {.page = z});
    if (page.shape() != first.shape())
      fail<ShapeError>("count", "{} is no volume: page {} is {}, the first {}", path, z, page.shape(), first.shape());
    Tensor place = raw::view(volume, first.shape(), first.strides(), z * first.numel());
    raw::copy(page, place);
  }
  return volume;
}

class Counting {
 public:
  explicit Counting(const CountFlags& flags) : flags_(flags), folder_(RunFolder::start(flags.out)) {
    if (!flags.weights.empty()) segmenter_.emplace(Segmenter::load(flags.weights));
    if (!flags.images.empty())
      for (const auto& [stem, path] : data::list_images(flags.images)) images_[stem] = path;
  }

  void file(const data::ImageFile& file) {
    const Subject subject = read(file);
    const std::int64_t count = subject.mask.numel();
    const std::uint8_t* ids = raw::data<std::uint8_t>(subject.mask);
    bool occurs[256] = {};
    for (std::int64_t i = 0; i < count; ++i) occurs[ids[i]] = true;
    Tensor labels = Tensor::empty(subject.mask.shape(), {.dtype = i64});
    raw::fill(labels, 0);
    std::int64_t objects = 0, pixels = 0;
    for (int c = flags_.of_class < 0 ? 1 : flags_.of_class; c < (flags_.of_class < 0 ? 256 : flags_.of_class + 1);
         ++c) {
      if (!occurs[c]) continue;
      Tensor of_class = Tensor::empty(subject.mask.shape(), {.dtype = u8});
      for (std::int64_t i = 0; i < count; ++i) raw::data<std::uint8_t>(of_class)[i] = ids[i] == c;
      const data::Components found = data::connected_components(
          of_class, {.diagonal = flags_.diagonal, .min_area = flags_.min_area}, subject.image);
      for (std::int64_t i = 0; i < count; ++i)
        if (const std::int64_t label = raw::data<std::int64_t>(found.labels)[i]; label > 0)
          raw::data<std::int64_t>(labels)[i] = objects + label;
      for (const data::Component& object : found.list) {
        row(file.stem, ++objects, c, object, subject);
        pixels += object.area;
      }
    }
    write(file.stem, labels, objects);
    fmt::print("{}: {} object{}, mean area {:.1f}\n", file.stem, objects, objects == 1 ? "" : "s",
               objects == 0 ? 0 : static_cast<double>(pixels) / static_cast<double>(objects));
  }

  void publish() {
    folder_.write("objects.csv", csv_);
    folder_.publish();
    fmt::print("{}\n", folder_.published("objects.csv"));
  }

 private:
  Subject read(const data::ImageFile& file) {
    Subject subject;
    if (segmenter_) {
      subject.image = data::read_image(file.path, segmenter_->options().channels);
      subject.mask = segmenter_->segment(subject.image);
      return subject;
    }
    subject.mask = read_mask(file.path);
    if (flags_.images.empty()) return subject;
    const auto found = images_.find(file.stem);
    if (found == images_.end()) fail<IoError>("count", "{} has no image in {}", file.path, flags_.images);
    subject.image = subject.mask.rank() == 3 ? data::read_volume(found->second) : data::read_image(found->second);
    return subject;
  }

  void row(const std::string& stem, std::int64_t number, int of_class, const data::Component& o,
           const Subject& subject) {
    csv_ += fmt::format("{},{},{},{},{:.2f},{:.2f},{:.2f},{},{},{},{},{},{},{}\n", stem, number, of_class, o.area,
                        o.centroid[0], o.centroid[1], o.centroid[2], o.first[0], o.first[1], o.first[2], o.last[0] + 1,
                        o.last[1] + 1, o.last[2] + 1,
                        subject.image.defined() ? fmt::format("{:.6g}", o.mean_intensity) : std::string());
  }

  void write(const std::string& stem, const Tensor& labels, std::int64_t objects) {
    if (objects > 65535)
      fail<ValueError>("count", "{} has {} objects, a label image numbers 65535: --min-area leaves small ones out",
                       stem, objects);
    if (labels.rank() == 3 || flags_.format == "tif") {
      Shape shape = labels.shape();
      shape.insert(0, 1);
      data::write_tiff(folder_.path(stem + ".objects.tif"), raw::view(labels, shape, contiguous_strides(shape)));
    } else {
      Tensor unit = Tensor::empty(labels.shape());
      for (std::int64_t i = 0; i < labels.numel(); ++i)
        raw::data<float>(unit)[i] = static_cast<float>(raw::data<std::int64_t>(labels)[i]) / 65535.0f;
      data::write_png(folder_.path(stem + ".objects.png"), unit, {.bit_depth = 16});
    }
    if (!flags_.colours || labels.rank() == 3) return;
    Tensor ids = Tensor::empty(labels.shape(), {.dtype = u8});
    for (std::int64_t i = 0; i < labels.numel(); ++i) {
      const std::int64_t label = raw::data<std::int64_t>(labels)[i];
      raw::data<std::uint8_t>(ids)[i] = static_cast<std::uint8_t>(label == 0 ? 0 : 1 + (label - 1) % 253);
    }
    data::write_png(folder_.path(stem + ".colours.png"), paint(ids, 255));
  }

  const CountFlags& flags_;
  RunFolder folder_;
  std::optional<Segmenter> segmenter_;
  std::map<std::string, std::string> images_;
  std::string csv_ =
      "image,object,class,area,centroid_z,centroid_y,centroid_x,front,top,left,back,bottom,right,mean_intensity\n";
};

void count(const CountFlags& flags) {
  if (flags.threads > 0) set_num_threads(flags.threads);
  const std::vector<data::ImageFile> files = gather_images("count", flags.inputs);
  Counting counting(flags);
  Failures failures;
  for (const data::ImageFile& file : files) failures.attempt(file.path, [&] { counting.file(file); });
  if (failures.count() < files.size()) counting.publish();
  failures.raise("count", files.size());
}

}  // namespace

void add_count(CLI::App& program) {
  auto flags = std::make_shared<CountFlags>();
  CLI::App& command = *program.add_subcommand("count", "Number and measure the objects in masks, or in images");
  command.add_option("masks", flags->inputs, "PNG and TIFF files, or folders of them; with --weights, images")
      ->required();
  CLI::Option* weights = command.add_option("--weights", flags->weights, "segment the files first, by these weights");
  command.add_option("--images", flags->images, "folder of the images of the same names, for mean_intensity")
      ->excludes(weights);
  command.add_option("--out", flags->out, "folder for objects.csv and NAME.objects.png or .tif, 16-bit numbers")
      ->capture_default_str();
  command.add_option("--class", flags->of_class, "only objects of this label value. Default: of each but 0")
      ->check(CLI::Range(0, 255));
  command.add_option("--min-area", flags->min_area, "leave out objects of fewer pixels")
      ->check(CLI::Range(std::int64_t{1}, std::int64_t{1} << 40))
      ->capture_default_str();
  command.add_flag("--diagonal", flags->diagonal, "pixels that share a corner belong together too");
  command.add_option("--format", flags->format, "of the label images: png or tif")
      ->check(CLI::IsMember({"png", "tif"}))
      ->capture_default_str();
  command.add_flag("--colours", flags->colours, "also write NAME.colours.png, for people");
  command.add_option("--threads", flags->threads, "how many threads compute. Default: all cores")
      ->check(CLI::Range(1, 1024));
  command.callback([flags] { count(*flags); });
}

}  // namespace duet::examples
