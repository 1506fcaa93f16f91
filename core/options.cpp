// Options as text.
#include <duet/core/options.hpp>

#include <optional>

#include <duet/core/fail.hpp>

namespace duet {
namespace {

class Printer final : public FieldVisitor {
 public:
  std::string text;
  void field(const char* name, bool& value) override { add(name, value ? "true" : "false"); }
  void field(const char* name, std::int64_t& value) override { add(name, std::to_string(value)); }
  void field(const char* name, double& value) override { add(name, fmt::format("{}", value)); }
  void field(const char* name, std::string& value) override { add(name, value); }
  void field(const char* name, std::vector<std::int64_t>& value) override {
    add(name, fmt::format("({})", fmt::join(value, ", ")));
  }
  void field(const char* name, std::vector<double>& value) override {
    add(name, fmt::format("({})", fmt::join(value, ", ")));
  }
  void field(const char* name, Shape& value) override { add(name, to_string(value)); }
  void integers(const char* name, std::span<std::int64_t> value) override { add(name, to_string(Shape(value))); }
  void field(const char* name, std::optional<double>& value) override {
    add(name, value ? fmt::format("{}", *value) : "none");
  }
  void field(const char* name, std::optional<std::int64_t>& value) override {
    add(name, value ? std::to_string(*value) : "none");
  }
  void integers(const char* name, std::span<std::int64_t> value, std::string& word) override {
    add(name, word.empty() ? to_string(Shape(value)) : word);
  }
  void choice(const char* name, int& index, std::span<const char* const> names) override {
    add(name, names[static_cast<std::size_t>(index)]);
  }

 private:
  void add(const char* name, const std::string& value) {
    if (!text.empty()) text += ", ";
    text += std::string(name) + "=" + value;
  }
};

}  // namespace

std::string to_string(const AnyOptions& options) {
  Printer printer;
  options.visit(printer);
  return printer.text;
}

void AnyOptions::wrong_type(const std::type_info& wanted) const {
  fail<ValueError>("options", "options of type {} read as {}", type_ ? type_->type->name() : "none", wanted.name());
}

}  // namespace duet
