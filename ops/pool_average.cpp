// Average pools, by fixed windows and adaptive ones: each is a separable linear map (resample.hpp), and so is its
// derivative.
#include <duet/ops/pool_geometry.hpp>
#include <duet/ops/resample_map.hpp>

namespace duet {
namespace {

template <int N>
ResampleGeometry average_geometry(const char* op, const Shape& x, const AvgPoolOptions<N>& o) {
  const PoolGeometry windows = pool_geometry(
      op, x, {to_shape(o.kernel_size), to_shape(o.stride), to_shape(o.padding), Shape::filled(N, 1), o.ceil_mode});
  ResampleGeometry geometry;
  geometry.large = windows.large;
  geometry.small = windows.small;
  geometry.kernel = windows.kernel;
  geometry.stride = windows.stride;
  geometry.padding = windows.padding;
  geometry.count_include_pad = o.count_include_pad;
  geometry.divisor_override = o.divisor_override;
  validate(op, geometry);
  return geometry;
}

template <int N>
ResampleGeometry average_geometry(const char* op, const Shape& x, const AdaptivePoolOptions<N>& o) {
  ResampleGeometry geometry;
  geometry.method = ResampleMethod::adaptive;
  geometry.small = adaptive_sizes(op, x, to_shape(o.output_size));
  geometry.large = trailing(x, N);
  validate(op, geometry);
  return geometry;
}

template <class Options>
struct AverageCase {
  const char* name;
  Shape x;
  Options options;
};

std::vector<AverageCase<AvgPoolOptions<1>>> average_cases(const AvgPoolOptions<1>&) {
  return {{"plain", {2, 3, 8}, {.kernel_size = 2}},
          {"overlap", {2, 3, 9}, {.kernel_size = 3, .stride = 1}},
          {"padded", {2, 2, 8}, {.kernel_size = 3, .stride = 2, .padding = 1}},
          {"inside", {2, 2, 8}, {.kernel_size = 3, .stride = 2, .padding = 1, .count_include_pad = false}},
          {"ceil", {1, 2, 8}, {.kernel_size = 3, .stride = 2, .ceil_mode = true}},
          {"ceil_padded", {1, 2, 7}, {.kernel_size = 2, .stride = 2, .padding = 1, .ceil_mode = true}},
          {"ceil_inside", {1, 2, 8}, {.kernel_size = 3, .padding = 1, .ceil_mode = true, .count_include_pad = false}},
          {"sparse", {1, 2, 9}, {.kernel_size = 1, .stride = 3}},
          {"unbatched", {3, 8}, {.kernel_size = 2}},
          {"channels", {1, 17, 4}, {.kernel_size = 2}},
          {"width", {1, 2, 33}, {.kernel_size = 4, .stride = 3, .padding = 2}},
          {"divisor", {1, 2, 6}, {.kernel_size = 2, .divisor_override = 3}}};
}

std::vector<AverageCase<AvgPoolOptions<2>>> average_cases(const AvgPoolOptions<2>&) {
  return {{"plain", {2, 3, 4, 6}, {.kernel_size = 2}},
          {"overlap", {1, 2, 5, 5}, {.kernel_size = 3, .stride = 1}},
          {"padded", {1, 2, 6, 5}, {.kernel_size = 3, .stride = 2, .padding = 1}},
          {"inside", {1, 2, 6, 5}, {.kernel_size = 3, .stride = 2, .padding = 1, .count_include_pad = false}},
          {"ceil", {1, 2, 5, 7}, {.kernel_size = 2, .ceil_mode = true}},
          {"ceil_padded", {1, 2, 5, 6}, {.kernel_size = {2, 3}, .stride = {1, 3}, .padding = 1, .ceil_mode = true}},
          {"uneven", {1, 2, 7, 4}, {.kernel_size = {1, 3}, .stride = {2, 1}}},
          {"divisor", {1, 2, 5, 6}, {.kernel_size = {3, 2}, .padding = {1, 0}, .divisor_override = -4}},
          {"unbatched", {2, 4, 5}, {.kernel_size = 2, .stride = 1}},
          {"channels", {1, 17, 2, 4}, {.kernel_size = 2}},
          {"width", {1, 1, 3, 33}, {.kernel_size = 2, .stride = 2, .padding = 1}},
          {"ceil_inside", {1, 2, 5, 6}, {.kernel_size = 3, .stride = 2, .padding = 1, .ceil_mode = true, .count_include_pad = false}}};
}

std::vector<AverageCase<AvgPoolOptions<3>>> average_cases(const AvgPoolOptions<3>&) {
  return {{"plain", {1, 2, 4, 4, 4}, {.kernel_size = 2}},
          {"overlap", {1, 1, 3, 4, 3}, {.kernel_size = 2, .stride = 1}},
          {"padded", {1, 1, 4, 3, 4}, {.kernel_size = 3, .stride = 2, .padding = 1}},
          {"inside", {1, 1, 4, 3, 4}, {.kernel_size = 3, .stride = 2, .padding = 1, .count_include_pad = false}},
          {"ceil", {1, 1, 3, 5, 3}, {.kernel_size = 2, .ceil_mode = true}},
          {"ceil_padded", {1, 1, 3, 4, 5}, {.kernel_size = {2, 3, 2}, .stride = {2, 2, 3}, .padding = {1, 1, 0}, .ceil_mode = true}},
          {"uneven", {1, 2, 3, 4, 2}, {.kernel_size = {1, 3, 2}, .stride = {1, 1, 2}}},
          {"sparse", {1, 1, 4, 4, 4}, {.kernel_size = 1, .stride = {3, 2, 3}}},
          {"unbatched", {2, 2, 4, 2}, {.kernel_size = 2}},
          {"channels", {1, 17, 2, 1, 2}, {.kernel_size = {2, 1, 2}}},
          {"width", {1, 1, 2, 2, 33}, {.kernel_size = 2}},
          {"divisor", {2, 1, 2, 3, 2}, {.kernel_size = {2, 3, 2}, .divisor_override = 7}}};
}

template <int N>
std::vector<AverageCase<AdaptivePoolOptions<N>>> average_cases(const AdaptivePoolOptions<N>&) {
  std::vector<AverageCase<AdaptivePoolOptions<N>>> cases;
  for (const AdaptivePoolCase& one : adaptive_pool_cases(N)) cases.push_back({one.name, one.x, {to_extent<N>(one.output_size)}});
  return cases;
}

template <class Options>
OpPtr define_average(const std::string& name, const char* doc, const char* onnx) {
  return define({
      .name = name,
      .doc = doc,
      .inputs = {"x"},
      .options = &options_type<Options>(),
      .shape_rule = [](const ShapeCall& c) -> Specs {
        require_floating(c);
        const ResampleGeometry geometry = average_geometry(c.name(), c[0].shape, c.opt<Options>());
        return {{with_trailing(c[0].shape, geometry.small), c[0].dtype}};
      },
      .forward = [](const Call& c) -> Tensors {
        return {apply_map(c.name(), c[0], average_geometry(c.name(), c[0].shape(), c.opt<Options>()))};
      },
      .vjp = [](const Vjp& v) -> Tensors {
        return {resample_backward(v.cotangent(), average_geometry(v.name(), v.shape(0), v.opt<Options>()))};
      },
      .linear = {0},
      .dual = "resample_backward",
      .onnx = onnx,
      .samples = []() -> std::vector<Sample> {
        std::vector<Sample> samples;
        for (const auto& one : average_cases(Options()))
          samples.push_back({one.name, {sample_normal(one.x, samples.size())}, one.options});
        return samples;
      },
  });
}

constexpr const char* average_doc = "The mean of each window.";
constexpr const char* adaptive_doc = "The means of as many windows as asked for.";

}  // namespace

const OpPtr& avg_pool1d_op() {
  static const OpPtr op = define_average<AvgPoolOptions<1>>("avg_pool1d", average_doc, "AveragePool");
  return op;
}
const OpPtr& avg_pool2d_op() {
  static const OpPtr op = define_average<AvgPoolOptions<2>>("avg_pool2d", average_doc, "AveragePool");
  return op;
}
const OpPtr& avg_pool3d_op() {
  static const OpPtr op = define_average<AvgPoolOptions<3>>("avg_pool3d", average_doc, "AveragePool");
  return op;
}
const OpPtr& adaptive_avg_pool1d_op() {
  static const OpPtr op = define_average<AdaptivePoolOptions<1>>("adaptive_avg_pool1d", adaptive_doc, "");
  return op;
}
const OpPtr& adaptive_avg_pool2d_op() {
  static const OpPtr op = define_average<AdaptivePoolOptions<2>>("adaptive_avg_pool2d", adaptive_doc, "");
  return op;
}
const OpPtr& adaptive_avg_pool3d_op() {
  static const OpPtr op = define_average<AdaptivePoolOptions<3>>("adaptive_avg_pool3d", adaptive_doc, "");
  return op;
}

Tensor avg_pool1d(const Tensor& x, const AvgPoolOptions<1>& options) { return apply1(avg_pool1d_op(), {x}, options); }
Tensor avg_pool2d(const Tensor& x, const AvgPoolOptions<2>& options) { return apply1(avg_pool2d_op(), {x}, options); }
Tensor avg_pool3d(const Tensor& x, const AvgPoolOptions<3>& options) { return apply1(avg_pool3d_op(), {x}, options); }

Tensor adaptive_avg_pool1d(const Tensor& x, Extent<1> output_size) {
  return apply1(adaptive_avg_pool1d_op(), {x}, AdaptivePoolOptions<1>{output_size});
}
Tensor adaptive_avg_pool2d(const Tensor& x, Pair output_size) {
  return apply1(adaptive_avg_pool2d_op(), {x}, AdaptivePoolOptions<2>{output_size});
}
Tensor adaptive_avg_pool3d(const Tensor& x, Triple output_size) {
  return apply1(adaptive_avg_pool3d_op(), {x}, AdaptivePoolOptions<3>{output_size});
}

}  // namespace duet
