// duet_bench ops: what is not a convolution, on a large activation, in per cent of the bandwidth that the machine's
// triad reaches right before and after.
#include <memory>

#include <duet/duet.hpp>
#include <duet/ops/kernels/simd.hpp>

#include "commands.hpp"
#include "machine.hpp"
#include "op_traffic.hpp"

namespace duet::bench {
namespace {

struct Options {
  std::string filter;
  int threads = 0;
  bool json = false, processor_time = false;
};

/// A model of one tensor, for the average of its weights.
struct Weights : nn::Module {
  nn::Parameter values{this, "values"};
};

std::vector<OpCase> pointwise(const Tensor& x, const Tensor& g, const Tensor& positive) {
  return {{"add", 2, 1, [=] { add(x, g); }},
          {"mul_scalar", 1, 1, [=] { x * 0.5; }},
          {"relu", 1, 1, [=] { relu(x); }},
          {"relu_backward", 2, 1, [=] { relu_backward(g, x); }},
          {"leaky_relu", 1, 1, [=] { leaky_relu(x, {0.2}); }},
          {"sigmoid", 1, 1, [=] { sigmoid(x); }},
          {"tanh", 1, 1, [=] { tanh(x); }},
          {"bce", 2, 0, [=] { binary_cross_entropy_with_logits(x, positive); }},
          {"bce_backward", 2, 1,
           [=, one = Tensor::scalar(1)] { binary_cross_entropy_with_logits_backward(one, x, positive); }}};
}

std::vector<OpCase> normalisations(const Tensor& x, const Tensor& g) {
  const Tensor w = ones({64}), b = zeros({64});
  const NormalizeStatistics own = normalize_statistics(x);
  return {{"batch_norm", 2, 1, [=] { batch_norm(x, b, w, w, b, {.training = true}); }},
          {"batch_norm_eval", 1, 1, [=] { batch_norm(x, b, w, w, b); }},
          {"batch_norm_backward", 4, 1, [=] { normalize_backward(g, x, w, own.mean, own.inverse_deviation, {}); }},
          {"group_norm", 2, 1, [=] { group_norm(x, w, b, {.num_groups = 8}); }}};
}

std::vector<OpCase> pools_and_sums(const Tensor& x) {
  const Tensor taps = apply(find_op("max_pool2d"), {x}, MaxPoolOptions<2>{.kernel_size = 2})[1];
  const PoolGeometry geometry = max_pool_geometry("max_pool2d", x.shape(), MaxPoolOptions<2>{.kernel_size = 2});
  const Tensor small = randn({8, 64, 64, 64});
  std::vector<std::int64_t> classes;
  for (std::int64_t i = 0; i < 8 * 128 * 128; ++i) classes.push_back(i % 64);
  const Tensor target = Tensor::from_span(std::span<const std::int64_t>(classes), {8, 128, 128});
  return {{"max_pool", 1, 0.3125, [=] { max_pool2d(x, {.kernel_size = 2}); }},
          {"max_pool_backward", 0.3125, 1, [=] { max_pool_scatter(small, taps, geometry); }},
          {"avg_pool", 1, 0.25, [=] { avg_pool2d(x, {.kernel_size = 2}); }},
          {"upsample", 0.25, 1,
           [=] {
             interpolate(small, {.scale_factor = {2, 2}});
           }},
          {"sum", 1, 0, [=] { sum(x); }},
          {"sum_channels", 1, 0,
           [=] {
             sum(x, {.dim = {0, 2, 3}});
           }},
          {"sum_batch", 1, 0.125, [=] { sum(x, {.dim = {0}}); }},
          {"softmax", 1, 1, [=] { softmax(x, {.dim = 1}); }},
          {"cross_entropy", 1, 0, [=] { cross_entropy(x, target); }},
          {"cross_entropy_backward", 1, 1, [=, one = Tensor::scalar(1)] { cross_entropy_backward(one, x, target, {}); }}};
}

std::vector<OpCase> copies(const Tensor& x, const Tensor& g) {
  return {{"clone", 1, 1, [=] { clone(x); }},
          {"cat", 2, 2,
           [=] {
             cat({x, g}, 1);
           }},
          {"slice_copy", 0.5, 0.5, [=] { contiguous(slice(x, 1, 16, 48)); }},
          {"permute_copy", 1, 1,
           [=] {
             contiguous(permute(x, {0, 2, 3, 1}));
           }},
          {"transpose_copy", 1, 1, [=] { contiguous(transpose(x, 2, 3)); }},
          {"pad", 1, 1.0315, [=] {
             pad(x, {.pad = {1, 1, 1, 1}});
           }}};
}

std::vector<OpCase> optimizer_steps() {
  std::vector<Tensor> parameters;
  for (std::int64_t i = 0; i < op_parameters; ++i) {
    Tensor parameter = randn({static_cast<std::int64_t>(op_elements) / op_parameters}, {.requires_grad = true});
    parameter.set_grad(randn(parameter.shape()));
    parameters.push_back(parameter);
  }
  const auto adam = std::make_shared<optim::Adam>(parameters, optim::AdamOptions{});
  const auto sgd = std::make_shared<optim::SGD>(parameters, optim::SGDOptions{.momentum = 0.9});
  const auto model = std::make_shared<Weights>();
  model->values = randn({static_cast<std::int64_t>(op_elements)});
  const auto average = std::make_shared<nn::ExponentialMovingAverage>(*model);
  return {{"adam", 4, 3, [=] { adam->step(); }},
          {"sgd_momentum", 3, 2, [=] { sgd->step(); }},
          {"clip_grad_norm", 2, 1, [=] { optim::clip_grad_norm_(parameters, 1e-3); }},
          {"ema", 2, 1, [=, keep = model] { average->update(); }}};
}

struct Measured {
  Timing time;
  double triad;  // bytes a second
};

/// A case between two measurements of the triad. Where these differ, the machine has changed its speed in between (it
/// may have one of two for seconds: a machine shared with others), and the case is measured again.
Measured measure(const OpCase& one, int threads) {
  Measured result{};
  double steadiest = 0;
  for (int attempt = 0; attempt < 5 && steadiest < 0.9; ++attempt) {
    const double before = memory_bandwidth(threads);
    const Timing time = time_of(one.run);
    const double after = memory_bandwidth(threads), steady = std::min(before, after) / std::max(before, after);
    if (steady <= steadiest) continue;
    steadiest = steady;
    result = {time, std::max(before, after)};
  }
  return result;
}

void run_all(const Options& options) {
  count_processor_time = options.processor_time;
  if (options.processor_time) set_num_threads(1);
  if (options.threads > 0) set_num_threads(options.threads);
  const int threads = num_threads();
  const NoGradGuard no_grad;
  const Shape shape{op_shape[0], op_shape[1], op_shape[2], op_shape[3]};
  const Tensor x = randn(shape), g = randn(shape), positive = rand(shape);
  std::vector<OpCase> cases;
  for (const auto& family :
       {pointwise(x, g, positive), normalisations(x, g), pools_and_sums(x), copies(x, g), optimizer_steps()})
    for (const OpCase& one : family)
      if (options.filter.empty() || std::string(one.name).find(options.filter) != std::string::npos)
        cases.push_back(one);
  if (!options.json)
    std::printf("%d threads, %s; x is 8x64x128x128 f32\n%-23s %9s %9s %8s %8s %8s %8s\n", threads,
                kernels::name(kernels::active_simd()), "case", "min ms", "median", "GB/s", "triad", "min %",
                "median %");
  for (const OpCase& one : cases) {
    const double bytes = op_bytes(one);
    const auto [t, triad] = measure(one, threads);
    if (options.json)
      std::printf(
          "{\"library\": \"duet\", \"case\": \"%s\", \"bytes\": %.0f, \"min_ms\": %.4f, \"median_ms\": %.4f, "
          "\"triad_gb_s\": %.1f}\n",
          one.name, bytes, t.min * 1e3, t.median * 1e3, triad / 1e9);
    else
      std::printf("%-23s %9.3f %9.3f %8.1f %8.1f %8.0f %8.0f\n", one.name, t.min * 1e3, t.median * 1e3,
                  bytes / t.min / 1e9, triad / 1e9, 100 * bytes / t.min / triad, 100 * bytes / t.median / triad);
    std::fflush(stdout);
  }
}

}  // namespace

void add_ops(CLI::App& app) {
  auto options = std::make_shared<Options>();
  CLI::App* command = app.add_subcommand("ops", "elementwise, normalisation, pooling, copies and optimizer steps");
  command->add_option("--threads", options->threads, "threads (default: all cores)")->check(CLI::Range(0, 1024));
  command->add_option("--filter", options->filter, "only cases whose name contains this");
  command->add_flag("--json", options->json, "one JSON object a line");
  command->add_flag("--processor-time", options->processor_time,
                    "count one thread's processor time, for comparisons on a busy machine");
  command->callback([options] { run_all(*options); });
}

}  // namespace duet::bench
