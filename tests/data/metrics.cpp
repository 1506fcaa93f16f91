// Scores against cases that were worked out by hand.
#include <doctest/doctest.h>

#include <cmath>

#include <duet/core/factory.hpp>
#include <duet/core/raw.hpp>
#include <duet/nn/metrics/boundary.hpp>
#include <duet/nn/metrics/confusion.hpp>
#include <duet/nn/metrics/precision_recall.hpp>

using namespace duet;
using namespace duet::metrics;

namespace {

Tensor ids(const Shape& shape, const std::vector<int>& values) {
  Tensor tensor = Tensor::empty(shape, {.dtype = u8});
  for (std::int64_t i = 0; i < tensor.numel(); ++i)
    raw::data<std::uint8_t>(tensor)[i] = static_cast<std::uint8_t>(values[static_cast<std::size_t>(i) % values.size()]);
  return tensor;
}

}  // namespace

TEST_CASE("confusion matrix: every score of a case of ten pixels") {
  ConfusionMatrix matrix(3);
  CHECK(std::isnan(matrix.accuracy()));
  CHECK(std::isnan(matrix.mean_iou()));
  //                        predicted                            truth
  matrix.add(ids({2, 5}, {0, 0, 1, 1, 1, 0, 0, 0, 0, 1}), ids({2, 5}, {0, 1, 1, 1, 0, 0, 0, 0, 0, 0}));
  // truth 0: 5 as 0, 2 as 1; truth 1: 1 as 0, 2 as 1.
  CHECK(matrix.total() == 10);
  CHECK(matrix.count(0, 1) == 2);
  CHECK(matrix.count(1, 0) == 1);
  CHECK(matrix.accuracy() == doctest::Approx(7.0 / 10));
  CHECK(matrix.iou(0) == doctest::Approx(5.0 / 8));
  CHECK(matrix.iou(1) == doctest::Approx(2.0 / 5));
  CHECK(matrix.dice(0) == doctest::Approx(10.0 / 13));
  CHECK(matrix.dice(1) == doctest::Approx(4.0 / 7));
  CHECK(matrix.precision(0) == doctest::Approx(5.0 / 6));
  CHECK(matrix.precision(1) == doctest::Approx(2.0 / 4));
  CHECK(matrix.recall(0) == doctest::Approx(5.0 / 7));
  CHECK(matrix.recall(1) == doctest::Approx(2.0 / 3));
  for (const double absent : {matrix.iou(2), matrix.dice(2), matrix.precision(2), matrix.recall(2)})
    CHECK(std::isnan(absent));
  CHECK(matrix.mean_iou() == doctest::Approx((5.0 / 8 + 2.0 / 5) / 2));
  CHECK(matrix.mean_dice() == doctest::Approx((10.0 / 13 + 4.0 / 7) / 2));
}

TEST_CASE("confusion matrix: streams, ignores, and counts nothing of bad input") {
  ConfusionMatrix matrix(3), parts(3), other(3);
  const Tensor said = ids({4, 3}, {0, 1, 2, 2, 1}), is = ids({4, 3}, {0, 1, 1, 2, 0, 2});
  matrix.add(said, is);
  for (std::int64_t row = 0; row < 4; ++row) {
    ConfusionMatrix& half = row < 2 ? parts : other;
    half.add(raw::view(said, {3}, {1}, 3 * row), raw::view(is, {3}, {1}, 3 * row));
  }
  parts.add(other);
  for (int a = 0; a < 3; ++a)
    for (int b = 0; b < 3; ++b) CHECK(parts.count(a, b) == matrix.count(a, b));

  ConfusionMatrix without(2, 255);
  without.add(ids({4}, {0, 1, 7, 1}), ids({4}, {0, 1, 255, 0}));
  CHECK(without.total() == 3);
  CHECK(without.accuracy() == doctest::Approx(2.0 / 3));

  CHECK_THROWS_AS(matrix.add(ids({2}, {0, 3}), ids({2}, {0, 0})), ValueError);
  CHECK_THROWS_AS(matrix.add(ids({1}, {0}), ids({2}, {0})), ShapeError);
  CHECK_THROWS_AS(matrix.add(full({1}, 0), ids({1}, {0})), DtypeError);
  CHECK(matrix.total() == 12);
  CHECK_THROWS_AS(matrix.add(without), ValueError);
  CHECK_THROWS_AS(ConfusionMatrix(1), ValueError);
  CHECK_THROWS_AS(ConfusionMatrix(257), ValueError);
  CHECK_THROWS_AS(ConfusionMatrix(2, 256), ValueError);
}

TEST_CASE("precision and recall: a case of six probabilities, in two parts") {
  // In order: 0.9 yes, 0.8 no, 0.7 yes, 0.6 yes, 0.3 no, 0.2 no.
  PrecisionRecall scores(10);
  const float first[] = {0.2f, 0.9f, 0.6f}, second[] = {0.8f, 0.3f, 0.7f, 0.5f};
  scores.add(Tensor::from_span(std::span<const float>(first), {1, 3}), ids({3}, {0, 1, 1}));
  scores.add(Tensor::from_span(std::span<const float>(second), {4}), ids({2, 2}, {0, 0, 1, 255}));
  CHECK(scores.total() == 6);
  const auto curve = scores.curve();
  REQUIRE(curve.size() == 10);
  struct Expected {
    double threshold, precision, recall, f1, mean_iou;
  };
  // Hits and alarms: 3 3 | 3 2 at 0.3 | 3 1 at 0.4 to 0.6 | 2 1 at 0.7 | 1 1 at 0.8 | 1 0 at 0.9. (0.6 as a float is
  // above 6/10, 0.7 below 7/10: it counts as a yes up to 0.6.)
  CHECK(curve[0].precision == doctest::Approx(0.5));
  CHECK(curve[0].recall == 1);
  CHECK(curve[0].mean_iou == doctest::Approx((3.0 / 6 + 0) / 2));
  CHECK(curve[4].threshold == doctest::Approx(0.4));
  CHECK(curve[4].precision == doctest::Approx(3.0 / 4));
  CHECK(curve[4].recall == 1);
  CHECK(curve[4].f1 == doctest::Approx(6.0 / 7));
  CHECK(curve[4].mean_iou == doctest::Approx((3.0 / 4 + 2.0 / 3) / 2));
  CHECK(curve[8].precision == doctest::Approx(1.0 / 2));
  CHECK(curve[8].recall == doctest::Approx(1.0 / 3));
  CHECK(curve[8].mean_iou == doctest::Approx((1.0 / 4 + 2.0 / 5) / 2));
  CHECK(scores.best_f1().threshold == doctest::Approx(0.5));  // the middle of 0.4, 0.5 and 0.6
  CHECK(scores.best_f1().f1 == doctest::Approx(6.0 / 7));
  CHECK(scores.best_mean_iou().threshold == doctest::Approx(0.5));
}

TEST_CASE("precision and recall: the area, thresholds that are hit exactly, and bad input") {
  // 4 probabilities in eighths, which floats hold exactly: 7/8 yes, 6/8 no, 4/8 yes, 1/8 no.
  PrecisionRecall scores(8);
  const float values[] = {0.875f, 0.75f, 0.5f, 0.125f};
  scores.add(Tensor::from_span(std::span<const float>(values), {4}), ids({4}, {1, 0, 1, 0}));
  const auto curve = scores.curve();
  CHECK(curve[4].recall == 1);                     // 0.5 is at least 4/8
  CHECK(curve[5].recall == doctest::Approx(0.5));  // and not 5/8
  CHECK(scores.average_precision() == doctest::Approx(0.5 * 1 + 0.5 * 2.0 / 3));

  PrecisionRecall none(4);
  CHECK_THROWS_AS(none.best_f1(), ValueError);
  const float ends[] = {0, 1};
  none.add(Tensor::from_span(std::span<const float>(ends), {2}), ids({2}, {0, 0}));
  CHECK(std::isnan(none.average_precision()));
  // One of the two nos is called a yes at every threshold: IoU 0 and 1 / 2.
  CHECK(none.best_mean_iou().mean_iou == doctest::Approx(0.25));
  const float bad[] = {0.5f, 1.5f}, nan[] = {0.5f, std::nanf("")};
  CHECK_THROWS_AS(none.add(Tensor::from_span(std::span<const float>(bad), {2}), ids({2}, {0})), ValueError);
  CHECK_THROWS_AS(none.add(Tensor::from_span(std::span<const float>(nan), {2}), ids({2}, {0})), ValueError);
  CHECK_THROWS_AS(none.add(full({2}, 0.5), ids({2}, {0, 2})), ValueError);
  CHECK_THROWS_AS(none.add(full({3}, 0.5), ids({2}, {0})), ShapeError);
  CHECK_THROWS_AS(none.add(full({2}, 0.5, {.dtype = f64}), ids({2}, {0})), DtypeError);
  CHECK(none.total() == 2);
  CHECK_THROWS_AS(PrecisionRecall(1), ValueError);
}

TEST_CASE("boundary F1: a square that moved, worked out by hand") {
  // A 3 x 3 square in 8 x 8, predicted one pixel to the right. All 8 of its rim's pixels are outline.
  Tensor truth = zeros({8, 8}, {.dtype = u8}), said = zeros({8, 8}, {.dtype = u8});
  for (int y = 2; y < 5; ++y)
    for (int x = 2; x < 5; ++x) {
      raw::data<std::uint8_t>(truth)[y * 8 + x] = 1;
      raw::data<std::uint8_t>(said)[y * 8 + x + 1] = 1;
    }
  // Exact: the rims (columns 2-4 and 3-5, the centres left out) share (2,3) (2,4) (4,3) (4,4) = 4 of 8; the centre of
  // one is (3,3), of the other (3,4), so (3,4) and (3,3) are shared only where both are rims: they are not.
  BoundaryF1 exact(2, 0);
  exact.add(said, truth);
  CHECK(exact.precision(1) == doctest::Approx(4.0 / 8));
  CHECK(exact.recall(1) == doctest::Approx(4.0 / 8));
  CHECK(exact.f1(1) == doctest::Approx(0.5));
  // Within one pixel every rim pixel has a neighbour on the other rim.
  BoundaryF1 near(2, 1);
  near.add(said, truth);
  CHECK(near.f1(1) == doctest::Approx(1));
  CHECK(near.f1(0) == doctest::Approx(1));
  CHECK(near.mean() == doctest::Approx(1));
}

TEST_CASE("boundary F1: single pixels, distances, nothing at all, ignored pixels") {
  Tensor truth = zeros({9, 9}, {.dtype = u8}), said = zeros({9, 9}, {.dtype = u8});
  raw::data<std::uint8_t>(truth)[4 * 9 + 4] = 1;
  raw::data<std::uint8_t>(said)[6 * 9 + 5] = 1;  // sqrt(5) away
  BoundaryF1 far(2, 2.2), near(2, 2.25);
  far.add(said, truth);
  near.add(said, truth);
  CHECK(far.f1(1) == 0);
  CHECK(near.f1(1) == 1);
  // Two more images add to the same counts: one with a miss, one with an empty truth.
  near.add(zeros({9, 9}, {.dtype = u8}), truth);
  CHECK(near.recall(1) == doctest::Approx(0.5));
  CHECK(near.precision(1) == doctest::Approx(1));
  CHECK(near.f1(1) == doctest::Approx(2.0 / 3));

  BoundaryF1 empty(3, 1);
  CHECK(std::isnan(empty.mean()));
  empty.add(zeros({3, 3}, {.dtype = u8}), zeros({3, 3}, {.dtype = u8}));
  CHECK(std::isnan(empty.f1(0)));  // one class all over has no outline

  // The border of an ignored region is nobody's outline.
  BoundaryF1 ignoring(2, 0, 255);
  Tensor half = zeros({1, 4}, {.dtype = u8});
  raw::data<std::uint8_t>(half)[2] = raw::data<std::uint8_t>(half)[3] = 255;
  ignoring.add(ids({1, 4}, {0, 0, 1, 1}), half);
  CHECK(std::isnan(ignoring.f1(0)));

  CHECK_THROWS_AS(near.add(zeros({3, 3}), zeros({3, 3})), DtypeError);
  CHECK_THROWS_AS(near.add(ids({3, 3}, {0}), ids({3, 4}, {0})), ShapeError);
  CHECK_THROWS_AS(near.add(ids({3, 3}, {2}), ids({3, 3}, {0})), ValueError);
  CHECK_THROWS_AS(BoundaryF1(2, -1), ValueError);
  CHECK_THROWS_AS(BoundaryF1(1), ValueError);
  CHECK_THROWS_AS(near.f1(2), ValueError);
}
