// Rows in and out of text.
#include "common/metrics.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include <nlohmann/json.hpp>

#include <fmt/ranges.h>

#include <duet/core/fail.hpp>

namespace duet::examples {

void MetricTable::add(std::vector<double> row) {
  if (row.size() != columns_.size())
    fail<ValueError>("metrics", "{} values for {} columns", row.size(), columns_.size());
  rows_.push_back(std::move(row));
}

std::size_t MetricTable::place(const std::string& column) const {
  const auto at = std::find(columns_.begin(), columns_.end(), column);
  if (at == columns_.end()) fail<ValueError>("metrics", "there is no column {}", column);
  return static_cast<std::size_t>(at - columns_.begin());
}

double MetricTable::last(const std::string& column) const {
  const std::size_t at = place(column);
  for (auto row = rows_.rbegin(); row != rows_.rend(); ++row)
    if (std::isfinite((*row)[at])) return (*row)[at];
  return std::numeric_limits<double>::quiet_NaN();
}

std::vector<std::pair<double, double>> MetricTable::points(const std::string& column) const {
  const std::size_t at = place(column);
  std::vector<std::pair<double, double>> points;
  for (const auto& row : rows_) points.emplace_back(row[0], row[at]);
  return points;
}

std::string MetricTable::csv() const {
  std::string text = fmt::format("{}\n", fmt::join(columns_, ","));
  for (const auto& row : rows_) {
    for (std::size_t i = 0; i < row.size(); ++i) {
      if (i > 0) text += ',';
      if (std::isfinite(row[i])) text += fmt::format("{:.6g}", row[i]);
    }
    text += '\n';
  }
  return text;
}

// JSON has no NaN: nlohmann writes null, which is read back as NaN.
std::string MetricTable::json() const { return nlohmann::json(rows_).dump(); }

void MetricTable::read_json(const std::string& text) {
  std::vector<std::vector<double>> rows;
  try {
    for (const nlohmann::json& from : nlohmann::json::parse(text)) {
      std::vector<double> row;
      for (const nlohmann::json& value : from)
        row.push_back(value.is_null() ? std::numeric_limits<double>::quiet_NaN() : value.get<double>());
      if (row.size() != columns_.size())
        fail<IoError>("resume", "the metrics of the run have {} columns, not {}", row.size(), columns_.size());
      rows.push_back(std::move(row));
    }
  } catch (const nlohmann::json::exception& error) {
    fail<IoError>("resume", "the metrics of the run are broken: {}", error.what());
  }
  rows_ = std::move(rows);
}

}  // namespace duet::examples
