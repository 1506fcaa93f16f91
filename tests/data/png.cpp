// PNG: what is written comes back, what others write is read, and no broken file gets past.
#include <doctest/doctest.h>

#include <sys/resource.h>
#include <unistd.h>
#include <zlib.h>

#include <cmath>
#include <cstring>
#include <limits>

#include <duet/core/factory.hpp>
#include <duet/core/raw.hpp>
#include <duet/nn/data/png.hpp>

#include "data/support.hpp"

using namespace duet;
using namespace duet::data;

namespace {

/// A chunk with its length and checksum.
std::string chunk(const std::string& type, const std::string& data) {
  const auto big_endian = [](std::uint32_t v) {
    return std::string{static_cast<char>(v >> 24), static_cast<char>(v >> 16), static_cast<char>(v >> 8),
                       static_cast<char>(v)};
  };
  const std::string body = type + data;
  const auto checksum = ::crc32(0, reinterpret_cast<const Bytef*>(body.data()), static_cast<uInt>(body.size()));
  return big_endian(static_cast<std::uint32_t>(data.size())) + body + big_endian(static_cast<std::uint32_t>(checksum));
}

std::string head(std::uint32_t width, std::uint32_t height, int depth, int color, int interlace = 0) {
  std::string data;
  for (const std::uint32_t side : {width, height})
    for (int shift = 24; shift >= 0; shift -= 8) data += static_cast<char>(side >> shift);
  data += {static_cast<char>(depth), static_cast<char>(color), 0, 0, static_cast<char>(interlace)};
  return chunk("IHDR", data);
}

std::string compressed(const std::string& rows) {
  uLongf size = ::compressBound(rows.size());
  std::string out(size, '\0');
  ::compress(reinterpret_cast<Bytef*>(out.data()), &size, reinterpret_cast<const Bytef*>(rows.data()), rows.size());
  out.resize(size);
  return chunk("IDAT", out);
}

const std::string signature("\x89PNG\r\n\x1a\n", 8);
const std::string tail = chunk("IEND", "");

Tensor decode(const std::string& bytes, const ReadPngOptions& options = {}) {
  return decode_png(std::span(reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size()), "made.png", options);
}

std::string refusal(const std::string& bytes, const ReadPngOptions& options = {}) {
  return message_of<IoError>([&] { decode(bytes, options); });
}

Tensor ramp(const Shape& shape, int step) {
  Tensor image = Tensor::empty(shape, {.dtype = u8});
  for (std::int64_t i = 0; i < image.numel(); ++i)
    raw::data<std::uint8_t>(image)[i] = static_cast<std::uint8_t>(i * step);
  return image;
}

}  // namespace

TEST_CASE("png: 8 bit images of one to four channels come back exactly") {
  NEEDS_PNG();
  const TemporaryFolder folder;
  for (std::int64_t channels = 1; channels <= 4; ++channels) {
    const Tensor image = ramp({channels, 5, 7}, 3);
    const std::string path = folder / "image.png";
    write_png(path, image);
    const Tensor back = read_png(path);
    CHECK(back.dtype() == u8);
    CHECK(back.shape() == image.shape());
    CHECK(back.to_vector() == image.to_vector());
    const PngInfo info = read_png_info(path);
    CHECK(info.height == 5);
    CHECK(info.width == 7);
    CHECK(info.channels == channels);
    CHECK(info.bit_depth == 8);
    CHECK_FALSE(info.palette);
  }
}

TEST_CASE("png: 16 bit images keep every value, and strides are followed") {
  NEEDS_PNG();
  const TemporaryFolder folder;
  Tensor values = Tensor::empty({256, 256});
  for (std::int64_t i = 0; i < 65536; ++i) raw::data<float>(values)[i] = static_cast<float>(i) / 65535.0f;
  write_png(folder / "wide.png", values, {.bit_depth = 16});
  const Tensor back = read_png(folder / "wide.png");
  CHECK(back.dtype() == f32);
  CHECK(back.to_vector() == values.to_vector());
  CHECK(read_png_info(folder / "wide.png").bit_depth == 16);

  const Tensor transposed = raw::view(values, {256, 256}, {1, 256});
  write_png(folder / "turned.png", transposed, {.bit_depth = 16});
  CHECK(read_png(folder / "turned.png").to_vector() == transposed.to_vector());
}

TEST_CASE("png: floats are clipped and rounded, u8 stretches to 16 bits") {
  NEEDS_PNG();
  const float values[] = {-1, 0, 0.5f, 1, 7, std::numeric_limits<float>::quiet_NaN()};
  const Tensor image = Tensor::from_span(std::span<const float>(values), {1, 6});
  const auto bytes = encode_png(image);
  CHECK(decode_png(bytes, "x").to_vector() == std::vector<double>{0, 0, 128, 255, 255, 0});
  const auto wide = encode_png(ramp({1, 2}, 255), {.bit_depth = 16});
  CHECK(decode_png(wide, "x").to_vector() == std::vector<double>{0, 1});
}

TEST_CASE("png: palettes give colours or indices, low depths are stretched or not, interlacing is undone") {
  NEEDS_PNG();
  const std::string palette = chunk("PLTE", std::string("\x0a\x14\x1e\xff\x00\x01", 6));
  // Two bits a pixel: indices 0 1 1 0.
  const std::string indexed = signature + head(4, 1, 2, 3) + palette + compressed(std::string("\0\x14", 2)) + tail;
  CHECK(decode(indexed).to_vector() == std::vector<double>{10, 255, 255, 10, 20, 0, 0, 20, 30, 1, 1, 30});
  const Tensor indices = decode(indexed, {.stored_values = true});
  CHECK(indices.shape() == Shape{1, 1, 4});
  CHECK(indices.to_vector() == std::vector<double>{0, 1, 1, 0});

  const std::string gray = signature + head(4, 1, 2, 0) + compressed(std::string("\0\x1b", 2)) + tail;
  CHECK(decode(gray).to_vector() == std::vector<double>{0, 85, 170, 255});
  CHECK(decode(gray, {.stored_values = true}).to_vector() == std::vector<double>{0, 1, 2, 3});

  // Adam7 on 2 x 2: pass 1 has (0,0), pass 6 has (0,1), pass 7 has row 1.
  const std::string adam7 =
      signature + head(2, 2, 8, 0, 1) + compressed(std::string("\0\x01\0\x02\0\x03\x04", 7)) + tail;
  CHECK(decode(adam7).to_vector() == std::vector<double>{1, 2, 3, 4});

  // A palette with transparency has an alpha channel.
  const std::string transparent = signature + head(4, 1, 2, 3) + palette + chunk("tRNS", std::string(1, '\0')) +
                                  compressed(std::string("\0\x14", 2)) + tail;
  CHECK(decode(transparent).shape() == Shape{4, 1, 4});
}

TEST_CASE("png: broken files are IoErrors that name the file") {
  NEEDS_PNG();
  const std::string rows("\0abcdefgh", 9);
  const std::string good = signature + head(8, 1, 8, 0) + compressed(rows) + tail;
  CHECK(decode(good).numel() == 8);
  CHECK(contains(refusal(""), "made.png is not a PNG file"));
  CHECK(contains(refusal("GIF89a......"), "made.png is not a PNG file"));
  for (std::size_t length = 8; length < good.size(); ++length)
    CHECK_MESSAGE(contains(refusal(good.substr(0, length)), "made.png"), "cut at ", length);
  std::string flipped = good;
  flipped[45] = static_cast<char>(flipped[45] ^ 0x10);  // inside IDAT: its checksum no longer holds
  CHECK(contains(refusal(flipped), "made.png is broken"));
  CHECK(contains(refusal(signature + compressed(rows) + tail), "made.png"));
  CHECK(contains(refusal(signature + head(0, 1, 8, 0) + compressed(rows) + tail), "made.png"));
  CHECK(contains(refusal(signature + head(8, 1, 3, 0) + compressed(rows) + tail), "made.png"));
  CHECK(contains(refusal(signature + head(8, 1, 8, 3) + compressed(rows) + tail), "made.png"));  // no palette
}

TEST_CASE("png: an image too large is refused before memory is taken") {
  NEEDS_PNG();
  const std::string huge = signature + head(2000000000, 2000000000, 16, 6) + compressed("x") + tail;
  CHECK(contains(refusal(huge), "2000000000 x 2000000000 pixels, more than the limit"));
  const std::string bomb = signature + head(16000, 16000, 8, 0) + compressed("x") + tail;
  CHECK(contains(refusal(bomb), "truncated"));
  const std::string small = signature + head(8, 1, 8, 0) + compressed(std::string("\0abcdefgh", 9)) + tail;
  CHECK(contains(refusal(small, {.max_pixels = 7}), "more than the limit of 7"));
}

TEST_CASE("png: texts and profiles take no memory, whatever they unpack to") {
  NEEDS_PNG();
  const std::string rows("\0abcdefgh", 9);
  const std::string zeros = compressed(std::string(4 << 20, '\0')).substr(8);  // 4 kB, as a chunk's data and checksum
  const std::string unpacks = zeros.substr(0, zeros.size() - 4);
  std::string file = signature + head(8, 1, 8, 0) + chunk("iCCP", std::string("k\0\0", 3) + unpacks);
  for (int i = 0; i < 100; ++i) file += chunk("zTXt", std::string("k\0\0", 3) + unpacks);
  file += chunk("tEXt", std::string("k\0", 2) + std::string(9 << 20, 'x')) + compressed(rows) + tail;
  const auto most_resident = [] {
    rusage usage{};
    ::getrusage(RUSAGE_SELF, &usage);
    return usage.ru_maxrss;  // kB
  };
  const long before = most_resident();
  CHECK(decode(file).to_vector() == std::vector<double>{'a', 'b', 'c', 'd', 'e', 'f', 'g', 'h'});
  CHECK(most_resident() - before < 4096);
}

TEST_CASE("png: a file that cannot be read or written, an image that is none") {
  NEEDS_PNG();
  const TemporaryFolder folder;
  CHECK(contains(message_of<IoError>([&] { read_png(folder / "none.png"); }), "none.png"));
  CHECK(contains(message_of<IoError>([&] { read_png(folder.path.string()); }), folder.path.string()));
  CHECK(contains(message_of<IoError>([&] { write_png(folder / "no/such.png", ramp({2, 2}, 1)); }), "no/such.png"));
  CHECK_THROWS_AS(encode_png(ramp({5, 2, 2}, 1)), ShapeError);
  CHECK_THROWS_AS(encode_png(ramp({4}, 1)), ShapeError);
  CHECK_THROWS_AS(encode_png(ramp({0, 4}, 1)), ShapeError);
  CHECK_THROWS_AS(encode_png(arange(0, 4, 1, {.dtype = i64})), DtypeError);
  CHECK_THROWS_AS(encode_png(ramp({2, 2}, 1), {.bit_depth = 4}), ValueError);
  // A failed write leaves the earlier file alone.
  write_png(folder / "kept.png", ramp({2, 2}, 1));
  CHECK_THROWS_AS(write_png(folder / "kept.png", ramp({5, 2, 2}, 1)), ShapeError);
  CHECK(read_png(folder / "kept.png").to_vector() == std::vector<double>{0, 1, 2, 3});
}
