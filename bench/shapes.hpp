// The shape set of the convolution benchmarks and how a case is timed. Standard library only: the comparators for
// other libraries include it too, so that all of them run the same cases in the same way.
#pragma once

#include <time.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <fstream>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

namespace duet::bench {

/// One line of shapes.txt; H and W are the op's input.
struct ConvShape {
  std::string name;
  bool transposed = false;
  std::int64_t batch = 0, in_channels = 0, out_channels = 0, height = 0, width = 0, kernel_h = 0, kernel_w = 0;
  std::int64_t stride = 1, padding = 0, output_padding = 0, groups = 1, dilation = 1;

  std::int64_t out_size(std::int64_t in, std::int64_t kernel) const {
    return transposed ? (in - 1) * stride - 2 * padding + dilation * (kernel - 1) + output_padding + 1
                      : (in + 2 * padding - dilation * (kernel - 1) - 1) / stride + 1;
  }
  std::int64_t out_height() const { return out_size(height, kernel_h); }
  std::int64_t out_width() const { return out_size(width, kernel_w); }

  /// Multiplications and additions of one of the three ops, padding included.
  double flops() const {
    const std::int64_t pixels = transposed ? height * width : out_height() * out_width();
    return 2.0 * static_cast<double>(batch * in_channels * (out_channels / groups) * kernel_h * kernel_w * pixels);
  }
  /// Bytes of the two activations, f32.
  double bytes() const {
    return 4.0 * static_cast<double>(batch * (in_channels * height * width + out_channels * out_height() * out_width()));
  }
};

inline std::vector<ConvShape> read_shapes(const std::string& path, const std::string& filter) {
  std::ifstream file(path);
  if (!file) throw std::runtime_error("cannot read " + path);
  std::vector<ConvShape> shapes;
  for (std::string line; std::getline(file, line);) {
    if (line.empty() || line[0] == '#') continue;
    std::istringstream text(line);
    ConvShape s;
    std::string op;
    text >> s.name >> op >> s.batch >> s.in_channels >> s.out_channels >> s.height >> s.width >> s.kernel_h >>
        s.kernel_w >> s.stride >> s.padding >> s.output_padding >> s.groups >> s.dilation;
    if (!text || (op != "conv2d" && op != "conv_transpose2d")) throw std::runtime_error("cannot read line: " + line);
    s.transposed = op == "conv_transpose2d";
    if (filter.empty() || s.name.find(filter) != std::string::npos) shapes.push_back(s);
  }
  return shapes;
}

struct Timing {
  double min = 0, median = 0;  ///< seconds
};

/// Whether time_of counts the calling thread's processor time: for comparisons on a busy machine, with one thread.
inline bool count_processor_time = false;

inline double now() {
  timespec t;
  clock_gettime(count_processor_time ? CLOCK_THREAD_CPUTIME_ID : CLOCK_MONOTONIC, &t);
  return static_cast<double>(t.tv_sec) + 1e-9 * static_cast<double>(t.tv_nsec);
}

/// Runs f until a fifth of a second and seven runs have passed; the first run is not counted.
template <class F>
Timing time_of(F&& f) {
  f();
  std::vector<double> runs;
  for (double total = 0; runs.size() < 7 || (total < 0.2 && runs.size() < 200);) {
    const double start = now();
    f();
    runs.push_back(now() - start);
    total += runs.back();
  }
  std::sort(runs.begin(), runs.end());
  return {runs.front(), runs[runs.size() / 2]};
}

/// The three ops of one case.
struct ConvTimes {
  Timing forward, input, weight;
  Timing step() const {
    return {forward.min + input.min + weight.min, forward.median + input.median + weight.median};
  }
};

inline void print_json(const char* library, const ConvShape& s, const ConvTimes& t) {
  const auto ms = [](const Timing& x) {
    char text[96];
    std::snprintf(text, sizeof text, "{\"min_ms\": %.4f, \"median_ms\": %.4f}", x.min * 1e3, x.median * 1e3);
    return std::string(text);
  };
  std::printf("{\"library\": \"%s\", \"case\": \"%s\", \"gflop\": %.6f, \"forward\": %s, \"input\": %s, \"weight\": %s}\n",
              library, s.name.c_str(), s.flops() / 1e9, ms(t.forward).c_str(), ms(t.input).c_str(), ms(t.weight).c_str());
  std::fflush(stdout);
}

}  // namespace duet::bench
