// How pictures of digits are judged: by what a trained classifier sees in them.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include <duet/nn/models/digit_net.hpp>

namespace duet::examples {

/// What a classifier says of images.
struct Sight {
  Tensor features;                 ///< (N, features) f64
  std::vector<int> classes;        ///< the most probable one, by image
  std::vector<double> confidence;  ///< its probability
};

/// A classifier with what its weight file says of its input.
class Judge {
 public:
  /// IoError for a file that is no classifier's.
  explicit Judge(const std::string& weights);
  /// Images (N, channels, side, side) f32 in [0, 1]. ShapeError for others than it was trained on.
  Sight look(const Tensor& images) const;
  const std::vector<std::string>& classes() const { return classes_; }

 private:
  std::unique_ptr<nn::DigitNet> net_;
  std::vector<std::string> classes_;
  double mean_ = 0, deviation_ = 1;
};

/// What `net` sees in images that are normalized already, in evaluation mode and batches.
Sight look(nn::DigitNet& net, const Tensor& images);

/// The Fréchet distance between normal distributions fitted to two sets of features (N, D) f64: |m − n|² + tr(A + B −
/// 2 √(AB)) (Heusel et al. 2017, arXiv:1706.08500). ShapeError for other widths, ValueError below two rows.
double frechet_distance(const Tensor& a, const Tensor& b);

/// Eigenvalues and, in the columns of `vectors`, eigenvectors of a symmetric matrix (n, n) f64, by Jacobi's rotations.
struct Eigen {
  std::vector<double> values;
  Tensor vectors;
};
Eigen eigen_symmetric(const Tensor& matrix);

}  // namespace duet::examples
