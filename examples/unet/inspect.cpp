// duet_unet inspect: what a data folder holds, what is wrong with it, and pictures of its labels over its images. Looks
// at every file and tells everything, where training stops at the first fault.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <array>
#include <map>
#include <memory>

#include <duet/core/fail.hpp>
#include <duet/core/raw.hpp>
#include <duet/nn/data/png.hpp>

#include "common/run_folder.hpp"
#include "unet/commands.hpp"
#include "unet/image_choice.hpp"
#include "unet/pictures.hpp"

namespace duet::examples {
namespace {

struct InspectFlags {
  std::string data, out;
  int classes = 0, ignore = -1;
  std::int64_t pictures = 8;
};

/// Least, largest and mean value, as stored.
struct Range {
  double least = 0, most = 0, mean = 0;
};

Range range_of(const Tensor& image) {
  const std::vector<double> values = image.to_vector();
  Range range{values[0], values[0], 0};
  for (const double value : values) {
    range.least = std::min(range.least, value);
    range.most = std::max(range.most, value);
    range.mean += value / static_cast<double>(values.size());
  }
  return range;
}

class Inspection {
 public:
  explicit Inspection(const InspectFlags& flags) : flags_(flags) {
    if (!flags.out.empty()) folder_.emplace(RunFolder::start(flags.out));
  }

  void run() {
    std::map<std::string, std::pair<std::string, std::string>> pairs;  // image and label by stem
    for (const auto& [stem, path] : data::list_images(flags_.data + "/image")) pairs[stem].first = path;
    for (const auto& [stem, path] : data::list_images(flags_.data + "/label")) pairs[stem].second = path;
    fmt::print("{:<16} {:>13} {:>4} {:>5}  {:>28}  {}\n", "image", "size", "ch", "bits", "values: least, mean, most",
               "pixels of each label");
    for (const auto& [stem, paths] : pairs) {
      if (paths.first.empty() || paths.second.empty()) {
        problem(paths.first.empty() ? fmt::format("label {} has no image", paths.second)
                                    : fmt::format("image {} has no label", paths.first));
        continue;
      }
      try {
        pair(stem, paths.first, paths.second);
      } catch (const Error& error) {
        problem(error.what());
      }
    }
    if (pairs.empty())
      fail<IoError>("inspect", "{}/image and {}/label have no PNG or TIFF files", flags_.data, flags_.data);
    summary();
  }

 private:
  void problem(const std::string& text) { problems_.push_back(text); }

  void pair(const std::string& stem, const std::string& image_path, const std::string& label_path) {
    const data::ImageInfo info = data::read_image_info(image_path), label_info = data::read_image_info(label_path);
    if (info.pages != label_info.pages)
      return problem(fmt::format("label {} has {} pages, its image {}", label_path, label_info.pages, info.pages));
    for (std::int64_t page = 0; page < info.pages; ++page) {
      const data::ImageInfo head = data::read_image_info(image_path, page);
      const Tensor image = data::read_image(image_path, 0, {.page = page});
      const Tensor label = data::read_label(label_path, {.page = page});
      const std::string name = info.pages == 1 ? stem : fmt::format("{}.{:03}", stem, page);
      const Range range = range_of(image);
      std::array<std::int64_t, 256> counts = {};
      for (const std::uint8_t id : label.span<std::uint8_t>()) ++counts[id];
      std::string labels;
      for (std::size_t id = 0; id < 256; ++id) {
        counts_[id] += counts[id];
        if (counts[id] > 0) labels += fmt::format("{}: {}  ", id, counts[id]);
        if (counts[id] > 0 && first_with_[id].empty()) first_with_[id] = label_path;
      }
      // Values as the file has them, not as they are read.
      const double unit = head.bit_depth == 16 ? 65535 : 1;
      fmt::print("{:<16} {:>6} x {:>4} {:>4} {:>5}  {:>8.4g} {:>9.4g} {:>9.4g}  {}\n", name, head.height, head.width,
                 image.size(0), head.floating ? "float" : std::to_string(head.bit_depth), range.least * unit,
                 range.mean * unit, range.most * unit, labels);
      check(image, label, image_path, label_path);
      ++images_;
      if (folder_ && shown_ < flags_.pictures && image.size(1) == label.size(0) && image.size(2) == label.size(1)) {
        data::write_png(folder_->path(name + ".png"), picture(image, label));
        ++shown_;
      }
    }
  }

  void check(const Tensor& image, const Tensor& label, const std::string& image_path, const std::string& label_path) {
    if (image.size(1) != label.size(0) || image.size(2) != label.size(1))
      problem(fmt::format("label {} is {} x {} pixels, its image {} x {}", label_path, label.size(0), label.size(1),
                          image.size(1), image.size(2)));
    if (channels_ == 0) {
      channels_ = image.size(0);
      first_image_ = image_path;
    }
    const bool gray_and_colours = std::min(channels_, image.size(0)) == 1 && std::max(channels_, image.size(0)) == 3;
    if (image.size(0) != channels_ && !gray_and_colours)
      problem(fmt::format("{} has {} channels, {} has {}", image_path, image.size(0), first_image_, channels_));
  }

  /// Labels as ids for the picture: of 0 and 255 the second is class 1.
  Tensor picture(const Tensor& image, const Tensor& label) const {
    const Tensor ids = raw::clone(label);
    int highest = 0;
    for (const std::uint8_t id : label.span<std::uint8_t>())
      if (id < 255) highest = std::max<int>(highest, id);
    for (std::int64_t i = 0; i < ids.numel(); ++i) {
      std::uint8_t& id = raw::data<std::uint8_t>(ids)[i];
      if (id == flags_.ignore)
        id = data::ignored_label;
      else if (id == 255 && highest == 0)
        id = 1;
    }
    return overlay(image, ids, flags_.classes > 0 ? flags_.classes : 255);
  }

  /// The label value that --ignore leaves among those that count, from the top; -1 for none.
  int highest(int below) const {
    for (int id = below - 1; id >= 0; --id)
      if (id != flags_.ignore && counts_[static_cast<std::size_t>(id)] > 0) return id;
    return -1;
  }

  void summary() {
    const bool white = flags_.ignore != 255 && counts_[255] > 0;
    const int top = highest(255), classes = flags_.classes > 0 ? flags_.classes : std::max(2, top + 1);
    if (white && top > 0)
      problem(fmt::format("{} has the label 255, {} has {}: labels are 0 and 255, or class ids below 255",
                          first_with_[255], first_with_[static_cast<std::size_t>(top)], top));
    if (top >= classes)
      problem(fmt::format("label {} has the value {}: with {} classes ids go up to {}",
                          first_with_[static_cast<std::size_t>(top)], top, classes, classes - 1));
    std::int64_t all = 0;
    for (std::size_t id = 0; id < 256; ++id)
      if (static_cast<int>(id) != flags_.ignore) all += counts_[id];
    fmt::print("\n{} image{}, {} pixels that count, {} classes\n", images_, images_ == 1 ? "" : "s", all, classes);
    for (std::size_t id = 0; id < 256; ++id)
      if (counts_[id] > 0)
        fmt::print("label {:>3}{}  {:>12} pixels  {:6.2f} %\n", id,
                   static_cast<int>(id) == flags_.ignore ? " (ignored)" : "", counts_[id],
                   100 * static_cast<double>(counts_[id]) / static_cast<double>(std::max<std::int64_t>(all, 1)));
    if (folder_) {
      folder_->publish();
      fmt::print("{} picture{} in {}\n", shown_, shown_ == 1 ? "" : "s", flags_.out);
    }
    std::string text;
    for (const std::string& line : problems_) text += (problems_.size() == 1 ? " " : "\n  ") + line;
    if (!problems_.empty())
      fail<ValueError>("inspect", "{} problem{}:{}", problems_.size(), problems_.size() == 1 ? "" : "s", text);
    fmt::print("no problems\n");
  }

  const InspectFlags& flags_;
  std::optional<RunFolder> folder_;
  std::vector<std::string> problems_;
  std::array<std::int64_t, 256> counts_ = {};
  std::array<std::string, 256> first_with_;
  std::string first_image_;
  std::int64_t channels_ = 0, images_ = 0, shown_ = 0;
};

}  // namespace

void add_inspect(CLI::App& program) {
  auto flags = std::make_shared<InspectFlags>();
  CLI::App& command = *program.add_subcommand("inspect", "Look through a data folder: sizes, values, labels, faults");
  command.add_option("--data", flags->data, "folder with image/ and label/")->required();
  command.add_option("--classes", flags->classes, "labels above are faults. Default: as many as there are")
      ->check(CLI::Range(2, 255));
  command.add_option("--ignore", flags->ignore, "label value of pixels that do not count")->check(CLI::Range(0, 255));
  command.add_option("--out", flags->out, "folder for pictures of labels over images. Default: none");
  command.add_option("--pictures", flags->pictures, "how many of them")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  command.callback([flags] { Inspection(*flags).run(); });
}

}  // namespace duet::examples
