// Shape and checked size arithmetic.
#include <duet/core/shape.hpp>

#include <algorithm>

#include <duet/core/fail.hpp>

namespace duet {

Shape::Shape(const std::int64_t* sizes, std::size_t count) {
  if (count > static_cast<std::size_t>(max_rank))
    fail<ShapeError>("shape", "at most {} dimensions, got {}", max_rank, count);
  std::copy_n(sizes, count, sizes_);
  rank_ = static_cast<int>(count);
}

Shape Shape::filled(int rank, std::int64_t value) {
  Shape shape;
  for (int i = 0; i < rank; ++i) shape.push_back(value);
  return shape;
}

void Shape::push_back(std::int64_t value) { insert(rank_, value); }

void Shape::insert(int axis, std::int64_t value) {
  if (rank_ == max_rank) fail<ShapeError>("shape", "at most {} dimensions: {} has no room", max_rank, *this);
  std::copy_backward(sizes_ + axis, sizes_ + rank_, sizes_ + rank_ + 1);
  sizes_[axis] = value;
  ++rank_;
}

void Shape::erase(int axis) {
  std::copy(sizes_ + axis + 1, sizes_ + rank_, sizes_ + axis);
  --rank_;
}

bool Shape::contains(std::int64_t value) const { return std::find(begin(), end(), value) != end(); }

std::int64_t Shape::numel() const {
  // A zero makes the tensor empty, but strides are products of the other sizes: these too must fit.
  bool empty = false;
  std::int64_t product = 1;
  for (const std::int64_t size : *this) {
    if (size < 0) fail<ShapeError>("shape", "negative size in {}", *this);
    empty = empty || size == 0;
    if (__builtin_mul_overflow(product, size == 0 ? 1 : size, &product))
      fail<ShapeError>("shape", "{} has more elements than 64 bits count", *this);
  }
  return empty ? 0 : product;
}

std::string to_string(const Shape& shape) {
  return shape.rank() == 1 ? fmt::format("({},)", shape[0]) : fmt::format("({})", fmt::join(shape, ", "));
}

Shape contiguous_strides(const Shape& shape) {
  Shape strides = shape;
  std::int64_t step = 1;
  for (int i = shape.rank() - 1; i >= 0; --i) {
    strides[i] = step;
    // Empty tensors have no element to reach, so their strides only have to be defined.
    step *= std::max<std::int64_t>(shape[i], 1);
  }
  return strides;
}

Shape broadcast_shapes(const char* op, const Shape& a, const Shape& b) {
  const int rank = std::max(a.rank(), b.rank());
  Shape result = Shape::filled(rank, 1);
  for (int i = 1; i <= rank; ++i) {
    const std::int64_t size_a = i <= a.rank() ? a[a.rank() - i] : 1;
    const std::int64_t size_b = i <= b.rank() ? b[b.rank() - i] : 1;
    if (size_a != size_b && size_a != 1 && size_b != 1) {
      const std::string text_a = to_string(a), text_b = to_string(b);
      const std::size_t width = std::max(text_a.size(), text_b.size());
      fail<ShapeError>(op, "shapes do not broadcast, sizes {} and {} differ in dimension {}:\n  {:>{}}\n  {:>{}}",
                       size_a, size_b, -i, text_a, width, text_b, width);
    }
    result[rank - i] = size_a == 1 ? size_b : size_a;
  }
  return result;
}

int normalize_dim(const char* op, std::int64_t dim, int rank) {
  // A scalar answers to dimensions -1 and 0, as in PyTorch.
  const int range = std::max(rank, 1);
  if (dim < -range || dim >= range)
    fail<ShapeError>(op, "dim {} is out of range [{}, {}] of a tensor of rank {}", dim, -range, range - 1, rank);
  return static_cast<int>(dim < 0 ? dim + range : dim);
}

Dims normalize_dims(const char* op, const Dims& dims, int rank) {
  Dims result;
  if (dims.empty()) {
    for (int i = 0; i < rank; ++i) result.push_back(i);
    return result;
  }
  for (std::int64_t dim : dims) {
    const int axis = normalize_dim(op, dim, rank);
    if (result.contains(axis)) fail<ShapeError>(op, "dim {} appears twice in {}", axis, dims);
    result.push_back(axis);
  }
  std::sort(result.begin(), result.end());
  if (rank == 0) return {};
  return result;
}

std::int64_t checked_mul(const char* op, std::int64_t a, std::int64_t b) {
  std::int64_t result = 0;
  if (__builtin_mul_overflow(a, b, &result)) fail<ShapeError>(op, "size overflows 64 bits: {} * {}", a, b);
  return result;
}

std::int64_t checked_add(const char* op, std::int64_t a, std::int64_t b) {
  std::int64_t result = 0;
  if (__builtin_add_overflow(a, b, &result)) fail<ShapeError>(op, "size overflows 64 bits: {} + {}", a, b);
  return result;
}

}  // namespace duet
