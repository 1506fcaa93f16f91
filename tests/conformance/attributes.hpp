// Options from JSON attributes, through the one visitor that every options struct has.
#pragma once

#include <duet/core/options.hpp>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <string>

namespace golden {

/// Writes attributes into the fields they name. A whole number stands for a list of one or for every axis, null or an
/// empty list for an absent or unchanged value; null inside a list is -1, which keeps a size. ValueError for a value of
/// another kind.
class AttributeReader final : public duet::FieldVisitor {
 public:
  explicit AttributeReader(const nlohmann::json& attributes) : attributes_(attributes) {}

  using FieldVisitor::choice;
  using FieldVisitor::field;
  void field(const char* name, bool& value) override;
  void field(const char* name, std::int64_t& value) override;
  void field(const char* name, double& value) override;
  void field(const char* name, std::string& value) override;
  void field(const char* name, std::vector<std::int64_t>& value) override;
  void field(const char* name, std::vector<double>& value) override;
  void field(const char* name, duet::Shape& value) override;
  void integers(const char* name, std::span<std::int64_t> value) override;
  void integers(const char* name, std::span<std::int64_t> value, std::string& word) override;
  void field(const char* name, std::optional<double>& value) override;
  void field(const char* name, std::optional<std::int64_t>& value) override;
  void choice(const char* name, int& index, std::span<const char* const> names) override;

  /// Counts an attribute as known that is no field, for example one that says whether an input is there.
  void accept(const std::string& name) { read_.insert(name); }
  /// Whether an attribute is there and holds a list.
  bool is_list(const char* name) const;
  /// Throws ValueError if an attribute was not asked for, unless it is one of PyTorch's that changes nothing at the
  /// value it has, such as inplace, or antialias = false. Says apart what is not known and what is not supported.
  void refuse_unknown() const;

 private:
  const nlohmann::json* find(const char* name);
  const nlohmann::json& attributes_;
  std::set<std::string> read_;
};

}  // namespace golden
