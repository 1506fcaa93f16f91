// libtorch on the cases of duet_bench ops that it has: the same tensors, fresh outputs.
#include <ATen/Parallel.h>
#include <torch/torch.h>

#include <cstdlib>
#include <cstring>

#include "../op_traffic.hpp"

using namespace duet::bench;
using torch::Tensor;

namespace {

std::vector<OpCase> tensor_cases() {
  const auto shape = at::IntArrayRef(op_shape, 4);
  const Tensor x = torch::randn(shape), g = torch::randn(shape), target = torch::rand(shape), one = torch::ones({});
  const Tensor w = torch::ones({64}), b = torch::zeros({64}), none;
  const auto saved = torch::native_batch_norm(x, w, b, none, none, true, 0.1, 1e-5);
  const auto pooled = torch::max_pool2d_with_indices(x, {2, 2});
  const Tensor small = torch::randn({8, 64, 64, 64});
  const Tensor classes = (torch::arange(8 * 128 * 128) % 64).reshape({8, 128, 128});
  return {
      {"add", 2, 1, [=] { torch::add(x, g); }},
      {"mul_scalar", 1, 1, [=] { torch::mul(x, 0.5); }},
      {"relu", 1, 1, [=] { torch::relu(x); }},
      {"relu_backward", 2, 1, [=] { at::threshold_backward(g, x, 0); }},
      {"leaky_relu", 1, 1, [=] { torch::leaky_relu(x, 0.2); }},
      {"sigmoid", 1, 1, [=] { torch::sigmoid(x); }},
      {"tanh", 1, 1, [=] { torch::tanh(x); }},
      {"bce", 2, 0, [=] { torch::binary_cross_entropy_with_logits(x, target); }},
      {"batch_norm", 2, 1, [=] { torch::native_batch_norm(x, w, b, none, none, true, 0.1, 1e-5); }},
      {"batch_norm_eval", 1, 1, [=] { torch::native_batch_norm(x, w, b, b, w, false, 0.1, 1e-5); }},
      {"batch_norm_backward", 4, 1,
       [=] {
         at::native_batch_norm_backward(g, x, w, none, none, std::get<1>(saved), std::get<2>(saved), true, 1e-5,
                                        {true, true, true});
       }},
      {"group_norm", 2, 1, [=] { torch::group_norm(x, 8, w, b); }},
      {"max_pool", 1, 0.3125,
       [=] {
         torch::max_pool2d_with_indices(x, {2, 2});
       }},
      {"max_pool_backward", 0.3125, 1,
       [=] {
         at::max_pool2d_with_indices_backward(small, x, {2, 2}, {2, 2}, {0, 0}, {1, 1}, false, std::get<1>(pooled));
       }},
      {"avg_pool", 1, 0.25,
       [=] {
         torch::avg_pool2d(x, {2, 2});
       }},
      {"upsample", 0.25, 1,
       [=] {
         torch::upsample_nearest2d(small, {128, 128});
       }},
      {"sum", 1, 0, [=] { torch::sum(x); }},
      {"sum_channels", 1, 0,
       [=] {
         torch::sum(x, {0, 2, 3});
       }},
      {"sum_batch", 1, 0.125, [=] { torch::sum(x, {0}); }},
      {"softmax", 1, 1, [=] { torch::softmax(x, 1); }},
      {"cross_entropy", 1, 0, [=] { torch::cross_entropy_loss(x, classes); }},
      {"clone", 1, 1, [=] { x.clone(); }},
      {"cat", 2, 2,
       [=] {
         torch::cat({x, g}, 1);
       }},
      {"slice_copy", 0.5, 0.5, [=] { x.slice(1, 16, 48).contiguous(); }},
      {"permute_copy", 1, 1,
       [=] {
         x.permute({0, 2, 3, 1}).contiguous();
       }},
      {"transpose_copy", 1, 1, [=] { x.transpose(2, 3).contiguous(); }},
      {"pad", 1, 1.0315,
       [=] {
         torch::constant_pad_nd(x, {1, 1, 1, 1});
       }},
  };
}

std::vector<OpCase> optimizer_cases() {
  std::vector<Tensor> parameters;
  for (std::int64_t i = 0; i < op_parameters; ++i) {
    Tensor parameter = torch::randn({static_cast<std::int64_t>(op_elements) / op_parameters}).requires_grad_(true);
    parameter.mutable_grad() = torch::randn_like(parameter);
    parameters.push_back(parameter);
  }
  const auto adam = std::make_shared<torch::optim::Adam>(parameters, torch::optim::AdamOptions(1e-3));
  const auto sgd = std::make_shared<torch::optim::SGD>(parameters, torch::optim::SGDOptions(1e-3).momentum(0.9));
  return {{"adam", 4, 3, [=] { adam->step(); }},
          {"sgd_momentum", 3, 2, [=] { sgd->step(); }},
          {"clip_grad_norm", 2, 1, [=] { torch::nn::utils::clip_grad_norm_(parameters, 1e-3); }}};
}

}  // namespace

/// --threads N, --filter SUBSTRING
int main(int argc, char** argv) {
  std::string filter;
  int threads = 1;
  for (int i = 1; i + 1 < argc; i += 2) {
    if (std::strcmp(argv[i], "--threads") == 0) threads = std::atoi(argv[i + 1]);
    if (std::strcmp(argv[i], "--filter") == 0) filter = argv[i + 1];
  }
  at::set_num_threads(threads);
  std::vector<OpCase> cases;
  {
    const torch::NoGradGuard no_grad;
    cases = tensor_cases();
  }
  for (const OpCase& one : optimizer_cases()) cases.push_back(one);
  const torch::NoGradGuard no_grad;
  for (const OpCase& one : cases) {
    if (!filter.empty() && std::string(one.name).find(filter) == std::string::npos) continue;
    const Timing t = time_of(one.run);
    std::printf(
        "{\"library\": \"libtorch\", \"case\": \"%s\", \"bytes\": %.0f, \"min_ms\": %.4f, \"median_ms\": %.4f}\n",
        one.name, op_bytes(one), t.min * 1e3, t.median * 1e3);
    std::fflush(stdout);
  }
  return 0;
}
