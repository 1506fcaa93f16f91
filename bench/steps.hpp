// How a training step is timed and reported. Standard library only: the comparators for other libraries include it
// too, so that all of them measure the same way.
#pragma once

#include <sys/resource.h>

#include <functional>
#include <string>
#include <vector>

#include "shapes.hpp"

namespace duet::bench {

/// One workload: `make` builds model and data and returns what runs one step.
struct Workload {
  std::string name, what;
  int inner = 1;  ///< steps to one measurement, where one is too short for a clock
  std::function<std::function<void()>()> make;
};

/// The commonest arguments of duet_bench train and its peers.
struct StepArguments {
  std::string filter;
  double seconds = 3;  ///< how long each workload is measured, at least three times
};

struct StepReport {
  Timing time;             ///< seconds a step
  std::int64_t steps = 0;  ///< that were measured
  double resident_mb = 0;  ///< the process's peak
};

/// Two steps to warm up, then measurements until `seconds` have passed.
inline StepReport measure(const Workload& workload, const std::function<void()>& step, double seconds) {
  for (int i = 0; i < 2 * workload.inner; ++i) step();
  std::vector<double> runs;
  for (double total = 0; runs.size() < 3 || total < seconds;) {
    const double start = now();
    for (int i = 0; i < workload.inner; ++i) step();
    const double taken = now() - start;
    total += taken;
    runs.push_back(taken / workload.inner);
  }
  std::sort(runs.begin(), runs.end());
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return {{runs.front(), runs[runs.size() / 2]},
          static_cast<std::int64_t>(runs.size()) * workload.inner,
          static_cast<double>(usage.ru_maxrss) / 1024};
}

/// One JSON object without its closing brace, for fields that follow.
inline void print_step_json(const char* library, const Workload& workload, const StepReport& report) {
  std::printf(
      "{\"library\": \"%s\", \"case\": \"%s\", \"min_ms\": %.4f, \"median_ms\": %.4f, \"steps\": %lld, "
      "\"resident_mb\": %.0f",
      library, workload.name.c_str(), report.time.min * 1e3, report.time.median * 1e3,
      static_cast<long long>(report.steps), report.resident_mb);
}

}  // namespace duet::bench
