// What a training run has seen so far: one row a logged step, kept in metrics.csv and in the state that --resume reads.
#pragma once

#include <cstdint>
#include <limits>
#include <string>
#include <vector>

namespace duet::examples {

inline constexpr double no_value = std::numeric_limits<double>::quiet_NaN();

/// Scores of the validation images.
struct Scores {
  double loss = no_value, accuracy = no_value, mean_iou = no_value;
  std::vector<double> iou;  ///< by class; empty: not scored
};

struct HistoryRow {
  std::int64_t step = 0, epoch = 0;
  double seconds = 0, lr = 0;
  double loss = 0;  ///< mean over the steps since the row before
  Scores val;
};

using History = std::vector<HistoryRow>;

/// step,epoch,seconds,lr,loss,val_loss,val_accuracy,val_iou_0,…; cells without a value are empty.
std::string to_csv(const History& history, int classes);

/// JSON of rows, and back (IoError for text that is none).
std::string to_json(const History& history);
History history_from_json(const std::string& text);

}  // namespace duet::examples
