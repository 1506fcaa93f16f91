// Run: what every training program's loop shares. Budget and clock, the folder, the state that --resume reads, metrics,
// and what is said when a number is not finite.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include <duet/core/callable.hpp>
#include <duet/nn/checkpoint.hpp>
#include <duet/nn/data/loader.hpp>

#include "common/flags.hpp"
#include "common/metrics.hpp"
#include "common/progress.hpp"
#include "common/report.hpp"
#include "common/run_folder.hpp"

namespace duet::examples {

/// A learning rate's share of the highest at a point in [0, 1] of the run: a linear rise over the first `rise` of it,
/// then a cosine to 0 (after Smith and Topin, "Super-convergence", 2018).
double cycle_at(double fraction, double rise = 0.1);

/// Batches without end from a loader.
class Feed {
 public:
  explicit Feed(data::DataLoader loader) : loader_(std::move(loader)) {}
  data::Sample next();
  data::DataLoader& loader() { return loader_; }

 private:
  data::DataLoader loader_;
  std::optional<data::DataLoader::Iterator> at_;
};

class Run {
 public:
  /// `program` is what run.json and messages call it; a row of `columns` is added now and then.
  Run(std::string program, const RunFlags& flags, std::int64_t steps_per_epoch, std::vector<std::string> columns);

  /// The state to go on from, or nothing for a new run, whose folder is started.
  std::optional<nn::Checkpoint> begin();
  /// Starts the clock. Then `step` is called until the budget is spent, Ctrl-C, or --stop-after.
  void loop(FunctionRef<void()> step);

  double fraction() const;
  double seconds() const;
  /// The epoch that a step lies in, from 0.
  std::int64_t epoch() const { return step / steps_per_epoch; }
  /// Whether this step is the last of an epoch, or of the run.
  bool ends_epoch() const { return step % steps_per_epoch == 0 || fraction() >= 1; }
  /// Redraws the bar.
  void show(const std::string& text);
  /// A line, unless --quiet.
  void say(const std::string& line);

  /// Keeps "run" in the checkpoint, saves it as the state, and writes metrics.csv and run.json.
  void save(nn::Checkpoint& checkpoint, const nlohmann::json& flags, const nlohmann::json& more);
  /// Takes "run" from a checkpoint.
  void restore(const nn::Checkpoint& checkpoint);
  /// Moves everything to its place, and says how it ended.
  void publish();

  /// Runs `body`, which computes losses and gradients and returns numbers. If one is not finite, runs it again to find
  /// the op that made it, and throws ValueError with that and the place of the last good checkpoint.
  std::vector<double> watched(FunctionRef<std::vector<double>()> body);

  const std::string program;
  const RunFlags flags;
  const std::int64_t steps_per_epoch;
  std::int64_t step = 0;
  MetricTable metrics;
  Progress progress;
  RunFolder& folder() { return *folder_; }

 private:
  std::optional<RunFolder> folder_;
  double seconds_before_ = 0;  // of training, in earlier calls
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

}  // namespace duet::examples
