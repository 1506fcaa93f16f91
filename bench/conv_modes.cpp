// duet_bench conv --scaling and --choices: whether cost grows as the work does, and whether the cost rule for Winograd
// chooses the faster path.
#include <cmath>
#include <random>

#include <duet/core/parallel.hpp>
#include <duet/ops/fast_convolutions.hpp>
#include <duet/ops/kernels/conv.hpp>
#include <duet/ops/kernels/conv_winograd.hpp>
#include <duet/ops/kernels/simd.hpp>

#include "conv_case.hpp"

namespace duet::bench {
namespace {

ConvShape square(bool transposed, std::int64_t batch, std::int64_t channels, std::int64_t size) {
  ConvShape s;
  s.transposed = transposed;
  s.batch = batch;
  s.in_channels = s.out_channels = channels;
  s.height = s.width = transposed ? size / 2 : size;
  s.kernel_h = s.kernel_w = transposed ? 4 : 3;
  s.stride = transposed ? 2 : 1;
  s.padding = 1;
  s.name = (transposed ? "4x4.t " : "3x3 ") + std::to_string(batch) + "x" + std::to_string(channels) + "x" +
           std::to_string(size);
  return s;
}

/// The most scratch memory that one of the three ops takes.
std::int64_t scratch_of(const ConvShape& shape, const ConvBuffers<float>& b) {
  std::int64_t most = 0;
  const auto measure = [&](auto&& op) {
    const std::int64_t before = memory_stats().in_use;
    reset_peak_memory();
    op();
    most = std::max(most, memory_stats().peak_in_use - before);
  };
  const float *x = b.x.as<float>(), *y = b.y.as<float>(), *w = b.w.as<float>();
  measure([&] { kernels::conv<float>(b.geometry, shape.batch, x, w, nullptr, b.y_result.as<float>()); });
  measure([&] { kernels::conv_transpose<float>(b.geometry, shape.batch, y, w, nullptr, b.x_result.as<float>()); });
  measure([&] { kernels::conv_weight<float>(b.geometry, shape.batch, x, y, b.w_result.as<float>()); });
  return most;
}

void print_row(const ConvShape& shape, double& first) {
  std::int64_t scratch = 0, bound = 0;
  {
    const ConvBuffers<float> buffers(shape);
    scratch = scratch_of(shape, buffers);
    bound = std::max<std::int64_t>(buffers.bytes() / 4, 32 << 20);
  }
  const double gflop = shape.flops() / 1e9;
  const auto per_gflop = [&](const Timing& t, double ops) { return t.median * 1e3 / gflop / ops; };
  const ConvTimes fast = time_case<float>(shape);
  const FastConvolutionsGuard direct_only(false);
  const ConvTimes direct = time_case<float>(shape), wide = time_case<double>(shape);
  const double step = per_gflop(fast.step(), 3);
  if (first == 0) first = step;
  std::printf("%-16s %9.3f | %7.2f %7.2f %7.2f %7.2f %6.2f | %7.2f %7.2f %5.2f | %7.1f %7.1f\n", shape.name.c_str(),
              gflop, per_gflop(fast.forward, 1), per_gflop(fast.input, 1), per_gflop(fast.weight, 1), step,
              step / first, per_gflop(direct.step(), 3), per_gflop(wide.step(), 3),
              direct.step().median / wide.step().median, static_cast<double>(scratch) / 1e6,
              static_cast<double>(bound) / 1e6);
  std::fflush(stdout);
}

/// Uniform in the logarithm.
std::int64_t spread(std::mt19937& random, double low, double high) {
  const double at = std::uniform_real_distribution<double>(std::log(low), std::log(high))(random);
  return std::llround(std::exp(at));
}

ConvShape random_shape(std::mt19937& random) {
  for (;;) {
    const bool transposed = random() % 2 == 0;
    const std::int64_t kernel = 2 + static_cast<std::int64_t>(random() % 3);
    ConvShape s = square(transposed, spread(random, 1, 32), 1, 8);
    s.kernel_h = s.kernel_w = kernel;
    s.stride = kernel == 4 ? 2 : 1;
    s.padding = kernel == 2 ? 0 : 1;
    s.in_channels = spread(random, 8, 256);
    s.out_channels = spread(random, 8, 256);
    s.height = spread(random, 4, 128);
    s.width = std::clamp<std::int64_t>(s.height + static_cast<std::int64_t>(random() % 5) - 2, 4, 128);
    if (s.flops() < 4e6 || s.flops() > 4e8) continue;
    s.name = std::to_string(s.kernel_h) + "x" + std::to_string(s.kernel_w) + (transposed ? ".t " : " ") +
             std::to_string(s.batch) + "x" + std::to_string(s.in_channels) + "x" + std::to_string(s.height) + "x" +
             std::to_string(s.width) + " to " + std::to_string(s.out_channels);
    return s;
  }
}

/// The least of a few runs in turn, so that a disturbance meets both.
template <class A, class B>
std::pair<double, double> least(A&& a, B&& b) {
  std::pair<double, double> best{1e9, 1e9};
  a();
  b();
  int runs = 0;
  for (double total = 0; runs < 5 || (total < 0.03 && runs < 200); ++runs) {
    const double start = now();
    a();
    const double between = now();
    b();
    const double end = now();
    best = {std::min(best.first, between - start), std::min(best.second, end - between)};
    total += end - start;
  }
  return best;
}

}  // namespace

void print_scaling() {
  std::printf("%d threads, %s; ms per GFLOP, medians\n%-16s %9s | %7s %7s %7s %7s %6s | %7s %7s %5s | %7s %7s\n",
              num_threads(), kernels::name(kernels::active_simd()), "case", "GFLOP", "forward", "input", "weight",
              "step", "ratio", "direct", "f64", "rate", "scratch", "bound");
  for (const bool transposed : {false, true}) {
    double first = 0;
    for (const std::int64_t size : {64, 128, 256, 512, 1024}) print_row(square(transposed, 1, 32, size), first);
    first = 0;
    for (const std::int64_t batch : {1, 4, 16, 64}) print_row(square(transposed, batch, 32, 64), first);
  }
}

void print_choices(int count) {
  std::mt19937 random(1);
  const FastConvolutionsGuard allowed(true);
  double worst = 1, sum = 0, both[2] = {0, 0}, chosen_time = 0;
  int rows = 0, lost = 0;
  std::printf("%-34s %-8s %10s %10s %9s %6s\n", "case", "op", "direct ms", "Winograd", "chosen", "loss");
  for (int i = 0; i < count; ++i) {
    const ConvShape shape = random_shape(random);
    const ConvBuffers<float> b(shape);
    const ConvGeometry& g = b.geometry;
    const float *x = b.x.as<float>(), *y = b.y.as<float>(), *w = b.w.as<float>();
    const kernels::ConvReading to_small = kernels::read_small(g, shape.batch),
                               to_large = kernels::read_large(g, shape.batch);
    const auto compare = [&](const char* op, bool prefers, auto&& direct, auto&& winograd) {
      const auto without = [&] {
        const FastConvolutionsGuard forbidden(false);
        direct();
      };
      const auto [slow, fast] = least(without, winograd);
      const double chosen = prefers ? fast : slow, loss = chosen / std::min(slow, fast);
      std::printf("%-34s %-8s %10.3f %10.3f %9s %6.2f\n", shape.name.c_str(), op, slow * 1e3, fast * 1e3,
                  prefers ? "Winograd" : "direct", loss);
      std::fflush(stdout);
      worst = std::max(worst, loss);
      sum += std::log(loss);
      lost += loss > 1.1;
      ++rows;
      both[0] += slow;
      both[1] += fast;
      chosen_time += chosen;
    };
    compare(
        "conv", kernels::prefers_winograd(to_small),
        [&] { kernels::conv<float>(g, shape.batch, x, w, nullptr, b.y_result.as<float>()); },
        [&] { kernels::conv_by_winograd(to_small, x, w, nullptr, b.y_result.as<float>()); });
    compare(
        "transpose", kernels::prefers_winograd(to_large),
        [&] { kernels::conv_transpose<float>(g, shape.batch, y, w, nullptr, b.x_result.as<float>()); },
        [&] { kernels::conv_by_winograd(to_large, y, w, nullptr, b.x_result.as<float>()); });
    compare(
        "weight", kernels::prefers_winograd_weight(to_small),
        [&] { kernels::conv_weight<float>(g, shape.batch, x, y, b.w_result.as<float>()); },
        [&] { kernels::weight_by_winograd(to_small, x, y, b.w_result.as<float>()); });
  }
  std::printf(
      "chosen over the faster path: geometric mean %.3f, worst %.2f, more than 1.1 in %d of %d; in all %.1f ms, direct "
      "%.1f, Winograd %.1f\n",
      std::exp(sum / rows), worst, lost, rows, chosen_time * 1e3, both[0] * 1e3, both[1] * 1e3);
}

}  // namespace duet::bench
