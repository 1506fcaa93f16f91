// Rows as views on contiguous memory.
#include <duet/nn/data/tensor_set.hpp>

#include <duet/core/fail.hpp>
#include <duet/core/raw.hpp>

namespace duet::data {
namespace {

Tensor row(const Tensor& tensor, std::int64_t index) {
  Shape shape = tensor.shape();
  shape.erase(0);
  return raw::view(tensor, shape, contiguous_strides(shape), index * shape.numel());
}

}  // namespace

TensorDataset::TensorDataset(const Tensor& images, const Tensor& targets)
    : images_(raw::contiguous(images.detach())), targets_(raw::contiguous(targets.detach())) {
  if (images.rank() < 1 || targets.rank() < 1 || images.size(0) != targets.size(0))
    fail<ShapeError>("TensorDataset", "images {} and targets {} need the same number of rows", images.shape(),
                     targets.shape());
  if (images.size(0) == 0) fail<ValueError>("TensorDataset", "there are no samples");
}

Sample TensorDataset::get(std::int64_t index, Generator&) const {
  if (index < 0 || index >= size()) fail<ValueError>("TensorDataset", "sample {} of {}", index, size());
  return {row(images_, index), row(targets_, index)};
}

}  // namespace duet::data
