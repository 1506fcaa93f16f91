// A running average of a model's weights, which often judges better than the weights themselves.
#pragma once

#include <duet/nn/module.hpp>

namespace duet::nn {

struct EmaOptions {
  double decay = 0.999;
  bool warm_up = false;  ///< use min(decay, (1 + t) / (10 + t)), so that early averages forget the initial weights
};

/// average ← decay·average + (1 − decay)·model, over parameters and floating buffers; counters are copied. The model
/// has to outlive it.
class ExponentialMovingAverage {
 public:
  /// Begins as a copy of the model. ValueError for a decay outside [0, 1).
  explicit ExponentialMovingAverage(Module& model, const EmaOptions& options = {});
  /// Call it after each step of the optimizer.
  void update();
  /// Exchanges the model's values with the average: evaluate, then swap back. ValueError if an update comes between.
  void swap();
  bool swapped() const { return swapped_; }  ///< whether the model holds the average
  /// Copies the average into `model`, which must have the same state.
  void copy_to(Module& model) const;
  /// The average, under the model's names: what to save as weights.
  NamedTensors average() const { return clone_tensors(average_); }
  /// The average and the number of updates, for a checkpoint.
  NamedTensors state_dict() const;
  void load_state_dict(const NamedTensors& state);  ///< ValueError where it does not fit

 private:
  Module* model_;
  EmaOptions options_;
  NamedTensors average_;
  std::int64_t updates_ = 0;
  bool swapped_ = false;
};

}  // namespace duet::nn
