// Peak arithmetic and memory bandwidth.
#include "machine.hpp"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <thread>
#include <vector>

#include <duet/core/allocator.hpp>
#include <duet/ops/kernels/conv_table.hpp>

namespace duet::bench {
namespace {

using Clock = std::chrono::steady_clock;

/// Runs body(thread) on every thread at once and returns the seconds from the common start to the last end.
template <class Body>
double together(int threads, Body&& body) {
  std::atomic<int> ready{0};
  std::vector<Clock::time_point> end(static_cast<std::size_t>(threads));
  Clock::time_point start;
  const auto run = [&](int thread) {
    if (ready.fetch_add(1) + 1 == threads) start = Clock::now();
    while (ready.load() < threads) {
    }
    body(thread);
    end[thread] = Clock::now();
  };
  std::vector<std::thread> others;
  for (int i = 1; i < threads; ++i) others.emplace_back(run, i);
  run(0);
  for (std::thread& t : others) t.join();
  return std::chrono::duration<double>(*std::max_element(end.begin(), end.end()) - start).count();
}

}  // namespace

double peak_flops(int threads) {
  double best = 0;
  for (int round = 0; round < 10; ++round) {
    std::atomic<std::int64_t> done{0};
    const double seconds = together(threads, [&](int) {
      float sink[64] = {1.0f};
      done += kernels::conv_table().multiply_add_peak(2'000'000, sink);
    });
    best = std::max(best, static_cast<double>(done.load()) / seconds);
  }
  return best;
}

double memory_bandwidth(int threads) {
  const std::int64_t count = std::int64_t{1} << 24;
  // From Duet's allocator, so that pages are as large as those of its tensors.
  const Scratch a(count * 4), b(count * 4), c(count * 4);
  std::fill_n(a.as<float>(), count, 0.0f);
  std::fill_n(b.as<float>(), count, 1.0f);
  std::fill_n(c.as<float>(), count, 2.0f);
  double best = 0;
  for (int round = 0; round < 5; ++round) {
    const double seconds = together(threads, [&](int thread) {
      const std::int64_t begin = count * thread / threads, end = count * (thread + 1) / threads;
      float* to = a.as<float>();
      const float *x = b.as<float>(), *y = c.as<float>();
      for (std::int64_t i = begin; i < end; ++i) to[i] = x[i] + 0.5f * y[i];
    });
    best = std::max(best, 3.0 * sizeof(float) * static_cast<double>(count) / seconds);
  }
  return best;
}

}  // namespace duet::bench
