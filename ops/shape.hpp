// Ops that view, move, copy or convert elements without computing with them, of any shape and dtype. Those called a
// view share x's memory. Dims may count from the end; ShapeError out of range.
#pragma once

#include <optional>

#include <duet/core/options.hpp>
#include <duet/core/tensor.hpp>

namespace duet {

struct ShapeOptions {
  Shape shape = {};
  void fields(FieldVisitor& visitor) { visitor.field("shape", shape); }
};

struct DimsOptions {
  Dims dims = {};
  void fields(FieldVisitor& visitor) { visitor.field("dims", dims); }
};

struct DimOptions {
  std::int64_t dim = 0;
  void fields(FieldVisitor& visitor) { visitor.field("dim", dim); }
};

/// Every step-th index of one dimension from start up to, not including, end. Negative numbers count from the end and
/// numbers beyond it are brought in, as in Python's x[start:end:step]; absent ones mean the whole dimension.
struct SliceOptions {
  std::int64_t dim = 0;
  std::optional<std::int64_t> start = {};
  std::optional<std::int64_t> end = {};
  std::int64_t step = 1;
  void fields(FieldVisitor& visitor) {
    visitor.field("dim", dim);
    visitor.field("start", start);
    visitor.field("end", end);
    visitor.field("step", step);
  }
};

struct DtypeOptions {
  Dtype dtype = f32;
  void fields(FieldVisitor& visitor) {
    static constexpr const char* names[] = {"f32", "f64", "i64", "u8"};
    visitor.choice("dtype", dtype, names);
  }
};

/// The same elements in another shape; one size may be -1 and is computed. A view where strides allow it. ShapeError
/// if the counts differ.
Tensor reshape(const Tensor& x, const Shape& shape);

/// x seen at a larger shape: sizes of 1 are repeated, new dimensions come in front; -1 keeps a size. A view.
/// ShapeError if x does not broadcast to `shape`.
Tensor expand(const Tensor& x, const Shape& shape);

/// The dimensions in another order: dimension i of the result is dimension dims[i] of x. A view. ShapeError unless
/// `dims` names each dimension once.
Tensor permute(const Tensor& x, const Dims& dims);

/// Two dimensions swapped. A view. ShapeError for a dim out of range.
Tensor transpose(const Tensor& x, std::int64_t dim0, std::int64_t dim1);

/// A part of one dimension. A view. ShapeError for a dim out of range, ValueError for a step below 1 (flip() reverses).
Tensor slice(const Tensor& x, const SliceOptions& options);
Tensor slice(const Tensor& x, std::int64_t dim, std::int64_t start, std::int64_t end, std::int64_t step = 1);
/// Index `index` of one dimension, which disappears. A view. ValueError for an index out of range.
Tensor select(const Tensor& x, std::int64_t dim, std::int64_t index);
/// The adjoint of slice(): zeros of size `size` along the dimension, with g where slice() would read.
Tensor slice_backward(const Tensor& g, std::int64_t size, const SliceOptions& options);

/// Without the dimensions of size 1, or without those named, of which the ones of other sizes stay. A view.
Tensor squeeze(const Tensor& x);
Tensor squeeze(const Tensor& x, const Dims& dims);
/// With a dimension of size 1 inserted at `dim` of the result. A view. ShapeError for a dim out of range.
Tensor unsqueeze(const Tensor& x, std::int64_t dim);
/// Dimensions start_dim to end_dim, both included, as one. ShapeError for a dim out of range or an empty range.
Tensor flatten(const Tensor& x, std::int64_t start_dim = 0, std::int64_t end_dim = -1);

/// The tensors one behind the other along `dim`. They agree in dtype and in every other size; ShapeError otherwise,
/// ValueError for none.
Tensor cat(const Tensors& tensors, std::int64_t dim = 0);
/// Tensors of one shape (ShapeError) side by side along a new dimension `dim` of the result; ValueError for none.
Tensor stack(const Tensors& tensors, std::int64_t dim = 0);
/// Pieces of `size` along `dim`, the last one maybe smaller. Views. ValueError for a size below 1.
Tensors split(const Tensor& x, std::int64_t size, std::int64_t dim = 0);
/// Pieces of the given sizes, which must add up to the dimension's (ShapeError). Views.
Tensors split(const Tensor& x, const std::vector<std::int64_t>& sizes, std::int64_t dim = 0);
/// At most `chunks` pieces of equal size, the last one maybe smaller. Views. ValueError below 1.
Tensors chunk(const Tensor& x, std::int64_t chunks, std::int64_t dim = 0);

/// x as another dtype, in x's shape; x itself if it has it. Differentiable between f32 and f64.
Tensor to(const Tensor& x, Dtype dtype);
/// A contiguous copy in new memory.
Tensor clone(const Tensor& x);
/// x itself if its elements lie in row-major order without gaps, else a copy that does.
Tensor contiguous(const Tensor& x);

}  // namespace duet
