// BoundaryF1: do the outlines agree? For thin structures the area says little, because a shift by one pixel costs half
// of it.
#pragma once

#include <cstdint>
#include <vector>

#include <duet/core/tensor.hpp>

namespace duet::metrics {

/// For each class, the harmonic mean of the share of the predicted outline that lies near the true one, and the share
/// of the true outline that lies near the predicted one (Csurka et al., "What is a good evaluation measure for semantic
/// segmentation?", BMVC 2013), pooled over all images. An outline pixel is one of the class with one of its four
/// neighbours in the image of another class; near is a distance of centres of at most `tolerance` pixels.
class BoundaryF1 {
 public:
  /// ValueError for a tolerance outside [0, 100] or classes outside 2 to 256.
  explicit BoundaryF1(int classes, double tolerance = 2, int ignore = -1);
  /// Two (height, width) u8 tensors of class ids. ShapeError, DtypeError; ValueError for an id that is no class. Pixels
  /// whose truth is `ignore` are part of no outline.
  void add(const Tensor& predicted, const Tensor& truth);
  double precision(int of_class) const;  ///< NaN without a predicted outline
  double recall(int of_class) const;     ///< NaN without a true one
  double f1(int of_class) const;         ///< NaN without both, 0 without one of them
  /// The mean of f1() over the classes that have outlines.
  double mean() const;

 private:
  struct Counts {
    std::int64_t predicted = 0, predicted_near = 0, truth = 0, truth_near = 0;
  };
  const Counts& of(int a_class) const;
  double tolerance_;
  int ignore_;
  std::vector<Counts> counts_;
};

}  // namespace duet::metrics
