// Adaptive max pools, and the way back from a max pool by its indices.
#include <algorithm>
#include <cmath>

#include <duet/core/factory.hpp>
#include <duet/core/parallel.hpp>
#include <duet/core/random.hpp>
#include <duet/ops/index.hpp>
#include <duet/ops/pool_geometry.hpp>

namespace duet {
namespace {

/// x (..., large) as (planes, elements of one).
Tensor by_planes(const Tensor& x, int rank) {
  std::int64_t planes = 1, size = 1;
  for (int i = 0; i < x.rank(); ++i) (i < x.rank() - rank ? planes : size) *= x.shape()[i];
  return reshape(x, {planes, size});
}

/// Three sizes, those in front 1.
void lift(const Shape& sizes, std::int64_t (&to)[3]) {
  std::fill_n(to, 3, 1);
  for (int i = 0; i < sizes.rank(); ++i) to[3 - sizes.rank() + i] = sizes[i];
}

/// The maxima of one plane, and their places.
template <class T>
void adaptive_max_plane(const std::int64_t (&large)[3], const std::int64_t (&small)[3], const T* x, T* y, std::int64_t* places) {
  const auto start = [&](int i, std::int64_t o) { return o * large[i] / small[i]; };
  const auto end = [&](int i, std::int64_t o) { return ((o + 1) * large[i] + small[i] - 1) / small[i]; };
  for (std::int64_t i = 0; i < small[0]; ++i)
    for (std::int64_t j = 0; j < small[1]; ++j)
      for (std::int64_t k = 0; k < small[2]; ++k) {
        std::int64_t best = -1;
        for (std::int64_t u = start(0, i); u < end(0, i); ++u)
          for (std::int64_t v = start(1, j); v < end(1, j); ++v)
            for (std::int64_t w = start(2, k); w < end(2, k); ++w) {
              const std::int64_t place = (u * large[1] + v) * large[2] + w;
              if (best < 0 || x[place] > x[best] || std::isnan(x[place])) best = place;
            }
        *y++ = x[best];
        *places++ = best;
      }
}

template <int N>
OpPtr define_adaptive_max() {
  return define({
      .name = fmt::format("adaptive_max_pool{}d", N),
      .doc = "The maxima of as many windows as asked for, and where they lie.",
      .inputs = {"x"},
      .options = &options_type<AdaptivePoolOptions<N>>(),
      .shape_rule = [](const ShapeCall& c) -> Specs {
        require_floating(c);
        const Shape sizes = adaptive_sizes(c.name(), c[0].shape, to_shape(c.opt<AdaptivePoolOptions<N>>().output_size));
        const Shape shape = with_trailing(c[0].shape, sizes);
        return {{shape, c[0].dtype}, {shape, i64}};
      },
      .forward = [](const Call& c) -> Tensors {
        const Tensor x = raw::contiguous(c[0]), y = c.empty(0), places = c.empty(1);
        std::int64_t large[3], small[3];
        lift(trailing(x.shape(), N), large);
        lift(trailing(y.shape(), N), small);
        const std::int64_t from = large[0] * large[1] * large[2], to = small[0] * small[1] * small[2];
        raw::dispatch_floating(c.name(), x.dtype(), [&](auto zero) {
          using T = decltype(zero);
          parallel_for(x.numel() / from, std::max<std::int64_t>(1, (1 << 15) / from), [&](std::int64_t begin, std::int64_t end) {
            for (std::int64_t plane = begin; plane < end; ++plane)
              adaptive_max_plane(large, small, raw::data<T>(x) + plane * from, raw::data<T>(y) + plane * to,
                                 raw::data<std::int64_t>(places) + plane * to);
          });
        });
        return {y, places};
      },
      .vjp = [](const Vjp& v) -> Tensors {
        const Shape sizes = trailing(v.shape(0), N);
        const std::int64_t size = sizes.numel();
        const Tensor flat = zeros({size == 0 ? 0 : v.shape(0).numel() / size, size}, {.dtype = v.spec(0).dtype});
        return {reshape(scatter_add(flat, 1, by_planes(v.output(1), N), by_planes(v.cotangent(), N)), v.shape(0))};
      },
      .saves = {save_output(1)},
      .samples = []() -> std::vector<Sample> {
        std::vector<Sample> samples;
        for (const AdaptivePoolCase& one : adaptive_pool_cases(N))
          samples.push_back({one.name, {sample_distinct(one.x, samples.size())},
                             AdaptivePoolOptions<N>{to_extent<N>(one.output_size)}});
        return samples;
      },
  });
}

}  // namespace

const OpPtr& adaptive_max_pool1d_op() {
  static const OpPtr op = define_adaptive_max<1>();
  return op;
}
const OpPtr& adaptive_max_pool2d_op() {
  static const OpPtr op = define_adaptive_max<2>();
  return op;
}
const OpPtr& adaptive_max_pool3d_op() {
  static const OpPtr op = define_adaptive_max<3>();
  return op;
}

namespace {

/// Distinct indices into each plane.
Sample unpool_sample(const char* name, const Shape& x, const Shape& plane, std::uint64_t seed) {
  Generator generator(0x5eed0000 + seed);
  Tensor indices = Tensor::empty(x, {.dtype = i64});
  const std::int64_t size = plane.numel();
  std::int64_t each = 1;
  for (int i = x.rank() - plane.rank(); i < x.rank(); ++i) each *= x[i];
  for (std::int64_t p = 0; p < x.numel() / each; ++p) {
    const Tensor order = randperm(size, generator);
    std::copy_n(raw::data<std::int64_t>(order), each, raw::data<std::int64_t>(indices) + p * each);
  }
  return {name, {sample_normal(x, seed), indices}, ShapeOptions{plane}};
}

}  // namespace

const OpPtr& max_unpool_op() {
  static const OpPtr op = define({
      .name = "max_unpool",
      .doc = "Zeros, with each value at its index in the plane; of several the last.",
      .inputs = {"x", "indices"},
      .options = &options_type<ShapeOptions>(),
      .shape_rule = [](const ShapeCall& c) -> Specs {
        const Shape& plane = c.opt<ShapeOptions>().shape;
        if (!is_floating(c[0].dtype)) fail<DtypeError>(c.name(), "needs f32 or f64, got x {}", to_string(c[0]));
        if (c[1].dtype != i64) fail<DtypeError>(c.name(), "indices must be i64, got {}", to_string(c[1]));
        if (c[1].shape != c[0].shape) fail<ShapeError>(c.name(), "x {} and indices {} need one shape", c[0].shape, c[1].shape);
        if (plane.empty() || c[0].shape.rank() < plane.rank())
          fail<ShapeError>(c.name(), "x {} does not end in as many dimensions as {}", c[0].shape, plane);
        const Shape shape = with_trailing(c[0].shape, plane);
        shape.numel();
        return {{shape, c[0].dtype}};
      },
      .forward = [](const Call& c) -> Tensors {
        const Tensor x = raw::contiguous(c[0]), indices = raw::contiguous(c[1]);
        Tensor y = c.empty();
        raw::fill(y, 0);
        const int rank = c.opt<ShapeOptions>().shape.rank();
        const std::int64_t size = c.opt<ShapeOptions>().shape.numel(), each = trailing(x.shape(), rank).numel();
        raw::dispatch_floating(c.name(), x.dtype(), [&](auto zero) {
          using T = decltype(zero);
          for (std::int64_t i = 0; i < x.numel(); ++i) {
            const std::int64_t index = raw::data<std::int64_t>(indices)[i];
            if (index < 0 || index >= size)
              fail<ValueError>(c.name(), "index {} at position {} is out of range [0, {}) of a plane {}", index, i, size,
                               c.opt<ShapeOptions>().shape);
            raw::data<T>(y)[i / each * size + index] = raw::data<T>(x)[i];
          }
        });
        return {y};
      },
      .vjp = [](const Vjp& v) -> Tensors {
        const int rank = v.opt<ShapeOptions>().shape.rank();
        const Tensor g = by_planes(v.cotangent(), rank);
        return {reshape(gather(g, 1, by_planes(v.input(1), rank)), v.shape(0)), {}};
      },
      .saves = {save_input(1)},
      .linear = {0},
      .onnx = "MaxUnpool",
      .samples = []() -> std::vector<Sample> {
        return {unpool_sample("line", {2, 3, 4}, {8}, 1),
                unpool_sample("plane", {2, 3, 2, 3}, {4, 6}, 2),
                unpool_sample("volume", {1, 2, 2, 2, 2}, {4, 4, 4}, 3),
                unpool_sample("unbatched", {3, 2, 2}, {4, 4}, 4),
                unpool_sample("uneven", {1, 2, 2, 3}, {5, 7}, 5),
                unpool_sample("full", {1, 2, 2, 3}, {2, 3}, 6),
                unpool_sample("channels", {1, 17, 1, 2}, {2, 4}, 7),
                unpool_sample("width", {1, 1, 1, 33}, {2, 66}, 8),
                unpool_sample("one", {2, 2, 1}, {3}, 9),
                unpool_sample("flat", {5}, {9}, 10),
                unpool_sample("batch", {4, 1, 2}, {5}, 11),
                unpool_sample("tall", {1, 1, 3, 1}, {7, 2}, 12)};
      },
  });
  return op;
}

namespace {

template <int N>
Tensor unpool(const char* op, const Tensor& x, const Tensor& indices, const MaxUnpoolOptions<N>& o) {
  require_planes(op, x.shape(), N);
  Shape plane;
  if (!o.output_size.empty() && o.output_size.size() != N)
    fail<ShapeError>(op, "output_size needs {} entries, got {}", N, o.output_size.size());
  const Shape stride = o.stride == Extent<N>(0) ? to_shape(o.kernel_size) : to_shape(o.stride);
  for (int i = 0; i < N; ++i) {
    constexpr std::int64_t largest = std::int64_t{1} << 31;
    if (o.kernel_size[i] < 1 || o.kernel_size[i] > largest || stride[i] < 1 || stride[i] > largest || o.padding[i] < 0 || o.padding[i] > largest)
      fail<ValueError>(op, "kernel_size and stride must be at least 1, padding at least 0, and none above 2^31: got {}, {}, {}",
                       to_shape(o.kernel_size), stride, to_shape(o.padding));
    const std::int64_t smallest = checked_mul(op, x.size(i - N) - 1, stride[i]) - 2 * o.padding[i] + o.kernel_size[i];
    const std::int64_t size = o.output_size.empty() ? smallest : o.output_size[static_cast<std::size_t>(i)];
    if (size < 1 || size <= smallest - stride[i] || size >= smallest + stride[i])
      fail<ShapeError>(op, "output_size along dimension {} must be above {} and below {} for x {}, got {}", i - N,
                       smallest - stride[i], smallest + stride[i], x.shape(), size);
    plane.push_back(size);
  }
  return apply1(max_unpool_op(), {x, indices}, ShapeOptions{plane});
}

template <int N>
MaxPoolResult adaptive_max(const OpPtr& op, const Tensor& x, const Extent<N>& output_size) {
  Tensors result = apply(op, {x}, AdaptivePoolOptions<N>{output_size});
  return {result[0], result[1]};
}

}  // namespace

Tensor max_unpool1d(const Tensor& x, const Tensor& indices, const MaxUnpoolOptions<1>& options) {
  return unpool("max_unpool1d", x, indices, options);
}
Tensor max_unpool2d(const Tensor& x, const Tensor& indices, const MaxUnpoolOptions<2>& options) {
  return unpool("max_unpool2d", x, indices, options);
}
Tensor max_unpool3d(const Tensor& x, const Tensor& indices, const MaxUnpoolOptions<3>& options) {
  return unpool("max_unpool3d", x, indices, options);
}

MaxPoolResult adaptive_max_pool1d_with_indices(const Tensor& x, Extent<1> output_size) {
  return adaptive_max(adaptive_max_pool1d_op(), x, output_size);
}
MaxPoolResult adaptive_max_pool2d_with_indices(const Tensor& x, Pair output_size) {
  return adaptive_max(adaptive_max_pool2d_op(), x, output_size);
}
MaxPoolResult adaptive_max_pool3d_with_indices(const Tensor& x, Triple output_size) {
  return adaptive_max(adaptive_max_pool3d_op(), x, output_size);
}
Tensor adaptive_max_pool1d(const Tensor& x, Extent<1> output_size) { return adaptive_max_pool1d_with_indices(x, output_size).y; }
Tensor adaptive_max_pool2d(const Tensor& x, Pair output_size) { return adaptive_max_pool2d_with_indices(x, output_size).y; }
Tensor adaptive_max_pool3d(const Tensor& x, Triple output_size) { return adaptive_max_pool3d_with_indices(x, output_size).y; }

}  // namespace duet
