// Counting, and the quotients of counts.
#include <duet/nn/metrics/confusion.hpp>

#include <cmath>
#include <limits>

#include <duet/core/fail.hpp>
#include <duet/core/raw.hpp>

namespace duet::metrics {
namespace {

double quotient(std::int64_t a, std::int64_t b) {
  return b == 0 ? std::numeric_limits<double>::quiet_NaN() : static_cast<double>(a) / static_cast<double>(b);
}

}  // namespace

ConfusionMatrix::ConfusionMatrix(int classes, int ignore) : classes_(classes), ignore_(ignore) {
  if (classes < 2 || classes > 256) fail<ValueError>("ConfusionMatrix", "needs 2 to 256 classes, got {}", classes);
  if (ignore < -1 || ignore > 255) fail<ValueError>("ConfusionMatrix", "ignore must be -1 to 255, got {}", ignore);
  counts_.resize(static_cast<std::size_t>(classes * classes));
}

void ConfusionMatrix::add(const Tensor& predicted, const Tensor& truth) {
  if (predicted.dtype() != u8 || truth.dtype() != u8)
    fail<DtypeError>("ConfusionMatrix", "needs class ids as u8, got {} and {}", name(predicted.dtype()),
                     name(truth.dtype()));
  if (predicted.shape() != truth.shape())
    fail<ShapeError>("ConfusionMatrix", "predicted {} and truth {} differ in shape", predicted.shape(), truth.shape());
  const Tensor a = raw::contiguous(truth), b = raw::contiguous(predicted);
  const std::uint8_t *is = raw::data<std::uint8_t>(a), *said = raw::data<std::uint8_t>(b);
  std::vector<std::int64_t> counts(counts_.size());
  for (std::int64_t i = 0; i < truth.numel(); ++i) {
    if (is[i] == ignore_) continue;
    if (is[i] >= classes_ || said[i] >= classes_)
      fail<ValueError>("ConfusionMatrix", "class id {} is not among {} classes", std::max(is[i], said[i]), classes_);
    ++counts[static_cast<std::size_t>(is[i] * classes_ + said[i])];
  }
  for (std::size_t i = 0; i < counts.size(); ++i) counts_[i] += counts[i];
}

void ConfusionMatrix::add(const ConfusionMatrix& other) {
  if (other.classes_ != classes_)
    fail<ValueError>("ConfusionMatrix", "{} classes and {} do not add up", classes_, other.classes_);
  for (std::size_t i = 0; i < counts_.size(); ++i) counts_[i] += other.counts_[i];
}

std::int64_t ConfusionMatrix::total() const {
  std::int64_t sum = 0;
  for (const std::int64_t count : counts_) sum += count;
  return sum;
}

double ConfusionMatrix::accuracy() const {
  std::int64_t right = 0;
  for (int c = 0; c < classes_; ++c) right += count(c, c);
  return quotient(right, total());
}

ConfusionMatrix::Class ConfusionMatrix::of(int a_class) const {
  Class sums{.both = count(a_class, a_class)};
  for (int c = 0; c < classes_; ++c) {
    sums.truth += count(a_class, c);
    sums.predicted += count(c, a_class);
  }
  return sums;
}

double ConfusionMatrix::iou(int of_class) const {
  const Class c = of(of_class);
  return quotient(c.both, c.truth + c.predicted - c.both);
}

double ConfusionMatrix::dice(int of_class) const {
  const Class c = of(of_class);
  return quotient(2 * c.both, c.truth + c.predicted);
}

double ConfusionMatrix::precision(int of_class) const {
  const Class c = of(of_class);
  return quotient(c.both, c.predicted);
}

double ConfusionMatrix::recall(int of_class) const {
  const Class c = of(of_class);
  return quotient(c.both, c.truth);
}

double ConfusionMatrix::mean(double (ConfusionMatrix::*score)(int) const) const {
  double sum = 0;
  int occurring = 0;
  for (int c = 0; c < classes_; ++c)
    if (const double value = (this->*score)(c); !std::isnan(value)) {
      sum += value;
      ++occurring;
    }
  return occurring == 0 ? std::numeric_limits<double>::quiet_NaN() : sum / occurring;
}

double ConfusionMatrix::mean_iou() const { return mean(&ConfusionMatrix::iou); }
double ConfusionMatrix::mean_dice() const { return mean(&ConfusionMatrix::dice); }

}  // namespace duet::metrics
