// Losses and class weights against sums written out.
#include <doctest/doctest.h>

#include <cmath>

#include <duet/autograd/gradcheck.hpp>
#include <duet/core/factory.hpp>
#include <duet/core/random.hpp>
#include <duet/core/raw.hpp>
#include <duet/ops/shape.hpp>

#include "data/support.hpp"
#include "unet/choices.hpp"
#include "unet/losses.hpp"

using namespace duet;
using namespace duet::examples;

namespace {

constexpr LossKind kinds_of_two[] = {LossKind::bce, LossKind::dice, LossKind::bce_dice, LossKind::focal, LossKind::ce};
constexpr LossKind kinds_of_more[] = {LossKind::dice, LossKind::focal, LossKind::ce, LossKind::ce_dice};

double sigmoid_of(double x) { return 1 / (1 + std::exp(-x)); }

/// The loss of two classes, written as sums over pixels; -1 does not count.
double expected_two(const std::vector<double>& x, const std::vector<double>& t, std::size_t samples,
                    const LossSettings& s) {
  const double w[2] = {s.class_weights.empty() ? 1 : s.class_weights[0],
                       s.class_weights.empty() ? 1 : s.class_weights[1]};
  double entropy = 0, focal = 0, weights = 0, dice = 0;
  const std::size_t plane = x.size() / samples;
  for (std::size_t n = 0; n < samples; ++n) {
    double both[2] = {}, p[2] = {}, truth[2] = {};
    for (std::size_t i = n * plane; i < (n + 1) * plane; ++i) {
      if (t[i] < 0) continue;
      const int c = t[i] > 0.5;
      const double one = sigmoid_of(x[i]), q = c == 1 ? one : 1 - one;
      entropy -= w[c] * std::log(q);
      focal -= w[c] * (1 - q) * (1 - q) * std::log(q);
      weights += w[c];
      both[c] += q, p[0] += 1 - one, p[1] += one, truth[c] += 1;
    }
    for (int c = 0; c < 2; ++c)
      dice += w[c] * (1 - (2 * both[c] + 1) / (p[c] + truth[c] + 1)) / (w[0] + w[1]) / static_cast<double>(samples);
  }
  switch (s.kind) {
    case LossKind::dice:
      return dice;
    case LossKind::focal:
      return focal / weights;
    case LossKind::bce_dice:
      return entropy / weights + s.dice * dice;
    default:
      return entropy / weights;
  }
}

/// The same of more classes; 255 does not count. x (N, C, plane), t (N, plane).
double expected_more(const std::vector<double>& x, const std::vector<double>& t, std::size_t samples,
                     std::size_t classes, const LossSettings& s) {
  const std::size_t plane = t.size() / samples;
  const auto w = [&](std::size_t c) { return s.class_weights.empty() ? 1 : s.class_weights[c]; };
  double entropy = 0, focal = 0, weights = 0;
  std::vector<double> both(classes), p(classes), truth(classes);
  for (std::size_t i = 0; i < t.size(); ++i) {
    if (t[i] == 255) continue;
    const auto at = [&](std::size_t c) { return x[(i / plane * classes + c) * plane + i % plane]; };
    double all = 0;
    for (std::size_t c = 0; c < classes; ++c) all += std::exp(at(c));
    const auto id = static_cast<std::size_t>(t[i]);
    const double q = std::exp(at(id)) / all;
    entropy -= w(id) * std::log(q);
    focal -= w(id) * (1 - q) * (1 - q) * std::log(q);
    weights += w(id);
    for (std::size_t c = 0; c < classes; ++c) p[c] += std::exp(at(c)) / all;
    both[id] += q;
    truth[id] += 1;
  }
  double dice = 0, all = 0;
  for (std::size_t c = 0; c < classes; ++c) {
    dice += w(c) * (1 - (2 * both[c] + 1) / (p[c] + truth[c] + 1));
    all += w(c);
  }
  switch (s.kind) {
    case LossKind::dice:
      return dice / all;
    case LossKind::focal:
      return focal / weights;
    case LossKind::ce_dice:
      return entropy / weights + s.dice * dice / all;
    default:
      return entropy / weights;
  }
}

}  // namespace

TEST_CASE("losses: two classes, every kind, with weights and pixels that do not count") {
  Generator random(1);
  const Tensor logits = randn({2, 1, 3, 5}, {.requires_grad = true}, random);
  for (const bool ignoring : {false, true})
    for (const bool weighted : {false, true})
      for (const LossKind kind : kinds_of_two) {
        Tensor target = Tensor::empty(logits.shape());
        for (int i = 0; i < 30; ++i)
          raw::data<float>(target)[i] = ignoring && i % 7 == 2 ? -1.0f : static_cast<float>(i % 3 == 0);
        const LossSettings settings{
            .kind = kind, .dice = 0.7, .class_weights = weighted ? std::vector<double>{0.5, 3} : std::vector<double>{}};
        CHECK(segmentation_loss(logits, target, settings).item() ==
              doctest::Approx(expected_two(logits.to_vector(), target.to_vector(), 2, settings)).epsilon(1e-5));
        GradcheckOptions options{.allow_float32 = true};
        const auto result =
            gradcheck([&](const Tensor& x) { return segmentation_loss(x, target, settings); }, {logits}, options);
        CHECK_MESSAGE(result, to_string(result));
      }
  const Tensor nothing = segmentation_loss(logits, full(logits.shape(), -1), {});
  CHECK(nothing.item() == 0);
}

TEST_CASE("losses: more classes, every kind, with weights and pixels that do not count") {
  Generator random(2);
  const Tensor logits = randn({2, 4, 3, 5}, {.requires_grad = true}, random);
  for (const bool ignoring : {false, true})
    for (const bool weighted : {false, true})
      for (const LossKind kind : kinds_of_more) {
        Tensor target = Tensor::empty({2, 3, 5}, {.dtype = i64});
        for (int i = 0; i < 30; ++i)
          raw::data<std::int64_t>(target)[i] = ignoring && i % 7 == 2 ? 255 : i % 3;  // class 3 is missing
        const LossSettings settings{
            .kind = kind,
            .dice = 0.7,
            .class_weights = weighted ? std::vector<double>{0.5, 3, 1, 2} : std::vector<double>{}};
        CHECK(segmentation_loss(logits, target, settings).item() ==
              doctest::Approx(expected_more(logits.to_vector(), target.to_vector(), 2, 4, settings)).epsilon(1e-5));
        const auto result = gradcheck([&](const Tensor& x) { return segmentation_loss(x, target, settings); }, {logits},
                                      {.allow_float32 = true});
        CHECK_MESSAGE(result, to_string(result));
      }
  CHECK(segmentation_loss(logits, full({2, 3, 5}, 255, {.dtype = i64}), {.kind = LossKind::ce}).item() == 0);
}

TEST_CASE("losses: of several scales, each against the pixels in the middle of its blocks") {
  Generator random(3);
  const Tensors two{randn({2, 1, 9, 10}, {}, random), randn({2, 1, 4, 5}, {}, random),
                    randn({2, 1, 2, 2}, {.requires_grad = true}, random)};
  const Tensors more{randn({2, 3, 9, 10}, {}, random), randn({2, 3, 4, 5}, {}, random),
                     randn({2, 3, 2, 2}, {.requires_grad = true}, random)};
  Tensor binary = Tensor::empty({2, 1, 9, 10}), ids = Tensor::empty({2, 9, 10}, {.dtype = i64});
  for (std::int64_t i = 0; i < ids.numel(); ++i) {
    raw::data<float>(binary)[i] = i % 11 == 4 ? -1.0f : static_cast<float>(i % 3 == 0);
    raw::data<std::int64_t>(ids)[i] = i % 11 == 4 ? 255 : i % 3;
  }
  /// What a scale is compared with, row by row.
  const auto truth = [](const Tensor& target, std::int64_t step) {
    std::vector<double> values;
    for (std::int64_t n = 0; n < 2; ++n)
      for (std::int64_t y = 0; y < 9 / step; ++y)
        for (std::int64_t x = 0; x < 10 / step; ++x)
          values.push_back(
              target.to_vector()[static_cast<std::size_t>((n * 9 + y * step + step / 2) * 10 + x * step + step / 2)]);
    return values;
  };
  const LossSettings settings{.kind = LossKind::ce_dice, .dice = 0.7};
  double of_two = 0, of_more = 0;
  for (std::size_t k = 0; k < 3; ++k) {
    const std::int64_t step = std::int64_t{1} << k;
    const double weight = (k == 0 ? 4.0 : k == 1 ? 2.0 : 1.0) / 7;
    of_two +=
        weight * expected_two(two[k].to_vector(), truth(binary, step), 2, {.kind = LossKind::bce_dice, .dice = 0.7});
    of_more += weight * expected_more(more[k].to_vector(), truth(ids, step), 2, 3, settings);
  }
  CHECK(deep_loss(two, binary, settings).item() == doctest::Approx(of_two).epsilon(1e-5));
  CHECK(deep_loss(more, ids, settings).item() == doctest::Approx(of_more).epsilon(1e-5));
  CHECK(deep_loss({two[0]}, binary, settings).item() == segmentation_loss(two[0], binary, settings).item());
  for (const bool binary_case : {true, false}) {
    const Tensors& scales = binary_case ? two : more;
    const auto result = gradcheck(
        [&](const Tensor& x) {
          return deep_loss({scales[0], scales[1], x}, binary_case ? binary : ids, settings);
        },
        {scales[2]}, {.allow_float32 = true});
    CHECK_MESSAGE(result, to_string(result));
  }
}

TEST_CASE("losses: names, and class weights from shares and lists") {
  CHECK(loss_kind("", 2) == LossKind::bce_dice);
  CHECK(loss_kind("", 3) == LossKind::ce);
  CHECK(loss_kind("focal", 3) == LossKind::focal);
  CHECK(contains(message_of<ValueError>([] { loss_kind("bce+dice", 3); }), "use ce+dice"));
  CHECK(contains(message_of<ValueError>([] { loss_kind("hinge", 2); }), "no loss hinge"));

  const data::ImageSet images = data::ImageSet::generated_shapes(2, {.size = 128});
  const auto counts = images.class_counts();
  const auto weights = class_weights("auto", images, 4);
  double mean = 0, all = 0;
  for (std::size_t c = 0; c < 4; ++c) {
    mean += weights[c] * static_cast<double>(counts[c]);
    all += static_cast<double>(counts[c]);
    CHECK(weights[c] / weights[0] ==
          doctest::Approx(std::sqrt(static_cast<double>(counts[0]) / static_cast<double>(counts[c]))));
  }
  CHECK(mean / all == doctest::Approx(1));
  CHECK(class_weights("auto", images, 6)[5] == 0);
  CHECK(class_weights("", images, 4).empty());
  CHECK(class_weights("1,2.5,0,4e1", images, 4) == std::vector<double>{1, 2.5, 0, 40});
  for (const char* bad : {"1,2", "1,2,3,4,5", "1,,2,3", "a,b,c,d", "1,2,3,-4", "1 2 3 4", "0,0,0,0", "1,2,3,4,"})
    CHECK_THROWS_AS(class_weights(bad, images, 4), ValueError);
}

TEST_CASE("choices: words of the command line") {
  TrainFlags flags;
  bool automatic = true;
  CHECK(threshold_of(flags, automatic) == 0.5);
  CHECK_FALSE(automatic);
  flags.threshold = "auto";
  threshold_of(flags, automatic);
  CHECK(automatic);
  for (const char* bad : {"", "1", "0", "x", "0.5x"}) {
    flags.threshold = bad;
    CHECK_THROWS_AS(threshold_of(flags, automatic), ValueError);
  }
  CHECK_FALSE(augmentation(flags));
  flags.noise = 0.1;
  CHECK(augmentation(flags));
  CHECK(net_variant(flags).up == nn::UNetUpsampling::transpose);
  flags.up = "pixel_shuffle";
  flags.norm = "instance";
  CHECK(net_variant(flags).up == nn::UNetUpsampling::pixel_shuffle);
  CHECK(net_variant(flags).norm == nn::UNetNormalization::instance);
  flags.norm = "none";
  CHECK(contains(message_of<ValueError>([&] { net_variant(flags); }), "must be batch, group or instance, got none"));
  const data::ImageSet images = data::ImageSet::generated(1, {.size = 32});
  flags.normalize = "min-max";
  CHECK(normalization_of(flags, images).mean == images.percentiles(0, 100).mean);
  flags.normalize = "image-percentile";
  CHECK(normalization_of(flags, images).per_image);
  flags.normalize = "none";
  CHECK_THROWS_AS(normalization_of(flags, images), ValueError);
}
