// duet_unet as a laboratory's tool: several classes, TIFF, labels that do not count, batches with bad files, inspect
// and count.
#include <doctest/doctest.h>

#include <cmath>
#include <nlohmann/json.hpp>
#include <set>

#include <duet/core/factory.hpp>
#include <duet/core/safetensors.hpp>
#include <duet/nn/data/image_set.hpp>
#include <duet/nn/data/tiff.hpp>
#include <duet/nn/models/unet.hpp>

#include "unet/workshop.hpp"

using namespace duet;
namespace fs = std::filesystem;

namespace {

std::string train(const Workshop& shop, const std::string& data, const std::string& more) {
  return "train --base 2 --depth 2 --crop 24 --batch 2 --steps 4 --val 1 --threads 1 --quiet --data " + data +
         " --out " + (shop / "run") + " " + more;
}

std::string described(const Workshop& shop, const std::string& key) {
  const SafetensorsFile file = load_safetensors(shop / "run/last.safetensors");
  const std::string* text = file.find_metadata(key);
  return text == nullptr ? std::string() : *text;
}

/// Rewrites a folder's PNG files by `change(label or image, which)`.
template <class Change>
void rewrite(const std::string& folder, Change change) {
  for (const auto& [stem, path] : data::list_images(folder)) change(stem, path);
}

/// The value behind a name at the start of a line.
double value_of(const std::string& output, const std::string& name) {
  const std::size_t at = ("\n" + output).find("\n" + name + " ");
  REQUIRE_MESSAGE(at != std::string::npos, name << " in " << output);
  return std::stod(output.substr(at + name.size()));
}

}  // namespace

TEST_CASE("duet_unet: every loss, weights, variant and augmentation trains, and the weights say so") {
  const Workshop shop;
  const std::string two = shop.data("two"), four = shop.data("four", 4);
  for (const char* loss : {"bce", "dice", "bce+dice", "focal", "ce"}) {
    const Result result = shop.run(train(shop, two, std::string("--class-weights auto --loss ") + loss));
    CHECK_MESSAGE(result.status == 0, loss << ": " << result.errors);
  }
  for (const char* loss : {"ce", "ce+dice", "dice", "focal"}) {
    const Result result =
        shop.run(train(shop, four, std::string("--classes 5 --class-weights 1,2,1,1,0 --loss ") + loss));
    CHECK_MESSAGE(result.status == 0, loss << ": " << result.errors);
  }
  CHECK(described(shop, "classes") == R"(["0","1","2","3","4"])");
  const Result variant =
      shop.run(train(shop, two,
                     "--up bilinear --norm group --residual --attention --dropout 0.1 --elastic 2 --gamma 0.2 "
                     "--blur 1 --noise 0.1 --threshold auto --normalize percentile"));
  REQUIRE_MESSAGE(variant.status == 0, variant.errors);
  CHECK(described(shop, "variant") ==
        R"({"up":"bilinear","norm":"group","residual":true,"attention":true,"dropout":0.1})");
  const double threshold = std::stod(described(shop, "threshold"));
  CHECK(threshold > 0);
  CHECK(threshold < 1);
  // Nothing else is needed to use them.
  const std::string weights = " --weights " + (shop / "run/last.safetensors");
  const Result plain = shop.run("evaluate --csv " + (shop / "a.csv") + " --data " + two + weights);
  const Result flipped = shop.run("evaluate --flips --csv " + (shop / "b.csv") + " --data " + two + weights);
  REQUIRE_MESSAGE(plain.status == 0, plain.errors);
  REQUIRE(flipped.status == 0);
  CHECK(content(shop.path / "a.csv") != content(shop.path / "b.csv"));
  for (const char* name : {"accuracy", "IoU 1", "mean IoU", "Dice 0", "precision 1", "recall 0", "average precision"}) {
    CHECK(value_of(plain.output, name) >= 0);
    CHECK(value_of(plain.output, name) <= 1);
  }
  CHECK(value_of(plain.output, "mean IoU") ==
        doctest::Approx((value_of(plain.output, "IoU 0") + value_of(plain.output, "IoU 1")) / 2).epsilon(1e-5));
  const double iou = value_of(plain.output, "IoU 1");
  CHECK(value_of(plain.output, "Dice 1") == doctest::Approx(2 * iou / (1 + iou)).epsilon(1e-5));
}

TEST_CASE("duet_unet: with --turns=false a crop as large as its image is the image, every time") {
  const Workshop shop;
  REQUIRE(shop.run("generate --count 1 --size 64 --out " + (shop / "one")).status == 0);
  // Steps too small to change a weight: the loss of ten steps changes with what they are shown alone.
  const auto losses = [&](const std::string& more) {
    const Result result =
        shop.run("train --val 0 --base 2 --depth 2 --crop 64 --batch 1 --steps 20 --lr 1e-20 --threads 1 " +
                 ("--quiet --data " + (shop / "one")) + " --out " + (shop / "run") + " " + more);
    REQUIRE_MESSAGE(result.status == 0, result.errors);
    std::istringstream rows(content(shop.path / "run/metrics.csv"));
    std::vector<std::string> list;
    for (std::string row; std::getline(rows, row);) {
      std::istringstream cells(row);
      std::string cell;
      for (int i = 0; i < 5; ++i) std::getline(cells, cell, ',');
      list.push_back(cell);
    }
    REQUIRE(list.size() == 3);
    REQUIRE(list[0] == "loss");
    return std::pair(list[1], list[2]);
  };
  const auto [first, second] = losses("--turns=false --brightness 0");
  CHECK(first == second);
  const auto [turned, turned_again] = losses("--brightness 0");
  CHECK(turned != turned_again);
}

TEST_CASE("duet_unet: deep supervision trains, is in the weights, and is refused where there are no lower levels") {
  const Workshop shop;
  const std::string data = shop.data("data", 3);
  const std::string flags =
      "train --base 2 --crop 24 --batch 2 --steps 6 --val 1 --threads 1 --quiet --deep-supervision "
      "--data " +
      data + " --out " + (shop / "run");
  const Result trained = shop.run(flags + " --depth 3");
  REQUIRE_MESSAGE(trained.status == 0, trained.errors);
  CHECK(described(shop, "variant") == R"({"deep_supervision":true})");
  CHECK(shop.run("evaluate --csv " + (shop / "a.csv") + " --data " + data + " --weights " +
                 (shop / "run/last.safetensors"))
            .status == 0);
  const Result refused = shop.run(flags + " --depth 2");
  CHECK(refused.status == 1);
  CHECK(contains(refused.errors, "deep_supervision needs a depth of at least 3, got 2"));
}

TEST_CASE("duet_unet: a chosen threshold does not score below one half, and a resumed run keeps it") {
  const Workshop shop;
  REQUIRE(shop.run(shop.train("half", "--steps 20 --seed 3")).status == 0);
  REQUIRE(shop.run(shop.train("auto", "--steps 20 --seed 3 --threshold auto")).status == 0);
  REQUIRE(shop.run(shop.train("parts", "--steps 20 --seed 3 --threshold auto --stop-after 15")).status == 0);
  REQUIRE(shop.run("train --resume --out " + shop / "parts").status == 0);
  const auto last = [&](const char* run) {
    return nlohmann::json::parse(content(shop.path / run / "run.json")).at("last").at("mean_iou").get<double>();
  };
  CHECK(last("auto") >= last("half") - 1e-9);
  CHECK(content(shop.path / "auto/last.safetensors") == content(shop.path / "parts/last.safetensors"));
}

TEST_CASE("duet_unet: labels that do not count, palettes, per-image normalization") {
  const Workshop shop;
  const std::string data = shop.data("data", 3);
  const std::vector<std::uint8_t> colours{0, 0, 0, 200, 30, 30, 30, 200, 30, 255, 255, 255};
  rewrite(data + "/label", [&](const std::string&, const std::string& path) {
    Tensor label = data::read_label(path);
    for (int i = 0; i < 40; ++i) raw::data<std::uint8_t>(label)[i] = 3;
    data::write_png(path, label, {.palette = colours});
  });
  CHECK(shop.run(train(shop, data, "--classes 3")).status == 1);
  const Result few = shop.run(train(shop, data, "--classes 5"));
  CHECK(few.status == 1);
  CHECK(contains(few.errors, "label/0.png has a palette of 4 colours, there are 5 classes"));
  const Result trained = shop.run(train(shop, data, "--classes 3 --ignore 3 --normalize image-percentile"));
  REQUIRE_MESSAGE(trained.status == 0, trained.errors);
  CHECK(described(shop, "ignore") == "3");
  CHECK(described(shop, "normalization_per_image") == "1 99");
  const std::string weights = " --weights " + (shop / "run/last.safetensors");
  const Result scored = shop.run("evaluate --csv " + (shop / "s.csv") + " --data " + data + weights);
  REQUIRE_MESSAGE(scored.status == 0, scored.errors);
  REQUIRE(shop.run("predict " + data + "/image --quiet --out " + (shop / "masks") + weights).status == 0);
  // Masks are palettes, as the labels were, of ids below 3; counted by hand they give the printed accuracy.
  std::int64_t right = 0, total = 0;
  rewrite(data + "/label", [&](const std::string& stem, const std::string& path) {
    const std::string mask_path = shop / ("masks/" + stem + ".png");
    CHECK(data::read_palette(mask_path) == colours);
    const Tensor mask = data::read_label(mask_path), label = data::read_label(path);
    for (std::int64_t i = 0; i < label.numel(); ++i) {
      const int is = raw::data<std::uint8_t>(label)[i], said = raw::data<std::uint8_t>(mask)[i];
      REQUIRE(said < 3);
      if (is == 3) continue;
      right += is == said;
      ++total;
    }
  });
  CHECK(value_of(scored.output, "accuracy") ==
        doctest::Approx(static_cast<double>(right) / static_cast<double>(total)).epsilon(1e-5));

  // A brighter copy of an image gets the same mask: its percentiles move along.
  const Tensor image = data::read_image(data + "/image/0.png");
  Tensor wide = Tensor::empty(image.shape());
  for (std::int64_t i = 0; i < image.numel(); ++i)
    raw::data<float>(wide)[i] = 100 + 7 * static_cast<float>(raw::data<std::uint8_t>(image)[i]) / 255;
  if (data::has_tiff()) {
    data::write_tiff(shop / "bright.tif", wide);
    REQUIRE(shop.run("predict " + (shop / "bright.tif") + " --quiet --out " + (shop / "bright") + weights).status == 0);
    CHECK(data::read_label(shop / "bright/bright.png").to_vector() ==
          data::read_label(shop / "masks/0.png").to_vector());
  }
}

TEST_CASE("duet_unet: TIFF stacks of several channels, in and out") {
  NEEDS_TIFF();
  const Workshop shop;
  const fs::path data = shop.path / "stack";
  fs::create_directories(data / "image");
  fs::create_directories(data / "label");
  Tensor image = Tensor::empty({2, 4, 30, 34}), label = Tensor::empty({1, 4, 30, 34}, {.dtype = u8});
  for (std::int64_t i = 0; i < label.numel(); ++i) {
    const bool inside = i / 5 % 3 == 0;
    raw::data<std::uint8_t>(label)[i] = inside ? 255 : 0;
    raw::data<float>(image)[i] = inside ? 900.0f : 100.0f;
    raw::data<float>(image)[label.numel() + i] = static_cast<float>(i % 11);
  }
  data::write_tiff((data / "image/s.tif").string(), image);
  data::write_tiff((data / "label/s.tif").string(), label);
  const Result trained = shop.run(train(shop, data.string(), "--normalize min-max"));
  REQUIRE_MESSAGE(trained.status == 0, trained.errors);
  const auto run = nlohmann::json::parse(content(shop.path / "run/run.json"));
  CHECK(run.at("train").at("images") == nlohmann::json{"s.000", "s.001", "s.002"});
  CHECK(nlohmann::json::parse(described(shop, "normalization")) ==
        nlohmann::json{{"mean", {100.0, 0.0}}, {"deviation", {800.0, 10.0}}});
  const std::string weights = " --weights " + (shop / "run/last.safetensors");
  const Result predicted =
      shop.run("predict --probabilities --quiet " + (data / "image").string() + " --out " + (shop / "masks") + weights);
  REQUIRE_MESSAGE(predicted.status == 0, predicted.errors);
  const Tensor masks = data::read_volume(shop / "masks/s.tif");
  REQUIRE(masks.shape() == Shape{1, 4, 30, 34});
  for (const double value : masks.to_vector()) REQUIRE((value == 0 || value == 255));
  const Tensor probabilities = data::read_volume(shop / "masks/s.probability-1.tif");
  REQUIRE(probabilities.shape() == masks.shape());
  for (std::int64_t i = 0; i < masks.numel(); ++i)
    if (const float p = raw::data<float>(probabilities)[i]; std::abs(p - 0.5f) > 1e-4f)
      REQUIRE((p > 0.5f) == (raw::data<std::uint8_t>(masks)[i] == 255));
}

TEST_CASE("duet_unet: a batch goes on past bad files and ends with their list") {
  const Workshop shop;
  const std::string data = shop.data("data");
  REQUIRE(shop.run(train(shop, data, "")).status == 0);
  const std::string weights = " --weights " + (shop / "run/last.safetensors");
  const fs::path inputs = shop.path / "inputs";
  fs::create_directories(inputs);
  fs::copy_file(data + "/image/0.png", inputs / "good.png");
  fs::copy_file(data + "/image/1.png", inputs / "cut.png");
  fs::resize_file(inputs / "cut.png", 60);
  data::write_png((inputs / "tiny.png").string(), full({1, 5}, 9, {.dtype = u8}));
  if (data::has_tiff()) data::write_tiff((inputs / "two.tif").string(), full({2, 20, 20}, 9, {.dtype = u8}));
  const Result result = shop.run("predict " + inputs.string() + " " + (shop / "none.png") + " --quiet --out " +
                                 (shop / "masks") + weights);
  CHECK(result.status == 1);
  CHECK(contains(result.output, "1 mask in "));
  CHECK(fs::exists(shop.path / "masks/good.png"));
  CHECK(contains(result.errors, data::has_tiff() ? "4 of 5 images failed:" : "3 of 4 images failed:"));
  CHECK(contains(result.errors, "cut.png is broken"));
  CHECK(contains(result.errors, "tiny.png: [UNet] with 2 levels needs x (N, 1, H, W) with H and W of at least 2"));
  CHECK(contains(result.errors, "none.png"));
  if (data::has_tiff()) CHECK(contains(result.errors, "two.tif has 2 channels, not 1"));
  // Nothing good: what was there stays.
  const auto before = shop.snapshot("masks");
  const Result none = shop.run("predict " + (shop / "none.png") + " --quiet --out " + (shop / "masks") + weights);
  CHECK(none.status == 1);
  CHECK(std::count(none.errors.begin(), none.errors.end(), '\n') == 1);
  for (const auto& [path, text] : before) CHECK(content(path) == text);
  CHECK(
      contains(shop.run("predict " + inputs.string() + " --tile 8 --quiet --out " + (shop / "masks") + weights).errors,
               "--tile"));
}

TEST_CASE("duet_unet inspect: sizes, ranges, class counts, every fault at once, pictures") {
  const Workshop shop;
  const std::string data = shop.data("data", 3);
  const Result good = shop.run("inspect --data " + data + " --out " + (shop / "look"));
  REQUIRE_MESSAGE(good.status == 0, good.errors);
  CHECK(contains(good.output, "40 x   56"));
  CHECK(contains(good.output, "3 images, 5760 pixels that count, 3 classes"));
  CHECK(contains(good.output, "no problems"));
  CHECK(data::read_image(shop / "look/1.png").shape() == Shape{3, 40, 48});
  const Result ignoring = shop.run("inspect --data " + data + " --ignore 2");
  CHECK(contains(ignoring.output, "label   2 (ignored)"));

  fs::rename(data + "/label/0.png", data + "/label/00.png");
  data::write_png(data + "/label/1.png", full({8, 9}, 7, {.dtype = u8}));
  fs::resize_file(data + "/image/2.png", 50);
  const Result bad = shop.run("inspect --classes 3 --data " + data);
  CHECK(bad.status == 1);
  CHECK(contains(bad.errors, "5 problems:"));
  CHECK(contains(bad.errors, "image/0.png has no label"));
  CHECK(contains(bad.errors, "label/00.png has no image"));
  CHECK(contains(bad.errors, "label/1.png is 8 x 9 pixels, its image 40 x 48"));
  CHECK(contains(bad.errors, "image/2.png is broken"));
  CHECK(contains(bad.errors, "label/1.png has the value 7: with 3 classes ids go up to 2"));
  CHECK(shop.run("inspect --data " + (shop / "nowhere")).status == 1);
}

TEST_CASE("duet_unet generate: a folder that is the images that training without a folder draws") {
  const Workshop shop;
  REQUIRE(shop.run("generate --count 2 --classes 4 --out " + (shop / "four")).status == 0);
  const data::ImageSet four = data::ImageSet::open(shop / "four"), drawn = data::ImageSet::generated_shapes(2);
  CHECK(four.hash() == drawn.hash());
  CHECK(four.palette().size() == 12);
  REQUIRE(shop.run("generate --count 1 --first 1 --size 64 --out " + (shop / "two")).status == 0);
  const data::ImageSet two = data::ImageSet::open(shop / "two");
  CHECK(two.name(0) == "001");
  CHECK(two.black_and_white());
  CHECK(two.load(0).label.to_vector() == data::synthetic_membrane(1, {.size = 64}).label.to_vector());
  CHECK(shop.run("generate --classes 3 --out " + (shop / "three")).status != 0);
}

TEST_CASE("duet_unet count: label image and table of masks and of images") {
  const Workshop shop;
  //  two objects of 255, one of them of one pixel
  Tensor mask = zeros({6, 8}, {.dtype = u8}), image = full({6, 8}, 10, {.dtype = u8});
  for (const int at : {9, 10, 17, 18, 45}) raw::data<std::uint8_t>(mask)[at] = 255;
  raw::data<std::uint8_t>(image)[9] = 50;
  fs::create_directories(shop.path / "masks");
  fs::create_directories(shop.path / "images");
  data::write_png(shop / "masks/a.png", mask);
  data::write_png(shop / "images/a.png", image);
  const Result counted = shop.run("count " + (shop / "masks") + " --images " + (shop / "images") + " --colours --out " +
                                  (shop / "objects"));
  REQUIRE_MESSAGE(counted.status == 0, counted.errors);
  CHECK(contains(counted.output, "a: 2 objects, mean area 2.5"));
  CHECK(content(shop.path / "objects/objects.csv") ==
        "image,object,class,area,centroid_z,centroid_y,centroid_x,front,top,left,back,bottom,right,mean_intensity\n"
        "a,1,255,4,0.00,1.50,1.50,0,1,1,1,3,3,20\n"
        "a,2,255,1,0.00,5.00,5.00,0,5,5,1,6,6,10\n");
  const Tensor labels = data::read_image(shop / "objects/a.objects.png");
  CHECK(std::lround(raw::data<float>(labels)[9] * 65535) == 1);
  CHECK(std::lround(raw::data<float>(labels)[45] * 65535) == 2);
  CHECK(raw::data<float>(labels)[0] == 0);
  CHECK(data::read_image(shop / "objects/a.colours.png").shape() == Shape{3, 6, 8});
  CHECK(contains(shop.run("count --min-area 2 " + (shop / "masks") + " --out " + (shop / "objects")).output,
                 "a: 1 object, mean area 4.0"));
  CHECK(contains(shop.run("count --class 0 " + (shop / "masks") + " --out " + (shop / "objects")).output,
                 "a: 1 object, mean area 43.0"));
  if (data::has_tiff()) {
    Tensor volume = zeros({1, 3, 4, 4}, {.dtype = u8});
    raw::data<std::uint8_t>(volume)[5] = raw::data<std::uint8_t>(volume)[21] = raw::data<std::uint8_t>(volume)[47] = 1;
    data::write_tiff(shop / "v.tif", volume);
    CHECK(contains(shop.run("count " + (shop / "v.tif") + " --out " + (shop / "objects")).output,
                   "v: 2 objects, mean area 1.5"));
    CHECK(data::read_volume(shop / "objects/v.objects.tif").shape() == Shape{1, 3, 4, 4});
  }
  // Images, segmented first.
  const std::string data = shop.data("data");
  REQUIRE(shop.run(train(shop, data, "")).status == 0);
  const Result segmented = shop.run("count " + data + "/image --weights " + (shop / "run/last.safetensors") +
                                    " --out " + (shop / "objects"));
  CHECK_MESSAGE(segmented.status == 0, segmented.errors);
  const Result missing =
      shop.run("count " + (shop / "masks/a.png") + " " + (shop / "none.png") + " --out " + (shop / "objects"));
  CHECK(missing.status == 1);
  CHECK(contains(missing.output, "a: 2 objects"));
  CHECK(contains(missing.errors, "1 of 2 images failed:"));
}

TEST_CASE("duet_unet: bad flags of the tool are named") {
  const Workshop shop;
  const std::string data = shop.data("data"), four = shop.data("four", 4);
  const auto refused = [&](const std::string& arguments, const std::string& part) {
    const Result result = shop.run(arguments);
    CHECK_MESSAGE(result.status == 1, arguments);
    CHECK_MESSAGE(contains(result.errors, part), arguments << ": " << result.errors);
  };
  refused(train(shop, four, "--classes 3"), "label/0.png has the value 3: with 3 classes");
  refused(train(shop, four, "--loss bce"), "use ce");
  refused(train(shop, four, "--threshold auto"), "auto needs two classes");
  refused(train(shop, data, "--threshold 2"), "--threshold");
  refused(train(shop, data, "--loss huge"), "no loss huge");
  refused(train(shop, data, "--class-weights 1,2,3"), "3 numbers, there are 2 classes");
  refused(train(shop, data, "--up down"), "--up");
  refused(train(shop, data, "--normalize no"), "--normalize");
  refused(train(shop, data, "--elastic -1"), "--elastic");
  refused("train --classes 3 --generated 2 --out " + shop / "run", "generated images have 2 or 4 classes, not 3");
  // Weights for another number of channels or classes.
  REQUIRE(shop.run(train(shop, data, "")).status == 0);
  const std::string weights = " --weights " + (shop / "run/last.safetensors");
  refused("evaluate --data " + four + weights, "has the value 3: with 2 classes");
  if (!data::has_tiff()) return;
  fs::remove(data + "/image/0.png");
  data::write_tiff(data + "/image/0.tif", full({2, 40, 56}, 3, {.dtype = u8}));
  refused("evaluate --data " + data + weights, "0.tif has 2 channels, not 1");
  refused(train(shop, data, ""), "has 1 channel, ");
}
