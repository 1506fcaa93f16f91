// The models that are exported: the zoo's shapes, built from layers.
#include <duet/core/factory.hpp>
#include <duet/nn/activation.hpp>
#include <duet/nn/container.hpp>
#include <duet/nn/conv.hpp>
#include <duet/nn/linear.hpp>
#include <duet/nn/models/unet.hpp>
#include <duet/nn/norm.hpp>
#include <duet/nn/pool.hpp>
#include <duet/ops/activation.hpp>
#include <duet/ops/elementwise.hpp>
#include <duet/ops/resample.hpp>
#include <duet/ops/shape.hpp>
#include <duet/ops/softmax.hpp>

#include "support.hpp"

namespace duet {
namespace {

/// DCGAN's generator on 16 × 16 pixels.
struct Generator16 : nn::Module {
  nn::ConvTranspose2d first{this, "first", 12, 16, 4, {.bias = false}};
  nn::BatchNorm2d norm1{this, "norm1", 16};
  nn::ConvTranspose2d second{this, "second", 16, 8, 4, {.stride = 2, .padding = 1, .bias = false}};
  nn::BatchNorm2d norm2{this, "norm2", 8};
  nn::ConvTranspose2d third{this, "third", 8, 3, 4, {.stride = 2, .padding = 1}};
  Tensor forward(const Tensor& z) override {
    const Tensor x = relu(norm1(first(reshape(z, {z.size(0), 12, 1, 1}))));
    return tanh(third(relu(norm2(second(x)))));
  }
};

/// ESPCN: convolutions, pixel shuffle, added to bicubic interpolation.
struct Super : nn::Module {
  nn::Conv2d first{this, "first", 1, 8, 5, {.padding = 2}};
  nn::Conv2d second{this, "second", 8, 9, 3, {.padding = "same"}};
  Tensor forward(const Tensor& x) override {
    return pixel_shuffle(second(tanh(first(x))), 3) +
           interpolate(x, {.scale_factor = {3}, .mode = InterpolateMode::bicubic});
  }
};

struct Classifier : nn::Module {
  nn::Conv2d conv1{this, "conv1", 1, 6, 3, {.stride = 2, .padding = 1}};
  nn::BatchNorm2d norm1{this, "norm1", 6};
  nn::Conv2d conv2{this, "conv2", 6, 12, 3, {.padding = 1, .groups = 3}};
  nn::GroupNorm norm2{this, "norm2", 4, 12};
  nn::Linear head{this, "head", 12 * 3 * 3, 10};
  Tensor forward(const Tensor& x) override {
    Tensor y = max_pool2d(leaky_relu(norm1(conv1(x)), {.negative_slope = 0.2}), 2);
    y = silu(norm2(conv2(y)));
    return log_softmax(head(reshape(y, {y.size(0), -1})));
  }
};

/// Weights and statistics that are not the first ones.
template <class M>
std::shared_ptr<M> settled(std::shared_ptr<M> model) {
  const NoGradGuard no_grad;
  for (auto& [name, tensor] : model->state_dict()) {
    if (tensor.dtype() != f32) continue;
    Tensor target = tensor;
    const Tensor noise = rand(tensor.shape());
    float* out = target.template mutable_data<float>();
    for (std::int64_t i = 0; i < tensor.numel(); ++i) {
      const bool variance = name.ends_with("running_var");
      out[i] = variance ? 0.5f + noise.data<float>()[i] : out[i] + 0.2f * (noise.data<float>()[i] - 0.5f);
    }
  }
  model->eval();
  return model;
}

}  // namespace

std::vector<OnnxCase> model_cases() {
  manual_seed(3);
  std::vector<OnnxCase> cases;
  const auto unet = settled(std::make_shared<nn::UNet>(nn::UNetOptions{.base_channels = 4, .depth = 3}));
  const std::vector<Tensor> sizes{randn({1, 1, 32, 20}), randn({3, 1, 8, 48})};
  cases.push_back({"unet", unet, randn({2, 1, 16, 24}), {.dynamic = {0, 2, 3}}, sizes});
  cases.push_back(
      {"unet_unfolded", unet, randn({2, 1, 16, 24}), {.dynamic = {0, 2, 3}, .fold_batch_norm = false}, sizes});
  cases.push_back({"unet_odd", unet, randn({1, 1, 17, 23}), {}, {randn({3, 1, 17, 23})}});
  cases.push_back({"generator", settled(std::make_shared<Generator16>()), randn({2, 12}), {}, {randn({5, 12})}});
  cases.push_back({"super",
                   settled(std::make_shared<Super>()),
                   randn({1, 1, 9, 7}),
                   {.dynamic = {0, 2, 3}},
                   {randn({2, 1, 12, 5})}});
  cases.push_back(
      {"classifier", settled(std::make_shared<Classifier>()), randn({2, 1, 12, 12}), {}, {randn({7, 1, 12, 12})}});
  return cases;
}

}  // namespace duet
