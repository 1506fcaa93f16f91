// PrecisionRecall: how a two-class decision depends on its threshold, in one pass over any number of images.
#pragma once

#include <cstdint>
#include <vector>

#include <duet/core/tensor.hpp>

namespace duet::metrics {

/// One threshold, and what follows from calling every probability at or above it a yes.
struct PrecisionRecallPoint {
  double threshold = 0;
  double precision = 0;  ///< 1 where nothing is called a yes
  double recall = 0;     ///< NaN without a true yes
  double f1 = 0;         ///< 2 · both / (truth + called)
  double mean_iou = 0;   ///< of yes and no, leaving out one that neither occurs nor is called
};

/// Counts probabilities in bins, separately for the two truths, so memory does not grow with the data. Its thresholds
/// are the bins' lower ends, k / bins, at which all counts are exact.
class PrecisionRecall {
 public:
  /// ValueError below 2 bins or above 2^20.
  explicit PrecisionRecall(int bins = 1000);
  /// Counts probabilities of a yes (f32) with the truth (u8, 0 or 1; `ignore` does not count) of as many elements, in
  /// row-major order. ShapeError for other counts, DtypeError; ValueError for another truth or a probability outside
  /// [0, 1]; then nothing has been counted.
  void add(const Tensor& probability, const Tensor& truth, int ignore = 255);
  std::int64_t total() const;  ///< how many were counted

  /// The point of each threshold, rising, 0 to (bins − 1) / bins.
  std::vector<PrecisionRecallPoint> curve() const;
  /// The area under the curve as a sum of rectangles: Σ (recall step) · precision. NaN without a true yes.
  double average_precision() const;
  /// The threshold of the highest f1, or of the highest mean IoU, over every bin's; the middle of several. ValueError
  /// while nothing is counted.
  PrecisionRecallPoint best_f1() const { return best(&PrecisionRecallPoint::f1); }
  PrecisionRecallPoint best_mean_iou() const { return best(&PrecisionRecallPoint::mean_iou); }  ///< see best_f1()

 private:
  PrecisionRecallPoint best(double PrecisionRecallPoint::*score) const;
  std::vector<std::int64_t> yes_, no_;  // by bin of the probability
};

}  // namespace duet::metrics
