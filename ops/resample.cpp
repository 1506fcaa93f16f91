// The separable linear pair, and interpolation on it.
#include <duet/ops/resample.hpp>

#include <cmath>

#include <duet/ops/pool_geometry.hpp>
#include <duet/ops/resample_map.hpp>

namespace duet {
namespace {

/// How many dimensions a mode is for; 0: any.
int mode_rank(InterpolateMode mode) {
  switch (mode) {
    case InterpolateMode::linear: return 1;
    case InterpolateMode::bilinear:
    case InterpolateMode::bicubic: return 2;
    case InterpolateMode::trilinear: return 3;
    default: return 0;
  }
}

ResampleMethod mode_method(InterpolateMode mode) {
  switch (mode) {
    case InterpolateMode::nearest: return ResampleMethod::nearest;
    case InterpolateMode::nearest_exact: return ResampleMethod::nearest_exact;
    case InterpolateMode::bicubic: return ResampleMethod::cubic;
    case InterpolateMode::area: return ResampleMethod::adaptive;
    default: return ResampleMethod::linear;
  }
}

ResampleGeometry interpolate_geometry(const char* op, const Shape& x, const InterpolateOptions& o) {
  const int rank = x.rank() - 2, wanted = mode_rank(o.mode);
  if (rank < 1 || rank > 3) fail<ShapeError>(op, "x needs 3 to 5 dimensions (N, C, ...), got {}", x);
  if (wanted != 0 && wanted != rank)
    fail<ShapeError>(op, "this mode needs x with {} dimensions, got {}", wanted + 2, x);
  if (o.align_corners && wanted == 0) fail<ValueError>(op, "align_corners is for the linear and cubic modes");
  if (o.recompute_scale_factor && o.scale_factor.empty())
    fail<ValueError>(op, "recompute_scale_factor needs a scale_factor, not a size");
  if (o.size.empty() == o.scale_factor.empty()) fail<ValueError>(op, "needs either size or scale_factor");
  const std::size_t given = o.size.empty() ? o.scale_factor.size() : o.size.size();
  if (given != 1 && given != static_cast<std::size_t>(rank))
    fail<ShapeError>(op, "{} has {} entries for {} dimensions of x {}", o.size.empty() ? "scale_factor" : "size", given, rank, x);
  ResampleGeometry geometry;
  geometry.method = mode_method(o.mode);
  geometry.align_corners = o.align_corners;
  for (int i = 0; i < rank; ++i) {
    const std::size_t at = given == 1 ? 0 : static_cast<std::size_t>(i);
    const std::int64_t size = x[i + 2];
    geometry.large.push_back(size);
    if (!o.size.empty()) {
      geometry.small.push_back(o.size[at]);
      continue;
    }
    const double factor = o.scale_factor[at];
    if (!(factor > 0) || factor * static_cast<double>(size) >= 0x1p62)
      fail<ValueError>(op, "scale_factor must be positive, and x times it fit 62 bits: got {}", factor);
    geometry.small.push_back(static_cast<std::int64_t>(std::floor(static_cast<double>(size) * factor)));
    if (geometry.method != ResampleMethod::adaptive && !o.recompute_scale_factor) geometry.scale.push_back(1 / factor);
  }
  validate(op, geometry);
  return geometry;
}

struct ResampleCase {
  const char* name;
  Shape x;
  InterpolateOptions options;
};

std::vector<ResampleCase> interpolate_cases() {
  using enum InterpolateMode;
  return {{"nearest_up", {1, 2, 3, 4}, {.size = {7, 8}}},
          {"nearest_scale", {2, 1, 5}, {.scale_factor = {1.7}}},
          {"nearest_exact", {1, 1, 5, 7}, {.size = {3, 9}, .mode = nearest_exact}},
          {"linear", {1, 17, 5}, {.size = {9}, .mode = linear}},
          {"linear_aligned", {1, 2, 33}, {.size = {10}, .mode = linear, .align_corners = true}},
          {"bilinear", {1, 2, 4, 5}, {.size = {8, 10}, .mode = bilinear}},
          {"bilinear_down", {1, 2, 7, 5}, {.size = {3, 4}, .mode = bilinear}},
          {"bilinear_aligned", {1, 2, 4, 5}, {.size = {7, 1}, .mode = bilinear, .align_corners = true}},
          {"bilinear_scale", {1, 1, 5, 6}, {.scale_factor = {1.5, 0.7}, .mode = bilinear}},
          {"bicubic", {1, 2, 4, 5}, {.size = {7, 9}, .mode = bicubic}},
          {"bicubic_aligned", {1, 1, 3, 6}, {.size = {5, 4}, .mode = bicubic, .align_corners = true}},
          {"bicubic_scale", {1, 1, 2, 3}, {.scale_factor = {2.3}, .mode = bicubic}},
          {"trilinear", {1, 1, 3, 2, 4}, {.size = {5, 4, 3}, .mode = trilinear}},
          {"nearest_volume", {1, 1, 2, 3, 2}, {.size = {4}}},
          {"area", {1, 2, 5, 7}, {.size = {2, 3}, .mode = area}},
          {"same", {1, 2, 3, 4}, {.size = {3, 4}, .mode = bilinear}}};
}

Specs resample_rule(const ShapeCall& c, bool adjoint) {
  const ResampleGeometry& geometry = c.opt<ResampleGeometry>();
  require_floating(c);
  validate(c.name(), geometry);
  require_trailing(c, 0, adjoint ? geometry.small : geometry.large);
  return {{with_trailing(c[0].shape, adjoint ? geometry.large : geometry.small), c[0].dtype}};
}

/// Interpolations, and windows as average pools have them.
std::vector<Sample> resample_samples(bool adjoint) {
  std::vector<Sample> samples;
  const auto add = [&](const char* name, const Shape& x, const ResampleGeometry& geometry) {
    const Shape shape = adjoint ? with_trailing(x, geometry.small) : x;
    samples.push_back({name, {sample_normal(shape, samples.size())}, geometry});
  };
  for (const ResampleCase& one : interpolate_cases())
    add(one.name, one.x, interpolate_geometry("interpolate", one.x, one.options));
  ResampleGeometry windows;
  windows.large = {6, 33};
  windows.small = {3, 17};
  windows.kernel = {3, 2};
  windows.stride = {2, 2};
  windows.padding = {1, 1};
  add("windows", {2, 6, 33}, windows);
  windows.count_include_pad = false;
  add("windows_inside", {2, 6, 33}, windows);
  windows.divisor_override = 5;
  add("windows_divisor", {2, 6, 33}, windows);
  return samples;
}

}  // namespace

const OpPtr& resample_op() {
  static const OpPtr op = define({
      .name = "resample",
      .doc = "A separable linear map of the last dimensions: average windows or interpolation.",
      .inputs = {"x"},
      .options = &options_type<ResampleGeometry>(),
      .shape_rule = [](const ShapeCall& c) { return resample_rule(c, false); },
      .forward = [](const Call& c) -> Tensors { return {apply_map(c.name(), c[0], c.opt<ResampleGeometry>())}; },
      .vjp = [](const Vjp& v) -> Tensors { return {resample_backward(v.cotangent(), v.opt<ResampleGeometry>())}; },
      .linear = {0},
      .dual = "resample_backward",
      .samples = [] { return resample_samples(false); },
  });
  return op;
}

const OpPtr& resample_backward_op() {
  static const OpPtr op = define({
      .name = "resample_backward",
      .doc = "The adjoint of resample: each value spread over what its output was made of.",
      .inputs = {"g"},
      .options = &options_type<ResampleGeometry>(),
      .shape_rule = [](const ShapeCall& c) { return resample_rule(c, true); },
      .forward = [](const Call& c) -> Tensors { return {apply_adjoint(c.name(), c[0], c.opt<ResampleGeometry>())}; },
      .vjp = [](const Vjp& v) -> Tensors { return {resample(v.cotangent(), v.opt<ResampleGeometry>())}; },
      .linear = {0},
      .dual = "resample",
      .samples = [] { return resample_samples(true); },
  });
  return op;
}

const OpPtr& interpolate_op() {
  static const OpPtr op = define({
      .name = "interpolate",
      .doc = "Images at another size: nearest pixels, linear or cubic interpolation, or averages of areas.",
      .inputs = {"x"},
      .options = &options_type<InterpolateOptions>(),
      .shape_rule = [](const ShapeCall& c) -> Specs {
        require_floating(c);
        const ResampleGeometry geometry = interpolate_geometry(c.name(), c[0].shape, c.opt<InterpolateOptions>());
        return {{with_trailing(c[0].shape, geometry.small), c[0].dtype}};
      },
      .forward = [](const Call& c) -> Tensors {
        return {apply_map(c.name(), c[0], interpolate_geometry(c.name(), c[0].shape(), c.opt<InterpolateOptions>()))};
      },
      .vjp = [](const Vjp& v) -> Tensors {
        return {resample_backward(v.cotangent(), interpolate_geometry(v.name(), v.shape(0), v.opt<InterpolateOptions>()))};
      },
      .linear = {0},
      .dual = "resample_backward",
      .onnx = "Resize",
      .source = "Keys 1981 (bicubic)",
      .samples = []() -> std::vector<Sample> {
        std::vector<Sample> samples;
        for (const ResampleCase& one : interpolate_cases())
          samples.push_back({one.name, {sample_normal(one.x, samples.size())}, one.options});
        return samples;
      },
  });
  return op;
}

Tensor resample(const Tensor& x, const ResampleGeometry& geometry) { return apply1(resample_op(), {x}, geometry); }
Tensor resample_backward(const Tensor& g, const ResampleGeometry& geometry) {
  return apply1(resample_backward_op(), {g}, geometry);
}
Tensor interpolate(const Tensor& x, const InterpolateOptions& options) { return apply1(interpolate_op(), {x}, options); }

}  // namespace duet
