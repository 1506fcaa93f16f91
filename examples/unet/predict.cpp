// duet_unet predict: masks for images, at their full size. A file that cannot be read or does not fit the model does
// not stop the others.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <memory>

#include <duet/core/fail.hpp>
#include <duet/core/parallel.hpp>
#include <duet/core/raw.hpp>
#include <duet/nn/data/png.hpp>
#include <duet/nn/data/tiff.hpp>

#include "common/progress.hpp"
#include "common/run_folder.hpp"
#include "unet/batch.hpp"
#include "unet/commands.hpp"
#include "unet/segmenter.hpp"

namespace duet::examples {
namespace {

struct PredictFlags {
  std::vector<std::string> inputs;
  std::string weights, out = "predictions";
  bool probabilities = false, flips = false, quiet = false;
  std::int64_t tile = 512, max_pixels = std::int64_t{1} << 28;
  int threads = 0;
};

/// The planes of pages (channels, h, w) as one volume (channels, pages, h, w).
Tensor as_volume(const std::vector<Tensor>& pages) {
  Shape shape = pages[0].shape();
  if (shape.rank() == 2) shape.insert(0, 1);
  const std::int64_t plane = shape[1] * shape[2];
  Tensor volume = Tensor::empty({shape[0], static_cast<std::int64_t>(pages.size()), shape[1], shape[2]},
                                {.dtype = pages[0].dtype()});
  for (std::size_t z = 0; z < pages.size(); ++z) {
    Tensor place = raw::view(volume, shape, {volume.strides()[0], shape[2], 1}, static_cast<std::int64_t>(z) * plane);
    raw::copy(raw::view(pages[z], shape, contiguous_strides(shape)), place);
  }
  return volume;
}

/// Predicts and writes what belongs to one file.
class Writer {
 public:
  Writer(Segmenter& segmenter, RunFolder& folder, const PredictFlags& flags)
      : segmenter_(segmenter), folder_(folder), flags_(flags) {}

  void write(const data::ImageFile& file, const Callable<void(double)>& progress) {
    const std::int64_t pages = data::read_image_info(file.path).pages;
    std::vector<Tensor> masks, probabilities;
    for (std::int64_t page = 0; page < pages; ++page) {
      const Tensor image =
          data::read_image(file.path, segmenter_.options().channels, {.max_pixels = flags_.max_pixels, .page = page});
      const PredictOptions options{.tile = flags_.tile, .flips = flags_.flips, .progress = [&](double share) {
                                     progress((static_cast<double>(page) + share) / static_cast<double>(pages));
                                   }};
      if (flags_.probabilities) {
        probabilities.push_back(segmenter_.probabilities(image, options));
        masks.push_back(as_label(segmenter_.classify(probabilities.back())));
      } else {
        masks.push_back(as_label(segmenter_.segment(image, options)));
      }
    }
    if (pages == 1)
      data::write_png(folder_.path(file.stem + ".png"), masks[0], {.palette = segmenter_.options().palette});
    else
      data::write_tiff(folder_.path(file.stem + ".tif"), as_volume(masks));
    if (flags_.probabilities) write_probabilities(file.stem, probabilities);
  }

 private:
  /// Class ids as the labels were: 0 and 255, or ids.
  Tensor as_label(const Tensor& ids) const {
    if (segmenter_.options().black_and_white)
      for (std::int64_t i = 0; i < ids.numel(); ++i)
        raw::data<std::uint8_t>(ids)[i] = static_cast<std::uint8_t>(255 * raw::data<std::uint8_t>(ids)[i]);
    return ids;
  }

  void write_probabilities(const std::string& stem, const std::vector<Tensor>& pages) {
    const std::int64_t channels = pages[0].size(0), plane = pages[0].size(1) * pages[0].size(2);
    for (std::int64_t c = 0; c < channels; ++c) {
      std::vector<Tensor> of_class;
      for (const Tensor& page : pages)
        of_class.push_back(raw::view(page, {page.size(1), page.size(2)}, {page.size(2), 1}, c * plane));
      const std::string name = fmt::format("{}.probability-{}", stem, segmenter_.options().classes == 2 ? 1 : c);
      if (pages.size() == 1)
        data::write_png(folder_.path(name + ".png"), of_class[0], {.bit_depth = 16});
      else
        data::write_tiff(folder_.path(name + ".tif"), as_volume(of_class), {.bit_depth = 16});
    }
  }

  Segmenter& segmenter_;
  RunFolder& folder_;
  const PredictFlags& flags_;
};

void predict(const PredictFlags& flags) {
  if (flags.threads > 0) set_num_threads(flags.threads);
  Segmenter segmenter = Segmenter::load(flags.weights);
  const std::vector<data::ImageFile> files = gather_images("predict", flags.inputs);
  RunFolder folder = RunFolder::start(flags.out);
  Writer writer(segmenter, folder, flags);
  Progress progress(flags.quiet ? Verbosity::quiet : Verbosity::normal);
  const auto start = std::chrono::steady_clock::now();
  Failures failures;
  std::int64_t done = 0;
  for (const data::ImageFile& file : files) {
    failures.attempt(file.path, [&] {
      writer.write(file, [&](double share) {
        const double whole = (static_cast<double>(done) + share) / static_cast<double>(files.size());
        const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
        progress.update(whole, seconds * (1 - whole) / whole, file.stem);
      });
    });
    ++done;
  }
  progress.clear();
  const std::size_t good = files.size() - failures.count();
  if (good > 0) {
    folder.publish();
    fmt::print("{} mask{} in {}\n", good, good == 1 ? "" : "s", flags.out);
  }
  failures.raise("predict", files.size());
}

}  // namespace

void add_predict(CLI::App& program) {
  auto flags = std::make_shared<PredictFlags>();
  CLI::App& command = *program.add_subcommand("predict", "Write a mask for each image");
  command.add_option("images", flags->inputs, "PNG and TIFF files, or folders of them")->required();
  command.add_option("--weights", flags->weights, "safetensors file that train wrote")->required();
  command
      .add_option("--out", flags->out,
                  "folder for NAME.png: 0 and 255, or class ids, as the labels were; NAME.tif for several pages")
      ->capture_default_str();
  command.add_flag("--probabilities", flags->probabilities,
                   "also write NAME.probability-CLASS.png, 16 bits, black 0 and white 1");
  command.add_flag("--flips", flags->flips, "predict from the mean over mirror images, which takes four times as long");
  command.add_option("--tile", flags->tile, "cut images with longer sides into overlapping tiles of this side")
      ->check(CLI::Range(8, 1 << 20))
      ->capture_default_str();
  command.add_option("--max-pixels", flags->max_pixels, "images with more are refused")
      ->check(CLI::Range(std::int64_t{1}, std::int64_t{1} << 40))
      ->capture_default_str();
  command.add_option("--threads", flags->threads, "how many threads compute. Default: all cores")
      ->check(CLI::Range(1, 1024));
  command.add_flag("--quiet", flags->quiet, "no progress bar");
  command.callback([flags] { predict(*flags); });
}

}  // namespace duet::examples
