// unfold lays the windows of an image side by side as columns, fold adds columns back into an image: each is the
// other's adjoint. Both are one strided copy, or sum, for each element of the window.
#include <algorithm>

#include <duet/core/parallel.hpp>
#include <duet/ops/conv_geometry.hpp>
#include <duet/ops/define.hpp>
#include <duet/ops/unfold.hpp>

namespace duet {
namespace {

/// Windows (kernel) at small positions over an image (large).
struct Windows {
  ConvAxis axis[2];
  std::int64_t taps() const { return axis[0].kernel * axis[1].kernel; }
  std::int64_t positions() const { return axis[0].small * axis[1].small; }
};

Windows windows_of(const char* op, std::int64_t height, std::int64_t width, const UnfoldOptions& o) {
  constexpr std::int64_t largest = std::int64_t{1} << 31;
  const auto require = [&](const char* name, const Pair& values, std::int64_t lowest) {
    for (int i = 0; i < 2; ++i)
      if (values[i] < lowest || values[i] > largest)
        fail<ValueError>(op, "{} must be in [{}, 2^31], got ({}, {})", name, lowest, values[0], values[1]);
  };
  require("kernel_size", o.kernel_size, 1);
  require("dilation", o.dilation, 1);
  require("padding", o.padding, 0);
  require("stride", o.stride, 1);
  Windows windows;
  for (int i = 0; i < 2; ++i) {
    const std::int64_t size = i == 0 ? height : width;
    const std::int64_t reach = o.dilation[i] * (o.kernel_size[i] - 1) + 1;
    const std::int64_t room = size < 1 ? -1 : checked_add(op, size, 2 * o.padding[i]) - reach;
    if (room < 0)
      fail<ShapeError>(op, "kernel_size {} with dilation {} does not fit size {} with padding {}", o.kernel_size[i],
                       o.dilation[i], size, o.padding[i]);
    windows.axis[i] = {size, room / o.stride[i] + 1, o.kernel_size[i], o.stride[i], o.padding[i], o.dilation[i]};
  }
  checked_mul(op, o.kernel_size[0], o.kernel_size[1]);
  checked_mul(op, windows.axis[0].small, windows.axis[1].small);
  return windows;
}

/// Outputs of an axis whose tap lies inside the image, and where the first one reads.
struct Run {
  Run(const ConvAxis& axis, std::int64_t tap) {
    const std::int64_t start = tap * axis.dilation - axis.padding;
    first = start >= 0 ? 0 : (-start + axis.stride - 1) / axis.stride;
    const std::int64_t last = start >= axis.large ? 0 : std::min(axis.small, (axis.large - 1 - start) / axis.stride + 1);
    count = std::max<std::int64_t>(0, last - first);
    from = start + first * axis.stride;
  }
  std::int64_t first, count, from;
};

/// Calls body(column position, image position, count) for every stretch of pixels of every tap of a plane.
template <class Body>
void for_each_stretch(const Windows& w, Body&& body) {
  const ConvAxis &a = w.axis[0], &b = w.axis[1];
  for (std::int64_t u = 0; u < a.kernel; ++u)
    for (std::int64_t v = 0; v < b.kernel; ++v) {
      const Run rows(a, u), columns(b, v);
      for (std::int64_t i = 0; i < rows.count && columns.count > 0; ++i)
        body(((u * b.kernel + v) * a.small + rows.first + i) * b.small + columns.first,
             (rows.from + i * a.stride) * b.large + columns.from, columns.count);
    }
}

void for_each_plane(const Windows& w, std::int64_t planes, FunctionRef<void(std::int64_t)> body) {
  const std::int64_t work = std::max<std::int64_t>(1, w.taps() * w.positions());
  parallel_for(planes, std::max<std::int64_t>(1, (1 << 15) / work), [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t plane = begin; plane < end; ++plane) body(plane);
  });
}

/// (N, C, H, W) or (C, H, W) to (N, C·taps, positions) or (C·taps, positions).
Shape columns_shape(const char* op, const Shape& x, const UnfoldOptions& o) {
  if (x.rank() != 3 && x.rank() != 4) fail<ShapeError>(op, "x needs 4 dimensions, or 3 unbatched, got {}", x);
  const Windows w = windows_of(op, x[x.rank() - 2], x[x.rank() - 1], o);
  Shape shape = x;
  shape.erase(x.rank() - 1);
  shape[x.rank() - 2] = w.positions();
  shape[x.rank() - 3] = checked_mul(op, x[x.rank() - 3], w.taps());
  return shape;
}

Shape image_shape(const char* op, const Shape& columns, const FoldOptions& o) {
  if (columns.rank() != 2 && columns.rank() != 3)
    fail<ShapeError>(op, "x needs 3 dimensions, or 2 unbatched, got {}", columns);
  const Windows w = windows_of(op, o.output_size[0], o.output_size[1], o.unfold());
  const std::int64_t channels = columns[columns.rank() - 2];
  if (channels % w.taps() != 0)
    fail<ShapeError>(op, "{} rows of x {} do not divide by the {} elements of a window", channels, columns, w.taps());
  if (columns[columns.rank() - 1] != w.positions())
    fail<ShapeError>(op, "output_size ({}, {}) has {} windows, x {} has {} columns", o.output_size[0], o.output_size[1],
                     w.positions(), columns, columns[columns.rank() - 1]);
  Shape shape = columns;
  shape[columns.rank() - 2] = channels / w.taps();
  shape[columns.rank() - 1] = o.output_size[0];
  shape.push_back(o.output_size[1]);
  return shape;
}

struct UnfoldCase {
  const char* name;
  Shape x;
  UnfoldOptions options;
};

std::vector<UnfoldCase> unfold_cases() {
  return {{"plain", {2, 3, 4, 5}, {.kernel_size = 2}},
          {"mixed", {1, 2, 5, 6}, {.kernel_size = {3, 2}, .dilation = {1, 2}, .padding = 1, .stride = {2, 1}}},
          {"dilated", {1, 2, 6, 7}, {.kernel_size = {2, 3}, .dilation = {2, 1}, .padding = {0, 2}, .stride = {1, 3}}},
          {"one", {2, 2, 3, 3}, {.kernel_size = 1}},
          {"patches", {1, 2, 4, 6}, {.kernel_size = 2, .stride = 2}},
          {"sparse", {1, 1, 7, 7}, {.kernel_size = 2, .stride = 3}},
          {"unbatched", {2, 4, 4}, {.kernel_size = 3}},
          {"whole", {1, 2, 3, 4}, {.kernel_size = {3, 4}}},
          {"channels", {1, 17, 2, 2}, {.kernel_size = 2, .padding = 1}},
          {"width", {1, 1, 2, 33}, {.kernel_size = {1, 3}, .padding = {0, 1}}},
          {"wide_padding", {1, 1, 2, 3}, {.kernel_size = 2, .padding = 3}},
          {"inexact", {1, 1, 6, 5}, {.kernel_size = 3, .padding = 1, .stride = 2}}};
}

FoldOptions fold_options(const UnfoldCase& one) {
  const Shape& x = one.x;
  return {.output_size = {x[x.rank() - 2], x[x.rank() - 1]},
          .kernel_size = one.options.kernel_size,
          .dilation = one.options.dilation,
          .padding = one.options.padding,
          .stride = one.options.stride};
}

}  // namespace

const OpPtr& unfold_op() {
  static const OpPtr op = define({
      .name = "unfold",
      .doc = "The windows of an image as columns.",
      .inputs = {"x"},
      .options = &options_type<UnfoldOptions>(),
      .shape_rule = [](const ShapeCall& c) -> Specs {
        require_floating(c);
        return {{columns_shape(c.name(), c[0].shape, c.opt<UnfoldOptions>()), c[0].dtype}};
      },
      .forward = [](const Call& c) -> Tensors {
        const UnfoldOptions& o = c.opt<UnfoldOptions>();
        const Tensor x = raw::contiguous(c[0]);
        Tensor y = c.empty();
        const Windows w = windows_of(c.name(), x.size(-2), x.size(-1), o);
        const std::int64_t image = x.size(-2) * x.size(-1), columns = w.taps() * w.positions(), step = w.axis[1].stride;
        if (o.padding[0] > 0 || o.padding[1] > 0) raw::fill(y, 0);
        raw::dispatch_floating(c.name(), x.dtype(), [&](auto zero) {
          using T = decltype(zero);
          for_each_plane(w, x.numel() / image, [&](std::int64_t plane) {
            const T* from = raw::data<T>(x) + plane * image;
            T* to = raw::data<T>(y) + plane * columns;
            for_each_stretch(w, [&](std::int64_t column, std::int64_t pixel, std::int64_t count) {
              for (std::int64_t i = 0; i < count; ++i) to[column + i] = from[pixel + i * step];
            });
          });
        });
        return {y};
      },
      .vjp = [](const Vjp& v) -> Tensors {
        const UnfoldOptions& o = v.opt<UnfoldOptions>();
        return {fold(v.cotangent(), fold_options({"", v.shape(0), o}))};
      },
      .linear = {0},
      .dual = "fold",
      .samples = []() -> std::vector<Sample> {
        std::vector<Sample> samples;
        for (const UnfoldCase& one : unfold_cases())
          samples.push_back({one.name, {sample_normal(one.x, samples.size())}, one.options});
        return samples;
      },
  });
  return op;
}

const OpPtr& fold_op() {
  static const OpPtr op = define({
      .name = "fold",
      .doc = "Columns added up as the windows of an image: the adjoint of unfold.",
      .inputs = {"x"},
      .options = &options_type<FoldOptions>(),
      .shape_rule = [](const ShapeCall& c) -> Specs {
        require_floating(c);
        return {{image_shape(c.name(), c[0].shape, c.opt<FoldOptions>()), c[0].dtype}};
      },
      .forward = [](const Call& c) -> Tensors {
        const FoldOptions& o = c.opt<FoldOptions>();
        const Tensor x = raw::contiguous(c[0]), y = c.empty();
        const Windows w = windows_of(c.name(), o.output_size[0], o.output_size[1], o.unfold());
        const std::int64_t image = o.output_size[0] * o.output_size[1], columns = w.taps() * w.positions(), step = w.axis[1].stride;
        raw::dispatch_floating(c.name(), x.dtype(), [&](auto zero) {
          using T = decltype(zero);
          for_each_plane(w, y.numel() / image, [&](std::int64_t plane) {
            const T* from = raw::data<T>(x) + plane * columns;
            T* to = raw::data<T>(y) + plane * image;
            std::fill_n(to, image, T(0));
            for_each_stretch(w, [&](std::int64_t column, std::int64_t pixel, std::int64_t count) {
              for (std::int64_t i = 0; i < count; ++i) to[pixel + i * step] += from[column + i];
            });
          });
        });
        return {y};
      },
      .vjp = [](const Vjp& v) -> Tensors { return {unfold(v.cotangent(), v.opt<FoldOptions>().unfold())}; },
      .linear = {0},
      .dual = "unfold",
      .samples = []() -> std::vector<Sample> {
        std::vector<Sample> samples;
        for (const UnfoldCase& one : unfold_cases())
          samples.push_back({one.name, {sample_normal(columns_shape("unfold", one.x, one.options), samples.size())}, fold_options(one)});
        return samples;
      },
  });
  return op;
}

Tensor unfold(const Tensor& x, const UnfoldOptions& options) { return apply1(unfold_op(), {x}, options); }
Tensor fold(const Tensor& x, const FoldOptions& options) { return apply1(fold_op(), {x}, options); }

}  // namespace duet
