// Flatten and Unflatten.
#include <duet/nn/flatten.hpp>

#include <duet/nn/layer.hpp>
#include <duet/ops/shape.hpp>

namespace duet::nn {

Tensor Flatten::forward(const Tensor& x) { return flatten(x, start_dim, end_dim); }
std::string Flatten::describe() const { return fmt::format("start_dim={}, end_dim={}", start_dim, end_dim); }

Tensor Unflatten::forward(const Tensor& x) {
  const int axis = normalize_dim("Unflatten", dim, x.rank());
  if (x.rank() == 0) fail<ShapeError>("Unflatten", "x is a scalar, which has no dimension to split");
  std::int64_t known = 1, unknown = 0;
  for (const std::int64_t size : unflattened_size) {
    if (size == -1)
      ++unknown;
    else
      known = checked_mul("Unflatten", known, size);
  }
  const std::int64_t size = x.shape()[axis];
  if (unflattened_size.empty() || unknown > 1 || (unknown == 1 ? known < 1 || size % known != 0 : known != size))
    fail<ShapeError>("Unflatten", "dimension {} of x {} does not split into {}", axis, x.shape(), unflattened_size);
  Shape shape;
  for (int i = 0; i < x.rank(); ++i) {
    if (i != axis) {
      shape.push_back(x.shape()[i]);
      continue;
    }
    for (const std::int64_t part : unflattened_size) shape.push_back(part == -1 ? size / known : part);
  }
  return reshape(x, shape);
}
std::string Unflatten::describe() const { return fmt::format("dim={}, unflattened_size={}", dim, unflattened_size); }

}  // namespace duet::nn
