// Dimensions joined and split again, for Sequential.
#pragma once

#include <duet/nn/module.hpp>

namespace duet::nn {

/// Dimensions start_dim to end_dim, both included, as one; by default all but the batch's.
struct Flatten : Module {
  explicit Flatten(std::int64_t start = 1, std::int64_t end = -1) : start_dim(start), end_dim(end) {}
  Flatten(Module* parent, std::string name, std::int64_t start = 1, std::int64_t end = -1)
      : Module(parent, std::move(name)), start_dim(start), end_dim(end) {}
  Tensor forward(const Tensor& x) override;
  std::string describe() const override;
  std::int64_t start_dim, end_dim;
};

/// Dimension `dim` as several, of which one may be -1. ShapeError in forward where they do not multiply to its size.
struct Unflatten : Module {
  Unflatten(std::int64_t along, const Shape& sizes) : dim(along), unflattened_size(sizes) {}
  Unflatten(Module* parent, std::string name, std::int64_t along, const Shape& sizes)
      : Module(parent, std::move(name)), dim(along), unflattened_size(sizes) {}
  Tensor forward(const Tensor& x) override;
  std::string describe() const override;
  std::int64_t dim;
  Shape unflattened_size;
};

}  // namespace duet::nn
