// TIFF: files of our own, files made byte by byte in the ways of others, and files that lie.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <fstream>

#include <duet/core/factory.hpp>
#include <duet/core/random.hpp>
#include <duet/core/raw.hpp>
#include <duet/nn/data/image_set.hpp>
#include <duet/nn/data/png.hpp>
#include <duet/nn/data/tiff.hpp>

#include "data/support.hpp"

using namespace duet;
using namespace duet::data;

namespace {

using Bytes = std::vector<std::uint8_t>;

/// A TIFF file made by hand: one page, fields in the order of their numbers, pixels behind them.
class Handmade {
 public:
  explicit Handmade(bool big_endian = false) : big_(big_endian) {}
  /// A field of 16-bit (type 3) or 32-bit (type 4) values.
  Handmade& field(int tag, int type, std::vector<std::uint32_t> values) {
    fields_.push_back({tag, type, std::move(values)});
    return *this;
  }
  /// The usual fields of an image whose pixels lie in one strip.
  Handmade& image(std::uint32_t width, std::uint32_t height, std::uint32_t bits, std::uint32_t photometric,
                  std::uint32_t samples = 1, std::uint32_t compression = 1) {
    field(256, 4, {width}).field(257, 4, {height});
    field(258, 3, std::vector<std::uint32_t>(samples, bits)).field(259, 3, {compression}).field(262, 3, {photometric});
    return *this;
  }
  /// `offset_tag` and `count_tag` are filled with the places and sizes of these blocks of pixels.
  Bytes file(const std::vector<Bytes>& blocks, int offset_tag = 273, int count_tag = 279) {
    std::vector<std::uint32_t> counts;
    for (const Bytes& block : blocks) counts.push_back(static_cast<std::uint32_t>(block.size()));
    field(offset_tag, 4, counts).field(count_tag, 4, counts);
    std::stable_sort(fields_.begin(), fields_.end(), [](const Field& a, const Field& b) { return a.tag < b.tag; });
    std::size_t at = 8 + 2 + 12 * fields_.size() + 4;
    const std::size_t extra = at;
    for (const Field& f : fields_) at += size(f) > 4 ? size(f) : 0;
    for (Field& f : fields_)
      if (f.tag == offset_tag)
        for (std::size_t i = 0; i < blocks.size(); ++i) {
          f.values[i] = static_cast<std::uint32_t>(at);
          at += blocks[i].size();
        }
    Bytes out = big_ ? Bytes{'M', 'M'} : Bytes{'I', 'I'}, behind;
    put(out, 42, 2), put(out, 8, 4), put(out, static_cast<std::uint32_t>(fields_.size()), 2);
    for (const Field& f : fields_) {
      put(out, static_cast<std::uint32_t>(f.tag), 2), put(out, static_cast<std::uint32_t>(f.type), 2);
      put(out, static_cast<std::uint32_t>(f.values.size()), 4);
      Bytes values;
      for (const std::uint32_t value : f.values) put(values, value, f.type == 3 ? 2 : 4);
      if (values.size() > 4) {
        put(out, static_cast<std::uint32_t>(extra + behind.size()), 4);
        behind.insert(behind.end(), values.begin(), values.end());
      } else {
        values.resize(4);
        out.insert(out.end(), values.begin(), values.end());
      }
    }
    put(out, 0, 4);
    out.insert(out.end(), behind.begin(), behind.end());
    for (const Bytes& block : blocks) out.insert(out.end(), block.begin(), block.end());
    return out;
  }

 private:
  struct Field {
    int tag, type;
    std::vector<std::uint32_t> values;
  };
  static std::size_t size(const Field& f) { return f.values.size() * (f.type == 3 ? 2 : 4); }
  void put(Bytes& out, std::uint32_t value, int bytes) const {
    for (int i = 0; i < bytes; ++i) out.push_back(static_cast<std::uint8_t>(value >> 8 * (big_ ? bytes - 1 - i : i)));
  }
  bool big_;
  std::vector<Field> fields_;
};

std::vector<double> decoded(const Bytes& file, const ReadTiffOptions& options = {}) {
  return decode_tiff(file, "handmade", options).to_vector();
}

std::string refusal(const Bytes& file, const ReadTiffOptions& options = {}) {
  return message_of<IoError>([&] { decode_tiff(file, "bad.tif", options); });
}

Tensor ramp(const Shape& shape, Dtype dtype) {
  Tensor out = Tensor::empty(shape, {.dtype = dtype});
  raw::dispatch_all(dtype, [&](auto zero) {
    using T = decltype(zero);
    for (std::int64_t i = 0; i < out.numel(); ++i) raw::data<T>(out)[i] = static_cast<T>(i * 37 % 251);
  });
  return out;
}

}  // namespace

TEST_CASE("tiff: what is written is read back, with 1 to 4 channels, 8, 16 and 32 bits") {
  NEEDS_TIFF();
  for (const bool compress : {true, false})
    for (std::int64_t channels = 1; channels <= 4; ++channels) {
      const Shape shape{channels, 33, 17};
      const Tensor bytes = ramp(shape, u8);
      CHECK(decode_tiff(encode_tiff(bytes, {.compress = compress}), "u8").to_vector() == bytes.to_vector());
      const Tensor wide = ramp(shape, f32);
      const Tensor back = decode_tiff(encode_tiff(wide, {.compress = compress}), "f32");
      CHECK(back.dtype() == f32);
      CHECK(back.to_vector() == wide.to_vector());
      // 16 bits: a value v is v / 65535.
      Tensor unit = Tensor::empty(shape);
      for (std::int64_t i = 0; i < unit.numel(); ++i)
        raw::data<float>(unit)[i] = static_cast<float>(i * 997 % 65536) / 65535;
      CHECK(decode_tiff(encode_tiff(unit, {.bit_depth = 16, .compress = compress}), "u16").to_vector() ==
            unit.to_vector());
    }
  const std::int64_t numbers[] = {0, 1, 65535, 300};
  const auto words =
      decode_tiff(encode_tiff(Tensor::from_span(std::span<const std::int64_t>(numbers), {2, 2})), "i64").to_vector();
  CHECK(words[1] * 65535 == doctest::Approx(1));
  CHECK(words[2] == 1);
  const float special[] = {-1.5f, 1e30f, 0.0f, -0.0f};
  CHECK(decode_tiff(encode_tiff(Tensor::from_span(std::span<const float>(special), {1, 4})), "x").to_vector()[0] ==
        -1.5);
}

TEST_CASE("tiff: volumes, pages, heads") {
  NEEDS_TIFF();
  const TemporaryFolder folder;
  const Tensor volume = ramp({2, 5, 6, 7}, u8);
  write_tiff(folder / "v.tif", volume);
  const TiffInfo info = read_tiff_info(folder / "v.tif", 3);
  CHECK(info.pages == 5);
  CHECK(info.height == 6);
  CHECK(info.width == 7);
  CHECK(info.channels == 2);
  CHECK(info.bit_depth == 8);
  CHECK_FALSE(info.floating);
  CHECK(read_tiff_volume(folder / "v.tif").shape() == Shape{2, 5, 6, 7});
  CHECK(read_tiff_volume(folder / "v.tif").to_vector() == volume.to_vector());
  const Tensor page = read_tiff(folder / "v.tif", {.page = 3});
  CHECK(page.shape() == Shape{2, 6, 7});
  CHECK(page.to_vector()[42] == volume.to_vector()[5 * 42 + 3 * 42]);
  CHECK(contains(message_of<IoError>([&] { read_tiff(folder / "v.tif", {.page = 5}); }), "has no page 5"));
  CHECK(contains(message_of<IoError>([&] { read_tiff_volume(folder / "v.tif", {.max_pixels = 209}); }),
                 "more than the limit of 209"));
  CHECK_NOTHROW(read_tiff_volume(folder / "v.tif", {.max_pixels = 210}));
}

TEST_CASE("tiff: files as others make them") {
  NEEDS_TIFF();
  // One strip, both byte orders, 16 bits.
  CHECK(decoded(Handmade().image(3, 2, 8, 1).file({{1, 2, 3, 4, 5, 6}})) == std::vector<double>{1, 2, 3, 4, 5, 6});
  for (const bool big : {false, true}) {
    const Bytes words = big ? Bytes{1, 0, 0, 2} : Bytes{0, 1, 2, 0};
    const auto values = decoded(Handmade(big).image(2, 1, 16, 1).file({words}));
    CHECK(std::lround(values[0] * 65535) == 256);
    CHECK(std::lround(values[1] * 65535) == 2);
  }
  // Floating point, beyond [0, 1].
  Bytes real(4);
  const float value = -3.25f;
  std::memcpy(real.data(), &value, 4);
  CHECK(decoded(Handmade().image(1, 1, 32, 1).field(339, 3, {3}).file({real}))[0] == -3.25);
  // White is zero; one bit a pixel.
  CHECK(decoded(Handmade().image(2, 1, 8, 0).file({{0, 200}})) == std::vector<double>{255, 55});
  CHECK(decoded(Handmade().image(2, 1, 8, 0).file({{0, 200}}), {.stored_values = true}) == std::vector<double>{0, 200});
  const Bytes bits{0b10100000, 0b01000000};
  CHECK(decoded(Handmade().image(3, 2, 1, 1).file({bits})) == std::vector<double>{255, 0, 255, 0, 255, 0});
  CHECK(decoded(Handmade().image(3, 2, 1, 1).file({bits}), {.stored_values = true}) ==
        std::vector<double>{1, 0, 1, 0, 1, 0});
  // Several strips; planes one after the other.
  CHECK(decoded(Handmade().image(2, 3, 8, 1).field(278, 3, {2}).file({{1, 2, 3, 4}, {5, 6}})) ==
        std::vector<double>{1, 2, 3, 4, 5, 6});
  CHECK(decoded(Handmade().image(2, 1, 8, 2, 3).field(277, 3, {3}).field(284, 3, {2}).file({{1, 2}, {3, 4}, {5, 6}})) ==
        std::vector<double>{1, 2, 3, 4, 5, 6});
  CHECK(decoded(Handmade().image(2, 1, 8, 2, 3).field(277, 3, {3}).file({{1, 2, 3, 4, 5, 6}})) ==
        std::vector<double>{1, 4, 2, 5, 3, 6});
  // Tiles of 16 x 16 that reach over the image.
  std::vector<Bytes> tiles(4, Bytes(256));
  for (int y = 0; y < 20; ++y)
    for (int x = 0; x < 18; ++x)
      tiles[static_cast<std::size_t>(y / 16 * 2 + x / 16)][static_cast<std::size_t>(y % 16 * 16 + x % 16)] =
          static_cast<std::uint8_t>(7 * y + x);
  const auto tiled =
      decoded(Handmade().image(18, 20, 8, 1).field(322, 3, {16}).field(323, 3, {16}).file(tiles, 324, 325));
  for (int y = 0; y < 20; ++y)
    for (int x = 0; x < 18; ++x) REQUIRE(tiled[static_cast<std::size_t>(y * 18 + x)] == (7 * y + x) % 256);
  // A palette: colours of 16 bits, reds first.
  std::vector<std::uint32_t> map(768);
  map[1] = 0xff00, map[256 + 1] = 0x8000, map[512 + 1] = 0x1234;
  const Bytes painted = Handmade().image(2, 1, 8, 3).field(320, 3, map).file({{0, 1}});
  CHECK(decoded(painted) == std::vector<double>{0, 255, 0, 128, 0, 18});
  CHECK(decoded(painted, {.stored_values = true}) == std::vector<double>{0, 1});
}

TEST_CASE("tiff: files that are broken, lie, or are of a kind that is not read") {
  NEEDS_TIFF();
  CHECK(contains(refusal({}), "bad.tif is not a TIFF file (0 bytes)"));
  CHECK(contains(refusal(Bytes{'I', 'I', 42, 0, 8, 0, 0, 0}), "bad.tif"));
  CHECK(contains(refusal(Handmade().image(3, 2, 64, 1).file({Bytes(48)})), "64 bits"));
  CHECK(contains(refusal(Handmade().image(3, 2, 16, 1).field(339, 3, {2}).file({Bytes(12)})), "format 2"));
  CHECK(contains(refusal(Handmade().image(1, 1, 8, 2, 5).field(277, 3, {5}).file({Bytes(5)})), "5 channels"));
  CHECK(contains(refusal(Handmade().image(2, 2, 8, 8, 3).field(277, 3, {3}).file({Bytes(12)})), "colour model 8"));
  // JPEG 2000, LZMA, ZSTD, WebP and LERC.
  for (const std::uint32_t method : {34712u, 34925u, 50000u, 50001u, 34887u})
    CHECK(contains(refusal(Handmade().image(2, 2, 8, 1, 1, method).file({Bytes(4)})),
                   "compressed by method " + std::to_string(method)));
  // Sizes that the bytes cannot hold are met before memory is taken for them.
  CHECK(contains(refusal(Handmade().image(60000, 60000, 8, 1).file({Bytes(4)})), "more than the limit"));
  CHECK(contains(refusal(Handmade().image(16000, 16000, 8, 1).file({Bytes(4)})), "cannot hold 16000 x 16000"));
  CHECK(contains(refusal(Handmade().image(0xffffffff, 0xffffffff, 8, 1).file({Bytes(4)})), "bad.tif"));
  CHECK(contains(
      refusal(
          Handmade().image(16, 16, 8, 1).field(322, 3, {16}).field(323, 4, {0x7ffffff0}).file({Bytes(256)}, 324, 325)),
      "bad.tif"));
  // A tile is no larger than the file explains, or than an image may be.
  const auto tile = [](std::uint32_t width, std::uint32_t height) {
    return Handmade()
        .image(16, 16, 8, 1, 1, 8)
        .field(322, 3, {width})
        .field(323, 3, {height})
        .file({Bytes(40)}, 324, 325);
  };
  CHECK(contains(refusal(tile(4096, 4096)), "blocks of 4096 x 4096 pixels"));
  CHECK(contains(refusal(tile(32, 32), {.max_pixels = 1023}), "blocks of 32 x 32 pixels"));
  CHECK(contains(refusal(tile(32, 32), {.max_pixels = 1024}), "broken or truncated"));
  CHECK(contains(refusal(Handmade().image(0, 5, 8, 1).file({Bytes(4)})), "bad.tif"));
  CHECK(contains(refusal(Handmade().image(4, 4, 8, 1).file({Bytes(7)})), "bad.tif is broken or truncated"));
  // A directory that leads back to itself has no second page.
  Bytes loop = Handmade().image(1, 1, 8, 1).file({{1}});
  loop[8 + 2 + 12 * 7] = 8;
  CHECK(contains(refusal(loop, {.page = 1}), "no page 1"));

  const Bytes good = encode_tiff(ramp({2, 40, 30}, u8));
  std::size_t refused = 0;
  for (std::size_t length = 0; length < good.size(); ++length) {
    const Bytes part(good.begin(), good.begin() + static_cast<std::ptrdiff_t>(length));
    refused += refusal(part) != "nothing was thrown";
  }
  CHECK(refused >= good.size() - 4);  // the last four bytes say that there is no other page
  // Any byte may be any other: an image or an error, never anything else.
  Generator random(7);
  for (int round = 0; round < 3000; ++round) {
    Bytes bad = good;
    for (std::int64_t k = random.integer(1, 4); k > 0; --k)
      bad[static_cast<std::size_t>(random.integer(0, static_cast<std::int64_t>(bad.size())))] =
          static_cast<std::uint8_t>(random.integer(0, 256));
    try {
      decode_tiff(bad, "bad.tif", {.max_pixels = 1 << 20});
    } catch (const IoError& error) {
      REQUIRE(contains(error.what(), "bad.tif"));
    }
  }
}

TEST_CASE("tiff: what cannot be written is refused, and an earlier file stays") {
  NEEDS_TIFF();
  const TemporaryFolder folder;
  write_tiff(folder / "a.tif", ramp({4, 4}, u8));
  const std::int64_t large[] = {70000};
  CHECK_THROWS_AS(write_tiff(folder / "a.tif", Tensor::from_span(std::span<const std::int64_t>(large), {1, 1})),
                  ValueError);
  CHECK_THROWS_AS(write_tiff(folder / "a.tif", ramp({5, 2, 2}, u8)), ShapeError);
  CHECK_THROWS_AS(write_tiff(folder / "a.tif", ramp({4}, u8)), ShapeError);
  CHECK_THROWS_AS(write_tiff(folder / "a.tif", ramp({0, 2}, u8)), ShapeError);
  CHECK_THROWS_AS(write_tiff(folder / "a.tif", ramp({2, 2}, u8), {.bit_depth = 12}), ValueError);
  CHECK_THROWS_AS(write_tiff(folder / "a.tif", ramp({2, 2}, u8), {.bit_depth = 32}), DtypeError);
  CHECK_THROWS_AS(write_tiff(folder / "none/a.tif", ramp({2, 2}, u8)), IoError);
  CHECK(read_tiff(folder / "a.tif").to_vector() == ramp({4, 4}, u8).to_vector());
}

TEST_CASE("image files: either format by one function, told apart by content") {
  NEEDS_PNG();
  NEEDS_TIFF();
  const TemporaryFolder folder;
  const Tensor image = ramp({3, 5, 4}, u8);
  write_image(folder / "a.png", image);
  write_image(folder / "b.tiff", image);
  std::filesystem::copy_file(folder / "b.tiff", folder / "c.png");  // a name that lies
  for (const char* name : {"a.png", "b.tiff", "c.png"}) {
    CHECK(read_image(folder / name).to_vector() == image.to_vector());
    CHECK(read_image(folder / name, 1).shape() == Shape{1, 5, 4});
    CHECK(read_image_info(folder / name).channels == 3);
    CHECK(read_volume(folder / name).shape() == Shape{3, 1, 5, 4});
  }
  const auto listed = list_images(folder.path.string());
  REQUIRE(listed.size() == 3);
  CHECK(listed[1].stem == "b");
  write_image(folder / "two.tif", ramp({2, 5, 4}, u8));
  CHECK(read_image(folder / "two.tif").shape() == Shape{2, 5, 4});  // two channels, not gray and alpha
  CHECK(contains(message_of<ShapeError>([&] { read_image(folder / "two.tif", 1); }), "two.tif has 2 channels, not 1"));
  CHECK(contains(message_of<ShapeError>([&] { read_image(folder / "two.tif", 3); }), "two.tif has 2 channels, not 3"));
  write_image(folder / "alpha.png", ramp({4, 5, 4}, u8));
  CHECK(read_image(folder / "alpha.png").shape() == Shape{3, 5, 4});
  CHECK(read_image(folder / "alpha.png", 4).shape() == Shape{4, 5, 4});
  CHECK_THROWS_AS(read_image(folder / "a.png", 5), ValueError);
  CHECK_THROWS_AS(write_image(folder / "a.jpg", image), ValueError);
  std::ofstream(folder / "text.png") << "hello";
  CHECK(contains(message_of<IoError>([&] { read_image(folder / "text.png"); }),
                 "text.png is neither a PNG nor a TIFF file (5 bytes)"));
  CHECK(contains(message_of<IoError>([&] { read_image(folder / "a.png", 0, {.page = 1}); }), "no page 1"));

  // Labels: 16 bits and floating point hold ids too.
  const std::int64_t numbers[] = {0, 3, 65535, 7};
  write_tiff(folder / "l16.tif", Tensor::from_span(std::span<const std::int64_t>(numbers), {2, 2}));
  CHECK(read_label(folder / "l16.tif").to_vector() == std::vector<double>{0, 3, 255, 7});
  const float reals[] = {0, 3, 1, 7};
  write_tiff(folder / "l32.tif", Tensor::from_span(std::span<const float>(reals), {2, 2}));
  CHECK(read_label(folder / "l32.tif").to_vector() == std::vector<double>{0, 3, 1, 7});
  write_tiff(folder / "l32.tif", full({2, 2}, 0.5));
  CHECK(contains(message_of<ValueError>([&] { read_label(folder / "l32.tif"); }), "l32.tif has the value 0.5"));
  write_tiff(folder / "l16.tif", full({2, 2}, 256, {.dtype = i64}));
  CHECK(contains(message_of<ValueError>([&] { read_label(folder / "l16.tif"); }), "has the value 256"));
}

TEST_CASE("image set: TIFF pages are images, channels must agree") {
  NEEDS_PNG();
  NEEDS_TIFF();
  const TemporaryFolder folder;
  std::filesystem::create_directories(folder.path / "image");
  std::filesystem::create_directories(folder.path / "label");
  write_tiff(folder / "image/stack.tif", ramp({1, 3, 8, 9}, u8));
  Tensor labels = zeros({1, 3, 8, 9}, {.dtype = u8});
  raw::data<std::uint8_t>(labels)[72 + 5] = 2;
  write_tiff(folder / "label/stack.tif", labels);
  const ImageSet set = ImageSet::open(folder.path.string());
  CHECK(set.size() == 3);
  CHECK(set.name(1) == "stack.001");
  CHECK(set.classes() == 3);
  CHECK(set.load(1).label.to_vector()[5] == 2);
  CHECK(set.load(2).image.to_vector()[0] == ramp({1, 3, 8, 9}, u8).to_vector()[144]);
  CHECK(ImageSet::open(folder.path.string(), {.cache_bytes = 0}).hash() == set.hash());

  write_tiff(folder / "label/stack.tif", zeros({1, 2, 8, 9}, {.dtype = u8}));
  CHECK(
      contains(message_of<IoError>([&] { ImageSet::open(folder.path.string()); }), "stack.tif has 2 pages, its image"));
  write_tiff(folder / "image/stack.tif", ramp({2, 8, 9}, u8));
  write_tiff(folder / "label/stack.tif", zeros({8, 9}, {.dtype = u8}));
  write_png(folder / "image/z.png", ramp({8, 9}, u8));
  write_png(folder / "label/z.png", zeros({8, 9}, {.dtype = u8}));
  const std::string text = message_of<ShapeError>([&] { ImageSet::open(folder.path.string()); });
  CHECK(contains(text, "z.png has 1 channel, "));
  CHECK(contains(text, "stack.tif has 2"));
  CHECK(contains(message_of<ShapeError>([&] { ImageSet::open(folder.path.string(), {.channels = 2}); }),
                 "z.png has 1 channel, not 2"));
}
