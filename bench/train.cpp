// duet_bench train: whole training steps. Each workload runs in a process of its own, so that its peak memory is its
// own; what is not a convolution is told apart by an observer of the tape.
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>

#include <duet/autograd/profiler.hpp>
#include <duet/core/allocator.hpp>
#include <duet/core/parallel.hpp>
#include <duet/core/random.hpp>
#include <duet/core/tape.hpp>
#include <duet/ops/kernels/simd.hpp>

#include "commands.hpp"
#include "workloads.hpp"

namespace duet::bench {
namespace {

struct Options {
  StepArguments common;
  int threads = 0;
  bool json = false, profile = false, list = false;
};

/// Adds up the time inside convolutions and matrix products, in forwards and in what vjps call.
class ProductTime final : public Observer {
 public:
  double seconds = 0;
  void before_op(const Call& call) override {
    if (is_product(call.name())) start_ = now();
  }
  void after_op(const Call& call, std::span<const Tensor>, Node*) override {
    if (is_product(call.name())) seconds += now() - start_;
  }

 private:
  static bool is_product(const char* op) {
    return std::strncmp(op, "conv", 4) == 0 || std::strcmp(op, "linear") == 0 || std::strcmp(op, "matmul") == 0;
  }
  double start_ = 0;
};

/// The least that a step spent outside convolutions and matrix products, in seconds.
double time_outside_products(const std::function<void()>& step, double step_seconds) {
  double least = 1e300;
  const int rounds = step_seconds < 0.05 ? 20 : 5;
  for (int i = 0; i < rounds; ++i) {
    ProductTime products;
    const ObserverGuard guard(products);
    const double start = now();
    step();
    least = std::min(least, now() - start - products.seconds);
  }
  return least;
}

void run(const Workload& workload, const Options& options) {
  if (options.threads > 0) set_num_threads(options.threads);
  manual_seed(0);
  const std::function<void()> step = workload.make();
  for (int i = 0; i < 3; ++i) step();
  const std::int64_t asked = memory_stats().system_calls;
  const StepReport report = measure(workload, step, options.common.seconds);
  const MemoryStats memory = memory_stats();
  const double outside = time_outside_products(step, report.time.min);
  const auto megabytes = [](std::int64_t bytes) { return static_cast<double>(bytes) / 1e6; };
  if (options.json) {
    print_step_json("duet", workload, report);
    std::printf(
        ", \"outside_products_ms\": %.3f, \"peak_in_use_mb\": %.1f, \"cached_mb\": %.1f, \"system_calls\": %lld, "
        "\"system_calls_after_third_step\": %lld}\n",
        outside * 1e3, megabytes(memory.peak_in_use), megabytes(memory.cached),
        static_cast<long long>(memory.system_calls), static_cast<long long>(memory.system_calls - asked));
  } else {
    std::printf("%-17s %9.3f %9.3f %9.3f %9.0f %9.1f %9.1f %7lld   %s\n", workload.name.c_str(), report.time.min * 1e3,
                report.time.median * 1e3, outside * 1e3, report.resident_mb, megabytes(memory.peak_in_use),
                megabytes(memory.cached), static_cast<long long>(memory.system_calls - asked), workload.what.c_str());
  }
  if (options.profile) {
    Profiler profiler;
    step();
    profiler.stop();
    std::printf("%s\n", profiler.table().c_str());
  }
  std::fflush(stdout);
}

/// Runs one workload in a child. No thread exists yet here, so a fork is safe.
void run_alone(const Workload& workload, const Options& options) {
  std::fflush(stdout);
  const pid_t child = fork();
  if (child < 0) throw std::runtime_error("cannot start a process for " + workload.name);
  if (child == 0) {
    int status = 0;
    try {
      run(workload, options);
    } catch (const std::exception& error) {
      std::fprintf(stderr, "duet_bench: %s: %s\n", workload.name.c_str(), error.what());
      status = 1;
    }
    std::fflush(stdout);
    std::_Exit(status);
  }
  int status = 0;
  waitpid(child, &status, 0);
  if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) throw std::runtime_error(workload.name + " failed");
}

void run_all(const Options& options) {
  std::vector<Workload> chosen;
  for (const Workload& workload : training_workloads())
    if (options.common.filter.empty() || workload.name == options.common.filter) chosen.push_back(workload);
  if (chosen.empty()) throw std::runtime_error("no workload is called " + options.common.filter + ": see --list");
  if (options.list) {
    for (const Workload& workload : chosen) std::printf("%-17s %s\n", workload.name.c_str(), workload.what.c_str());
    return;
  }
  if (!options.json)
    std::printf("%s; milliseconds a step, megabytes\n%-17s %9s %9s %9s %9s %9s %9s %7s\n",
                kernels::name(kernels::active_simd()), "case", "min", "median", "not conv", "resident", "in use",
                "cached", "asked");
  for (const Workload& workload : chosen) run_alone(workload, options);
}

}  // namespace

void add_train(CLI::App& app) {
  auto options = std::make_shared<Options>();
  CLI::App* command = app.add_subcommand("train",
                                         "whole training steps and inference; \"not conv\" is what a step spends "
                                         "outside convolutions and matrix products, \"asked\" how often the "
                                         "system was asked for memory after the third step");
  command->add_option("--threads", options->threads, "threads (default: all cores)")->check(CLI::Range(0, 1024));
  command->add_option("--filter", options->common.filter, "one workload by its name");
  command->add_option("--seconds", options->common.seconds, "how long each is measured")
      ->check(CLI::Range(0.0, 3600.0));
  command->add_flag("--profile", options->profile, "the profiler's table of one step");
  command->add_flag("--list", options->list, "names of the workloads");
  command->add_flag("--json", options->json, "one JSON object a line");
  command->callback([options] { run_all(*options); });
}

}  // namespace duet::bench
