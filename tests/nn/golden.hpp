// Golden files for the tests of nn.
#pragma once

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include <duet/core/safetensors.hpp>

namespace duet::test {

inline SafetensorsFile golden(const std::string& name) {
  return load_safetensors(std::string(DUET_SOURCE_DIR) + "/tests/golden/" + name + ".safetensors");
}

/// The case list of a golden file.
inline nlohmann::json cases_of(const SafetensorsFile& file) { return nlohmann::json::parse(*file.find_metadata("cases")); }

/// The tensors whose names begin with `prefix`, without it.
inline NamedTensors with_prefix(const SafetensorsFile& file, const std::string& prefix) {
  NamedTensors found;
  for (const auto& [name, tensor] : file.tensors)
    if (name.starts_with(prefix)) found.emplace_back(name.substr(prefix.size()), tensor);
  return found;
}

/// The greatest of |a − b| − rtol·|b|, which must not be above atol. NaN counts as infinite.
inline double excess(const std::vector<double>& a, const std::vector<double>& b, double rtol = 1e-7) {
  if (a.size() != b.size()) return INFINITY;
  double most = -INFINITY;
  for (std::size_t i = 0; i < a.size(); ++i) {
    const double over = std::abs(a[i] - b[i]) - rtol * std::abs(b[i]);
    most = std::isnan(over) ? INFINITY : std::max(most, over);
  }
  return most;
}

}  // namespace duet::test
