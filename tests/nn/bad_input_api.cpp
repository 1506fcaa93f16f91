// Calls that must fail, of everything but ops (tests/ops/bad_input*.cpp): tensors, random numbers, files, autograd's
// functions, layers, initial values, optimizers, schedules, averages, data sets and loaders, checkpoints, models.
#include <doctest/doctest.h>

#include <cmath>
#include <cstdint>
#include <fstream>

#include <duet/autograd/backward.hpp>
#include <duet/autograd/functional.hpp>
#include <duet/autograd/gradcheck.hpp>
#include <duet/autograd/taylor.hpp>
#include <duet/core/allocator.hpp>
#include <duet/core/factory.hpp>
#include <duet/core/parallel.hpp>
#include <duet/core/random.hpp>
#include <duet/core/safetensors.hpp>
#include <duet/nn/activation.hpp>
#include <duet/nn/checkpoint.hpp>
#include <duet/nn/container.hpp>
#include <duet/nn/conv.hpp>
#include <duet/nn/data/crop.hpp>
#include <duet/nn/data/image_file.hpp>
#include <duet/nn/data/image_set.hpp>
#include <duet/nn/data/loader.hpp>
#include <duet/nn/data/normalization.hpp>
#include <duet/nn/data/png.hpp>
#include <duet/nn/data/synthetic.hpp>
#include <duet/nn/dropout.hpp>
#include <duet/nn/ema.hpp>
#include <duet/nn/embedding.hpp>
#include <duet/nn/flatten.hpp>
#include <duet/nn/init.hpp>
#include <duet/nn/layer_norm.hpp>
#include <duet/nn/linear.hpp>
#include <duet/nn/metrics/confusion.hpp>
#include <duet/nn/models/unet.hpp>
#include <duet/nn/norm.hpp>
#include <duet/nn/optim/clip.hpp>
#include <duet/nn/optim/optimizers.hpp>
#include <duet/nn/optim/schedules.hpp>
#include <duet/nn/pad.hpp>
#include <duet/nn/pool.hpp>
#include <duet/nn/resample.hpp>
#include <duet/ops/elementwise.hpp>
#include <duet/ops/reduce.hpp>

#include "bad_call.hpp"

using namespace duet;
using namespace bad_input;

namespace {

Tensor x() { return ones({2, 3}); }
Tensor leaf() { return ones({2, 3}, {.requires_grad = true}); }
Tensor image_batch() { return ones({1, 2, 4, 4}); }
std::vector<Tensor> parameters() { return {leaf()}; }

optim::SGD& sgd() {
  static optim::SGD optimizer(parameters(), {.lr = 0.1});
  return optimizer;
}

nn::Linear& linear_layer() {
  static nn::Linear layer{3, 2};
  return layer;
}

/// A data set of one sample.
struct One : data::Dataset {
  std::int64_t size() const override { return 1; }
  data::Sample get(std::int64_t, Generator&) const override { return {ones({1}), ones({1})}; }
};
struct None : One {
  std::int64_t size() const override { return 0; }
};

std::string garbage() {
  const std::string path = "bad_input_garbage.bin";
  std::ofstream(path) << "this is no file of any format that is read here";
  return path;
}

std::vector<BadCall> core_calls() {
  return {
      {Kind::shape, "[shape] negative size", [] { ones({-1}); }},
      {Kind::shape, "more elements than 64 bits count",
       [] { empty({std::int64_t{1} << 40, std::int64_t{1} << 40}); }},
      {Kind::shape, "at most 8 dimensions",
       [] { ones({1, 1, 1, 1, 1, 1, 1, 1, 1}); }},
      {Kind::shape, "overflows", [] { empty({std::int64_t{1} << 62}); }},
      {Kind::dtype, "i64 tensors have no gradients", [] { ones({2}, {.dtype = i64, .requires_grad = true}); }},
      {Kind::value, "a step other than 0", [] { arange(0, 5, 0); }},
      {Kind::value, "finite bounds", [] { arange(0, INFINITY); }},
      {Kind::shape, "more than memory holds", [] { arange(0, 1e18); }},
      {Kind::value, "count must not be negative", [] { linspace(0, 1, -1); }},
      {Kind::shape, "5 values do not fill shape (2, 3), which has 6",
       [] {
         const std::vector<float> v(5);
         Tensor::from_span(std::span<const float>(v), {2, 3});
       }},
      {Kind::shape, "differ in rank",
       [] {
         float v[4] = {};
         Tensor::wrap(v, {2, 2}, {1});
       }},
      {Kind::value, "negative stride",
       [] {
         float v[4] = {};
         Tensor::wrap(v, {4}, {-1});
       }},
      {Kind::value, "null pointer for 4 elements", [] { Tensor::wrap<float>(nullptr, {4}, {1}); }},
      {Kind::value, "was never given a value", [] { Tensor().shape(); }},
      {Kind::value, "was never given a value", [] { Tensor().to_vector(); }},
      {Kind::dtype, "read as f64", [] { x().data<double>(); }},
      {Kind::dtype, "written as i64", [] { x().mutable_data<std::int64_t>(); }},
      {Kind::autograd, "a leaf that requires a gradient", [] { leaf().mutable_data<float>(); }},
      {Kind::value, "wrapped as constant",
       [] {
         static const float v[2] = {};
         Tensor::wrap(v, {2}, {1}).mutable_data<float>();
       }},
      {Kind::shape, "needs a tensor of one element, got (2, 3)", [] { x().item(); }},
      {Kind::shape, "dim 2 is out of range [-2, 1]", [] { x().size(2); }},
      {Kind::dtype, "have no gradients", [] { ones({2}, {.dtype = u8}).set_requires_grad(); }},
      {Kind::autograd, "detach() gives a leaf", [] { (leaf() * 2.0).set_requires_grad(false); }},
      {Kind::autograd, "gradient (3,) f32 does not fit tensor (2, 3) f32", [] { leaf().set_grad(ones({3})); }},
      {Kind::value, "empty range [3, 3)", [] { randint(3, 3, {2}); }},
      {Kind::value, "empty range [5, 2)", [] { Generator().integer(5, 2); }},
      {Kind::dtype, "needs f32 or f64", [] { rand({2}, {.dtype = i64}); }},
      {Kind::dtype, "needs f32 or f64", [] { randn({2}, {.dtype = u8}); }},
      {Kind::value, "needs 1 to 1024 threads, got 0", [] { set_num_threads(0); }},
      {Kind::value, "needs 1 to 1024 threads, got 5000", [] { set_num_threads(5000); }},
      {Kind::value, "needs a number of bytes >= 0, got -1", [] { set_memory_limit(-1); }},
      {Kind::io, "cannot", [] { load_safetensors("there/is/no/such.safetensors"); }},
      {Kind::io, "header", [] { load_safetensors(garbage()); }},
      {Kind::io, "is not a file", [] { load_safetensors("."); }},
      {Kind::io, "cannot",
       [] { save_safetensors("there/is/no/such.safetensors", {{"x", x()}}); }},
      {Kind::value, "given twice",
       [] { save_safetensors("bad_input.safetensors", {{"x", x()}, {"x", x()}}); }},
      {Kind::value, "is undefined",
       [] { save_safetensors("bad_input.safetensors", {{"x", Tensor()}}); }},
      {Kind::value, "reserved",
       [] { save_safetensors("bad_input.safetensors", {{"__metadata__", x()}}); }},
  };
}

std::vector<BadCall> autograd_calls() {
  return {
      {Kind::autograd, "is not a scalar: pass a cotangent", [] { (leaf() * 2.0).backward(); }},
      {Kind::autograd, "does not require a gradient", [] { sum(x()).backward(); }},
      {Kind::autograd, "does not fit its output", [] { (leaf() * 2.0).backward(ones({3})); }},
      {Kind::autograd, "pass allow_unused = true", [] { grad({sum(leaf())}, {leaf()}); }},
      {Kind::autograd, "does not require a gradient", [] { grad({sum(leaf())}, {x()}); }},
      {Kind::autograd, "2 cotangents for 1 outputs",
       [] { backward({leaf() * 2.0}, {x(), x()}); }},
      {Kind::dtype, "use f64", [] { gradcheck([](const Tensors& in) { return in; }, {x()}); }},
      {Kind::value, "order must be at least 1", [] { gradcheck([](const Tensors& in) { return in; }, {ones({2}, {.dtype = f64})}, {.order = 0}); }},
      {Kind::value, "linear names input 4", [] { gradcheck([](const Tensors& in) { return in; }, {ones({2}, {.dtype = f64})}, {.linear = {4}}); }},
      {Kind::value, "by names input 1", [] { gradcheck([](const Tensors& in) { return in; }, {ones({2}, {.dtype = f64})}, {.by = {1}}); }},
      {Kind::value, "none of the 1 inputs is floating", [] { gradcheck([](const Tensors& in) { return in; }, {ones({2}, {.dtype = i64})}); }},
      {Kind::dtype, "needs f64, got x", [] { taylor_test([](const Tensor& in) { return sum(in); }, x(), x()); }},
  };
}

std::vector<BadCall> layer_calls() {
  return {
      {Kind::value, "[Linear] in_features must be at least 1, got 0", [] { nn::Linear(0, 2); }},
      {Kind::value, "out_features must be at least 1, got -3", [] { nn::Linear(3, -3); }},
      {Kind::shape, "[linear]",
       [] { linear_layer()(ones({2, 4})); }},
      {Kind::dtype, "[linear] needs one dtype",
       [] { linear_layer()(ones({2, 3}, {.dtype = f64})); }},
      {Kind::value, "[Conv2d] in_channels must be at least 1", [] { nn::Conv2d(0, 2, 3); }},
      {Kind::value, "[Conv1d] kernel_size must be at least 1, got 0", [] { nn::Conv1d(1, 2, 0); }},
      {Kind::value, "[Conv3d] 2 groups do not divide 3 input and 4 output channels", [] { nn::Conv3d(3, 4, 3, {.groups = 2}); }},
      {Kind::value, "[ConvTranspose2d] groups must be at least 1", [] { nn::ConvTranspose2d(2, 2, 3, {.groups = 0}); }},
      {Kind::shape, "[conv2d] weight expects 3 input channels, x has 2", [] { nn::Conv2d(3, 4, 3)(image_batch()); }},
      {Kind::shape, "cannot be reached from 4",
       [] {
         nn::ConvTranspose2d layer(2, 2, 2, {.stride = 2});
         layer(image_batch(), {20, 8});
       }},
      {Kind::value, "[BatchNorm2d] the number of features", [] { nn::BatchNorm2d(0); }},
      {Kind::shape, "normalises 3 channels, x has 2", [] { nn::BatchNorm2d(3)(image_batch()); }},
      {Kind::shape, "needs 4 dimensions", [] { nn::BatchNorm2d(3)(x()); }},
      {Kind::value, "more than one value per channel",
       [] { nn::BatchNorm1d(3)(ones({1, 3})); }},
      {Kind::value, "[InstanceNorm1d]", [] { nn::InstanceNorm1d(-1); }},
      {Kind::value, "3 groups do not divide 4 channels", [] { nn::GroupNorm(3, 4); }},
      {Kind::shape, "[GroupNorm] normalises 4 channels", [] { nn::GroupNorm(2, 4)(image_batch()); }},
      {Kind::value, "normalized_shape needs at least one size", [] { nn::LayerNorm(Shape{}); }},
      {Kind::value, "[RMSNorm] every size of normalized_shape", [] { nn::RMSNorm({0}); }},
      {Kind::shape, "does not end in normalized_shape", [] { nn::LayerNorm({4})(x()); }},
      {Kind::shape, "[layer_norm] x (2, 3) does not end in normalized_shape (2,)", [] { nn::LayerNorm({2})(x()); }},
      {Kind::shape, "needs 3 dimensions", [] { nn::InstanceNorm1d(3)(x()); }},
      {Kind::value, "[AdaptiveMaxPool3d] output_size must be at least 1, got -2",
       [] { nn::AdaptiveMaxPool3d({1, -2, 1}); }},
      {Kind::value, "[Dropout] p must be in [0, 1], got 1.5", [] { nn::Dropout(1.5); }},
      {Kind::value, "[Dropout2d] p must be in [0, 1], got nan", [] { nn::Dropout2d(NAN); }},
      {Kind::value, "[Embedding] num_embeddings", [] { nn::Embedding(0, 2); }},
      {Kind::value, "[Embedding] embedding_dim must be at least 1, got -1", [] { nn::Embedding(3, -1); }},
      {Kind::value, "padding_idx -6 is out of range [-5, 4]", [] { nn::Embedding(5, 2, {.padding_idx = -6}); }},
      {Kind::value, "padding_idx 7 is out of range [-5, 4]", [] { nn::Embedding(5, 2, {.padding_idx = 7}); }},
      {Kind::dtype, "indices must be i64", [] { nn::Embedding(5, 2)(x()); }},
      {Kind::value, "index 9 at position 1 is out of range [0, 5)",
       [] {
         const std::vector<std::int64_t> v{0, 9};
         nn::Embedding(5, 2)(Tensor::from_span(std::span<const std::int64_t>(v), {2}));
       }},
      {Kind::value, "[MaxPool2d] kernel_size", [] { nn::MaxPool2d(0); }},
      {Kind::value, "[AvgPool1d] kernel_size", [] { nn::AvgPool1d(-2); }},
      {Kind::value, "[MaxUnpool3d] kernel_size", [] { nn::MaxUnpool3d(0); }},
      {Kind::value, "[AdaptiveAvgPool2d] output_size must be at least 1, got 0",
       [] { nn::AdaptiveAvgPool2d({0, 2}); }},
      {Kind::shape, "does not fit size 4", [] { nn::AvgPool2d(5)(image_batch()); }},
      {Kind::value, "[Upsample] needs either size or scale_factor", [] { nn::Upsample(InterpolateOptions{}); }},
      {Kind::value, "[PixelShuffle] upscale_factor", [] { nn::PixelShuffle(0); }},
      {Kind::shape, "do not divide by 3²", [] { nn::PixelShuffle(3)(image_batch()); }},
      {Kind::value, "[PixelUnshuffle]", [] { nn::PixelUnshuffle(-1); }},
      {Kind::value, "[ReflectionPad2d] needs 4 amounts",
       [] { nn::ReflectionPad2d({1, 2, 3}); }},
      {Kind::shape, "reflecting 4 elements", [] { nn::ReflectionPad1d(4)(x()); }},
      {Kind::shape, "[ZeroPad3d] x needs 5 dimensions, or 4 unbatched", [] { nn::ZeroPad3d(1)(x()); }},
      {Kind::shape, "dim 5 is out of range", [] { nn::Flatten(5)(x()); }},
      {Kind::shape, "does not split into (2, 2)",
       [] { nn::Unflatten(1, {2, 2})(x()); }},
      {Kind::shape, "[softmax] dim 7", [] { nn::Softmax(7)(x()); }},
      {Kind::value, "position 3 of 1",
       [] {
         nn::Sequential net{nn::ReLU{}};
         net.at(3);
       }},
      {Kind::value, "no module to add",
       [] {
         nn::Sequential net;
         net.add(std::unique_ptr<nn::Module>());
       }},
      {Kind::value, "names are not empty and have no dots",
       [] {
         struct Net : nn::Module {
           nn::ReLU a{this, "a.b"};
         } net;
       }},
      {Kind::value, "already has a member named 'a'",
       [] {
         struct Net : nn::Module {
           nn::ReLU a{this, "a"}, b{this, "a"};
         } net;
       }},
      {Kind::value, "has no forward",
       [] {
         nn::ModuleList<nn::ReLU> list;
         list(x());
       }},
      {Kind::dtype, "can be f32 or f64, not i64", [] { linear_layer().to(i64); }},
      {Kind::value, "the tensors do not fit Linear",
       [] { linear_layer().load_state_dict({{"weight", ones({2, 2})}}); }},
      {Kind::value, "the tensors do not fit Linear",
       [] { linear_layer().load_state_dict({{"weight", ones({2, 3})}, {"bias", ones({2})}, {"more", ones({2})}}); }},
      {Kind::autograd, "assign its detach()",
       [] {
         nn::Linear layer{3, 2};
         layer.weight = layer.weight * 2.0;
       }},
      {Kind::value, "in_channels", [] { nn::UNet({.in_channels = 0}); }},
      {Kind::value, "depth must be at most", [] { nn::UNet({.depth = 60}); }},
      {Kind::shape, "levels needs x (N, 1, H, W)", [] { nn::UNet({.base_channels = 1, .depth = 2})(image_batch()); }},
      {Kind::io, "cannot", [] { nn::UNet::load("there/is/no/such.safetensors"); }},
  };
}

std::vector<BadCall> init_calls() {
  return {
      {Kind::value, "low 1 is above high 0", [] { nn::init::uniform_(x(), 1, 0); }},
      {Kind::value, "deviation must not be negative, got -1", [] { nn::init::normal_(x(), 0, -1); }},
      {Kind::value, "a positive deviation and low < high", [] { nn::init::trunc_normal_(x(), 0, 0); }},
      {Kind::value, "holds nothing of N(0, 1", [] { nn::init::trunc_normal_(x(), 0, 1, 50, 60); }},
      {Kind::shape, "two dimensions or more, got (3,)", [] { nn::init::kaiming_uniform_(ones({3})); }},
      {Kind::shape, "two dimensions or more", [] { nn::init::xavier_normal_(ones({3})); }},
      {Kind::shape, "rank 3 to 5", [] { nn::init::dirac_(x()); }},
      {Kind::value, "2 groups do not divide",
       [] { nn::init::dirac_(ones({3, 1, 3}), 2); }},
      {Kind::shape, "[bilinear_] needs a weight",
       [] { nn::init::bilinear_(ones({2, 3, 4, 4})); }},
      {Kind::value, "scale 2 squared does not divide the 3 filters",
       [] { nn::init::icnr_(ones({3, 1, 3, 3}), 2); }},
      {Kind::dtype, "needs f32 or f64", [] { nn::init::normal_(ones({2}, {.dtype = i64})); }},
  };
}

std::vector<BadCall> optim_calls() {
  return {
      {Kind::value, "group 0 has no parameters", [] { optim::SGD({}, {.lr = 0.1}); }},
      {Kind::value, "given twice",
       [] {
         const Tensor p = leaf();
         optim::Adam({p, p});
       }},
      {Kind::value, "given twice",
       [] {
         const Tensor p = leaf();
         optim::Adam({{{p}, {}}, {{p}, {.lr = 1}}});
       }},
      {Kind::autograd, "is no leaf: an optimizer moves leaves", [] { optim::SGD({leaf() * 2.0}); }},
      {Kind::dtype, "", [] { optim::SGD({ones({2}, {.dtype = i64})}); }},
      {Kind::value, "got -1", [] { optim::SGD(parameters(), {.lr = -1}); }},
      {Kind::value, "got nan", [] { optim::SGD(parameters(), {.lr = NAN}); }},
      {Kind::value, "momentum must not be negative, got -0.5", [] { optim::SGD(parameters(), {.momentum = -0.5}); }},
      {Kind::value, "needs a momentum above 0 and no dampening", [] { optim::SGD(parameters(), {.momentum = 0.9, .dampening = 0.1, .nesterov = true}); }},
      {Kind::value, "alpha must lie in [0, 1), got 1", [] { optim::RMSprop(parameters(), {.alpha = 1}); }},
      {Kind::value, "initial_accumulator_value must not be negative", [] { optim::Adagrad(parameters(), {.initial_accumulator_value = -1}); }},
      {Kind::value, "[SGD]", [] { optim::SGD(parameters(), {.nesterov = true}); }},
      {Kind::value, "got 1",
       [] { optim::Adam(parameters(), {.betas = {1, 0.9}}); }},
      {Kind::value, "got -1e-08", [] { optim::Adam(parameters(), {.eps = -1e-8}); }},
      {Kind::value, "[AdamW]", [] { optim::AdamW(parameters(), {.weight_decay = -1}); }},
      {Kind::value, "[RMSprop]", [] { optim::RMSprop(parameters(), {.alpha = -1}); }},
      {Kind::value, "[Adagrad]", [] { optim::Adagrad(parameters(), {.lr_decay = -1}); }},
      {Kind::value, "[Lion]",
       [] { optim::Lion(parameters(), {.betas = {0.9, 2}}); }},
      {Kind::value, "call backward() on a loss that depends on them", [] { sgd().step(); }},
      {Kind::value, "there is no group 3", [] { sgd().lr(3); }},
      {Kind::value, "lr must be finite and not negative", [] { sgd().set_lr(INFINITY); }},
      {Kind::value, "momentum must lie in [0, 1)", [] { optim::SGD(parameters(), {.momentum = 0.5}).set_momentum(0, 2); }},
      {Kind::value, "has no momentum", [] { optim::Adagrad(parameters()).momentum(); }},
      {Kind::value, "the saved state does not fit", [] { sgd().load_state_dict({}); }},
      {Kind::value, "max_norm must be positive, got 0", [] { optim::clip_grad_norm_(parameters(), 0); }},
      {Kind::value, "norm_type must be positive", [] { optim::grad_norm(parameters(), -1); }},
      {Kind::value, "clip_value must not be negative", [] { optim::clip_grad_value_(parameters(), -1); }},
      {Kind::value, "the norm of the gradients is nan",
       [] {
         Tensor p = leaf();
         p.set_grad(full({2, 3}, NAN));
         optim::clip_grad_norm_({p}, 1, {.error_if_nonfinite = true});
       }},
      {Kind::value, "[ExponentialLR]", [] { optim::Schedule(optim::ExponentialLR{.gamma = -1}); }},
      {Kind::value, "pct_start must lie in [0, 1], got 2", [] { optim::Schedule(optim::OneCycleLR{.total_steps = 5, .pct_start = 2}); }},
      {Kind::value, "start_factor must lie in (0, 1]", [] { optim::Schedule(optim::LinearLR{.start_factor = 0}); }},
      {Kind::value, "[StepLR]", [] { optim::Schedule(optim::StepLR{.step_size = 0}); }},
      {Kind::value, "milestones must rise",
       [] { optim::Schedule(optim::MultiStepLR{.milestones = {5, 2}}); }},
      {Kind::value, "[CosineAnnealingLR]", [] { optim::Schedule(optim::CosineAnnealingLR{.T_max = 0}); }},
      {Kind::value, "[CosineAnnealingWarmRestarts]", [] { optim::Schedule(optim::CosineAnnealingWarmRestarts{.T_0 = 0}); }},
      {Kind::value, "[LinearLR]", [] { optim::Schedule(optim::LinearLR{.total_iters = 0}); }},
      {Kind::value, "[PolynomialLR]", [] { optim::Schedule(optim::PolynomialLR{.total_iters = -1}); }},
      {Kind::value, "[OneCycleLR]", [] { optim::Schedule(optim::OneCycleLR{.total_steps = 0}); }},
      {Kind::value, "there is no function", [] { optim::Schedule(optim::LambdaLR{}); }},
      {Kind::value, "schedules need",
       [] { optim::Schedule(optim::SequentialLR{{optim::StepLR{}}, {1, 2}}); }},
      {Kind::value, "there are no schedules", [] { optim::Schedule(optim::ChainedLR{}); }},
      {Kind::value, "has no momentum",
       [] {
         optim::Adagrad adagrad(parameters());
         optim::Scheduler(adagrad, optim::OneCycleLR{.total_steps = 5});
       }},
      {Kind::value, "[ReduceLROnPlateau]", [] { optim::ReduceLROnPlateau(sgd(), {.factor = 1.5}); }},
      {Kind::value, "decay must lie in [0, 1)", [] { nn::ExponentialMovingAverage(linear_layer(), {.decay = 1}); }},
      {Kind::value, "swap() back before update()",
       [] {
         nn::Linear model{2, 2};
         nn::ExponentialMovingAverage ema(model);
         ema.swap();
         ema.update();
       }},
  };
}

std::vector<BadCall> data_calls() {
  return {
      {Kind::value, "the data set is empty", [] { data::DataLoader(None{}); }},
      {Kind::value, "batch_size must be at least 1, got 0", [] { data::DataLoader(One{}, {.batch_size = 0}); }},
      {Kind::value, "workers must be 0 to 256, got -1", [] { data::DataLoader(One{}, {.workers = -1}); }},
      {Kind::value, "prefetch must be at least 1", [] { data::DataLoader(One{}, {.prefetch = 0}); }},
      {Kind::value, "drop_last is set", [] { data::DataLoader(One{}, {.batch_size = 2, .drop_last = true}); }},
      {Kind::value, "there is no batch 5 in epoch 0", [] { data::DataLoader(One{}).seek(0, 5); }},
      {Kind::io, "there is no folder", [] { data::ImageSet::open("there/is/no/such"); }},
      {Kind::value, "channels must be 0 to 4, got 9", [] { data::ImageSet::open(".", {.channels = 9}); }},
      {Kind::value, "needs at least one image, got 0", [] { data::ImageSet::generated(0); }},
      {Kind::value, "there is no image 4 among 1", [] { data::ImageSet::generated(1, {.size = 32}).load(4); }},
      {Kind::value, "there is no range [1, 5) among 1", [] { data::ImageSet::generated(1, {.size = 32}).subset(1, 5); }},
      {Kind::value, "size must be 16 to 16384, got 4", [] { data::synthetic_membrane(0, {.size = 4}); }},
      {Kind::value, "noise must be 0 to 1", [] { data::synthetic_membrane(0, {.size = 32, .noise = 2}); }},
      {Kind::value, "cell must be 8 to 1024", [] { data::synthetic_membrane(0, {.size = 32, .cell = 1}); }},
      {Kind::shape, "[crop] needs (channels, height, width)", [] { data::crop(x(), 2, {}); }},
      {Kind::value, "size must be at least 1, got 0",
       [] { data::CropDataset(data::ImageSet::generated(1, {.size = 32}), {.mean = {0.5}, .deviation = {1}}, {.size = 0}); }},
      {Kind::value, "the images have 2 classes, not 1",
       [] {
         data::CropDataset(data::ImageSet::generated(1, {.size = 32}), {.mean = {0.5}, .deviation = {1}}, {.size = 8, .classes = 1});
       }},
      {Kind::value, "needs 2 to 256 classes, got 1", [] { metrics::ConfusionMatrix(1); }},
      {Kind::dtype, "class ids as u8", [] { metrics::ConfusionMatrix(2).add(x(), x()); }},
      {Kind::shape, "differ in shape", [] { metrics::ConfusionMatrix(2).add(zeros({2}, {.dtype = u8}), zeros({3}, {.dtype = u8})); }},
      {Kind::value, "class id 9 is not among 2", [] { metrics::ConfusionMatrix(2).add(full({2}, 9, {.dtype = u8}), zeros({2}, {.dtype = u8})); }},
      {Kind::value, "2 classes and 3 do not add up", [] { metrics::ConfusionMatrix(2).add(metrics::ConfusionMatrix(3)); }},
      {Kind::io, "is not a PNG file", [] { data::read_png(garbage()); }},
      {Kind::io, "no/such.png", [] { data::read_png("there/is/no/such.png"); }},
      {Kind::io, "no/such.png", [] { data::read_png_info("there/is/no/such.png"); }},
      {Kind::value, "bit_depth must be 8 or 16, got 4", [] { data::write_png("bad.png", x(), {.bit_depth = 4}); }},
      {Kind::dtype, "needs u8, f32 or f64, got i64",
       [] { data::write_png("bad.png", ones({2, 2}, {.dtype = i64})); }},
      {Kind::shape, "1 to 4, height, width",
       [] { data::write_png("bad.png", ones({5, 2, 2})); }},
      {Kind::io, "no/such.png", [] { data::write_png("there/is/no/such.png", x()); }},
      {Kind::value, "channels must be 0 to 4, got 9", [] { data::read_image("bad.png", 9); }},
      {Kind::io, "cannot read the folder", [] { data::list_images("there/is/no/such"); }},
      {Kind::shape, "[normalize] expects (1, …), got (3, 2, 2)",
       [] { data::normalize(ones({3, 2, 2}), {.mean = {0}, .deviation = {1}}); }},
      {Kind::io, "cannot", [] { nn::Checkpoint::load("there/is/no/such.ckpt"); }},
      {Kind::io, "header", [] { nn::Checkpoint::load(garbage()); }},
      {Kind::value, "given twice",
       [] {
         nn::Checkpoint c;
         c.set("a", 1);
         c.set("a", 2);
       }},
      {Kind::value, "has no text or number 'a'", [] { nn::Checkpoint().number("a"); }},
      {Kind::value, "has no state 'model'",
       [] {
         nn::Linear model{2, 2};
         nn::Checkpoint().restore("model", model);
       }},
      {Kind::io, "cannot", [] { nn::Checkpoint().save("there/is/no/such.ckpt"); }},
  };
}

}  // namespace

TEST_CASE("the public API refuses bad calls with a typed error that says what is wrong, and changes nothing") {
  const std::vector<double> layer = values(linear_layer().parameters()), optimized = values(sgd().parameters());
  const int threads = num_threads();
  int calls = 0;
  for (const auto& table : {core_calls(), autograd_calls(), layer_calls(), init_calls(), optim_calls(), data_calls()})
    for (const BadCall& one : table) {
      CAPTURE(std::string(one.text));
      const std::string wrong = wrong_with(one);
      CHECK_MESSAGE(wrong.empty(), wrong);
      ++calls;
    }
  CHECK(values(linear_layer().parameters()) == layer);
  CHECK(values(sgd().parameters()) == optimized);
  CHECK(num_threads() == threads);
  CHECK(calls >= 200);
  MESSAGE(calls << " bad calls");
}
