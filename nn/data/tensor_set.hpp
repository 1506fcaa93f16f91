// TensorDataset: samples that lie in memory.
#pragma once

#include <duet/nn/data/dataset.hpp>

namespace duet::data {

/// Sample i is row i of `images` and of `targets`: views, so that nothing is copied until a batch is made.
class TensorDataset : public Dataset {
 public:
  /// ShapeError unless both have the same number of rows, ValueError for none.
  TensorDataset(const Tensor& images, const Tensor& targets);
  std::int64_t size() const override { return images_.size(0); }
  Sample get(std::int64_t index, Generator& random) const override;

  const Tensor& images() const { return images_; }    ///< as given
  const Tensor& targets() const { return targets_; }  ///< as given

 private:
  Tensor images_, targets_;
};

}  // namespace duet::data
