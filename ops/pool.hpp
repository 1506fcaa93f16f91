// Pooling in one to three dimensions. x is (N, C, S...) or, unbatched, (C, S...), with one S per pooled dimension, f32
// or f64 (DtypeError). The result has in place of S floor((S + 2·padding − dilation·(kernel_size − 1) − 1) / stride) +
// 1; with ceil_mode, one more where a last window reaches over the end and begins inside.
#pragma once

#include <optional>
#include <vector>

#include <duet/core/options.hpp>
#include <duet/core/tensor.hpp>

namespace duet {

/// Windows of a max pool along N dimensions.
template <int N>
struct MaxPoolOptions {
  Extent<N> kernel_size = 1;
  Extent<N> stride = 0;    ///< 0: the kernel's size
  Extent<N> padding = 0;   ///< on both sides; never the maximum. At most half of the window
  Extent<N> dilation = 1;  ///< step between the elements of a window
  bool ceil_mode = false;  ///< also take a last window that reaches over the end
  void fields(FieldVisitor& visitor) {
    visitor.field("kernel_size", kernel_size);
    visitor.field("stride", stride);
    visitor.field("padding", padding);
    visitor.field("dilation", dilation);
    visitor.field("ceil_mode", ceil_mode);
  }
};

/// Windows of an average pool along N dimensions.
template <int N>
struct AvgPoolOptions {
  Extent<N> kernel_size = 1;
  Extent<N> stride = 0;           ///< 0: the kernel's size
  Extent<N> padding = 0;          ///< zeros on both sides; at most half of the window
  bool ceil_mode = false;         ///< also take a last window that reaches over the end
  bool count_include_pad = true;  ///< divide by what a window spans, padding included; else by what lies inside
  std::optional<std::int64_t> divisor_override = {};  ///< divide by this instead
  void fields(FieldVisitor& visitor) {
    visitor.field("kernel_size", kernel_size);
    visitor.field("stride", stride);
    visitor.field("padding", padding);
    visitor.field("ceil_mode", ceil_mode);
    visitor.field("count_include_pad", count_include_pad);
    visitor.field("divisor_override", divisor_override);
  }
};

/// The number of outputs of an adaptive pool along N dimensions.
template <int N>
struct AdaptivePoolOptions {
  Extent<N> output_size = 1;  ///< -1: the input's size
  void fields(FieldVisitor& visitor) { visitor.field("output_size", output_size); }
};

/// Windows that a max_unpool turns back. output_size, where the windows leave several, is by default the smallest.
template <int N>
struct MaxUnpoolOptions {
  Extent<N> kernel_size = 1;
  Extent<N> stride = 0;  ///< 0: the kernel's size
  Extent<N> padding = 0;
  std::vector<std::int64_t> output_size = {};  ///< the last N sizes
  void fields(FieldVisitor& visitor) {
    visitor.field("kernel_size", kernel_size);
    visitor.field("stride", stride);
    visitor.field("padding", padding);
    visitor.field("output_size", output_size);
  }
};

/// What a pooling op and its derivatives share: sizes of both sides, and the windows that join them. Along each axis,
/// tap t of the window of output s lies at input index s·stride - padding + t·dilation, if that is inside.
class PoolGeometry {
 public:
  PoolGeometry() {}  // user-provided, so that a list in braces can only mean the options
  Shape large, small, kernel, stride, padding, dilation;
  void fields(FieldVisitor& visitor) {
    visitor.field("large", large);
    visitor.field("small", small);
    visitor.field("kernel", kernel);
    visitor.field("stride", stride);
    visitor.field("padding", padding);
    visitor.field("dilation", dilation);
  }
};

/// The geometry of a max pool of x. Throws what the op throws.
template <int N>
PoolGeometry max_pool_geometry(const char* op, const Shape& x, const MaxPoolOptions<N>& options);

/// Maxima, and where each lies: the row-major index in its plane (i64), the first of equal ones.
struct MaxPoolResult {
  Tensor y, indices;
};

/// The maximum of each window; NaN if one is in it. ShapeError for another rank or no output, ValueError for a kernel,
/// stride or dilation below 1, a padding that is negative or more than half of the window, or a window that lies in
/// the padding alone.
Tensor max_pool1d(const Tensor& x, const MaxPoolOptions<1>& options);
Tensor max_pool2d(const Tensor& x, const MaxPoolOptions<2>& options);  ///< see max_pool1d()
Tensor max_pool3d(const Tensor& x, const MaxPoolOptions<3>& options);  ///< see max_pool1d()
inline Tensor max_pool1d(const Tensor& x, std::int64_t kernel_size) { return max_pool1d(x, {.kernel_size = kernel_size}); }
inline Tensor max_pool2d(const Tensor& x, std::int64_t kernel_size) { return max_pool2d(x, {.kernel_size = kernel_size}); }
inline Tensor max_pool3d(const Tensor& x, std::int64_t kernel_size) { return max_pool3d(x, {.kernel_size = kernel_size}); }

/// The same, with the place of each maximum.
MaxPoolResult max_pool1d_with_indices(const Tensor& x, const MaxPoolOptions<1>& options);
MaxPoolResult max_pool2d_with_indices(const Tensor& x, const MaxPoolOptions<2>& options);  ///< in 2 dimensions
MaxPoolResult max_pool3d_with_indices(const Tensor& x, const MaxPoolOptions<3>& options);  ///< in 3 dimensions

/// The mean of each window. Errors as for max pools; ValueError for a divisor_override of 0.
Tensor avg_pool1d(const Tensor& x, const AvgPoolOptions<1>& options);
Tensor avg_pool2d(const Tensor& x, const AvgPoolOptions<2>& options);  ///< see avg_pool1d()
Tensor avg_pool3d(const Tensor& x, const AvgPoolOptions<3>& options);  ///< see avg_pool1d()
inline Tensor avg_pool1d(const Tensor& x, std::int64_t kernel_size) { return avg_pool1d(x, {.kernel_size = kernel_size}); }
inline Tensor avg_pool2d(const Tensor& x, std::int64_t kernel_size) { return avg_pool2d(x, {.kernel_size = kernel_size}); }
inline Tensor avg_pool3d(const Tensor& x, std::int64_t kernel_size) { return avg_pool3d(x, {.kernel_size = kernel_size}); }

/// The mean, or the maximum, of as many windows as asked for: output o of n covers inputs floor(o·size / n) up to
/// ceil((o + 1)·size / n); -1 asks for the input's size. ShapeError for another rank or an output size below 1.
Tensor adaptive_avg_pool1d(const Tensor& x, Extent<1> output_size);
Tensor adaptive_avg_pool2d(const Tensor& x, Pair output_size);                           ///< see adaptive_avg_pool1d()
Tensor adaptive_avg_pool3d(const Tensor& x, Triple output_size);                         ///< see adaptive_avg_pool1d()
MaxPoolResult adaptive_max_pool1d_with_indices(const Tensor& x, Extent<1> output_size);  ///< with places
MaxPoolResult adaptive_max_pool2d_with_indices(const Tensor& x, Pair output_size);       ///< with places
MaxPoolResult adaptive_max_pool3d_with_indices(const Tensor& x, Triple output_size);     ///< with places
Tensor adaptive_max_pool1d(const Tensor& x, Extent<1> output_size);                      ///< see adaptive_avg_pool1d()
Tensor adaptive_max_pool2d(const Tensor& x, Pair output_size);                           ///< see adaptive_avg_pool1d()
Tensor adaptive_max_pool3d(const Tensor& x, Triple output_size);                         ///< see adaptive_avg_pool1d()

/// Zeros, with each value at its index in the plane: what max_pool's indices turn back. Of values with one index the
/// last stays. ShapeError for sizes that these windows do not pool to x's, ValueError for an index out of range.
Tensor max_unpool1d(const Tensor& x, const Tensor& indices, const MaxUnpoolOptions<1>& options);
Tensor max_unpool2d(const Tensor& x, const Tensor& indices, const MaxUnpoolOptions<2>& options);  ///< in 2-d
Tensor max_unpool3d(const Tensor& x, const Tensor& indices, const MaxUnpoolOptions<3>& options);  ///< in 3-d

/// The pair behind max pooling's derivatives, linear and adjoint to each other. `taps`, in the shape of the small side,
/// says which element of its window each output stands for: u8, or i64 for windows of more than 256 elements.
/// Gather reads them from x (..., large); scatter adds g (..., small) into zeros there. ShapeError where these do not
/// belong together, ValueError for a tap outside its window.
Tensor max_pool_gather(const Tensor& x, const Tensor& taps, const PoolGeometry& geometry);
Tensor max_pool_scatter(const Tensor& g, const Tensor& taps, const PoolGeometry& geometry);  ///< see max_pool_gather()
/// Taps as row-major indices in the plane of the large side, i64.
Tensor max_pool_indices(const Tensor& taps, const PoolGeometry& geometry);

}  // namespace duet
