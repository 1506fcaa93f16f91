// Max pooling, and the linear pair that its derivatives are: gather reads what the maxima came from, scatter adds
// there. Where the maximum jumps to another element the derivative does not exist; samples keep elements apart.
#include <duet/ops/pool.hpp>

#include <duet/ops/pool_geometry.hpp>

namespace duet {

template <int N>
PoolGeometry max_pool_geometry(const char* op, const Shape& x, const MaxPoolOptions<N>& o) {
  return pool_geometry(op, x, {to_shape(o.kernel_size), to_shape(o.stride), to_shape(o.padding), to_shape(o.dilation), o.ceil_mode});
}
template PoolGeometry max_pool_geometry<1>(const char*, const Shape&, const MaxPoolOptions<1>&);
template PoolGeometry max_pool_geometry<2>(const char*, const Shape&, const MaxPoolOptions<2>&);
template PoolGeometry max_pool_geometry<3>(const char*, const Shape&, const MaxPoolOptions<3>&);

namespace {

Dtype tap_dtype(const Shape& kernel) { return kernel.numel() <= 256 ? u8 : i64; }

/// Calls visit with the C++ type of a tap.
template <class Visitor>
decltype(auto) dispatch_tap(Dtype dtype, Visitor&& visit) {
  return dtype == u8 ? visit(std::uint8_t{}) : visit(std::int64_t{});
}

template <int N>
struct MaxPoolCase {
  const char* name;
  Shape x;
  MaxPoolOptions<N> options;
};

std::vector<MaxPoolCase<1>> max_pool_cases(std::integral_constant<int, 1>) {
  return {{"plain", {2, 3, 8}, {.kernel_size = 2}},
          {"overlap", {2, 3, 9}, {.kernel_size = 3, .stride = 1}},
          {"padded", {2, 3, 8}, {.kernel_size = 3, .stride = 2, .padding = 1}},
          {"dilated", {1, 2, 11}, {.kernel_size = 3, .stride = 2, .dilation = 2}},
          {"ceil", {1, 2, 8}, {.kernel_size = 3, .stride = 2, .ceil_mode = true}},
          {"ceil_padded", {1, 2, 7}, {.kernel_size = 2, .stride = 2, .padding = 1, .ceil_mode = true}},
          {"sparse", {1, 2, 9}, {.kernel_size = 1, .stride = 3}},
          {"unbatched", {3, 8}, {.kernel_size = 2}},
          {"channels", {1, 17, 4}, {.kernel_size = 2}},
          {"width", {1, 2, 33}, {.kernel_size = 2}},
          {"whole", {2, 2, 5}, {.kernel_size = 5}},
          {"long_window", {1, 1, 300}, {.kernel_size = 290, .stride = 5}}};
}

std::vector<MaxPoolCase<2>> max_pool_cases(std::integral_constant<int, 2>) {
  return {{"plain", {2, 3, 4, 6}, {.kernel_size = 2}},
          {"overlap", {1, 2, 5, 5}, {.kernel_size = 3, .stride = 1}},
          {"padded", {1, 2, 6, 5}, {.kernel_size = 3, .stride = 2, .padding = 1}},
          {"dilated", {1, 2, 7, 8}, {.kernel_size = 2, .stride = 1, .dilation = {2, 3}}},
          {"ceil", {1, 2, 5, 7}, {.kernel_size = 2, .ceil_mode = true}},
          {"ceil_padded", {1, 2, 5, 6}, {.kernel_size = {3, 2}, .stride = {1, 3}, .padding = {1, 0}, .dilation = {2, 1}, .ceil_mode = true}},
          {"uneven", {1, 2, 7, 4}, {.kernel_size = {1, 3}, .stride = {2, 1}}},
          {"sparse", {1, 2, 7, 7}, {.kernel_size = {2, 1}, .stride = 3}},
          {"unbatched", {2, 4, 5}, {.kernel_size = 2, .stride = 1}},
          {"channels", {1, 17, 2, 4}, {.kernel_size = 2}},
          {"width", {1, 1, 3, 33}, {.kernel_size = 2, .stride = 2, .padding = 1}},
          {"inexact", {1, 2, 5, 6}, {.kernel_size = 2, .stride = 2}}};
}

std::vector<MaxPoolCase<3>> max_pool_cases(std::integral_constant<int, 3>) {
  return {{"plain", {1, 2, 4, 4, 4}, {.kernel_size = 2}},
          {"overlap", {1, 1, 3, 4, 3}, {.kernel_size = 2, .stride = 1}},
          {"padded", {1, 1, 4, 3, 4}, {.kernel_size = 3, .stride = 2, .padding = 1}},
          {"dilated", {1, 1, 4, 5, 4}, {.kernel_size = 2, .stride = 1, .dilation = {1, 3, 2}}},
          {"ceil", {1, 1, 3, 5, 3}, {.kernel_size = 2, .ceil_mode = true}},
          {"ceil_padded", {1, 1, 3, 4, 5}, {.kernel_size = {2, 3, 2}, .stride = {2, 2, 3}, .padding = {1, 1, 0}, .ceil_mode = true}},
          {"uneven", {1, 2, 3, 4, 2}, {.kernel_size = {1, 3, 2}, .stride = {1, 1, 2}}},
          {"sparse", {1, 1, 4, 4, 4}, {.kernel_size = 1, .stride = {3, 2, 3}}},
          {"unbatched", {2, 2, 4, 2}, {.kernel_size = 2}},
          {"channels", {1, 17, 2, 1, 2}, {.kernel_size = {2, 1, 2}}},
          {"width", {1, 1, 2, 2, 33}, {.kernel_size = 2, .stride = 2}},
          {"whole", {2, 1, 2, 3, 2}, {.kernel_size = {2, 3, 2}}}};
}

template <int N>
OpPtr define_max_pool() {
  return define({
      .name = fmt::format("max_pool{}d", N),
      .doc = "The maximum of each window, and which of its elements that is.",
      .formula = "max_k x[s stride - padding + k dilation]",
      .inputs = {"x"},
      .options = &options_type<MaxPoolOptions<N>>(),
      .shape_rule = [](const ShapeCall& c) -> Specs {
        require_floating(c);
        const PoolGeometry geometry = max_pool_geometry<N>(c.name(), c[0].shape, c.opt<MaxPoolOptions<N>>());
        const Shape shape = with_trailing(c[0].shape, geometry.small);
        return {{shape, c[0].dtype}, {shape, tap_dtype(geometry.kernel)}};
      },
      .forward = [](const Call& c) -> Tensors {
        const PoolGeometry geometry = max_pool_geometry<N>(c.name(), c[0].shape(), c.opt<MaxPoolOptions<N>>());
        const Tensor x = raw::contiguous(c[0]), y = c.empty(0), taps = c.empty(1);
        raw::dispatch_floating(c.name(), x.dtype(), [&](auto zero) {
          dispatch_tap(taps.dtype(), [&](auto tap) {
            kernels::max_pool(pool_planes(geometry, x.shape()), raw::data<decltype(zero)>(x), raw::data<decltype(zero)>(y),
                              raw::data<decltype(tap)>(taps));
          });
        });
        return {y, taps};
      },
      .vjp = [](const Vjp& v) -> Tensors {
        const PoolGeometry geometry = max_pool_geometry<N>(v.name(), v.shape(0), v.opt<MaxPoolOptions<N>>());
        return {max_pool_scatter(v.cotangent(), v.output(1), geometry)};
      },
      .saves = {save_output(1)},
      .onnx = "MaxPool",
      .samples = []() -> std::vector<Sample> {
        std::vector<Sample> samples;
        for (const auto& one : max_pool_cases(std::integral_constant<int, N>()))
          samples.push_back({one.name, {sample_distinct(one.x, samples.size())}, one.options});
        return samples;
      },
  });
}

/// Shared by gather and scatter: input 0 on side `from`, taps on the small side, the result on side `to`.
Specs tap_rule(const ShapeCall& c, const Shape& from, const Shape& to) {
  const PoolGeometry& geometry = c.opt<PoolGeometry>();
  require_geometry(c.name(), geometry);
  if (!is_floating(c[0].dtype))
    fail<DtypeError>(c.name(), "needs f32 or f64, got {} {}", input_name(c.op, 0), to_string(c[0]));
  if (c[1].dtype != tap_dtype(geometry.kernel))
    fail<DtypeError>(c.name(), "taps of a window {} are {}, got {}", geometry.kernel, name(tap_dtype(geometry.kernel)),
                     to_string(c[1]));
  require_trailing(c, 0, from);
  require_trailing(c, 1, geometry.small);
  const Shape lifted = with_trailing(c[0].shape, to);
  if (with_trailing(c[0].shape, geometry.small) != c[1].shape)
    fail<ShapeError>(c.name(), "{} {} and taps {} do not belong to the same planes", input_name(c.op, 0), c[0].shape,
                     c[1].shape);
  return {{lifted, c[0].dtype}};
}

/// Runs a kernel on (tensor, taps) and fails where a tap names no element.
template <class Kernel>
Tensors run_taps(const Call& c, Kernel&& kernel) {
  const Tensor from = raw::contiguous(c[0]), taps = raw::contiguous(c[1]), to = c.empty();
  const kernels::PoolPlanes planes = pool_planes(c.opt<PoolGeometry>(), from.shape());
  raw::dispatch_floating(c.name(), from.dtype(), [&](auto zero) {
    dispatch_tap(taps.dtype(), [&](auto tap) {
      using T = decltype(zero);
      if (!kernel(planes, raw::data<T>(from), raw::data<decltype(tap)>(taps), raw::data<T>(to)))
        fail<ValueError>(c.name(), "a tap lies outside its window of {} elements, or the window's tap outside x",
                         planes.window_size());
    });
  });
  return {to};
}

/// Samples with the taps of max pools on distinct values.
std::vector<Sample> tap_samples(bool large) {
  std::vector<Sample> samples;
  const auto add = [&](const auto& cases) {
    for (const auto& one : cases) {
      const PoolGeometry geometry = max_pool_geometry("max_pool", one.x, one.options);
      const Tensor x = sample_distinct(one.x, 40 + samples.size());
      Tensor taps;
      if constexpr (std::is_same_v<decltype(one.options), MaxPoolOptions<1>>)
        taps = apply(max_pool1d_op(), {x}, one.options)[1];
      else if constexpr (std::is_same_v<decltype(one.options), MaxPoolOptions<2>>)
        taps = apply(max_pool2d_op(), {x}, one.options)[1];
      else
        taps = apply(max_pool3d_op(), {x}, one.options)[1];
      const Shape shape = large ? one.x : with_trailing(one.x, geometry.small);
      samples.push_back({fmt::format("{}_{}d", one.name, geometry.large.rank()), {sample_normal(shape, 80 + samples.size()), taps}, geometry});
    }
  };
  add(max_pool_cases(std::integral_constant<int, 1>()));
  add(max_pool_cases(std::integral_constant<int, 2>()));
  add(max_pool_cases(std::integral_constant<int, 3>()));
  return samples;
}

}  // namespace

const OpPtr& max_pool1d_op() {
  static const OpPtr op = define_max_pool<1>();
  return op;
}
const OpPtr& max_pool2d_op() {
  static const OpPtr op = define_max_pool<2>();
  return op;
}
const OpPtr& max_pool3d_op() {
  static const OpPtr op = define_max_pool<3>();
  return op;
}

const OpPtr& max_pool_gather_op() {
  static const OpPtr op = define({
      .name = "max_pool_gather",
      .doc = "The element of each window that its tap names.",
      .inputs = {"x", "taps"},
      .options = &options_type<PoolGeometry>(),
      .shape_rule = [](const ShapeCall& c) { return tap_rule(c, c.opt<PoolGeometry>().large, c.opt<PoolGeometry>().small); },
      .forward = [](const Call& c) {
        return run_taps(c, [](const auto& planes, const auto* x, const auto* taps, auto* y) { return kernels::pool_gather(planes, x, taps, y); });
      },
      .vjp = [](const Vjp& v) -> Tensors {
        return {max_pool_scatter(v.cotangent(), v.input(1), v.opt<PoolGeometry>()), {}};
      },
      .saves = {save_input(1)},
      .linear = {0},
      .dual = "max_pool_scatter",
      .samples = [] { return tap_samples(true); },
  });
  return op;
}

const OpPtr& max_pool_scatter_op() {
  static const OpPtr op = define({
      .name = "max_pool_scatter",
      .doc = "Zeros, with each value added to the element of its window that its tap names.",
      .inputs = {"g", "taps"},
      .options = &options_type<PoolGeometry>(),
      .shape_rule = [](const ShapeCall& c) { return tap_rule(c, c.opt<PoolGeometry>().small, c.opt<PoolGeometry>().large); },
      .forward = [](const Call& c) {
        return run_taps(c, [](const auto& planes, const auto* y, const auto* taps, auto* x) { return kernels::pool_scatter(planes, y, taps, x); });
      },
      .vjp = [](const Vjp& v) -> Tensors {
        return {max_pool_gather(v.cotangent(), v.input(1), v.opt<PoolGeometry>()), {}};
      },
      .saves = {save_input(1)},
      .linear = {0},
      .dual = "max_pool_gather",
      .samples = [] { return tap_samples(false); },
  });
  return op;
}

const OpPtr& max_pool_indices_op() {
  static const OpPtr op = define({
      .name = "max_pool_indices",
      .doc = "The row-major index in its plane of the element that each tap names.",
      .inputs = {"taps"},
      .options = &options_type<PoolGeometry>(),
      .shape_rule = [](const ShapeCall& c) -> Specs {
        const PoolGeometry& geometry = c.opt<PoolGeometry>();
        require_geometry(c.name(), geometry);
        if (c[0].dtype != tap_dtype(geometry.kernel))
          fail<DtypeError>(c.name(), "taps of a window {} are {}, got {}", geometry.kernel,
                           name(tap_dtype(geometry.kernel)), to_string(c[0]));
        require_trailing(c, 0, geometry.small);
        return {{c[0].shape, i64}};
      },
      .forward = [](const Call& c) -> Tensors {
        const Tensor taps = raw::contiguous(c[0]), out = c.empty();
        const kernels::PoolPlanes planes = pool_planes(c.opt<PoolGeometry>(), taps.shape());
        dispatch_tap(taps.dtype(), [&](auto tap) {
          if (!kernels::pool_indices(planes, raw::data<decltype(tap)>(taps), raw::data<std::int64_t>(out)))
            fail<ValueError>(c.name(), "a tap lies outside its window of {} elements", planes.window_size());
        });
        return {out};
      },
      .no_samples_because = "it maps integers to integers",
  });
  return op;
}

namespace {

template <int N>
MaxPoolResult with_indices(const OpPtr& op, const Tensor& x, const MaxPoolOptions<N>& options) {
  Tensors result = apply(op, {x}, options);
  return {result[0], max_pool_indices(result[1], max_pool_geometry(op->name.c_str(), x.shape(), options))};
}

}  // namespace

Tensor max_pool1d(const Tensor& x, const MaxPoolOptions<1>& options) { return apply1(max_pool1d_op(), {x}, options); }
Tensor max_pool2d(const Tensor& x, const MaxPoolOptions<2>& options) { return apply1(max_pool2d_op(), {x}, options); }
Tensor max_pool3d(const Tensor& x, const MaxPoolOptions<3>& options) { return apply1(max_pool3d_op(), {x}, options); }

MaxPoolResult max_pool1d_with_indices(const Tensor& x, const MaxPoolOptions<1>& options) {
  return with_indices(max_pool1d_op(), x, options);
}
MaxPoolResult max_pool2d_with_indices(const Tensor& x, const MaxPoolOptions<2>& options) {
  return with_indices(max_pool2d_op(), x, options);
}
MaxPoolResult max_pool3d_with_indices(const Tensor& x, const MaxPoolOptions<3>& options) {
  return with_indices(max_pool3d_op(), x, options);
}

Tensor max_pool_gather(const Tensor& x, const Tensor& taps, const PoolGeometry& geometry) {
  return apply1(max_pool_gather_op(), {x, taps}, geometry);
}
Tensor max_pool_scatter(const Tensor& g, const Tensor& taps, const PoolGeometry& geometry) {
  return apply1(max_pool_scatter_op(), {g, taps}, geometry);
}
Tensor max_pool_indices(const Tensor& taps, const PoolGeometry& geometry) {
  return apply1(max_pool_indices_op(), {taps}, geometry);
}

}  // namespace duet
