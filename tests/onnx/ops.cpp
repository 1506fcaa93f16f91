// One small model for every op that is exported.
#include <duet/core/factory.hpp>
#include <duet/ops/activation.hpp>
#include <duet/ops/compare.hpp>
#include <duet/ops/conv.hpp>
#include <duet/ops/elementwise.hpp>
#include <duet/ops/index.hpp>
#include <duet/ops/matmul.hpp>
#include <duet/ops/norm.hpp>
#include <duet/ops/pad.hpp>
#include <duet/ops/pool.hpp>
#include <duet/ops/reduce.hpp>
#include <duet/ops/resample.hpp>
#include <duet/ops/shape.hpp>
#include <duet/ops/softmax.hpp>

#include "support.hpp"

namespace duet {
namespace {

using Compute = Callable<Tensor(const Tensor&)>;

struct Row {
  const char* name;
  Compute compute;
};

/// x is (N, 4, 8, 10), of any size behind the channels.
std::vector<Row> pointwise_rows() {
  return {
      {"arithmetic", [](const Tensor& x) { return (x + 2) * x - x / 3 + neg(x); }},
      {"relu", [](const Tensor& x) { return relu(x); }},
      {"sigmoid", [](const Tensor& x) { return sigmoid(x); }},
      {"selu", [](const Tensor& x) { return selu(x); }},
      {"elu", [](const Tensor& x) { return elu(x, {.alpha = 0.7}); }},
      {"gelu", [](const Tensor& x) { return gelu(x) + gelu(x, {.approximate = GeluApproximation::tanh}); }},
      {"silu_mish", [](const Tensor& x) { return silu(x) + mish(x); }},
      {"softplus", [](const Tensor& x) { return softplus(x) + softplus(x, {.beta = 2}); }},
      {"hard",
       [](const Tensor& x) { return hardsigmoid(x) + hardswish(x) + hardtanh(x, {.min_val = -0.3, .max_val = 0.4}); }},
      {"clamp", [](const Tensor& x) { return clamp(x, {.min = -0.5}) + clamp(x, {.max = 0.5}); }},
      {"positive",
       [](const Tensor& x) {
         return sqrt(square(x) + 1) + log(exp(x)) + rsqrt(abs(x) + 1) + reciprocal(abs(x) + 1) + log1p(abs(x));
       }},
      {"waves", [](const Tensor& x) { return sin(x) + cos(x) + sign(x) + pow(abs(x) + 1, 1.5) + pow(abs(x) + 1, x); }},
      {"compare",
       [](const Tensor& x) {
         return where(gt(x, Tensor::scalar(0)), x, x * 3) + to(lt(x, x * x), f32) + to(ge(x, x), f32);
       }},
      {"extremes", [](const Tensor& x) { return maximum(x, x * x) + minimum(x, neg(x)) + lerp(x, x * x, 0.25); }},
      {"softmax", [](const Tensor& x) { return softmax(x, {.dim = 1}) + log_softmax(x, {.dim = -1}); }},
      {"reduce",
       [](const Tensor& x) {
         return sum(x, {.dim = {1}, .keepdim = true}) + mean(x, {.dim = {-1, 2}, .keepdim = true}) +
                amax(x, {.dim = {1}, .keepdim = true}) + logsumexp(x, {.dim = {1}, .keepdim = true}) + amin(x);
       }},
      {"permute",
       [](const Tensor& x) {
         return permute(x, {0, 2, -1, 1});
       }},
      {"reshape",
       [](const Tensor& x) {
         return reshape(x, {x.size(0), 2, 2, -1});
       }},
      {"flatten", [](const Tensor& x) { return reshape(x, {-1}); }},
      {"slices",
       [](const Tensor& x) {
         return slice(x, {.dim = 3, .start = 1, .step = 2}) + slice(x, {.dim = -1, .end = -1, .step = 2});
       }},
      {"cat_stack",
       [](const Tensor& x) {
         return stack({cat({x, x * 2}, 1), cat({x * 3, x}, 1)}, -1);
       }},
      {"expand", [](const Tensor& x) { return expand(mean(x, {.dim = {1}, .keepdim = true}), x.shape()) + x; }},
      {"pads",
       [](const Tensor& x) {
         return pad(pad(x, {.pad = {1, 2, 0, -1}, .value = 0.5}), {.pad = {2, 1}, .mode = PadMode::reflect});
       }},
      {"replicate",
       [](const Tensor& x) {
         return pad(x, {.pad = {2, 1, 3, 0}, .mode = PadMode::replicate});
       }},
      {"select_channels",
       [](const Tensor& x) {
         return index_select(x, 1, Tensor::from_span(std::vector<std::int64_t>{3, 0, 0}, {3}));
       }},
  };
}

std::vector<Row> image_rows() {
  const auto weights = [](const Shape& shape) { return randn(shape); };
  const Tensor k33 = weights({6, 2, 3, 3}), same = weights({4, 4, 4, 2}), up = weights({4, 3, 3, 4}), b6 = weights({6}),
               b4 = weights({4}), product = weights({5, 10}), mixing = weights({10, 6});
  return {
      {"conv",
       [=](const Tensor& x) {
         return conv2d(x, k33, b6, {.stride = {2, 1}, .padding = {1, 2}, .dilation = {1, 2}, .groups = 2});
       }},
      {"conv_same", [=](const Tensor& x) { return conv2d(x, same, b4, {.padding = "same"}); }},
      {"conv_transpose",
       [=](const Tensor& x) {
         return conv_transpose2d(x, up, {}, {.stride = {2, 3}, .padding = 1, .output_padding = {1, 2}});
       }},
      {"max_pool", [](const Tensor& x) { return max_pool2d(x, {.kernel_size = 3, .stride = 2, .padding = 1}); }},
      {"max_pool_ceil",
       [](const Tensor& x) { return max_pool2d(x, {.kernel_size = 3, .stride = 2, .ceil_mode = true}); }},
      {"avg_pool",
       [](const Tensor& x) {
         return avg_pool2d(x, {.kernel_size = {2, 3}, .padding = 1}) +
                avg_pool2d(x, {.kernel_size = {2, 3}, .padding = 1, .count_include_pad = false});
       }},
      {"global_pools", [](const Tensor& x) { return adaptive_avg_pool2d(x, 1) + adaptive_max_pool2d(x, 1); }},
      {"instance_norm", [](const Tensor& x) { return instance_norm(x); }},
      {"group_norm", [=](const Tensor& x) { return group_norm(x, b4, {}, {.num_groups = 2}); }},
      {"interpolate_nearest", [](const Tensor& x) { return interpolate(x, {.scale_factor = {2}}); }},
      {"interpolate_bilinear",
       [](const Tensor& x) {
         return interpolate(x, {.scale_factor = {2, 3}, .mode = InterpolateMode::bilinear});
       }},
      {"interpolate_corners",
       [](const Tensor& x) {
         return interpolate(x, {.scale_factor = {2}, .mode = InterpolateMode::bilinear, .align_corners = true});
       }},
      {"interpolate_follows",
       [](const Tensor& x) {
         return interpolate(x, {.size = {x.size(2) * 2, x.size(3) / 2}, .mode = InterpolateMode::bilinear});
       }},
      {"interpolate_fixed",
       [](const Tensor& x) {
         return interpolate(x, {.size = {5, 7}, .mode = InterpolateMode::bilinear});
       }},
      {"interpolate_bicubic",
       [](const Tensor& x) { return interpolate(x, {.scale_factor = {2}, .mode = InterpolateMode::bicubic}); }},
      {"shuffle", [](const Tensor& x) { return pixel_shuffle(x, 2); }},
      {"linear",
       [=](const Tensor& x) {
         return linear(slice(x, 3, 0, 4), slice(product, 1, 0, 4), {}) +
                linear(slice(x, 3, 0, 4), slice(product, 1, 2, 6), slice(b6, 0, 0, 5));
       }},
      {"matmul", [=](const Tensor& x) { return matmul(matmul(x, x, {.transpose_b = true}), x); }},
      {"layer_norm",
       [=](const Tensor& x) { return layer_norm(slice(x, 3, 0, 6), b6, b6 * 2, {.normalized_shape = {6}}); }},
  };
}

}  // namespace

std::vector<OnnxCase> op_cases() {
  manual_seed(4);
  std::vector<OnnxCase> cases;
  for (const auto& rows : {pointwise_rows(), image_rows()})
    for (const Row& row : rows)
      cases.push_back({row.name,
                       std::make_shared<Formula>(row.compute),
                       randn({2, 4, 8, 10}),
                       {.dynamic = {0, 2, 3}},
                       {randn({3, 4, 6, 14})}});
  return cases;
}

}  // namespace duet
