// Calls that must fail, of the elementwise ops, reductions, losses, products and convolutions.
#include <cmath>
#include <cstdint>
#include <vector>

#include <duet/core/factory.hpp>
#include <duet/ops/activation.hpp>
#include <duet/ops/compare.hpp>
#include <duet/ops/conv.hpp>
#include <duet/ops/elementwise.hpp>
#include <duet/ops/inplace.hpp>
#include <duet/ops/loss.hpp>
#include <duet/ops/loss_composed.hpp>
#include <duet/ops/matmul.hpp>
#include <duet/ops/reduce.hpp>
#include <duet/ops/softmax.hpp>

#include "bad_input.hpp"

using namespace duet;

namespace bad_input {
namespace {

Tensor doubles() { return ones({2, 3}, {.dtype = f64}); }
Tensor other() { return ones({3, 2}); }
Tensor classes() { return index({0, 2}); }
Tensor picture() { return ones({1, 4, 5, 5}); }

/// In-place writes need a target of their own.
Tensor fresh() { return ones({2, 3}); }

}  // namespace

std::vector<BadCall> arithmetic_calls() {
  return {
      {Kind::shape, "[add] shapes do not broadcast, sizes 3 and 2 differ in dimension -1:\n  (2, 3)\n  (3, 2)", [] { add(matrix(), other()); }},
      {Kind::shape, "  (1, 2, 4, 6)\n        (2, 3)", [] { mul(image(), doubles()); }},
      {Kind::shape, "[sub] shapes do not broadcast", [] { sub(matrix(), ones({2})); }},
      {Kind::shape, "[div] shapes do not broadcast", [] { div(matrix(), ones({4})); }},
      {Kind::shape, "[maximum] shapes do not broadcast", [] { maximum(matrix(), other()); }},
      {Kind::shape, "[minimum] shapes do not broadcast", [] { minimum(matrix(), other()); }},
      {Kind::shape, "[pow] shapes do not broadcast", [] { pow(matrix(), other()); }},
      {Kind::shape, "[where] shapes do not broadcast", [] { where(index({1, 0}), matrix(), matrix()); }},
      {Kind::shape, "[lerp] shapes do not broadcast", [] { lerp(matrix(), matrix(), other()); }},
      {Kind::shape, "[eq] shapes do not broadcast", [] { eq(matrix(), other()); }},
      {Kind::shape, "[lt] shapes do not broadcast", [] { static_cast<void>(matrix() < other()); }},
      {Kind::shape, "[logical_and] shapes do not broadcast", [] { logical_and(whole(), index({1, 2})); }},
      {Kind::dtype, "[add] needs one dtype, got a (2, 3) f32 and b (2, 3) f64", [] { add(matrix(), doubles()); }},
      {Kind::dtype, "[sub] needs one dtype", [] { matrix() - whole(); }},
      {Kind::dtype, "[mul] needs one dtype", [] { mul(doubles(), matrix()); }},
      {Kind::dtype, "[div] needs f32 or f64, got a (6,) i64", [] { whole() / whole(); }},
      {Kind::dtype, "[maximum] needs one dtype", [] { maximum(matrix(), doubles()); }},
      {Kind::dtype, "[pow] needs f32 or f64", [] { pow(whole(), 2.0); }},
      {Kind::dtype, "[pow] needs one dtype", [] { pow(matrix(), doubles()); }},
      {Kind::dtype, "[where] condition needs u8 or i64", [] { where(matrix(), matrix(), matrix()); }},
      {Kind::dtype, "[where] needs one dtype", [] { where(gt(matrix(), 0.0), matrix(), doubles()); }},
      {Kind::dtype, "[lerp] needs one dtype", [] { lerp(matrix(), doubles(), matrix()); }},
      {Kind::dtype, "[ge] needs one dtype", [] { ge(matrix(), whole()); }},
      {Kind::dtype, "[sqrt] needs f32 or f64, got x (6,) i64", [] { sqrt(whole()); }},
      {Kind::dtype, "[rsqrt]", [] { rsqrt(whole()); }},
      {Kind::dtype, "[exp]", [] { exp(whole()); }},
      {Kind::dtype, "[log]", [] { log(whole()); }},
      {Kind::dtype, "[log1p]", [] { log1p(whole()); }},
      {Kind::dtype, "[sin]", [] { sin(whole()); }},
      {Kind::dtype, "[cos]", [] { cos(whole()); }},
      {Kind::dtype, "[reciprocal]", [] { reciprocal(whole()); }},
      {Kind::dtype, "[clamp] needs f32 or f64", [] { clamp(whole(), {.min = 0}); }},
      {Kind::value, "[clamp] needs min or max or both", [] { clamp(matrix(), {}); }},
      {Kind::dtype, "0.5 does not fit", [] { whole() * 0.5; }},
      {Kind::dtype, "300 does not fit", [] { full({2}, 1, {.dtype = u8}) + 300; }},
      {Kind::dtype, "-1 does not fit", [] { static_cast<void>(full({2}, 1, {.dtype = u8}) > -1.0); }},
      {Kind::value, "'a'", [] { add({}, matrix()); }},
      {Kind::value, "'b'", [] { div(matrix(), {}); }},
      {Kind::value, "'x'", [] { neg({}); }},
      {Kind::value, "'condition'", [] { where({}, matrix(), matrix()); }},
      {Kind::value, "'weight'", [] { lerp(matrix(), matrix(), Tensor()); }},
      {Kind::value, "'x'", [] { logical_not({}); }},
      {Kind::dtype, "[relu] needs f32 or f64", [] { relu(whole()); }},
      {Kind::dtype, "[sigmoid]", [] { sigmoid(whole()); }},
      {Kind::dtype, "[tanh]", [] { tanh(whole()); }},
      {Kind::dtype, "[leaky_relu]", [] { leaky_relu(whole()); }},
      {Kind::dtype, "[elu]", [] { elu(whole()); }},
      {Kind::dtype, "[selu]", [] { selu(whole()); }},
      {Kind::dtype, "[gelu]", [] { gelu(whole()); }},
      {Kind::dtype, "[silu]", [] { silu(whole()); }},
      {Kind::dtype, "[mish]", [] { mish(whole()); }},
      {Kind::dtype, "[softplus]", [] { softplus(whole()); }},
      {Kind::dtype, "[hardtanh]", [] { hardtanh(whole()); }},
      {Kind::dtype, "[hardsigmoid]", [] { hardsigmoid(whole()); }},
      {Kind::dtype, "[hardswish]", [] { hardswish(whole()); }},
      {Kind::value, "min_val 1 is greater than max_val -1", [] { hardtanh(matrix(), {.min_val = 1, .max_val = -1}); }},
      {Kind::shape, "needs one shape, got g (2, 3) and y (3, 2)", [] { relu_backward(matrix(), other()); }},
      {Kind::dtype, "[sigmoid_backward] needs one dtype", [] { sigmoid_backward(matrix(), doubles()); }},
      {Kind::shape, "[gelu_backward]", [] { gelu_backward(matrix(), other(), {}); }},
      {Kind::shape, "[inside]", [] { inside(matrix(), other(), {}); }},
      {Kind::shape, "[add_]", [] { Tensor x = fresh(); add_(x, other()); }},
      {Kind::dtype, "[mul_]", [] { Tensor x = fresh(); mul_(x, doubles()); }},
      {Kind::shape, "[copy_]", [] { Tensor x = fresh(); copy_(x, ones({4})); }},
      {Kind::dtype, "[add_]", [] { Tensor x = index({1, 2}); add_(x, 1); }},
      {Kind::autograd, "[fill_]", [] { Tensor x = ones({2}, {.requires_grad = true}); fill_(x, 1); }},
  };
}

std::vector<BadCall> reduction_calls() {
  return {
      {Kind::shape, "[sum] dim 2 is out of range [-2, 1]", [] { sum(matrix(), {.dim = {2}}); }},
      {Kind::shape, "[sum] dim 0 appears twice", [] { sum(matrix(), {.dim = {0, -2}}); }},
      {Kind::shape, "[mean] dim -3 is out of range [-2, 1]", [] { mean(matrix(), {.dim = {-3}}); }},
      {Kind::dtype, "[mean] needs f32 or f64", [] { mean(whole()); }},
      {Kind::shape, "[amax]", [] { amax(empty_batch()); }},
      {Kind::shape, "[amin]", [] { amin(empty_batch(), {.dim = {0}}); }},
      {Kind::shape, "[amax] dim 5 is out of range [-4, 3]", [] { amax(image(), {.dim = {5}}); }},
      {Kind::dtype, "[prod] needs f32 or f64", [] { prod(whole()); }},
      {Kind::shape, "[prod] dim 2", [] { prod(matrix(), {.dim = {2}}); }},
      {Kind::dtype, "[logsumexp]", [] { logsumexp(whole()); }},
      {Kind::shape, "[logsumexp] dim 1 appears twice", [] { logsumexp(matrix(), {.dim = {1, 1}}); }},
      {Kind::shape, "[all] dim 4", [] { all(matrix(), {.dim = {4}}); }},
      {Kind::shape, "[any] dim 4", [] { any(matrix(), {.dim = {4}}); }},
      {Kind::dtype, "[var]", [] { var(whole()); }},
      {Kind::shape, "[var] dim 2", [] { var(matrix(), {.dim = {2}}); }},
      {Kind::dtype, "[std]", [] { duet::std(whole()); }},
      {Kind::shape, "[std] dim -3", [] { duet::std(matrix(), {.dim = {-3}}); }},
      {Kind::dtype, "[norm]", [] { norm(whole()); }},
      {Kind::value, "[norm] p must be a number, got NaN", [] { norm(matrix(), {.p = NAN}); }},
      {Kind::shape, "[norm] dim 2", [] { norm(matrix(), {.dim = {2}}); }},
      {Kind::shape, "[argmax] no elements", [] { argmax(empty_batch()); }},
      {Kind::shape, "[argmin] no elements", [] { argmin(empty_batch(), {.dim = 0}); }},
      {Kind::shape, "[argmax] dim 2 is out of range [-2, 1]", [] { argmax(matrix(), {.dim = 2}); }},
      {Kind::shape, "[cumsum] dim 2 is out of range [-2, 1]", [] { cumsum(matrix(), {.dim = 2}); }},
      {Kind::value, "'x'", [] { sum({}); }},
      {Kind::value, "'x'", [] { argmax({}); }},
      {Kind::shape, "[softmax] dim 2 is out of range [-2, 1]", [] { softmax(matrix(), {.dim = 2}); }},
      {Kind::dtype, "[softmax] needs f32 or f64", [] { softmax(whole()); }},
      {Kind::shape, "[log_softmax] dim -3", [] { log_softmax(matrix(), {.dim = -3}); }},
      {Kind::dtype, "[log_softmax]", [] { log_softmax(whole()); }},
      {Kind::shape, "[softmax_backward]", [] { softmax_backward(matrix(), other(), {}); }},
      {Kind::dtype, "[log_softmax_backward]", [] { log_softmax_backward(matrix(), doubles(), {}); }},
  };
}

std::vector<BadCall> loss_calls() {
  return {
      {Kind::shape, "[mse_loss] input and target need one shape, got (2, 3) and (3, 2)", [] { mse_loss(matrix(), other()); }},
      {Kind::shape, "[mse_loss] input and target need one shape, got (2, 3) and (3,)", [] { mse_loss(matrix(), ones({3})); }},
      {Kind::dtype, "[mse_loss] needs one dtype", [] { mse_loss(matrix(), doubles()); }},
      {Kind::dtype, "[mse_loss] needs f32 or f64", [] { mse_loss(whole(), whole()); }},
      {Kind::value, "'target'", [] { mse_loss(matrix(), {}); }},
      {Kind::shape, "[l1_loss]", [] { l1_loss(matrix(), scalar()); }},
      {Kind::dtype, "[l1_loss]", [] { l1_loss(whole(), whole()); }},
      {Kind::shape, "[smooth_l1_loss]", [] { smooth_l1_loss(matrix(), other()); }},
      {Kind::value, "beta must not be negative, got -1", [] { smooth_l1_loss(matrix(), matrix(), {.beta = -1}); }},
      {Kind::value, "beta must not be negative, got nan", [] { smooth_l1_loss(matrix(), matrix(), {.beta = NAN}); }},
      {Kind::shape, "[huber_loss]", [] { huber_loss(matrix(), other()); }},
      {Kind::value, "delta must be positive, got 0", [] { huber_loss(matrix(), matrix(), {.delta = 0}); }},
      {Kind::shape, "[kl_div]", [] { kl_div(matrix(), ones({2, 1})); }},
      {Kind::dtype, "[kl_div]", [] { kl_div(matrix(), doubles()); }},
      {Kind::shape, "[binary_cross_entropy]", [] { binary_cross_entropy(matrix(), ones({3})); }},
      {Kind::shape, "weight (5, 2, 3) does not broadcast to input (2, 3)", [] { binary_cross_entropy(matrix(), matrix(), {}, ones({5, 2, 3})); }},
      {Kind::dtype, "[binary_cross_entropy] needs one dtype", [] { binary_cross_entropy(matrix(), doubles()); }},
      {Kind::shape, "[binary_cross_entropy_with_logits]", [] { binary_cross_entropy_with_logits(matrix(), ones({2, 1})); }},
      {Kind::shape, "pos_weight", [] { binary_cross_entropy_with_logits(matrix(), matrix(), {}, {}, ones({4, 2, 3})); }},
      {Kind::shape, "do not fit", [] { binary_cross_entropy_with_logits_backward(ones({4, 2, 3}), matrix(), matrix()); }},
      {Kind::shape, "[cross_entropy] target needs shape (2,) for input (2, 3), got (6,)", [] { cross_entropy(matrix(), whole()); }},
      {Kind::value, "target 2 at position 1 is not a class: 2 classes", [] { cross_entropy(ones({2, 2}), classes()); }},
      {Kind::value, "target -1 at position 0 is not a class", [] { cross_entropy(matrix(), index({-1, 0})); }},
      {Kind::shape, "weight needs shape (3,)", [] { cross_entropy(matrix(), classes(), {}, ones({2})); }},
      {Kind::dtype, "needs one dtype, got input (2, 3) f32 and weight", [] { cross_entropy(matrix(), classes(), {}, ones({3}, {.dtype = f64})); }},
      {Kind::dtype, "target needs class indices of i64", [] { cross_entropy(matrix(), ones({2}, {.dtype = u8})); }},
      {Kind::dtype, "needs f32 or f64, got input", [] { cross_entropy(index({1, 2}), index({1})); }},
      {Kind::shape, "a dimension of classes, got a scalar", [] { cross_entropy(scalar(), index({0})); }},
      {Kind::shape, "at least one class", [] { cross_entropy(ones({2, 0}), classes()); }},
      {Kind::value, "label_smoothing must be in [0, 1], got 1.5", [] { cross_entropy(matrix(), classes(), {.label_smoothing = 1.5}); }},
      {Kind::shape, "or probabilities of shape (2, 3), got (3, 2) f32", [] { cross_entropy(matrix(), other()); }},
      {Kind::value, "ignore_index 1 is for targets that are classes", [] { cross_entropy(matrix(), matrix(), {.ignore_index = 1}); }},
      {Kind::shape, "weight needs shape (3,)", [] { cross_entropy(matrix(), matrix(), {}, ones({4})); }},
      {Kind::autograd, "no gradient by weight", [] { cross_entropy(matrix(), classes(), {}, ones({3}, {.requires_grad = true})).backward(); }},
      {Kind::shape, "[nll_loss] target needs shape (2,)", [] { nll_loss(matrix(), index({1})); }},
      {Kind::value, "[nll_loss] target 5", [] { nll_loss(matrix(), index({5, 0})); }},
      {Kind::dtype, "[nll_loss] target needs class indices", [] { nll_loss(matrix(), ones({2})); }},
      {Kind::shape, "[dice_loss] logits and target need one shape", [] { dice_loss(matrix(), other()); }},
      {Kind::shape, "[dice_loss] needs a batch dimension", [] { dice_loss(scalar(), scalar()); }},
      {Kind::dtype, "[dice_loss]", [] { dice_loss(whole(), whole()); }},
      {Kind::shape, "need one shape", [] { focal_loss(matrix(), other()); }},
      {Kind::value, "gamma must not be negative, got -1", [] { focal_loss(matrix(), matrix(), {.gamma = -1}); }},
      {Kind::shape, "[total_variation] x needs at least 2 dimensions", [] { total_variation(ones({3})); }},
      {Kind::dtype, "needs", [] { gan_discriminator_loss(whole(), matrix()); }},
  };
}

std::vector<BadCall> product_calls() {
  return {
      {Kind::shape, "[matmul]", [] { matmul(matrix(), matrix()); }},
      {Kind::shape, "[matmul]", [] { matmul(scalar(), matrix()); }},
      {Kind::shape, "[matmul]", [] { matmul(ones({2, 2, 3}), ones({3, 3, 2})); }},
      {Kind::dtype, "[matmul] needs f32 or f64", [] { matmul(whole(), whole()); }},
      {Kind::dtype, "[matmul] needs one dtype", [] { matmul(matrix(), ones({3, 2}, {.dtype = f64})); }},
      {Kind::shape, "[linear]", [] { linear(matrix(), ones({4, 2})); }},
      {Kind::shape, "[linear]", [] { linear(matrix(), ones({4, 3}), ones({3})); }},
      {Kind::shape, "[linear]", [] { linear(matrix(), ones({3})); }},
      {Kind::dtype, "[linear] needs one dtype", [] { linear(matrix(), ones({4, 3}, {.dtype = f64})); }},
      {Kind::value, "'weight'", [] { linear(matrix(), {}); }},
      {Kind::shape, "[conv1d] x needs 3 dimensions (N, C, L), or 2 without the batch, got (1, 4, 5, 5)", [] { conv1d(picture(), ones({2, 4, 3})); }},
      {Kind::shape, "[conv2d] weight needs 4 dimensions, got (2, 4, 3)", [] { conv2d(picture(), ones({2, 4, 3})); }},
      {Kind::shape, "[conv2d] weight expects 3 input channels, x has 4", [] { conv2d(picture(), ones({2, 3, 3, 3})); }},
      {Kind::shape, "(2 groups of 1), x has 4", [] { conv2d(picture(), ones({2, 1, 3, 3}), {.groups = 2}); }},
      {Kind::shape, "groups 2 must divide the 3 output channels", [] { conv2d(picture(), ones({3, 2, 3, 3}), {.groups = 2}); }},
      {Kind::shape, "kernel 7 (dilated: 7) does not fit axis 0 of size 5", [] { conv2d(picture(), ones({2, 4, 7, 3})); }},
      {Kind::shape, "has an empty kernel", [] { conv2d(picture(), ones({2, 4, 0, 3})); }},
      {Kind::value, "stride must be at least 1, got 0", [] { conv2d(picture(), ones({2, 4, 3, 3}), {.stride = 0}); }},
      {Kind::value, "dilation must be at least 1, got -1", [] { conv2d(picture(), ones({2, 4, 3, 3}), {.dilation = -1}); }},
      {Kind::value, "padding must not be negative, got -2", [] { conv2d(picture(), ones({2, 4, 3, 3}), {.padding = {0, -2}}); }},
      {Kind::value, "padding \"same\" needs stride 1, got 2", [] { conv2d(picture(), ones({2, 4, 3, 3}), {.stride = 2, .padding = "same"}); }},
      {Kind::value, "got \"full\"", [] { conv2d(picture(), ones({2, 4, 3, 3}), {.padding = "full"}); }},
      {Kind::value, "groups must be at least 1, got 0", [] { conv2d(picture(), ones({2, 4, 3, 3}), {.groups = 0}); }},
      {Kind::shape, "bias", [] { conv2d(picture(), ones({2, 4, 3, 3}), ones({3})); }},
      {Kind::dtype, "[conv2d] needs one dtype", [] { conv2d(picture(), ones({2, 4, 3, 3}, {.dtype = f64})); }},
      {Kind::dtype, "[conv2d] needs f32 or f64", [] { conv2d(full({1, 1, 3, 3}, 1, {.dtype = i64}), full({1, 1, 1, 1}, 1, {.dtype = i64})); }},
      {Kind::value, "'weight'", [] { conv2d(picture(), Tensor()); }},
      {Kind::shape, "[conv3d] x needs 5 dimensions (N, C, D, H, W), or 4 without the batch", [] { conv3d(matrix(), ones({2, 4, 3, 3, 3})); }},
      {Kind::shape, "[conv_transpose1d] x needs 3 dimensions", [] { conv_transpose1d(picture(), ones({4, 2, 3})); }},
      {Kind::shape, "[conv_transpose2d] weight expects 3 input channels, x has 4", [] { conv_transpose2d(picture(), ones({3, 2, 3, 3})); }},
      {Kind::shape, "groups 3 must divide the 4 input channels", [] { conv_transpose2d(picture(), ones({4, 2, 3, 3}), {.groups = 3}); }},
      {Kind::value, "output_padding must be in [0, max(stride, dilation)), got 2 with stride 2", [] { conv_transpose2d(picture(), ones({4, 2, 3, 3}), {.stride = 2, .output_padding = 2}); }},
      {Kind::value, "output_padding must be in", [] { conv_transpose2d(picture(), ones({4, 2, 3, 3}), {.output_padding = -1}); }},
      {Kind::shape, "the output of axis 0 would have size -3", [] { conv_transpose2d(picture(), ones({4, 2, 1, 1}), {.padding = 4}); }},
      {Kind::shape, "overflows 64 bits", [] { conv_transpose2d(picture(), ones({4, 2, 3, 3}), {.stride = std::int64_t{1} << 62}); }},
      {Kind::shape, "[conv_transpose3d] x needs 5 dimensions", [] { conv_transpose3d(matrix(), ones({4, 2, 3, 3, 3})); }},
      {Kind::shape, "[conv2d_weight]", [] { conv2d_weight(picture(), ones({2, 3, 3, 3}), 3); }},
      {Kind::shape, "[conv1d_weight]", [] { conv1d_weight(ones({1, 2, 5}), ones({1, 3, 9}), 3); }},
      {Kind::dtype, "[conv3d_weight]", [] { conv3d_weight(ones({1, 1, 2, 2, 2}), ones({1, 1, 2, 2, 2}, {.dtype = f64}), 1); }},
      {Kind::shape, "cannot be reached from 4: kernel 2, stride 2, padding 0 and dilation 1 reach [8, 9]", [] { output_padding_for<2>({4, 4}, {11, 8}, 2, {.stride = 2}); }},
      {Kind::value, "size must be at least 1, got 0", [] { reachable_output_sizes(0, 3); }},
      {Kind::value, "more than 2^20 sizes", [] { reachable_output_sizes(1, 3, std::int64_t{1} << 40); }},
  };
}

}  // namespace bad_input
