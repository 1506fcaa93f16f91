// Reductions over chosen dimensions of x, of any shape: these are missing in the result, or 1 with keepdim. `dim` empty
// means all of them; ShapeError for one out of range or given twice. f32 and f64 (DtypeError) where nothing else is
// said.
#pragma once

#include <optional>

#include <duet/core/options.hpp>
#include <duet/core/tensor.hpp>

namespace duet {

struct ReduceOptions {
  Dims dim = {};         ///< dimensions to reduce, negative ones from the end; empty: all
  bool keepdim = false;  ///< keep them as sizes of 1
  void fields(FieldVisitor& visitor) {
    visitor.field("dim", dim);
    visitor.field("keepdim", keepdim);
  }
};

/// The sum. Integers are summed in i64, which is the result's dtype.
Tensor sum(const Tensor& x, const ReduceOptions& options = {});
/// The mean; NaN of no elements.
Tensor mean(const Tensor& x, const ReduceOptions& options = {});
/// The largest, the smallest element; equal ones share the gradient. ShapeError where there is none.
Tensor amax(const Tensor& x, const ReduceOptions& options = {});
Tensor amin(const Tensor& x, const ReduceOptions& options = {});  ///< see amax()
/// The product; its derivatives hold at zeros too.
Tensor prod(const Tensor& x, const ReduceOptions& options = {});
/// log(sum of e^x), without overflow.
Tensor logsumexp(const Tensor& x, const ReduceOptions& options = {});
/// Whether all, any elements are not 0, of any dtype: u8, no gradient.
Tensor all(const Tensor& x, const ReduceOptions& options = {});
Tensor any(const Tensor& x, const ReduceOptions& options = {});  ///< see all()

struct VarOptions {
  Dims dim = {};
  bool unbiased = true;  ///< divide by n − 1, not n
  bool keepdim = false;
  std::optional<std::int64_t> correction = {};  ///< divide by n − correction, whatever `unbiased` says
  void fields(FieldVisitor& visitor) {
    visitor.field("dim", dim);
    visitor.field("unbiased", unbiased);
    visitor.field("keepdim", keepdim);
    visitor.field("correction", correction);
  }
};
/// The variance about the mean, in two passes. NaN for an unbiased one of a single element.
Tensor var(const Tensor& x, const VarOptions& options = {});
/// Its square root; the gradient is 0 where it is 0.
Tensor std(const Tensor& x, const VarOptions& options = {});

struct NormOptions {
  double p = 2;  ///< 0 counts elements that are not 0; infinities give the largest, smallest magnitude
  Dims dim = {};
  bool keepdim = false;
  void fields(FieldVisitor& visitor) {
    visitor.field("p", p);
    visitor.field("dim", dim);
    visitor.field("keepdim", keepdim);
  }
};
/// (sum |x|^p)^(1/p). Where a 2-norm is 0 its gradient is taken as 0.
Tensor norm(const Tensor& x, const NormOptions& options = {});

struct ArgOptions {
  std::optional<std::int64_t> dim = {};  ///< absent: over all elements, flattened
  bool keepdim = false;
  void fields(FieldVisitor& visitor) {
    visitor.field("dim", dim);
    visitor.field("keepdim", keepdim);
  }
};
/// Where the first largest (smallest) element lies: i64, no gradient. A NaN counts as both. ShapeError if there is
/// none.
Tensor argmax(const Tensor& x, const ArgOptions& options = {});
Tensor argmin(const Tensor& x, const ArgOptions& options = {});  ///< see argmax()

struct CumsumOptions {
  std::int64_t dim = 0;
  bool reverse = false;  ///< sum from the end
  void fields(FieldVisitor& visitor) {
    visitor.field("dim", dim);
    visitor.field("reverse", reverse);
  }
};
/// Running sums along a dimension, in x's shape.
Tensor cumsum(const Tensor& x, const CumsumOptions& options);

}  // namespace duet
