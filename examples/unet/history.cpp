// CSV for people and their tools, JSON for --resume.
#include "unet/history.hpp"

#include <cmath>

#include <nlohmann/json.hpp>

#include <duet/core/fail.hpp>

namespace duet::examples {
namespace {

std::string cell(double value, const char* format = "{:.6f}") {
  return std::isfinite(value) ? fmt::format(fmt::runtime(format), value) : std::string();
}

}  // namespace

std::string to_csv(const History& history, int classes) {
  std::string out = "step,epoch,seconds,lr,loss,val_loss,val_accuracy";
  for (int c = 0; c < classes; ++c) out += fmt::format(",val_iou_{}", c);
  out += '\n';
  for (const HistoryRow& row : history) {
    out += fmt::format("{},{},{:.2f},{},{},{},{}", row.step, row.epoch, row.seconds, cell(row.lr, "{:.4g}"),
                       cell(row.loss), cell(row.val.loss), cell(row.val.accuracy));
    for (int c = 0; c < classes; ++c)
      out += ',' + (row.val.iou.empty() ? std::string() : cell(row.val.iou[static_cast<std::size_t>(c)]));
    out += '\n';
  }
  return out;
}

// JSON has no NaN: nlohmann writes null, which is read back as no_value.
std::string to_json(const History& history) {
  nlohmann::json rows = nlohmann::json::array();
  for (const HistoryRow& row : history)
    rows.push_back({row.step, row.epoch, row.seconds, row.lr, row.loss, row.val.loss, row.val.accuracy,
                    row.val.mean_iou, row.val.iou});
  return rows.dump();
}

History history_from_json(const std::string& text) {
  const auto number = [](const nlohmann::json& value) { return value.is_null() ? no_value : value.get<double>(); };
  try {
    History history;
    for (const nlohmann::json& from : nlohmann::json::parse(text)) {
      HistoryRow row;
      row.step = from.at(0);
      row.epoch = from.at(1);
      row.seconds = from.at(2);
      row.lr = from.at(3);
      row.loss = number(from.at(4));
      row.val = {number(from.at(5)), number(from.at(6)), number(from.at(7)), {}};
      for (const nlohmann::json& iou : from.at(8)) row.val.iou.push_back(number(iou));
      history.push_back(std::move(row));
    }
    return history;
  } catch (const nlohmann::json::exception& error) {
    fail<IoError>("resume", "the history of the run is broken: {}", error.what());
  }
}

}  // namespace duet::examples
