// The parts of duet_unet: tiles, the learning rate's course, the folder of a run, the report.
#include <doctest/doctest.h>

#include <cmath>
#include <fstream>
#include <iterator>

#include <duet/core/factory.hpp>
#include <duet/core/random.hpp>
#include <duet/core/raw.hpp>
#include <duet/core/tape.hpp>

#include "common/progress.hpp"
#include "common/report.hpp"
#include "common/run.hpp"
#include "common/run_folder.hpp"
#include "data/support.hpp"
#include "unet/pictures.hpp"
#include "unet/training.hpp"

using namespace duet;
using namespace duet::examples;
namespace fs = std::filesystem;

namespace {

std::string content(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

/// A net whose batch norms have seen data, so that evaluation mode is not the identity.
Segmenter some_segmenter(std::int64_t depth, int classes) {
  manual_seed(4);
  Segmenter segmenter({.base = 3,
                       .depth = depth,
                       .channels = 1,
                       .classes = classes,
                       .black_and_white = classes == 2,
                       .normalization = {{0.4}, {0.2}}});
  for (int i = 0; i < 3; ++i) segmenter.net()(randn({2, 1, 24, 24}));
  return segmenter;
}

}  // namespace

TEST_CASE("segmenter: tiles give what the whole image gives") {
  for (const int classes : {2, 3})
    for (const std::int64_t depth : {1, 2, 3}) {
      Segmenter segmenter = some_segmenter(depth, classes);
      const std::int64_t tile = 2 * segmenter.net().reach() + segmenter.net().stride();
      const Tensor image = data::synthetic_membrane(1, {.size = 16 << depth}).image;
      const Tensor odd = data::crop(image, (16 << depth) - 3, {});
      const Tensor whole = segmenter.probabilities(odd), tiled = segmenter.probabilities(odd, {.tile = tile});
      REQUIRE(whole.shape() == Shape{classes == 2 ? 1 : classes, odd.size(1), odd.size(2)});
      REQUIRE(odd.size(1) > tile);
      const auto a = whole.to_vector(), b = tiled.to_vector();
      double worst = 0;
      for (std::size_t i = 0; i < a.size(); ++i) worst = std::max(worst, std::abs(a[i] - b[i]));
      CHECK(worst < 1e-5);
      CHECK(segmenter.segment(odd, {.tile = tile}).to_vector() == segmenter.classify(tiled).to_vector());
      CHECK_THROWS_AS(segmenter.probabilities(odd, {.tile = tile - 1}), ValueError);
    }
}

TEST_CASE("segmenter: a weight file brings everything back") {
  const TemporaryFolder folder;
  for (const int classes : {2, 4}) {
    Segmenter segmenter = some_segmenter(2, classes);
    segmenter.save(folder / "w.safetensors");
    Segmenter back = Segmenter::load(folder / "w.safetensors");
    const Tensor image = data::synthetic_membrane(0, {.size = 40}).image;
    CHECK(back.probabilities(image).to_vector() == segmenter.probabilities(image).to_vector());
    CHECK(back.options().classes == classes);
    CHECK(back.options().black_and_white == (classes == 2));
    CHECK(back.options().normalization.mean == std::vector<double>{0.4});
  }
  nn::UNet({.in_channels = 2}).save(folder / "two.safetensors");
  CHECK(contains(message_of<IoError>([&] { Segmenter::load(folder / "two.safetensors"); }), "2 inputs"));
}

TEST_CASE("segmenter: classes of two and of more, scores over all pixels") {
  Segmenter two = some_segmenter(1, 2), three = some_segmenter(1, 3);
  const float p[] = {0.2f, 0.5f, 0.49f, 0.9f};
  CHECK(two.classify(Tensor::from_span(std::span<const float>(p), {1, 2, 2})).to_vector() ==
        std::vector<double>{0, 1, 0, 1});
  const float q[] = {0.2f, 0.5f, 0.3f, 0.1f, 0.5f, 0.4f};
  CHECK(three.classify(Tensor::from_span(std::span<const float>(q), {3, 1, 2})).to_vector() ==
        std::vector<double>{2, 0});

  // The loss that score() reports is the loss function's own, without dice.
  const data::ImageSet images = data::ImageSet::generated(1, {.size = 32});
  const Scores scores = two.score(images, [](std::int64_t, const Tensor&, const metrics::ConfusionMatrix&) {});
  const data::LabelledImage whole = images.load(0);
  Tensor target = zeros({1, 1, 32, 32});
  for (int i = 0; i < 1024; ++i) raw::data<float>(target)[i] = raw::data<std::uint8_t>(whole.label)[i];
  const NoGradGuard no_grad;
  two.net().eval();
  const Tensor x =
      raw::view(data::normalize(whole.image, two.options().normalization), {1, 1, 32, 32}, {1024, 1024, 32, 1});
  const Tensor logits = two.net()(x);
  const auto loss = [&](double weight) {
    return segmentation_loss(logits, target, {.kind = loss_kind("", 2), .dice = weight}).item();
  };
  CHECK(loss(0) == doctest::Approx(scores.loss).epsilon(1e-5));
  // Dice of both classes by its formula.
  double sums[2] = {}, truths[2] = {}, both[2] = {};
  for (int i = 0; i < 1024; ++i) {
    const double t = raw::data<float>(target)[i],
                 s = 1 / (1 + std::exp(-static_cast<double>(raw::data<float>(logits)[i])));
    sums[1] += s, truths[1] += t, both[1] += s * t;
    sums[0] += 1 - s, truths[0] += 1 - t, both[0] += (1 - s) * (1 - t);
  }
  double dice = 0;
  for (int c = 0; c < 2; ++c) dice += 0.5 * (1 - (2 * both[c] + 1) / (sums[c] + truths[c] + 1));
  CHECK(loss(3) == doctest::Approx(scores.loss + 3 * dice).epsilon(1e-5));
}

TEST_CASE("training: the learning rate rises, then falls to nothing") {
  CHECK(cycle_at(0, 0.2) == doctest::Approx(0.1));
  CHECK(cycle_at(0.1, 0.2) == doctest::Approx(0.55));
  CHECK(cycle_at(0.2, 0.2) == doctest::Approx(1));
  CHECK(cycle_at(0.6, 0.2) == doctest::Approx(0.5));
  CHECK(cycle_at(1, 0.2) == doctest::Approx(0));
}

TEST_CASE("image choice: about 15 per cent, the last by name, or a folder") {
  const data::ImageSet images = data::ImageSet::generated(20, {.size = 16});
  CHECK(split_images(images, "").val.size() == 3);
  CHECK(split_images(images, "").train.size() == 17);
  CHECK(split_images(images, "0").val.size() == 0);
  CHECK(split_images(images, "4").val.name(0) == "016");
  CHECK(split_images(images.subset(0, 2), "").val.size() == 1);
  CHECK(split_images(images.subset(0, 1), "").val.size() == 0);
  CHECK_THROWS_AS(split_images(images, "20"), ValueError);
  CHECK_THROWS_AS(split_images(images, "4x"), IoError);  // a folder that does not exist
}

TEST_CASE("run folder: nothing changes until publish, resume finds either") {
  const TemporaryFolder folder;
  const std::string out = folder / "run";
  RunFolder first = RunFolder::start(out);
  first.write("a.txt", "1");
  first.write("pictures/x.txt", "1");
  first.publish();
  CHECK(content(out + "/a.txt") == "1");
  CHECK_FALSE(fs::exists(out + "/unfinished"));

  RunFolder second = RunFolder::start(out);
  second.write("a.txt", "2");
  second.write("pictures/y.txt", "2");
  CHECK(content(out + "/a.txt") == "1");
  CHECK(content(RunFolder::resume(out, "a.txt").path("a.txt")) == "2");  // the unfinished one
  second.publish();
  CHECK(content(out + "/a.txt") == "2");
  CHECK_FALSE(fs::exists(out + "/pictures/x.txt"));
  CHECK(content(RunFolder::resume(out, "a.txt").path("a.txt")) == "2");  // a copy of the published one
  CHECK_THROWS_AS(RunFolder::resume(out, "b.txt"), IoError);
  CHECK_THROWS_AS(RunFolder::start(out + "/a.txt"), IoError);
}

TEST_CASE("history: rows survive JSON and read well as CSV") {
  History history(2);
  history[0] = {10, 0, 1.5, 1e-3, 0.625, {}};
  history[1] = {20, 1, 3, 1e-4, 0.5, {0.25, 0.9, 0.75, {0.6, no_value}}};
  CHECK(to_csv(history, 2) ==
        "step,epoch,seconds,lr,loss,val_loss,val_accuracy,val_iou_0,val_iou_1\n"
        "10,0,1.50,0.001,0.625000,,,,\n"
        "20,1,3.00,0.0001,0.500000,0.250000,0.900000,0.600000,\n");
  CHECK(to_csv(history_from_json(to_json(history)), 2) == to_csv(history, 2));
  CHECK_THROWS_AS(history_from_json("[[1]]"), IoError);
}

TEST_CASE("report: text is escaped, curves stay in the frame, pictures are inside") {
  Report report("a < b");
  report.paragraph("x & \"y\"");
  report.table({{"head"}, {"<cell>"}});
  report.charts(
      {{.title = "t", .x_label = "step", .curves = {{"one", {{0, 1}, {1, no_value}, {2, 3}}}, {"none", {}}}}});
  report.picture(full({2, 3}, 0.5), "grey");
  const std::string html = report.html();
  CHECK(contains(html, "<title>a &lt; b</title>"));
  CHECK(contains(html, "x &amp; &quot;y&quot;"));
  CHECK(contains(html, "<td>&lt;cell&gt;</td>"));
  CHECK(contains(html, "data:image/png;base64,iVBORw0KGgo"));
  CHECK_FALSE(contains(html, "nan"));
  const std::string constant = to_svg({.title = "c", .x_label = "x", .curves = {{"one", {{5, 2}}}}});
  CHECK_FALSE(contains(constant, "nan"));
  CHECK_FALSE(contains(constant, "inf"));
}

TEST_CASE("pictures: four panels, differences in red and blue") {
  Tensor truth = zeros({4, 5}, {.dtype = u8}), said = zeros({4, 5}, {.dtype = u8});
  raw::data<std::uint8_t>(truth)[0] = 1;
  raw::data<std::uint8_t>(said)[1] = 1;
  const Tensor picture = side_by_side(full({1, 4, 5}, 100, {.dtype = u8}), truth, said, 2);
  REQUIRE(picture.shape() == Shape{3, 16, 4 * 20 + 3 * 6});
  const auto at = [&](int c, int y, int x) { return raw::data<std::uint8_t>(picture)[(c * 16 + y) * 98 + x]; };
  CHECK(at(0, 0, 0) == 100);
  CHECK(at(0, 0, 26) == 255);  // truth, class 1
  CHECK(at(0, 3, 31) == 0);
  CHECK(at(2, 0, 78) > at(0, 0, 78));  // missed: blue
  CHECK(at(0, 0, 83) > at(2, 0, 83));  // too much: red
  CHECK(at(0, 8, 90) == at(2, 8, 90));
}

TEST_CASE("progress: times") {
  CHECK(clock_text(65) == "1:05");
  CHECK(clock_text(3723.6) == "1:02:04");
  CHECK(clock_text(-1) == "0:00");
}
