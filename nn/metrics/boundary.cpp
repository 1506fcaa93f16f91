// Outlines as maps; each outline pixel marks the disc around it in a second map.
#include <duet/nn/metrics/boundary.hpp>

#include <algorithm>
#include <cmath>
#include <limits>

#include <duet/core/fail.hpp>
#include <duet/core/raw.hpp>

namespace duet::metrics {
namespace {

using Map = std::vector<std::uint8_t>;

struct Plane {
  const std::uint8_t* ids;
  std::int64_t height, width;
};

/// Whether each pixel is of the outline of a class.
Map outline(const Plane& plane, const std::uint8_t* truth, int of_class, int ignore) {
  Map map(static_cast<std::size_t>(plane.height * plane.width));
  const auto other = [&](std::int64_t i) { return plane.ids[i] != of_class && truth[i] != ignore; };
  for (std::int64_t y = 0; y < plane.height; ++y)
    for (std::int64_t x = 0; x < plane.width; ++x) {
      const std::int64_t i = y * plane.width + x;
      if (plane.ids[i] != of_class || truth[i] == ignore) continue;
      map[static_cast<std::size_t>(i)] = (y > 0 && other(i - plane.width)) ||
                                         (y + 1 < plane.height && other(i + plane.width)) || (x > 0 && other(i - 1)) ||
                                         (x + 1 < plane.width && other(i + 1));
    }
  return map;
}

/// Whether each pixel is within `tolerance` of a marked one.
Map widened(const Map& map, const Plane& plane, double tolerance) {
  Map wide(map.size());
  const auto reach = static_cast<std::int64_t>(tolerance);
  for (std::int64_t y = 0; y < plane.height; ++y)
    for (std::int64_t x = 0; x < plane.width; ++x) {
      if (map[static_cast<std::size_t>(y * plane.width + x)] == 0) continue;
      for (std::int64_t dy = -reach; dy <= reach; ++dy) {
        if (y + dy < 0 || y + dy >= plane.height) continue;
        const auto side = static_cast<std::int64_t>(std::sqrt(tolerance * tolerance - static_cast<double>(dy * dy)));
        const std::int64_t from = std::max<std::int64_t>(0, x - side), to = std::min(plane.width - 1, x + side);
        std::fill_n(wide.begin() + (y + dy) * plane.width + from, to - from + 1, std::uint8_t{1});
      }
    }
  return wide;
}

std::int64_t count(const Map& map) { return std::count(map.begin(), map.end(), 1); }

std::int64_t count_both(const Map& a, const Map& b) {
  std::int64_t sum = 0;
  for (std::size_t i = 0; i < a.size(); ++i) sum += a[i] & b[i];
  return sum;
}

double quotient(std::int64_t a, std::int64_t b) {
  return b == 0 ? std::numeric_limits<double>::quiet_NaN() : static_cast<double>(a) / static_cast<double>(b);
}

}  // namespace

BoundaryF1::BoundaryF1(int classes, double tolerance, int ignore) : tolerance_(tolerance), ignore_(ignore) {
  if (classes < 2 || classes > 256) fail<ValueError>("BoundaryF1", "needs 2 to 256 classes, got {}", classes);
  if (!(tolerance >= 0 && tolerance <= 100))
    fail<ValueError>("BoundaryF1", "tolerance must be 0 to 100 pixels, got {}", tolerance);
  counts_.resize(static_cast<std::size_t>(classes));
}

void BoundaryF1::add(const Tensor& predicted, const Tensor& truth) {
  if (predicted.dtype() != u8 || truth.dtype() != u8)
    fail<DtypeError>("BoundaryF1", "needs class ids as u8, got {} and {}", name(predicted.dtype()),
                     name(truth.dtype()));
  if (truth.rank() != 2 || predicted.shape() != truth.shape())
    fail<ShapeError>("BoundaryF1", "needs (height, width) of both, got predicted {} and truth {}", predicted.shape(),
                     truth.shape());
  const Tensor said = raw::contiguous(predicted), is = raw::contiguous(truth);
  const std::uint8_t* ids = raw::data<std::uint8_t>(is);
  const Plane a{raw::data<std::uint8_t>(said), truth.size(0), truth.size(1)}, b{ids, truth.size(0), truth.size(1)};
  const auto classes = static_cast<int>(counts_.size());
  for (std::int64_t i = 0; i < truth.numel(); ++i)
    if (ids[i] != ignore_ && std::max(ids[i], a.ids[i]) >= classes)
      fail<ValueError>("BoundaryF1", "class id {} is not among {} classes", std::max(ids[i], a.ids[i]), classes);
  for (int c = 0; c < classes; ++c) {
    const Map of_predicted = outline(a, ids, c, ignore_), of_truth = outline(b, ids, c, ignore_);
    Counts& counts = counts_[static_cast<std::size_t>(c)];
    counts.predicted += count(of_predicted);
    counts.truth += count(of_truth);
    counts.predicted_near += count_both(of_predicted, widened(of_truth, b, tolerance_));
    counts.truth_near += count_both(of_truth, widened(of_predicted, a, tolerance_));
  }
}

const BoundaryF1::Counts& BoundaryF1::of(int a_class) const {
  if (a_class < 0 || a_class >= static_cast<int>(counts_.size()))
    fail<ValueError>("BoundaryF1", "there is no class {} among {}", a_class, counts_.size());
  return counts_[static_cast<std::size_t>(a_class)];
}

double BoundaryF1::precision(int of_class) const {
  return quotient(of(of_class).predicted_near, of(of_class).predicted);
}
double BoundaryF1::recall(int of_class) const { return quotient(of(of_class).truth_near, of(of_class).truth); }

double BoundaryF1::f1(int of_class) const {
  const Counts& counts = of(of_class);
  if (counts.predicted == 0 && counts.truth == 0) return quotient(0, 0);
  const double p = counts.predicted == 0 ? 0 : precision(of_class), r = counts.truth == 0 ? 0 : recall(of_class);
  return p + r == 0 ? 0 : 2 * p * r / (p + r);
}

double BoundaryF1::mean() const {
  double sum = 0;
  int occurring = 0;
  for (int c = 0; c < static_cast<int>(counts_.size()); ++c)
    if (const double value = f1(c); !std::isnan(value)) {
      sum += value;
      ++occurring;
    }
  return occurring == 0 ? std::numeric_limits<double>::quiet_NaN() : sum / occurring;
}

}  // namespace duet::metrics
