// What the PNG functions say in a Duet that was built without libpng; cmake/library.cmake takes this file or png.cpp.
#include <cstring>

#include <duet/core/fail.hpp>
#include <duet/core/platform.hpp>
#include <duet/nn/data/png.hpp>

namespace duet::data {
namespace {

[[noreturn]] void absent(const std::string& what) {
  fail<IoError>("png", "'{}': this Duet was built without PNG images (Debian: install libpng-dev and build it again)",
                what);
}

}  // namespace

bool has_png() { return false; }
PngInfo read_png_info(const std::string& path) { absent(path); }
Tensor read_png(const std::string& path, const ReadPngOptions&) { absent(path); }
Tensor decode_png(std::span<const std::uint8_t>, const std::string& name, const ReadPngOptions&) { absent(name); }
void write_png(const std::string& path, const Tensor&, const WritePngOptions&) { absent(path); }
std::vector<std::uint8_t> encode_png(const Tensor&, const WritePngOptions&) { absent("encode_png"); }

// Files of other forms have none, with or without libpng.
std::vector<std::uint8_t> read_palette(const std::string& path) {
  const auto file = MappedFile::open("read_palette", path);
  if (file->size() >= 4 && std::memcmp(file->data(), "\x89PNG", 4) == 0) absent(path);
  return {};
}

}  // namespace duet::data
