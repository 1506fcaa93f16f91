// Pooling windows: checks and sizes.
#include <duet/ops/pool_geometry.hpp>

#include <algorithm>

#include <duet/core/random.hpp>

namespace duet {
namespace {

constexpr std::int64_t largest = std::int64_t{1} << 31;

void require_range(const char* op, const char* name, const Shape& values, std::int64_t lowest) {
  for (std::int64_t value : values)
    if (value < lowest || value > largest)
      fail<ValueError>(op, "{} must be in [{}, 2^31], got {}", name, lowest, values);
}

/// The sum of floor((a + b i) / m) over i < n, by Euclid's algorithm: a loop over i could run for hours. a, b >= 0.
__int128 floor_sum(__int128 n, __int128 m, __int128 b, __int128 a) {
  __int128 total = 0;
  while (n > 0) {
    total += (b / m) * n * (n - 1) / 2 + (a / m) * n;
    b %= m;
    a %= m;
    const __int128 last = a + b * n;
    if (last < m) break;
    n = last / m;
    a = last % m;
    const __int128 old = m;
    m = b;
    b = old;
  }
  return total;
}

/// Whether some window of the axis has no element inside. Only those that begin in the leading padding can, and, the
/// padding being at most half of a window, only by stepping over all of x: the first tap at or behind x's start, at
/// (s·stride − padding) mod dilation, lies behind its end.
bool has_empty_window(std::int64_t size, std::int64_t count, std::int64_t stride, std::int64_t padding,
                      std::int64_t dilation) {
  if (dilation <= size) return false;
  const __int128 inside = std::min<__int128>(count, (static_cast<__int128>(padding) + stride - 1) / stride);
  const __int128 first = dilation - padding % dilation;  // ≡ −padding
  return floor_sum(inside, dilation, stride, first + dilation - size) > floor_sum(inside, dilation, stride, first);
}

}  // namespace

void require_geometry(const char* op, const PoolGeometry& geometry) {
  const int rank = geometry.large.rank();
  for (const Shape* list : {&geometry.small, &geometry.kernel, &geometry.stride, &geometry.padding, &geometry.dilation})
    if (rank < 1 || rank > 3 || list->rank() != rank)
      fail<ShapeError>(op, "needs 1 to 3 entries in each list of the geometry, got {} and {}", geometry.large, *list);
  for (const Shape* sizes : {&geometry.large, &geometry.small})
    for (const std::int64_t size : *sizes)
      if (size < 0) fail<ShapeError>(op, "sizes must not be negative, got {}", *sizes);
  require_range(op, "kernel", geometry.kernel, 1);
  require_range(op, "stride", geometry.stride, 1);
  require_range(op, "padding", geometry.padding, 0);
  require_range(op, "dilation", geometry.dilation, 1);
}

PoolGeometry pool_geometry(const char* op, const Shape& x, const PoolWindows& windows) {
  const int rank = windows.kernel.rank();
  require_planes(op, x, rank);
  require_range(op, "kernel_size", windows.kernel, 1);
  require_range(op, "padding", windows.padding, 0);
  require_range(op, "dilation", windows.dilation, 1);
  PoolGeometry geometry;
  geometry.kernel = windows.kernel;
  geometry.stride = windows.stride == Shape::filled(rank, 0) ? windows.kernel : windows.stride;
  geometry.padding = windows.padding;
  geometry.dilation = windows.dilation;
  require_range(op, "stride", geometry.stride, 1);
  std::int64_t taps = 1;
  for (std::int64_t size : windows.kernel) taps = checked_mul(op, taps, size);
  if (taps > largest) fail<ValueError>(op, "a window of kernel_size {} has more than 2^31 elements", windows.kernel);
  for (int i = 0; i < rank; ++i) {
    const std::int64_t size = x[x.rank() - rank + i], kernel = geometry.kernel[i], stride = geometry.stride[i];
    const std::int64_t padding = geometry.padding[i], dilation = geometry.dilation[i];
    const std::int64_t window = dilation * (kernel - 1) + 1;
    if (padding > window / 2)
      fail<ValueError>(op, "padding {} is more than half of the window, which spans {} elements", padding, window);
    const std::int64_t room = checked_add(op, size, 2 * padding) - window;
    if (size < 1 || (room < 0 && !(windows.ceil_mode && room + stride - 1 >= 0)))
      fail<ShapeError>(op, "a window of {} elements does not fit size {} with padding {}: x {}", window, size, padding, x);
    std::int64_t count = checked_add(op, room, windows.ceil_mode ? stride - 1 : 0) / stride + 1;
    // A last window must begin inside x or its leading padding.
    if (windows.ceil_mode && (count - 1) * stride >= size + padding) --count;
    if (has_empty_window(size, count, stride, padding, dilation))
      fail<ValueError>(op, "a window lies in the padding alone: size {}, kernel_size {}, padding {}, dilation {}", size,
                       kernel, padding, dilation);
    geometry.large.push_back(size);
    geometry.small.push_back(count);
  }
  return geometry;
}

Shape with_trailing(Shape x, const Shape& sizes) {
  for (int i = 0; i < sizes.rank(); ++i) x[x.rank() - sizes.rank() + i] = sizes[i];
  return x;
}

Shape trailing(const Shape& x, int rank) {
  Shape sizes;
  for (int i = x.rank() - rank; i < x.rank(); ++i) sizes.push_back(x[i]);
  return sizes;
}

void require_planes(const char* op, const Shape& x, int rank) {
  if (x.rank() != rank + 1 && x.rank() != rank + 2)
    fail<ShapeError>(op, "x needs {} dimensions, or {} unbatched, got {}", rank + 2, rank + 1, x);
}

Shape adaptive_sizes(const char* op, const Shape& x, const Shape& output_size) {
  require_planes(op, x, output_size.rank());
  const Shape large = trailing(x, output_size.rank());
  Shape small = output_size;
  for (int i = 0; i < small.rank(); ++i) {
    if (small[i] == -1) small[i] = large[i];
    if (small[i] < 1 || large[i] < 1)
      fail<ShapeError>(op, "output_size {} and the sizes of x {} must be at least 1 (or -1, for the size of x)",
                       output_size, x);
  }
  return small;
}

std::vector<AdaptivePoolCase> adaptive_pool_cases(int rank) {
  std::vector<AdaptivePoolCase> cases;
  // Written for three dimensions, of which the last ones are taken.
  const auto add = [&](const char* name, Shape leading, const Shape& sizes, const Shape& outputs) {
    for (const std::int64_t size : trailing(sizes, rank)) leading.push_back(size);
    cases.push_back({name, leading, trailing(outputs, rank)});
  };
  add("one", {2, 3}, {2, 3, 4}, {1, 1, 1});
  add("exact", {1, 2}, {2, 4, 6}, {1, 2, 3});
  add("uneven", {1, 2}, {3, 5, 7}, {2, 3, 4});
  add("same", {1, 2}, {2, 3, 4}, {2, 3, -1});
  add("more", {1, 2}, {2, 2, 3}, {3, 4, 5});
  add("unbatched", {3}, {2, 3, 5}, {1, 2, 2});
  add("channels", {1, 17}, {1, 2, 3}, {1, 1, 2});
  add("width", {1, 1}, {1, 2, 33}, {1, 1, 16});
  add("overlapping", {1, 2}, {3, 4, 5}, {2, 3, 3});
  add("from_one", {2, 2}, {1, 1, 1}, {2, 2, 2});
  add("mixed", {1, 2}, {4, 2, 5}, {1, 3, 2});
  add("wide", {1, 1}, {2, 2, 40}, {2, 1, 7});
  return cases;
}

void require_trailing(const ShapeCall& call, int i, const Shape& sizes) {
  const Shape& shape = call[i].shape;
  if (shape.rank() < sizes.rank() || with_trailing(shape, sizes) != shape)
    fail<ShapeError>(call.name(), "{} must end in {}, got {}", input_name(call.op, i), sizes, shape);
}

kernels::PoolPlanes pool_planes(const PoolGeometry& geometry, const Shape& x) {
  kernels::PoolPlanes planes;
  const int rank = geometry.large.rank();
  planes.count = 1;
  for (int i = 0; i < x.rank() - rank; ++i) planes.count *= x[i];
  for (int i = 0; i < rank; ++i)
    planes.axis[max_conv_rank - rank + i] = {geometry.large[i],  geometry.small[i],   geometry.kernel[i],
                                             geometry.stride[i], geometry.padding[i], geometry.dilation[i]};
  return planes;
}

Tensor sample_distinct(const Shape& shape, std::uint64_t seed) {
  Generator generator(0x5eed0000 + seed);
  const Tensor order = randperm(shape.numel(), generator);
  Tensor values = Tensor::empty(shape, {.dtype = f64});
  for (std::int64_t i = 0; i < shape.numel(); ++i)
    raw::data<double>(values)[i] = 0.1 * static_cast<double>(raw::data<std::int64_t>(order)[i]) - 1;
  return values;
}

}  // namespace duet
