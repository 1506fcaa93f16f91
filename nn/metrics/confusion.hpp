// ConfusionMatrix: counts of true against predicted classes, and the scores that follow from them.
#pragma once

#include <cstdint>
#include <vector>

#include <duet/core/tensor.hpp>

namespace duet::metrics {

/// Rows are true classes, columns predicted ones. Scores of a class that does not occur, where they would divide by
/// zero, are NaN; the means leave those out, and are NaN themselves when nothing is left.
class ConfusionMatrix {
 public:
  /// Pixels whose truth is `ignore` do not count (-1: all do). ValueError below 2 classes or above 256, or for an
  /// `ignore` that is neither -1 nor in [0, 255].
  explicit ConfusionMatrix(int classes, int ignore = -1);
  int classes() const { return classes_; }  ///< as given
  /// Counts every pixel of two u8 tensors of class ids of one shape (ShapeError, DtypeError; ValueError for an id that
  /// is no class; then nothing has been counted).
  void add(const Tensor& predicted, const Tensor& truth);
  void add(const ConfusionMatrix& other);  ///< adds the counts of another
  std::int64_t count(int truth, int predicted) const {
    return counts_[static_cast<std::size_t>(truth * classes_ + predicted)];
  }                            ///< pixels of one class that were taken for another
  std::int64_t total() const;  ///< pixels that count
  /// The share of pixels whose class is right; NaN without pixels.
  double accuracy() const;
  /// Intersection over union (Jaccard): pixels that are the class in both, over pixels that are it in either.
  double iou(int of_class) const;
  /// 2 · both / (truth + predicted) (Dice, F1).
  double dice(int of_class) const;
  /// The share of what was predicted as the class that is it.
  double precision(int of_class) const;
  /// The share of the class that was predicted as it.
  double recall(int of_class) const;
  /// The mean of iou() over the classes that occur.
  double mean_iou() const;
  double mean_dice() const;  ///< the mean of dice() over the classes that occur

 private:
  struct Class {
    std::int64_t truth = 0, predicted = 0, both = 0;
  };
  Class of(int a_class) const;
  double mean(double (ConfusionMatrix::*score)(int) const) const;

  int classes_, ignore_;
  std::vector<std::int64_t> counts_;  // truth * classes + predicted
};

}  // namespace duet::metrics
