// Shape: a short list of sizes (or strides, or dimension numbers) held in place, and the checked arithmetic
// that sizes are computed with. A product that leaves 64 bits throws; nothing ever wraps.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <span>
#include <string>
#include <vector>

namespace duet {

/// The highest rank a tensor can have.
inline constexpr int max_rank = 8;

/// Up to max_rank 64-bit integers. Serves as shape, strides and lists of dimensions alike.
class Shape {
 public:
  Shape() = default;
  /// Throws ShapeError for more than max_rank entries.
  Shape(std::initializer_list<std::int64_t> sizes) : Shape(sizes.begin(), sizes.size()) {}
  Shape(std::span<const std::int64_t> sizes) : Shape(sizes.data(), sizes.size()) {}
  Shape(const std::vector<std::int64_t>& sizes) : Shape(sizes.data(), sizes.size()) {}
  /// `rank` entries of the same value.
  static Shape filled(int rank, std::int64_t value);

  int rank() const { return rank_; }  ///< the number of dimensions
  std::size_t size() const { return static_cast<std::size_t>(rank_); }
  bool empty() const { return rank_ == 0; }
  std::int64_t& operator[](int axis) { return sizes_[axis]; }
  std::int64_t operator[](int axis) const { return sizes_[axis]; }
  std::int64_t* begin() { return sizes_; }
  std::int64_t* end() { return sizes_ + rank_; }
  const std::int64_t* begin() const { return sizes_; }
  const std::int64_t* end() const { return sizes_ + rank_; }
  std::int64_t back() const { return sizes_[rank_ - 1]; }  ///< the last size; rank at least 1
  std::int64_t& back() { return sizes_[rank_ - 1]; }

  void push_back(std::int64_t value);         ///< ShapeError beyond max_rank
  void insert(int axis, std::int64_t value);  ///< before the axis; ShapeError beyond max_rank
  void erase(int axis);                       ///< takes an axis out
  bool contains(std::int64_t value) const;    ///< whether one of the sizes is this

  /// The number of elements. ShapeError for a negative size, and where those that are not zero multiply beyond 63 bits.
  std::int64_t numel() const;

  friend bool operator==(const Shape& a, const Shape& b) {
    if (a.rank_ != b.rank_) return false;
    for (int i = 0; i < a.rank_; ++i)
      if (a.sizes_[i] != b.sizes_[i]) return false;
    return true;
  }

 private:
  Shape(const std::int64_t* sizes, std::size_t count);

  std::int64_t sizes_[max_rank] = {};
  int rank_ = 0;
};

/// A list of dimension numbers; negative ones count from the end.
using Dims = Shape;

/// "(1, 8, 14, 14)"; "(5,)" for one entry, as Python prints tuples.
std::string to_string(const Shape& shape);

/// Row-major strides, in elements.
Shape contiguous_strides(const Shape& shape);

/// The shape both broadcast to under NumPy's rules; throws ShapeError naming `op` with both shapes aligned.
Shape broadcast_shapes(const char* op, const Shape& a, const Shape& b);

/// `dim` brought into [0, rank); throws ShapeError naming `op` and the range.
int normalize_dim(const char* op, std::int64_t dim, int rank);

/// Every entry normalized, sorted, no duplicates (ShapeError); an empty list means every dimension.
Dims normalize_dims(const char* op, const Dims& dims, int rank);

/// a · b, a + b in 64 bits; throw ShapeError naming `op` where the result does not fit.
std::int64_t checked_mul(const char* op, std::int64_t a, std::int64_t b);
std::int64_t checked_add(const char* op, std::int64_t a, std::int64_t b);  ///< likewise a + b

}  // namespace duet
