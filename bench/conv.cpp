// duet_bench conv: times the kernels of the convolution triple, case by case.
#include <cmath>
#include <memory>

#include <duet/core/parallel.hpp>
#include <duet/ops/kernels/conv.hpp>
#include <duet/ops/kernels/simd.hpp>

#include "commands.hpp"
#include "conv_case.hpp"
#include "machine.hpp"
#include "shapes.hpp"

namespace duet::bench {
namespace {

struct Options {
  std::string shapes = DUET_BENCH_SHAPES, filter;
  int threads = 0, choices = 0;
  bool json = false, f64 = false, processor_time = false, scaling = false;
};

void print_table(const std::vector<ConvShape>& shapes, const Options& options) {
  const int threads = num_threads();
  const double peak = peak_flops(threads) / (options.f64 ? 2 : 1), bandwidth = memory_bandwidth(threads);
  if (options.json)
    std::printf(
        "{\"library\": \"duet\", \"threads\": %d, \"simd\": \"%s\", \"peak_gflops\": %.1f, \"memory_gb_s\": %.1f}\n",
        threads, kernels::name(kernels::active_simd()), peak / 1e9, bandwidth / 1e9);
  else
    std::printf(
        "%d threads, %s, %s: peak %.1f GFLOP/s, memory %.1f GB/s; milliseconds are medians (minima)\n"
        "%-13s %7s %17s %17s %17s %17s %5s %5s %5s %5s %7s\n",
        threads, kernels::name(kernels::active_simd()), options.f64 ? "f64" : "f32", peak / 1e9, bandwidth / 1e9,
        "case", "GFLOP", "forward", "input grad", "weight grad", "step", "fwd%", "inp%", "wgt%", "step%", "GFLOP/s");
  for (const ConvShape& shape : shapes) {
    const ConvTimes t = options.f64 ? time_case<double>(shape) : time_case<float>(shape);
    if (options.json) {
      print_json("duet", shape, t);
      continue;
    }
    const auto percent = [&](const Timing& x, double ops) { return 100 * ops * shape.flops() / x.median / peak; };
    const Timing step = t.step();
    std::printf("%-13s %7.3f", shape.name.c_str(), shape.flops() / 1e9);
    for (const Timing& x : {t.forward, t.input, t.weight, step})
      std::printf(" %8.3f (%6.3f)", x.median * 1e3, x.min * 1e3);
    std::printf(" %5.1f %5.1f %5.1f %5.1f %7.1f\n", percent(t.forward, 1), percent(t.input, 1), percent(t.weight, 1),
                percent(step, 3), 3 * shape.flops() / step.median / 1e9);
    std::fflush(stdout);
  }
}

}  // namespace

ConvGeometry geometry_of(const ConvShape& s) {
  ConvGeometry g;
  g.groups = s.groups;
  g.large_channels = s.transposed ? s.out_channels : s.in_channels;
  g.small_channels = s.transposed ? s.in_channels : s.out_channels;
  const std::int64_t in[2] = {s.height, s.width}, out[2] = {s.out_height(), s.out_width()};
  const std::int64_t kernel[2] = {s.kernel_h, s.kernel_w};
  for (int i = 0; i < 2; ++i)
    g.axis[i] = {
        s.transposed ? out[i] : in[i], s.transposed ? in[i] : out[i], kernel[i], s.stride, s.padding, s.dilation};
  return g;
}

template <class T>
ConvTimes time_case(const ConvShape& shape) {
  const ConvBuffers<T> b(shape);
  const T *x = b.x.template as<T>(), *y = b.y.template as<T>(), *w = b.w.template as<T>();
  const T* small_bias = shape.transposed ? nullptr : b.bias.template as<T>();
  const T* large_bias = shape.transposed ? b.bias.template as<T>() : nullptr;
  const Timing to_small =
      time_of([&] { kernels::conv<T>(b.geometry, shape.batch, x, w, small_bias, b.y_result.template as<T>()); });
  const Timing to_large = time_of(
      [&] { kernels::conv_transpose<T>(b.geometry, shape.batch, y, w, large_bias, b.x_result.template as<T>()); });
  const Timing weight =
      time_of([&] { kernels::conv_weight<T>(b.geometry, shape.batch, x, y, b.w_result.template as<T>()); });
  return {shape.transposed ? to_large : to_small, shape.transposed ? to_small : to_large, weight};
}

template ConvTimes time_case<float>(const ConvShape&);
template ConvTimes time_case<double>(const ConvShape&);

void add_conv(CLI::App& app) {
  auto options = std::make_shared<Options>();
  CLI::App* command = app.add_subcommand("conv", "conv2d and conv_transpose2d with their gradients");
  command->add_option("--threads", options->threads, "threads (default: all cores)")->check(CLI::Range(0, 1024));
  command->add_option("--filter", options->filter, "only cases whose name contains this");
  command->add_option("--shapes", options->shapes, "file of shapes")->check(CLI::ExistingFile);
  command->add_flag("--json", options->json, "one JSON object a line");
  command->add_flag("--f64", options->f64, "double precision");
  command->add_flag("--processor-time", options->processor_time,
                    "count one thread's processor time, for comparisons on a busy machine");
  command->add_flag("--scaling", options->scaling,
                    "ms per GFLOP from 64x64 planes to 1024x1024 and from 1 image to 64, f64, and scratch memory");
  command
      ->add_option("--choices", options->choices,
                   "so many random cases: the direct path, Winograd, and which the cost rule chooses; one thread")
      ->check(CLI::Range(1, 100000));
  command->callback([options] {
    count_processor_time = options->processor_time || options->choices > 0;
    if (count_processor_time) options->threads = 1;
    if (options->threads > 0) set_num_threads(options->threads);
    if (options->choices > 0) return print_choices(options->choices);
    if (options->scaling) return print_scaling();
    print_table(read_shapes(options->shapes, options->filter), *options);
  });
}

}  // namespace duet::bench
