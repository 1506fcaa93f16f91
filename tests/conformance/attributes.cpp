// JSON values into fields.
#include <limits>
#include <optional>

#include "attributes.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <limits>

#include <duet/core/error.hpp>

namespace golden {

using Json = nlohmann::json;

namespace {

[[noreturn]] void wrong_kind(const char* name, const Json& value, const char* expected) {
  throw duet::ValueError(fmt::format("attribute '{}' needs {}, got {}", name, expected, value.dump()));
}

std::int64_t whole(const char* name, const Json& value) {
  if (value.is_boolean()) return value.get<bool>() ? 1 : 0;
  if (!value.is_number_integer()) wrong_kind(name, value, "a whole number");
  return value.get<std::int64_t>();
}

/// A number, or the words that JSON has no numbers for.
double number(const char* name, const Json& value) {
  if (value.is_string()) {
    const std::string word = value.get<std::string>();
    if (word == "inf") return std::numeric_limits<double>::infinity();
    if (word == "-inf") return -std::numeric_limits<double>::infinity();
    if (word == "fro") return 2;  // of norm: over any dimensions the 2-norm of the elements
  }
  if (!value.is_number()) wrong_kind(name, value, "a number");
  return value.get<double>();
}

std::vector<std::int64_t> list(const char* name, const Json& value) {
  std::vector<std::int64_t> result;
  if (!value.is_array()) return {whole(name, value)};
  for (const Json& entry : value) result.push_back(entry.is_null() ? -1 : whole(name, entry));
  return result;
}

}  // namespace

const Json* AttributeReader::find(const char* name) {
  const auto at = attributes_.find(name);
  if (at == attributes_.end()) return nullptr;
  read_.insert(name);
  return at->is_null() ? nullptr : &*at;
}

void AttributeReader::field(const char* name, bool& value) {
  if (const Json* given = find(name)) value = whole(name, *given) != 0;
}
void AttributeReader::field(const char* name, std::int64_t& value) {
  if (const Json* given = find(name)) {
    const auto values = list(name, *given);
    if (values.size() != 1) wrong_kind(name, *given, "one whole number");
    value = values[0];
  }
}
void AttributeReader::field(const char* name, double& value) {
  if (const Json* given = find(name)) value = number(name, *given);
}
void AttributeReader::field(const char* name, std::string& value) {
  if (const Json* given = find(name)) {
    if (!given->is_string()) wrong_kind(name, *given, "text");
    value = given->get<std::string>();
  }
}
void AttributeReader::field(const char* name, std::vector<std::int64_t>& value) {
  if (const Json* given = find(name)) value = list(name, *given);
}
void AttributeReader::field(const char* name, std::vector<double>& value) {
  const Json* given = find(name);
  if (given == nullptr) return;
  value.clear();
  if (!given->is_array()) return value.push_back(number(name, *given));
  for (const Json& entry : *given) value.push_back(number(name, entry));
}
void AttributeReader::field(const char* name, duet::Shape& value) {
  if (const Json* given = find(name)) value = list(name, *given);
}
void AttributeReader::integers(const char* name, std::span<std::int64_t> value) {
  const Json* given = find(name);
  if (given == nullptr) return;
  const auto values = list(name, *given);
  if (values.empty()) return;
  if (values.size() != 1 && values.size() != value.size())
    wrong_kind(name, *given, fmt::format("one or {} whole numbers", value.size()).c_str());
  for (std::size_t i = 0; i < value.size(); ++i) value[i] = values[values.size() == 1 ? 0 : i];
}
void AttributeReader::integers(const char* name, std::span<std::int64_t> value, std::string& word) {
  const auto at = attributes_.find(name);
  if (at != attributes_.end() && at->is_string())
    field(name, word);
  else
    integers(name, value);
}
void AttributeReader::field(const char* name, std::optional<double>& value) {
  if (const Json* given = find(name)) value = number(name, *given);
}
void AttributeReader::field(const char* name, std::optional<std::int64_t>& value) {
  if (const Json* given = find(name)) value = whole(name, *given);
}
void AttributeReader::choice(const char* name, int& index, std::span<const char* const> names) {
  const Json* given = find(name);
  if (given == nullptr) return;
  for (std::size_t i = 0; i < names.size(); ++i)
    if (given->is_string() && given->get<std::string>() == names[i]) {
      index = static_cast<int>(i);
      return;
    }
  std::string all;
  for (const char* one : names) all += std::string(all.empty() ? "" : ", ") + one;
  wrong_kind(name, *given, fmt::format("one of {}", all).c_str());
}

bool AttributeReader::is_list(const char* name) const {
  const auto at = attributes_.find(name);
  return at != attributes_.end() && at->is_array();
}

namespace {

/// Arguments of PyTorch's functions that Duet's do not have, and the value at which they change nothing; null where any
/// value does. Absent (null) they never do.
struct Neutral {
  const char* name;
  Json value;
};
const std::vector<Neutral>& neutral_arguments() {
  static const std::vector<Neutral> all = {{"inplace", nullptr},
                                           {"_stacklevel", nullptr},
                                           {"return_indices", nullptr},
                                           {"norm_type", nullptr},
                                           {"size_average", "absent"},
                                           {"reduce", "absent"},
                                           {"dtype", "absent"},
                                           {"out", "absent"},
                                           {"max_norm", "absent"},
                                           {"rounding_mode", "absent"},
                                           {"antialias", false},
                                           {"scale_grad_by_freq", false},
                                           {"sparse", false},
                                           {"sparse_grad", false},
                                           {"use_input_stats", true},
                                           {"momentum", nullptr},
                                           {"track_running_stats", false}};
  return all;
}

}  // namespace

void AttributeReader::refuse_unknown() const {
  for (const auto& [name, value] : attributes_.items()) {
    if (read_.contains(name)) continue;
    const auto& all = neutral_arguments();
    const auto known = std::find_if(all.begin(), all.end(), [&key = name](const Neutral& one) { return one.name == key; });
    if (known == all.end()) throw duet::ValueError(fmt::format("unknown attribute '{}' = {}", name, value.dump()));
    if (!value.is_null() && !known->value.is_null() && value != known->value)
      throw duet::ValueError(fmt::format("attribute '{}' = {} is not supported", name, value.dump()));
  }
}

}  // namespace golden
