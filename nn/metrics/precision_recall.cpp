// Histograms, summed from the top.
#include <duet/nn/metrics/precision_recall.hpp>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include <duet/core/fail.hpp>
#include <duet/core/raw.hpp>

namespace duet::metrics {
namespace {

double quotient(std::int64_t a, std::int64_t b, double otherwise) {
  return b == 0 ? otherwise : static_cast<double>(a) / static_cast<double>(b);
}

constexpr double nan = std::numeric_limits<double>::quiet_NaN();

}  // namespace

PrecisionRecall::PrecisionRecall(int bins) {
  if (bins < 2 || bins > 1 << 20) fail<ValueError>("PrecisionRecall", "needs 2 to 2^20 bins, got {}", bins);
  yes_.resize(static_cast<std::size_t>(bins));
  no_.resize(static_cast<std::size_t>(bins));
}

void PrecisionRecall::add(const Tensor& probability, const Tensor& truth, int ignore) {
  if (probability.dtype() != f32 || truth.dtype() != u8)
    fail<DtypeError>("PrecisionRecall", "needs probabilities as f32 and truth as u8, got {} and {}",
                     name(probability.dtype()), name(truth.dtype()));
  if (probability.numel() != truth.numel())
    fail<ShapeError>("PrecisionRecall", "probability {} and truth {} differ in size", probability.shape(),
                     truth.shape());
  const Tensor p = raw::contiguous(probability), t = raw::contiguous(truth);
  const float* values = raw::data<float>(p);
  const std::uint8_t* is = raw::data<std::uint8_t>(t);
  std::vector<std::int64_t> yes(yes_.size()), no(no_.size());
  const auto bins = static_cast<double>(yes_.size());
  for (std::int64_t i = 0; i < truth.numel(); ++i) {
    if (is[i] == ignore) continue;
    const auto value = static_cast<double>(values[i]);
    if (!(value >= 0 && value <= 1)) fail<ValueError>("PrecisionRecall", "{} is not a probability", value);
    if (is[i] > 1) fail<ValueError>("PrecisionRecall", "the truth is 0 or 1, got {}", is[i]);
    // floor(value · bins), moved where the product was rounded across a threshold k / bins.
    auto bin = std::min(static_cast<std::int64_t>(value * bins), static_cast<std::int64_t>(bins) - 1);
    while (bin + 1 < static_cast<std::int64_t>(bins) && value >= static_cast<double>(bin + 1) / bins) ++bin;
    while (value < static_cast<double>(bin) / bins) --bin;
    ++(is[i] == 1 ? yes : no)[static_cast<std::size_t>(bin)];
  }
  for (std::size_t k = 0; k < yes_.size(); ++k) {
    yes_[k] += yes[k];
    no_[k] += no[k];
  }
}

std::int64_t PrecisionRecall::total() const {
  return std::accumulate(yes_.begin(), yes_.end(), std::int64_t{0}) +
         std::accumulate(no_.begin(), no_.end(), std::int64_t{0});
}

std::vector<PrecisionRecallPoint> PrecisionRecall::curve() const {
  const std::int64_t all_yes = std::accumulate(yes_.begin(), yes_.end(), std::int64_t{0});
  const std::int64_t all_no = std::accumulate(no_.begin(), no_.end(), std::int64_t{0});
  std::vector<PrecisionRecallPoint> points(yes_.size());
  std::int64_t hits = 0, alarms = 0;  // called a yes: rightly, wrongly
  for (std::size_t k = yes_.size(); k-- > 0;) {
    hits += yes_[k];
    alarms += no_[k];
    PrecisionRecallPoint& point = points[k];
    point.threshold = static_cast<double>(k) / static_cast<double>(yes_.size());
    point.precision = quotient(hits, hits + alarms, 1);
    point.recall = quotient(hits, all_yes, nan);
    point.f1 = quotient(2 * hits, all_yes + hits + alarms, nan);
    const double of_yes = quotient(hits, all_yes + alarms, nan);
    const double of_no = quotient(all_no - alarms, all_no + all_yes - hits, nan);
    point.mean_iou = std::isnan(of_yes) ? of_no : std::isnan(of_no) ? of_yes : (of_yes + of_no) / 2;
  }
  return points;
}

double PrecisionRecall::average_precision() const {
  const std::vector<PrecisionRecallPoint> points = curve();
  double area = 0, recall = 0;
  for (std::size_t k = points.size(); k-- > 0;) {
    area += (points[k].recall - recall) * points[k].precision;
    recall = points[k].recall;
  }
  return area;
}

PrecisionRecallPoint PrecisionRecall::best(double PrecisionRecallPoint::*score) const {
  if (total() == 0) fail<ValueError>("PrecisionRecall", "there is no best threshold: nothing has been counted");
  const std::vector<PrecisionRecallPoint> points = curve();
  std::size_t first = 0, last = 0;
  double highest = -1;
  for (std::size_t k = 0; k < points.size(); ++k) {
    const double value = points[k].*score;
    if (value > highest) {
      highest = value;
      first = last = k;
    } else if (value == highest && last + 1 == k) {
      last = k;
    }
  }
  return points[(first + last) / 2];
}

}  // namespace duet::metrics
