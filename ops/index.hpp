// Ops that pick, place or rearrange elements by index. x has any dtype, which the result keeps; dims may count from the
// end (ShapeError out of range). Index tensors are i64 (DtypeError), count from 0, and must lie in range (ValueError).
#pragma once

#include <optional>

#include <duet/core/options.hpp>
#include <duet/core/tensor.hpp>
#include <duet/ops/shape.hpp>

namespace duet {

/// y[..., k, ...] = x[..., index[k], ...]: whole slices along `dim`. index (K,).
Tensor index_select(const Tensor& x, std::int64_t dim, const Tensor& index);
/// x, with slice k of src added to slice index[k] of `dim`. src has x's shape, but K along `dim`. ShapeError otherwise.
Tensor index_add(const Tensor& x, std::int64_t dim, const Tensor& index, const Tensor& src);

/// y has the shape of index; along `dim` each element is x's at the index, at its own place in the other dimensions,
/// which may not be larger than x's. ShapeError otherwise.
Tensor gather(const Tensor& x, std::int64_t dim, const Tensor& index);
/// x, with each element of src added where gather() would have read it. src has the shape of index.
Tensor scatter_add(const Tensor& x, std::int64_t dim, const Tensor& index, const Tensor& src);

struct EmbeddingOptions {
  std::optional<std::int64_t> padding_idx = {};  ///< a row that gets no gradient; may count from the end
  void fields(FieldVisitor& visitor) { visitor.field("padding_idx", padding_idx); }
};
/// Rows of weight (V, D), f32 or f64 (DtypeError), for indices of any shape (...): (..., D).
Tensor embedding(const Tensor& indices, const Tensor& weight, const EmbeddingOptions& options = {});

/// The order of the given dimensions reversed. ShapeError for a dim out of range or given twice.
Tensor flip(const Tensor& x, const Dims& dims);

struct RollOptions {
  std::vector<std::int64_t> shifts = {};
  Dims dims = {};  ///< empty: the elements as one row
  void fields(FieldVisitor& visitor) {
    visitor.field("shifts", shifts);
    visitor.field("dims", dims);
  }
};
/// Elements moved by shifts[i] along dims[i]; those pushed out come in at the other end. ValueError unless there is a
/// shift for each dim (or one, for none).
Tensor roll(const Tensor& x, const std::vector<std::int64_t>& shifts, const Dims& dims = {});

struct RepeatOptions {
  Shape repeats = {};
  void fields(FieldVisitor& visitor) { visitor.field("repeats", repeats); }
};
/// Copies of x side by side, repeats[i] along dimension i; more repeats than dimensions add some in front. ShapeError
/// for fewer, ValueError for a negative one.
Tensor repeat(const Tensor& x, const Shape& repeats);

struct DiagonalOptions {
  std::int64_t diagonal = 0;
  void fields(FieldVisitor& visitor) { visitor.field("diagonal", diagonal); }
};
/// The lower, or upper, triangle of the last two dimensions, zeros elsewhere. `diagonal` moves the boundary to the
/// right; the boundary belongs to both. ShapeError below rank 2.
Tensor tril(const Tensor& x, std::int64_t diagonal = 0);
Tensor triu(const Tensor& x, std::int64_t diagonal = 0);  ///< the upper one, see tril()

struct OneHotOptions {
  std::int64_t num_classes = 0;
  void fields(FieldVisitor& visitor) { visitor.field("num_classes", num_classes); }
};
/// i64 (..., num_classes) with a 1 at each class of x (i64), zeros elsewhere. num_classes -1: the largest class + 1.
/// No gradient. ValueError for a class out of range.
Tensor one_hot(const Tensor& x, std::int64_t num_classes = -1);

}  // namespace duet
