// Training: the run that `duet_unet train` makes, apart from its command line. All that a step changes is in
// state.safetensors, so that a run goes on exactly where it stopped.
#pragma once

#include <chrono>
#include <optional>
#include <string>

#include <duet/nn/data/crop.hpp>
#include <duet/nn/data/loader.hpp>
#include <duet/nn/optim/optimizers.hpp>

#include "common/progress.hpp"
#include "common/run_folder.hpp"
#include "unet/flags.hpp"
#include "unet/image_choice.hpp"
#include "unet/losses.hpp"
#include "unet/ranks.hpp"
#include "unet/segmenter.hpp"

namespace duet::examples {

/// The name of the file that a run goes on from.
inline constexpr const char* state_file = "state.safetensors";

class Training {
 public:
  /// Reads the data and makes the net. Touches no file of --out, so that bad data or flags leave it as it is.
  Training(const TrainFlags& flags, Ranks& ranks);
  /// Starts the folder's new run, or takes up the one it holds (IoError, ValueError for a state of another run).
  void begin();
  /// Steps until the budget is spent, Ctrl-C, or --stop-after.
  void run();
  /// Saves, makes pictures and report, and puts everything in its place.
  void finish();

 private:
  /// The done share of the budget, in [0, 1]; the same on all ranks.
  double fraction() const;
  double seconds() const;
  void step(const data::Sample& batch);
  /// What all ranks have to know alike: the mean of their losses, which it returns, the clock, and whether one was
  /// asked to stop.
  double agree(double loss);
  void validate_if_due();
  void add_row(const Scores& scores);
  void show(double loss);
  void save();
  void restore(const std::string& path);
  std::string run_json() const;
  void write_report();

  TrainFlags flags_;
  Ranks& ranks_;
  Split images_;
  Segmenter segmenter_;
  LossSettings loss_;
  bool automatic_threshold_ = false;
  optim::Adam optimizer_;
  data::DataLoader loader_;
  Progress progress_;
  std::optional<RunFolder> folder_;

  std::int64_t step_ = 0;
  double seconds_before_ = 0;                                                       // of training, in earlier calls
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();  // of this call
  double clock_ = 0;          // seconds() of the first rank after the last step
  bool interrupted_ = false;  // a rank was asked to stop
  double step_seconds_ = 0;   // a running mean
  std::int64_t validations_ = 0;
  double loss_sum_ = 0;  // over the steps since the last row
  std::int64_t loss_count_ = 0;
  double best_ = -1;
  std::int64_t best_step_ = 0;
  History history_;
};

}  // namespace duet::examples
