// Image sets, crops, the generator and the scores.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <set>

#include <duet/core/factory.hpp>
#include <duet/core/raw.hpp>
#include <duet/nn/data/crop.hpp>
#include <duet/nn/data/loader.hpp>
#include <duet/nn/data/png.hpp>

#include "data/support.hpp"

using namespace duet;
using namespace duet::data;

namespace {

Tensor bytes(const Shape& shape, const std::vector<int>& values) {
  Tensor tensor = Tensor::empty(shape, {.dtype = u8});
  for (std::int64_t i = 0; i < tensor.numel(); ++i)
    raw::data<std::uint8_t>(tensor)[i] = static_cast<std::uint8_t>(values[static_cast<std::size_t>(i) % values.size()]);
  return tensor;
}

/// A data folder with pairs written by `add`.
struct DataFolder : TemporaryFolder {
  DataFolder() {
    std::filesystem::create_directories(path / "image");
    std::filesystem::create_directories(path / "label");
  }
  void add(const std::string& stem, const Tensor& image, const Tensor& label) const {
    write_png(*this / ("image/" + stem + ".png"), image);
    write_png(*this / ("label/" + stem + ".png"), label);
  }
  ImageSet open(const ImageSetOptions& options = {}) const { return ImageSet::open(path.string(), options); }
  template <class E>
  std::string refusal() const {
    return message_of<E>([&] { open(); });
  }
};

}  // namespace

TEST_CASE("image set: pairs in name order, sizes of their own, 0 and 255 as two classes") {
  NEEDS_PNG();
  const DataFolder folder;
  folder.add("b", bytes({2, 3}, {10, 20, 30, 40, 50, 60}), bytes({2, 3}, {0, 255}));
  folder.add("a", bytes({4, 4}, {0, 255}), bytes({4, 4}, {255}));
  const ImageSet set = folder.open();
  CHECK(set.size() == 2);
  CHECK(set.name(0) == "a");
  CHECK(set.name(1) == "b");
  CHECK(set.extent(1) == Shape{2, 3});
  CHECK(set.pixels() == 22);
  CHECK(set.channels() == 1);
  CHECK(set.classes() == 2);
  CHECK(set.black_and_white());
  CHECK(set.load(1).label.to_vector() == std::vector<double>{0, 1, 0, 1, 0, 1});
  CHECK(set.load(1).image.to_vector() == std::vector<double>{10, 20, 30, 40, 50, 60});
  // Without a cache the files are read again, to the same result.
  const ImageSet lazy = folder.open({.cache_bytes = 0});
  CHECK(lazy.load(1).label.to_vector() == set.load(1).label.to_vector());
  CHECK(lazy.hash() == set.hash());
  CHECK(set.hash().size() == std::string("fnv1a64:0123456789abcdef").size());
  CHECK(set.subset(0, 1).hash() != set.hash());
  CHECK(set.subset(1, 2).name(0) == "b");
  CHECK_THROWS_AS(set.subset(1, 3), ValueError);
  CHECK_THROWS_AS(set.load(2), ValueError);
}

TEST_CASE("image set: class ids, colours, 16 bits, statistics") {
  NEEDS_PNG();
  const DataFolder folder;
  folder.add("a", bytes({3, 1, 2}, {0, 255, 0, 0, 255, 255}), bytes({1, 2}, {0, 4}));
  folder.add("b", bytes({1, 2}, {51, 102}), bytes({3, 1, 2}, {2, 1}));
  const ImageSet set = folder.open();
  CHECK(set.channels() == 3);
  CHECK(set.classes() == 5);
  CHECK_FALSE(set.black_and_white());
  CHECK(set.load(0).label.to_vector() == std::vector<double>{0, 4});
  CHECK(set.load(1).label.to_vector() == std::vector<double>{2, 1});
  CHECK(set.load(1).image.to_vector() == std::vector<double>{51, 102, 51, 102, 51, 102});
  const ImageSet gray = folder.open({.channels = 1});
  CHECK(gray.load(0).image.to_vector() == std::vector<double>{29, 105});  // 0.114 * 255; (0.299 + 0.114) * 255

  const Normalization stats = set.statistics();
  CHECK(stats.mean[0] == doctest::Approx((0 + 1 + 0.2 + 0.4) / 4));
  CHECK(stats.deviation[2] == doctest::Approx(std::sqrt((1 + 1 + 0.04 + 0.16) / 4 - 0.65 * 0.65)));
  const std::vector<double> normal = normalize(set.load(0).image, stats).to_vector();
  CHECK(normal[1] == doctest::Approx((1 - stats.mean[0]) / stats.deviation[0]));
  CHECK_THROWS_AS(normalize(gray.load(0).image, stats), ShapeError);

  const DataFolder wide;
  write_png(wide / "image/x.png", full({2, 2}, 0.25), {.bit_depth = 16});
  write_png(wide / "label/x.png", full({2, 2}, 1), {.bit_depth = 16});  // white
  const ImageSet deep = wide.open();
  CHECK(deep.load(0).image.dtype() == f32);
  CHECK(deep.load(0).image.to_vector()[0] == doctest::Approx(0.25).epsilon(1e-4));
  CHECK(deep.load(0).label.to_vector()[0] == 1);
  CHECK(deep.statistics().deviation[0] == 1);  // constant
}

TEST_CASE("image set: bad input is a typed error with file names and sizes") {
  NEEDS_PNG();
  CHECK(contains(message_of<IoError>([] { ImageSet::open("/no/such/folder"); }), "/no/such/folder"));
  const DataFolder empty;
  CHECK(contains(empty.refusal<IoError>(), "image has no PNG or TIFF files"));
  std::filesystem::remove(empty.path / "label");
  CHECK(contains(empty.refusal<IoError>(), empty / "label"));

  const DataFolder alone;
  alone.add("a", bytes({2, 2}, {1}), bytes({2, 2}, {0}));
  write_png(alone / "image/b.png", bytes({2, 2}, {1}));
  CHECK(contains(alone.refusal<IoError>(), "image " + (alone / "image/b.png") + " has no label"));
  std::filesystem::remove(alone.path / "image/b.png");
  write_png(alone / "label/0.png", bytes({2, 2}, {1}));
  CHECK(contains(alone.refusal<IoError>(), "label " + (alone / "label/0.png") + " has no image"));
  std::filesystem::rename(alone.path / "label/0.png", alone.path / "label/a.PNG");
  CHECK(contains(alone.refusal<IoError>(), "have the same stem"));

  const DataFolder sizes;
  sizes.add("a", bytes({3, 5}, {1}), bytes({5, 3}, {0}));
  CHECK(contains(sizes.refusal<ShapeError>(), "label/a.png is 5 x 3 pixels, its image"));
  CHECK(contains(sizes.refusal<ShapeError>(), "image/a.png is 3 x 5"));

  const DataFolder colours;
  colours.add("a", bytes({2, 2}, {1}), bytes({3, 2, 2}, {1, 2, 3, 4, 5}));
  CHECK(contains(colours.refusal<IoError>(), "label/a.png has colours"));

  const DataFolder mixed;
  mixed.add("a", bytes({2, 2}, {1}), bytes({2, 2}, {0, 255}));
  mixed.add("b", bytes({2, 2}, {1}), bytes({2, 2}, {0, 3}));
  CHECK(contains(mixed.refusal<ValueError>(), "a.png has the value 255"));
  CHECK(contains(mixed.refusal<ValueError>(), "b.png has 3"));

  // What an option asks for names the file that lacks it.
  CHECK(contains(message_of<ValueError>([&] { mixed.open({.classes = 3, .ignore = 255}); }), "b.png has the value 3"));
  CHECK_THROWS_AS(mixed.open({.classes = 256}), ValueError);
  CHECK_THROWS_AS(mixed.open({.ignore = 256}), ValueError);

  const DataFolder broken;
  broken.add("a", bytes({2, 2}, {1}), bytes({2, 2}, {0}));
  std::filesystem::resize_file(broken.path / "label/a.png", 40);
  CHECK(contains(broken.refusal<IoError>(), "label/a.png"));

  CHECK_THROWS_AS(ImageSet::open(".", {.channels = 5}), ValueError);
  CHECK_THROWS_AS(ImageSet::generated(0), ValueError);
}

TEST_CASE("crop: every place is the pixel that the formula says, reflection included") {
  Tensor planes = Tensor::empty({2, 5, 7});
  for (std::int64_t i = 0; i < planes.numel(); ++i) raw::data<float>(planes)[i] = static_cast<float>(i);
  // Reflection written as a walk that turns round at the ends.
  const auto walk = [](std::int64_t i, std::int64_t n) {
    std::int64_t at = 0, step = i < 0 ? -1 : 1, direction = step;
    for (std::int64_t k = 0; k != i; k += step) {
      if (at + direction < 0 || at + direction >= n) direction = -direction;
      at += direction;
    }
    return at;
  };
  for (const std::int64_t size : {1, 3, 9})
    for (const std::int64_t top : {-9, -2, 0, 2})
      for (int bits = 0; bits < 8; ++bits) {
        const CropPlace place{top, top + 1, (bits & 1) != 0, (bits & 2) != 0, (bits & 4) != 0};
        const Tensor out = crop(planes, size, place);
        REQUIRE(out.shape() == Shape{2, size, size});
        for (std::int64_t c = 0; c < 2; ++c)
          for (std::int64_t y = 0; y < size; ++y)
            for (std::int64_t x = 0; x < size; ++x) {
              // Undo flip_x, flip_y, then the transposition.
              std::int64_t u = place.flip_y ? size - 1 - y : y, v = place.flip_x ? size - 1 - x : x;
              if (place.transpose) std::swap(u, v);
              const std::int64_t from = c * 35 + walk(place.top + u, 5) * 7 + walk(place.left + v, 7);
              REQUIRE(out.span<float>()[static_cast<std::size_t>((c * size + y) * size + x)] ==
                      static_cast<float>(from));
            }
      }
  CHECK(crop(full({1, 1, 1}, 3), 4, {}).to_vector() == std::vector<double>(16, 3));
  CHECK_THROWS_AS(crop(planes, 0, {}), ShapeError);
}

TEST_CASE("crops: image and label stay together, and every orientation occurs") {
  NEEDS_PNG();
  const DataFolder folder;
  // The label says whether a pixel is bright, the brightness is unique: any disagreement shows.
  Tensor image = bytes({1, 16, 16}, {0}), label = bytes({16, 16}, {0});
  for (int i = 0; i < 256; ++i) {
    raw::data<std::uint8_t>(image)[i] = static_cast<std::uint8_t>(i);
    raw::data<std::uint8_t>(label)[i] = i >= 100 ? 255 : 0;
  }
  folder.add("a", image, label);
  const Normalization identity{{0}, {1}};
  for (const std::int64_t size : {8, 16, 40}) {
    const CropDataset set(folder.open(), identity, {.size = size, .crops_per_image = 200});
    CHECK(set.size() == 200);
    std::set<std::pair<int, int>> steps;
    for (std::int64_t i = 0; i < set.size(); ++i) {
      Generator random = sample_generator(1, 0, i);
      const Sample sample = set.get(i, random);
      REQUIRE(sample.image.shape() == Shape{1, size, size});
      REQUIRE(sample.target.shape() == Shape{1, size, size});
      const auto pixels = sample.image.span<float>(), ids = sample.target.span<float>();
      for (std::size_t k = 0; k < pixels.size(); ++k)
        REQUIRE((std::lround(pixels[k] * 255) >= 100 ? 1.0f : 0.0f) == ids[k]);
      steps.insert({static_cast<int>(std::lround((pixels[1] - pixels[0]) * 255)),
                    static_cast<int>(std::lround((pixels[static_cast<std::size_t>(size)] - pixels[0]) * 255))});
    }
    if (size <= 16) CHECK(steps.size() == 8);
  }
  const CropDataset same(folder.open(), identity, {.size = 8});
  CHECK(same.size() == 4);
  Generator a = sample_generator(1, 2, 3), b = sample_generator(1, 2, 3), c = sample_generator(1, 3, 3);
  const auto first = same.get(0, a).image.to_vector();
  CHECK(first == same.get(0, b).image.to_vector());
  CHECK(first != same.get(0, c).image.to_vector());

  const CropDataset bright(folder.open(), identity, {.size = 8, .brightness = 0.2});
  Generator d = sample_generator(1, 2, 3);
  CHECK(bright.get(0, d).image.to_vector() != first);
  CHECK_THROWS_AS(CropDataset(folder.open(), identity, {.size = 0}), ValueError);
  CHECK_THROWS_AS(CropDataset(folder.open().subset(0, 0), identity), ValueError);
}

TEST_CASE("crops: more than two classes give class ids") {
  NEEDS_PNG();
  const DataFolder folder;
  folder.add("a", bytes({6, 6}, {1, 2, 3}), bytes({6, 6}, {0, 1, 2}));
  DataLoader loader(CropDataset(folder.open(), {{0}, {1}}, {.size = 4}), {.batch_size = 1});
  for (auto& [image, target] : loader) {
    CHECK(image.shape() == Shape{1, 1, 4, 4});
    CHECK(target.shape() == Shape{1, 4, 4});
    CHECK(target.dtype() == i64);
  }
}

TEST_CASE("generator: a function of seed and index, with about a quarter membrane that is dark") {
  double membrane = 0, dark = 0, bright = 0, others = 0;
  for (std::int64_t i = 0; i < 6; ++i) {
    const auto [image, label] = synthetic_membrane(i, {.size = 128, .seed = 5});
    CHECK(image.shape() == Shape{1, 128, 128});
    CHECK(label.shape() == Shape{128, 128});
    const auto pixels = image.span<std::uint8_t>(), ids = label.span<std::uint8_t>();
    for (std::size_t k = 0; k < ids.size(); ++k) {
      REQUIRE(ids[k] <= 1);
      (ids[k] == 0 ? membrane : others) += 1;
      (ids[k] == 0 ? dark : bright) += pixels[k];
    }
  }
  CHECK(membrane / (membrane + others) > 0.18);
  CHECK(membrane / (membrane + others) < 0.32);
  CHECK(dark / membrane + 50 < bright / others);

  const auto same = synthetic_membrane(2, {.size = 64, .seed = 7}),
             again = synthetic_membrane(2, {.size = 64, .seed = 7});
  CHECK(same.image.to_vector() == again.image.to_vector());
  CHECK(same.image.to_vector() != synthetic_membrane(3, {.size = 64, .seed = 7}).image.to_vector());
  CHECK(same.image.to_vector() != synthetic_membrane(2, {.size = 64, .seed = 8}).image.to_vector());
  CHECK_THROWS_AS(synthetic_membrane(0, {.size = 8}), ValueError);
  CHECK_THROWS_AS(synthetic_membrane(0, {.cell = 0}), ValueError);
  CHECK_THROWS_AS(synthetic_membrane(0, {.noise = 2}), ValueError);

  const ImageSet set = ImageSet::generated(3, {.size = 32});
  CHECK(set.size() == 3);
  CHECK(set.name(2) == "002");
  CHECK(set.classes() == 2);
}

TEST_CASE("generator of shapes: four classes, the rarest about one pixel in a hundred") {
  const ImageSet set = ImageSet::generated_shapes(8);
  CHECK(set.classes() == 4);
  CHECK_FALSE(set.black_and_white());
  const auto counts = set.class_counts();
  const auto share = [&](std::size_t c) { return static_cast<double>(counts[c]) / static_cast<double>(set.pixels()); };
  CHECK(share(3) > 0.006);
  CHECK(share(3) < 0.016);
  for (const std::size_t c : {1u, 2u}) CHECK(share(c) > 0.05);
  CHECK(share(0) > 0.5);
  const auto same = synthetic_shapes(2, {.size = 64, .seed = 7}), again = synthetic_shapes(2, {.size = 64, .seed = 7});
  CHECK(same.image.to_vector() == again.image.to_vector());
  CHECK(same.image.to_vector() != synthetic_shapes(3, {.size = 64, .seed = 7}).image.to_vector());
  CHECK_THROWS_AS(synthetic_shapes(0, {.size = 8}), ValueError);
  CHECK_THROWS_AS(synthetic_shapes(0, {.noise = -1}), ValueError);
}

TEST_CASE("image set: ignored label values, a number of classes that is given, palettes") {
  NEEDS_PNG();
  const DataFolder folder;
  folder.add("a", bytes({1, 2, 3}, {1, 2, 3, 4, 5, 6}), bytes({2, 3}, {0, 255, 128, 0, 0, 255}));
  const ImageSet two = folder.open({.ignore = 128});
  CHECK(two.black_and_white());
  CHECK(two.load(0).label.to_vector() == std::vector<double>{0, 1, ignored_label, 0, 0, 1});
  CHECK(two.class_counts() == std::vector<std::int64_t>{3, 2});

  const DataFolder ids;
  ids.add("a", bytes({1, 2, 2}, {1}), bytes({2, 2}, {0, 1, 255, 1}));
  const ImageSet three = ids.open({.classes = 3, .ignore = 255});
  CHECK(three.classes() == 3);
  CHECK_FALSE(three.black_and_white());
  CHECK(three.load(0).label.to_vector() == std::vector<double>{0, 1, 255, 1});
  CHECK(three.class_counts() == std::vector<std::int64_t>{1, 2, 0});
  CHECK(three.palette().empty());
  // An ignored pixel is -1 beside two classes and stays 255 beside more.
  Generator random(1);
  CropDataset crops(folder.open({.ignore = 128}), {{0}, {1}}, {.size = 8});
  const auto target = crops.get(0, random).target.to_vector();
  CHECK(std::set<double>(target.begin(), target.end()) == std::set<double>{-1, 0, 1});
  CropDataset more(three, {{0}, {1}}, {.size = 8});
  const auto classes = more.get(0, random).target.to_vector();
  CHECK(std::set<double>(classes.begin(), classes.end()) == std::set<double>{0, 1, 255});

  // A palette's indices are ids, and its colours are kept; one that does not fit the classes is named.
  const std::vector<std::uint8_t> colours{0, 0, 0, 255, 0, 0, 0, 255, 0, 9, 8, 7};
  write_png(ids / "label/a.png", bytes({2, 2}, {0, 2, 3, 1}), {.palette = colours});
  const ImageSet painted = ids.open();
  CHECK(painted.classes() == 4);
  CHECK(painted.load(0).label.to_vector() == std::vector<double>{0, 2, 3, 1});
  CHECK(painted.palette() == colours);
  CHECK(contains(message_of<ValueError>([&] { ids.open({.classes = 3}); }), "label/a.png has the value 3"));
  // Of two files the one with more colours counts, and they must agree.
  std::vector<std::uint8_t> longer = colours;
  longer.insert(longer.end(), {1, 2, 3});
  write_png(ids / "image/b.png", bytes({2, 2}, {1}));
  write_png(ids / "label/b.png", bytes({2, 2}, {1}), {.palette = longer});
  CHECK(ids.open().palette() == longer);
  CHECK(contains(ids.open().palette_file(), "label/b.png"));
  longer[7] = 0;
  write_png(ids / "label/b.png", bytes({2, 2}, {1}), {.palette = longer});
  const std::string differ = message_of<ValueError>([&] { ids.open(); });
  CHECK(contains(differ, "label/a.png and "));
  CHECK(contains(differ, "label/b.png differ in the colour of id 2"));
  CHECK(read_png(ids / "label/a.png").to_vector()[2] == 9);  // colours, to those who do not ask for indices
  CHECK_THROWS_AS(encode_png(bytes({1, 1}, {4}), {.palette = colours}), ValueError);
  CHECK_THROWS_AS(encode_png(bytes({1, 1}, {0}), {.palette = {1, 2}}), ValueError);
  CHECK_THROWS_AS(encode_png(full({1, 1}, 0), {.palette = colours}), DtypeError);
  CHECK_THROWS_AS(encode_png(bytes({3, 1, 1}, {0}), {.palette = colours}), ShapeError);
}

TEST_CASE("normalization: percentiles of a set and of one image") {
  NEEDS_PNG();
  std::vector<float> values{5, 1, 4, 2, 3};
  CHECK(percentile(values, 0) == 1);
  CHECK(percentile(values, 100) == 5);
  CHECK(percentile(values, 50) == 3);
  CHECK(percentile(values, 30) == doctest::Approx(2.2));
  CHECK_THROWS_AS(percentile(values, 101), ValueError);
  values.clear();
  CHECK_THROWS_AS(percentile(values, 50), ValueError);

  const DataFolder folder;
  folder.add("a", bytes({1, 2, 2}, {0, 51, 102, 153}), bytes({2, 2}, {0}));
  folder.add("b", bytes({1, 1, 1}, {255}), bytes({1, 1}, {0}));
  const ImageSet set = folder.open();
  const Normalization all = set.percentiles(0, 100), middle = set.percentiles(25, 75);
  CHECK(all.mean[0] == doctest::Approx(0));
  CHECK(all.deviation[0] == doctest::Approx(1));
  CHECK(middle.mean[0] == doctest::Approx(0.2));
  CHECK(middle.deviation[0] == doctest::Approx(0.4));
  const auto scaled = normalize(set.load(0).image, middle).to_vector();
  CHECK(scaled[0] == doctest::Approx(-0.5));
  CHECK(scaled[3] == doctest::Approx(1));
  CHECK_THROWS_AS(set.percentiles(50, 50), ValueError);

  const Normalization own{{0}, {1}, true, 0, 100};
  CHECK_THROWS_AS(normalize(set.load(0).image, own), ValueError);
  const Normalization here = fitted(own, set.load(0).image);
  CHECK(here.mean[0] == doctest::Approx(0));
  CHECK(here.deviation[0] == doctest::Approx(0.6));
  CHECK(fitted(own, set.load(1).image).deviation[0] == 1);  // constant
  Generator random(3);
  const auto pixels = CropDataset(set, own, {.size = 2, .crops_per_image = 1}).get(0, random).image.to_vector();
  CHECK(*std::max_element(pixels.begin(), pixels.end()) == doctest::Approx(1));
  CHECK_THROWS_AS(fitted(own, zeros({2, 2, 2})), ShapeError);
}
