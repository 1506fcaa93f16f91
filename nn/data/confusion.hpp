// ConfusionMatrix: counts of true against predicted classes, and the scores that follow from them.
#pragma once

#include <cstdint>
#include <vector>

#include <duet/core/tensor.hpp>

namespace duet::data {

class ConfusionMatrix {
 public:
  /// ValueError below 2 classes or above 256.
  explicit ConfusionMatrix(int classes);
  int classes() const { return classes_; }
  /// Counts every pixel of two u8 tensors of class ids of one shape (ShapeError, DtypeError; ValueError for an id that
  /// is no class).
  void add(const Tensor& predicted, const Tensor& truth);
  void add(const ConfusionMatrix& other);
  std::int64_t count(int truth, int predicted) const {
    return counts_[static_cast<std::size_t>(truth * classes_ + predicted)];
  }
  std::int64_t total() const;
  /// The share of pixels whose class is right; NaN without pixels.
  double accuracy() const;
  /// Intersection over union of a class: pixels that are it in both, over pixels that are it in either. NaN if none is.
  double iou(int of_class) const;
  /// The mean of iou() over the classes that occur.
  double mean_iou() const;

 private:
  int classes_;
  std::vector<std::int64_t> counts_;  // truth * classes + predicted
};

}  // namespace duet::data
