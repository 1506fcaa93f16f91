// Every layer once: the shape it gives, the names in its state (PyTorch's), its derivatives in float64 by input and
// parameters, and what it refuses.
#include <doctest/doctest.h>

#include <cmath>
#include <memory>

#include <duet/autograd/gradcheck.hpp>
#include <duet/core/factory.hpp>
#include <duet/core/random.hpp>
#include <duet/nn/activation.hpp>
#include <duet/nn/container.hpp>
#include <duet/nn/conv.hpp>
#include <duet/nn/dropout.hpp>
#include <duet/nn/embedding.hpp>
#include <duet/nn/flatten.hpp>
#include <duet/nn/gradcheck.hpp>
#include <duet/nn/gradient_penalty.hpp>
#include <duet/nn/layer_norm.hpp>
#include <duet/nn/linear.hpp>
#include <duet/nn/loss.hpp>
#include <duet/nn/norm.hpp>
#include <duet/nn/pad.hpp>
#include <duet/nn/pool.hpp>
#include <duet/nn/resample.hpp>
#include <duet/ops/elementwise.hpp>
#include <duet/ops/norm.hpp>
#include <duet/ops/reduce.hpp>
#include <duet/ops/shape.hpp>

using namespace duet;
using Keys = std::vector<std::string>;

namespace {

/// Values of which no two are closer than 0.1: nothing near a max pool's tie.
Tensor distinct(const Shape& shape) {
  Generator random(7);
  return reshape(to(randperm(shape.numel(), random), f64), shape) * 0.1 - 1.0;
}

Keys keys_of(const nn::Module& module) {
  Keys keys;
  for (const auto& [name, tensor] : module.state_dict()) keys.push_back(name);
  return keys;
}

/// Output shape, state and derivatives of a layer at x.
void check_layer(nn::Module&& layer, const Shape& x, const Shape& y, const Keys& keys = {}) {
  CAPTURE(layer.kind());
  layer.to(f64);
  const Tensor input = distinct(x);
  CHECK(layer(input).shape() == y);
  CHECK(keys_of(layer) == keys);
  const GradcheckResult result =
      gradcheck_module(layer, [&](const Tensor& in) { return layer(in); }, input, {.order = 2});
  CHECK_MESSAGE(result, to_string(result));
}

}  // namespace

TEST_CASE("convolutions of one to three dimensions as layers") {
  manual_seed(1);
  check_layer(nn::Conv1d{2, 3, 3, {.stride = 2, .padding = 1}}, {2, 2, 7}, {2, 3, 4}, {"weight", "bias"});
  check_layer(nn::Conv2d{2, 4, {3, 2}, {.padding = "same", .dilation = {1, 2}, .groups = 2}}, {1, 2, 4, 5},
              {1, 4, 4, 5}, {"weight", "bias"});
  check_layer(nn::Conv3d{1, 2, 2, {.padding = "valid", .bias = false}}, {1, 1, 3, 3, 2}, {1, 2, 2, 2, 1}, {"weight"});
  check_layer(nn::ConvTranspose1d{2, 3, 3, {.stride = 2, .output_padding = 1}}, {2, 2, 3}, {2, 3, 8},
              {"weight", "bias"});
  check_layer(nn::ConvTranspose2d{2, 1, 2, {.stride = 2}}, {1, 2, 2, 3}, {1, 1, 4, 6}, {"weight", "bias"});
  check_layer(nn::ConvTranspose3d{2, 2, 2, {.groups = 2}}, {1, 2, 1, 2, 2}, {1, 2, 2, 3, 3}, {"weight", "bias"});
  // Without a batch.
  check_layer(nn::Conv2d{2, 3, 3}, {2, 4, 5}, {3, 2, 3}, {"weight", "bias"});
  check_layer(nn::ConvTranspose2d{2, 1, 2, {.stride = 2}}, {2, 2, 3}, {1, 4, 6}, {"weight", "bias"});
}

TEST_CASE("pools of one to three dimensions as layers") {
  check_layer(nn::MaxPool1d{2}, {1, 2, 6}, {1, 2, 3});
  check_layer(nn::MaxPool2d{{3, 2}, {.stride = 2, .padding = {1, 0}, .ceil_mode = true}}, {1, 2, 5, 5}, {1, 2, 3, 3});
  check_layer(nn::MaxPool3d{2, {.stride = 1, .dilation = 2}}, {1, 1, 3, 3, 4}, {1, 1, 1, 1, 2});
  check_layer(nn::AvgPool1d{3, {.stride = 1, .padding = 1}}, {2, 2, 4}, {2, 2, 4});
  check_layer(nn::AvgPool2d{2, {.ceil_mode = true, .count_include_pad = false}}, {1, 2, 3, 5}, {1, 2, 2, 3});
  check_layer(nn::AvgPool3d{2, {.divisor_override = 3}}, {1, 1, 2, 4, 2}, {1, 1, 1, 2, 1});
  check_layer(nn::AdaptiveAvgPool1d{3}, {1, 2, 5}, {1, 2, 3});
  check_layer(nn::AdaptiveAvgPool2d{{2, -1}}, {1, 2, 5, 3}, {1, 2, 2, 3});
  check_layer(nn::AdaptiveAvgPool3d{1}, {2, 1, 2, 3, 2}, {2, 1, 1, 1, 1});
  check_layer(nn::AdaptiveMaxPool1d{2}, {1, 2, 5}, {1, 2, 2});
  check_layer(nn::AdaptiveMaxPool2d{{-1, 2}}, {1, 2, 3, 5}, {1, 2, 3, 2});
  check_layer(nn::AdaptiveMaxPool3d{{1, 2, 2}}, {1, 1, 2, 3, 4}, {1, 1, 1, 2, 2});
  CHECK_THROWS_WITH_AS(nn::AvgPool2d(0), doctest::Contains("[AvgPool2d] kernel_size"), ValueError);
  CHECK_THROWS_WITH_AS(nn::AdaptiveMaxPool1d(0), doctest::Contains("[AdaptiveMaxPool1d] output_size"), ValueError);
  CHECK(nn::AvgPool3d(2).kind() == "AvgPool3d");
  CHECK(nn::AdaptiveAvgPool2d(1).describe() == "output_size=(1, 1)");
}

TEST_CASE("max unpool puts maxima back where they came from") {
  const Tensor x = distinct({1, 2, 5, 4});
  nn::MaxPool2d pool{2};
  nn::MaxUnpool2d unpool{2};
  const MaxPoolResult pooled = pool.with_indices(x);
  CHECK(pooled.y.to_vector() == pool(x).to_vector());
  const Tensor back = unpool(pooled.y, pooled.indices, {5, 4});
  CHECK(back.shape() == x.shape());
  const auto values = x.to_vector(), found = back.to_vector();
  double sum_of_maxima = 0, sum_found = 0;
  for (const double v : pooled.y.to_vector()) sum_of_maxima += v;
  for (std::size_t i = 0; i < found.size(); ++i) {
    CHECK((found[i] == 0 || found[i] == values[i]));
    sum_found += found[i];
  }
  CHECK(sum_found == doctest::Approx(sum_of_maxima));
  CHECK(unpool(pooled.y, pooled.indices).shape() == Shape{1, 2, 4, 4});
  const MaxPoolResult line = nn::MaxPool1d{2}.with_indices(distinct({2, 6}));
  CHECK(nn::MaxUnpool1d{2}(line.y, line.indices).shape() == Shape{2, 6});
  const MaxPoolResult volume = nn::MaxPool3d{2}.with_indices(distinct({1, 2, 2, 4}));
  CHECK(nn::MaxUnpool3d{2}(volume.y, volume.indices).shape() == Shape{1, 2, 2, 4});
  CHECK(gradcheck([&](const Tensors& in) { return Tensors{unpool(in[0], pooled.indices)}; }, {pooled.y}, {.order = 2}));
  CHECK_THROWS_WITH_AS(unpool(pooled.y, pooled.indices, {9, 4}), doctest::Contains("output_size along dimension"),
                       ShapeError);
}

TEST_CASE("normalisations as layers") {
  const Keys running{"weight", "bias", "running_mean", "running_var", "num_batches_tracked"};
  const auto check_norm = [](nn::Module&& layer, const Shape& x, const Keys& keys) {
    check_layer(std::move(layer), x, x, keys);
  };
  check_norm(nn::BatchNorm1d{3}, {4, 3}, running);
  check_norm(nn::BatchNorm2d{2}, {2, 2, 3, 2}, running);
  check_norm(nn::BatchNorm3d{2, {.affine = false}}, {2, 2, 1, 3, 2},
             {"running_mean", "running_var", "num_batches_tracked"});
  check_norm(nn::InstanceNorm1d{2}, {2, 2, 5}, {});
  check_norm(nn::InstanceNorm2d{2, {.affine = true}}, {1, 2, 3, 3}, {"weight", "bias"});
  check_norm(nn::InstanceNorm3d{1}, {2, 1, 2, 2, 2}, {});
  check_norm(nn::GroupNorm{2, 4}, {2, 4, 3}, {"weight", "bias"});
  check_norm(nn::LayerNorm{{3, 4}}, {2, 3, 4}, {"weight", "bias"});
  check_norm(nn::LayerNorm{{4}, {.bias = false}}, {3, 4}, {"weight"});
  check_norm(nn::LayerNorm{{4}, {.elementwise_affine = false}}, {3, 4}, {});
  check_norm(nn::RMSNorm{{5}}, {2, 3, 5}, {"weight"});
  check_norm(nn::RMSNorm{{2, 3}, {.eps = 0.1, .elementwise_affine = false}}, {2, 2, 3}, {});
  CHECK_THROWS_WITH_AS(nn::LayerNorm(Shape{}), doctest::Contains("[LayerNorm] normalized_shape needs"), ValueError);
  CHECK_THROWS_WITH_AS(nn::RMSNorm({3, 0}), doctest::Contains("[RMSNorm]"), ValueError);
  CHECK_THROWS_AS(nn::LayerNorm({3})(ones({2, 4})), ShapeError);
  // The root mean square of a row of ones is one, whatever eps is taken for this dtype.
  CHECK(nn::RMSNorm({4})(ones({1, 4})).to_vector()[0] == doctest::Approx(1).epsilon(1e-6));
}

TEST_CASE("dropout acts in training and not in evaluation") {
  manual_seed(3);
  check_layer(nn::Dropout{0.3}, {4, 5}, {4, 5});
  check_layer(nn::Dropout2d{0.5}, {2, 3, 2, 2}, {2, 3, 2, 2});
  nn::Dropout layer{0.5};
  const Tensor x = ones({1000});
  std::int64_t zeros_found = 0;
  for (const double v : layer(x).to_vector()) zeros_found += v == 0;
  CHECK(zeros_found > 400);
  CHECK(zeros_found < 600);
  layer.eval();
  CHECK(layer(x).to_vector() == x.to_vector());
  CHECK_THROWS_WITH_AS(nn::Dropout(1.5), doctest::Contains("p must be in [0, 1], got 1.5"), ValueError);
  CHECK_THROWS_AS(nn::Dropout2d(-1), ValueError);
}

TEST_CASE("embedding looks rows up and leaves the padding row alone") {
  manual_seed(4);
  nn::Embedding layer{5, 3, {.padding_idx = -1}};
  CHECK(keys_of(layer) == Keys{"weight"});
  const std::vector<std::int64_t> words{0, 4, 2, 4};
  const Tensor indices = Tensor::from_span(std::span<const std::int64_t>(words), {2, 2});
  const Tensor y = layer(indices);
  CHECK(y.shape() == Shape{2, 2, 3});
  CHECK(select(reshape(y, {4, 3}), 0, 1).to_vector() == std::vector<double>(3, 0));
  sum(square(y + 1.0)).backward();
  const auto gradient = layer.weight.grad().to_vector();
  CHECK(gradient[12] == 0);  // row 4
  CHECK(gradient[0] != 0);
  nn::Embedding plain{5, 3};
  plain.to(f64);
  CHECK(gradcheck_module(plain, [&](const Tensor& in) { return plain(in); }, indices, {.order = 2}));
  CHECK_THROWS_WITH_AS(nn::Embedding(0, 3), doctest::Contains("num_embeddings"), ValueError);
  CHECK_THROWS_WITH_AS(nn::Embedding(5, 3, {.padding_idx = 5}), doctest::Contains("[-5, 4]"), ValueError);
}

TEST_CASE("resampling, windows, padding and flattening as layers") {
  check_layer(nn::Upsample{{.scale_factor = {2}}}, {1, 2, 2, 3}, {1, 2, 4, 6});
  check_layer(nn::Upsample{{.size = {5, 4}, .mode = InterpolateMode::bilinear, .align_corners = true}}, {1, 1, 3, 2},
              {1, 1, 5, 4});
  check_layer(nn::PixelShuffle{2}, {1, 8, 2, 3}, {1, 2, 4, 6});
  check_layer(nn::PixelUnshuffle{2}, {1, 2, 4, 6}, {1, 8, 2, 3});
  check_layer(nn::Unfold{{.kernel_size = {2, 3}, .padding = 1}}, {1, 2, 3, 3}, {1, 12, 12});
  check_layer(nn::Fold{{.output_size = {3, 4}, .kernel_size = 2}}, {1, 8, 6}, {1, 2, 3, 4});
  check_layer(nn::ZeroPad1d{1}, {1, 2, 3}, {1, 2, 5});
  check_layer(nn::ZeroPad2d{{1, 2, 0, -1}}, {1, 1, 3, 3}, {1, 1, 2, 6});
  check_layer(nn::ZeroPad3d{1}, {1, 1, 1, 2, 1}, {1, 1, 3, 4, 3});
  check_layer(nn::ConstantPad1d{{2, 0}, 0.5}, {1, 2, 3}, {1, 2, 5});
  check_layer(nn::ConstantPad2d{1, -3.0}, {2, 2, 2}, {2, 4, 4});
  check_layer(nn::ConstantPad3d{1, 2.0}, {1, 1, 1, 1}, {1, 3, 3, 3});
  check_layer(nn::ReflectionPad1d{{2, 1}}, {1, 2, 4}, {1, 2, 7});
  check_layer(nn::ReflectionPad2d{1}, {1, 1, 3, 3}, {1, 1, 5, 5});
  check_layer(nn::ReflectionPad3d{1}, {1, 1, 2, 2, 2}, {1, 1, 4, 4, 4});
  check_layer(nn::ReplicationPad1d{2}, {1, 2, 2}, {1, 2, 6});
  check_layer(nn::ReplicationPad2d{{0, 1, 2, 0}}, {1, 1, 2, 3}, {1, 1, 4, 4});
  check_layer(nn::ReplicationPad3d{1}, {1, 1, 1, 2, 1}, {1, 1, 3, 4, 3});
  check_layer(nn::CircularPad1d{1}, {1, 2, 3}, {1, 2, 5});
  check_layer(nn::CircularPad2d{{1, 1, 0, 2}}, {1, 1, 3, 2}, {1, 1, 5, 4});
  check_layer(nn::CircularPad3d{1}, {1, 1, 2, 1, 2}, {1, 1, 4, 3, 4});
  check_layer(nn::Flatten{}, {2, 3, 4}, {2, 12});
  check_layer(nn::Flatten{0, 1}, {2, 3, 4}, {6, 4});
  check_layer(nn::Unflatten{1, {3, -1}}, {2, 12}, {2, 3, 4});
  CHECK(nn::ReflectionPad2d(1).kind() == "ReflectionPad2d");
  CHECK(nn::ConstantPad1d(1, 0.5).describe() == "pad=(1, 1), mode=constant, value=0.5");
  CHECK_THROWS_WITH_AS(nn::CircularPad2d({1, 1}), doctest::Contains("[CircularPad2d] needs 4 amounts"), ValueError);
  CHECK_THROWS_WITH_AS(nn::ReplicationPad1d(1)(ones({3})),
                       doctest::Contains("[ReplicationPad1d] x needs 3 dimensions, or 2"), ShapeError);
  CHECK_THROWS_WITH_AS(nn::Upsample(InterpolateOptions{}), doctest::Contains("[Upsample] needs either size"),
                       ValueError);
  CHECK_THROWS_AS(nn::PixelShuffle(0), ValueError);
  CHECK_THROWS_WITH_AS(nn::Unflatten(1, {5, -1})(ones({2, 12})), doctest::Contains("does not split into (5, -1)"),
                       ShapeError);
}

TEST_CASE("layers with new names stand in Sequential under their positions") {
  nn::Sequential net{nn::Conv2d{1, 4, 3, {.padding = 1}},
                     nn::PixelShuffle{2},
                     nn::ReflectionPad2d{1},
                     nn::AdaptiveAvgPool2d{2},
                     nn::Flatten{},
                     nn::LayerNorm{{4}},
                     nn::Dropout{},
                     nn::Linear{4, 2}};
  CHECK(net(ones({3, 1, 5, 5})).shape() == Shape{3, 2});
  CHECK(keys_of(net) == Keys{"0.weight", "0.bias", "5.weight", "5.bias", "7.weight", "7.bias"});
}

TEST_CASE("losses as modules are their ops") {
  manual_seed(5);
  const Tensor x = randn({3, 4}, {.dtype = f64}), t = rand({3, 4}, {.dtype = f64}), p = t * 0.8 + 0.1;
  const std::vector<std::int64_t> classes{1, 3, 0};
  const Tensor labels = Tensor::from_span(std::span<const std::int64_t>(classes), {3});
  const Tensor weights = rand({4}, {.dtype = f64}) + 0.5;
  const auto same = [](nn::Loss&& module, const Tensor& input, const Tensor& target, const Tensor& expected,
                       const Keys& keys = {}) {
    CAPTURE(module.kind());
    CHECK(module(input, target).to_vector() == expected.to_vector());
    CHECK(keys_of(module) == keys);
    CHECK(gradcheck([&](const Tensors& in) { return Tensors{module(in[0], target)}; }, {input}, {.order = 1}));
  };
  same(nn::MSELoss{}, x, t, mse_loss(x, t));
  same(nn::MSELoss{{Reduction::none}}, x, t, mse_loss(x, t, {Reduction::none}));
  same(nn::L1Loss{{Reduction::sum}}, x, t, l1_loss(x, t, {Reduction::sum}));
  same(nn::SmoothL1Loss{{.beta = 0.5}}, x, t, smooth_l1_loss(x, t, {.beta = 0.5}));
  same(nn::HuberLoss{{.delta = 0.7}}, x, t, huber_loss(x, t, {.delta = 0.7}));
  same(nn::KLDivLoss{{.reduction = KlReduction::batchmean}}, log(p), t,
       kl_div(log(p), t, {.reduction = KlReduction::batchmean}));
  same(nn::DiceLoss{{.smooth = 2}}, x, t, dice_loss(x, t, {.smooth = 2}));
  same(nn::DiceBCELoss{}, x, t, dice_bce_loss(x, t));
  same(nn::FocalLoss{{.alpha = 0.4, .gamma = 1.5}}, x, t, focal_loss(x, t, {.alpha = 0.4, .gamma = 1.5}));
  same(nn::BCELoss{}, p, t, binary_cross_entropy(p, t));
  same(nn::BCELoss{{Reduction::sum}, weights}, p, t, binary_cross_entropy(p, t, {Reduction::sum}, weights), {"weight"});
  same(nn::BCEWithLogitsLoss{{}, {}, weights}, x, t, binary_cross_entropy_with_logits(x, t, {}, {}, weights),
       {"pos_weight"});
  same(nn::CrossEntropyLoss{{.label_smoothing = 0.1}, weights}, x, labels,
       cross_entropy(x, labels, {.label_smoothing = 0.1}, weights), {"weight"});
  same(nn::NLLLoss{{.ignore_index = 3}}, x, labels, nll_loss(x, labels, {.ignore_index = 3}));
  CHECK(nn::HuberLoss({.delta = 0.7}).describe() == "reduction=mean, delta=0.7");
  CHECK_THROWS_AS(nn::MSELoss{}(x, ones({4}, {.dtype = f64})), ShapeError);
}

TEST_CASE("layers say their settings as they are written in Python") {
  CHECK(nn::LeakyReLU{0.2}.describe() == "negative_slope=0.2");
  CHECK(nn::ELU{0.5}.describe() == "alpha=0.5");
  CHECK(nn::GELU{true}.describe() == "approximate=tanh");
  CHECK(nn::GELU{}.describe() == "approximate=none");
  CHECK(nn::Softplus{2}.describe() == "beta=2, threshold=20");
  CHECK(nn::Hardtanh{-2, 3}.describe() == "min_val=-2, max_val=3");
  CHECK(nn::Softmax{1}.describe() == "dim=1");
  CHECK(nn::LogSoftmax{}.describe() == "dim=-1");
  CHECK(nn::Dropout{0.25}.describe() == "p=0.25");
  CHECK(nn::Dropout2d{0.25}.describe() == "p=0.25");
  CHECK(nn::Embedding{10, 3}.describe() == "10, 3");
  CHECK(nn::Embedding{10, 3, {.padding_idx = 0}}.describe() == "10, 3, padding_idx=0");
  CHECK(nn::Flatten{}.describe() == "start_dim=1, end_dim=-1");
  CHECK(nn::Unflatten{1, {2, 3}}.describe() == "dim=1, unflattened_size=(2, 3)");
  CHECK(nn::LayerNorm{{4, 2}, {.bias = false}}.describe() == "(4, 2), eps=1e-05, elementwise_affine=true, bias=false");
  CHECK(nn::RMSNorm{{4}}.describe() == "(4,), eps=none, elementwise_affine=true");
  CHECK(nn::GroupNorm{2, 6}.describe() == "2, 6, eps=1e-05, affine=true");
  CHECK(nn::InstanceNorm2d{3}.describe() == "3, eps=1e-05, momentum=0.1, affine=false, track_running_stats=false");
  CHECK(nn::InstanceNorm2d{3}.kind() == "InstanceNorm2d");
  CHECK(nn::PixelShuffle{2}.describe() == "upscale_factor=2");
  CHECK(nn::PixelUnshuffle{3}.describe() == "downscale_factor=3");
  CHECK(nn::Upsample{{.scale_factor = {2}}}.describe().find("scale_factor=(2)") != std::string::npos);
  CHECK(nn::Unfold{{.kernel_size = {2, 3}}}.describe().find("kernel_size=(2, 3)") != std::string::npos);
  CHECK(nn::Fold{{.output_size = {4, 5}, .kernel_size = {2}}}.describe().find("output_size=(4, 5)") != std::string::npos);
}

TEST_CASE("the gradient penalty is what the norm of a critic's gradient says, and trains the critic") {
  manual_seed(6);
  const Tensor real = randn({4, 3}, {.dtype = f64}), fake = randn({4, 3}, {.dtype = f64});
  // A linear critic has the same gradient everywhere: w.
  const Tensor w = randn({3}, {.dtype = f64});
  const auto penalty_of = [&](const Tensor& weight) {
    Generator random(1);
    return nn::gradient_penalty([&](const Tensor& x) { return sum(x * weight, {.dim = {1}}); }, real, fake,
                                {.weight = 5, .target = 2}, random);
  };
  const double length = norm(w).item();
  CHECK(penalty_of(w).item() == doctest::Approx(5 * (length - 2) * (length - 2)));
  CHECK(gradcheck([&](const Tensors& in) { return Tensors{penalty_of(in[0])}; }, {w}, {.order = 2}));
  // A quadratic one has the gradient w x at x.
  const auto r1 = [&](const Tensor& weight) {
    return nn::r1_penalty([&](const Tensor& x) { return sum(square(x) * weight * 0.5, {.dim = {1}}); }, real, 3);
  };
  CHECK(r1(w).item() == doctest::Approx(1.5 * mean(sum(square(real * w), {.dim = {1}})).item()));
  CHECK(gradcheck([&](const Tensors& in) { return Tensors{r1(in[0])}; }, {w}, {.order = 2}));
  const auto constant = [](const Tensor&) { return Tensor::scalar(1, {.dtype = f64, .requires_grad = true}); };
  CHECK_THROWS_WITH_AS(nn::r1_penalty(constant, real), doctest::Contains("do not depend on its input"), AutogradError);
  CHECK_THROWS_AS(nn::gradient_penalty(constant, real, randn({3, 3}, {.dtype = f64})), ShapeError);
  CHECK_THROWS_AS(nn::gradient_penalty(constant, ones({3}), ones({3})), ShapeError);
}
