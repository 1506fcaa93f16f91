// Crops of labelled pictures, as a training loop draws them: the same code feeds Duet and libtorch. A folder has
// image/*.png and label/*.png of the same names. Standard library and libpng only.
#pragma once

#include <png.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <random>
#include <stdexcept>
#include <string>
#include <vector>

namespace duet::bench {

/// The folder that the environment names for the workload `crops`; null without it.
inline const char* crops_folder() { return std::getenv("DUET_BENCH_CROPS"); }

class Crops {
 public:
  explicit Crops(const std::string& folder) {
    std::vector<std::string> names;
    for (const auto& entry : std::filesystem::directory_iterator(folder + "/image"))
      names.push_back(entry.path().filename().string());
    std::sort(names.begin(), names.end());
    for (const std::string& name : names) {
      images_.push_back(read(folder + "/image/" + name));
      labels_.push_back(read(folder + "/label/" + name));
      if (images_.back().width != labels_.back().width || images_.back().height != labels_.back().height)
        throw std::runtime_error(name + ": image and label have different sizes");
    }
    if (images_.empty()) throw std::runtime_error("no pictures in " + folder);
  }

  /// `count` crops of side x side, each flipped or turned in one of eight ways: images in [0, 1], labels 0 or 1.
  void next(std::int64_t count, std::int64_t side, float* images, float* labels) {
    for (std::int64_t n = 0; n < count; ++n) {
      const std::size_t k = draw(static_cast<std::int64_t>(images_.size()));
      const Picture &image = images_[k], &label = labels_[k];
      if (image.width < side || image.height < side) throw std::runtime_error("a picture is smaller than a crop");
      const std::int64_t left = static_cast<std::int64_t>(draw(image.width - side + 1)),
                         top = static_cast<std::int64_t>(draw(image.height - side + 1));
      const std::size_t way = draw(8);
      for (std::int64_t i = 0; i < side; ++i)
        for (std::int64_t j = 0; j < side; ++j) {
          std::int64_t row = (way & 1) != 0 ? side - 1 - i : i, column = (way & 2) != 0 ? side - 1 - j : j;
          if ((way & 4) != 0) std::swap(row, column);
          const std::size_t at = static_cast<std::size_t>((top + row) * image.width + left + column);
          *images++ = static_cast<float>(image.pixels[at]) / 255;
          *labels++ = label.pixels[at] > 127 ? 1.0f : 0.0f;
        }
    }
  }

 private:
  struct Picture {
    std::int64_t width, height;
    std::vector<unsigned char> pixels;
  };

  static Picture read(const std::string& path) {
    png_image png{};
    png.version = PNG_IMAGE_VERSION;
    if (png_image_begin_read_from_file(&png, path.c_str()) == 0) throw std::runtime_error(path + ": " + png.message);
    png.format = PNG_FORMAT_GRAY;
    std::vector<unsigned char> pixels(PNG_IMAGE_SIZE(png));
    if (png_image_finish_read(&png, nullptr, pixels.data(), 0, nullptr) == 0)
      throw std::runtime_error(path + ": " + png.message);
    return {static_cast<std::int64_t>(png.width), static_cast<std::int64_t>(png.height), std::move(pixels)};
  }
  std::size_t draw(std::int64_t below) { return random_() % static_cast<std::uint64_t>(below); }

  std::vector<Picture> images_, labels_;
  std::mt19937_64 random_{0};
};

}  // namespace duet::bench
