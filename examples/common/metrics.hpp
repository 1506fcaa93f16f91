// MetricTable: named columns of numbers, a row now and then, as CSV for people and JSON for --resume.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace duet::examples {

class MetricTable {
 public:
  /// The first column is the step.
  explicit MetricTable(std::vector<std::string> columns) : columns_(std::move(columns)) {}

  /// One value a column; NaN where there is none.
  void add(std::vector<double> row);
  bool empty() const { return rows_.empty(); }
  std::size_t size() const { return rows_.size(); }
  /// The last value of a column that is one; NaN if there is none.
  double last(const std::string& column) const;
  /// (step, value) for each row.
  std::vector<std::pair<double, double>> points(const std::string& column) const;

  /// A head and the rows; cells without a value are empty.
  std::string csv() const;
  std::string json() const;
  /// IoError for text that is not of such a table.
  void read_json(const std::string& text);

 private:
  std::size_t place(const std::string& column) const;
  std::vector<std::string> columns_;
  std::vector<std::vector<double>> rows_;
};

}  // namespace duet::examples
