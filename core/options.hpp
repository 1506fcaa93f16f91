// Options of ops, and the one visitor over their fields. An options struct is an aggregate whose member
// `void fields(FieldVisitor&)` names each field as PyTorch's functional arguments do; golden cases, exporters,
// the op reference and the tape's drawing all read it through that.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <typeinfo>
#include <vector>

#include <duet/core/shape.hpp>

namespace duet {

/// N integers given as one (for every axis) or as {a, b, …} of any integral type.
template <int N>
class Extent {
 public:
  constexpr Extent() = default;
  template <class I>
    requires std::is_integral_v<I>
  constexpr Extent(I all) {
    for (auto& value : values_) value = static_cast<std::int64_t>(all);
  }
  template <class A, class B>
    requires(N == 2 && std::is_integral_v<A> && std::is_integral_v<B>)
  constexpr Extent(A h, B w) : values_{static_cast<std::int64_t>(h), static_cast<std::int64_t>(w)} {}
  template <class A, class B, class C>
    requires(N == 3 && std::is_integral_v<A> && std::is_integral_v<B> && std::is_integral_v<C>)
  constexpr Extent(A d, B h, C w)
      : values_{static_cast<std::int64_t>(d), static_cast<std::int64_t>(h), static_cast<std::int64_t>(w)} {}
  constexpr std::int64_t& operator[](int axis) { return values_[axis]; }
  constexpr std::int64_t operator[](int axis) const { return values_[axis]; }
  constexpr std::int64_t* data() { return values_; }  ///< one value an axis
  friend constexpr bool operator==(const Extent&, const Extent&) = default;

 private:
  std::int64_t values_[N] = {};
};

using Pair = Extent<2>;
using Triple = Extent<3>;

/// Walks the fields of an options struct; each override may read or write.
class FieldVisitor {
 public:
  virtual ~FieldVisitor() = default;
  virtual void field(const char* name, bool& value) = 0;
  virtual void field(const char* name, std::int64_t& value) = 0;
  virtual void field(const char* name, double& value) = 0;
  virtual void field(const char* name, std::string& value) = 0;
  virtual void field(const char* name, std::vector<std::int64_t>& value) = 0;
  /// Few options are lists of real numbers: a visitor that does not take them passes by.
  virtual void field(const char* /*name*/, std::vector<double>& /*value*/) {}
  virtual void field(const char* name, Shape& value) = 0;
  /// A fixed number of integers.
  virtual void integers(const char* name, std::span<std::int64_t> value) = 0;
  virtual void field(const char* name, std::optional<double>& value) = 0;
  virtual void field(const char* name, std::optional<std::int64_t>& value) = 0;
  /// A fixed number of integers, or (where `word` is not empty) a word in their place, such as "same".
  virtual void integers(const char* name, std::span<std::int64_t> value, std::string& word) = 0;
  /// One of `names`, by its index.
  virtual void choice(const char* name, int& index, std::span<const char* const> names) = 0;

  template <int N>
  void field(const char* name, Extent<N>& value) {
    integers(name, {value.data(), N});
  }
  template <class Enum>
    requires std::is_enum_v<Enum>
  void choice(const char* name, Enum& value, std::span<const char* const> names) {
    int index = static_cast<int>(value);
    choice(name, index, names);
    value = static_cast<Enum>(index);
  }
};

/// What is known of an options type besides its fields.
struct OptionsType {
  const std::type_info* type;
  std::shared_ptr<void> (*make)();
  std::shared_ptr<void> (*copy)(const void*);
  void (*visit)(void*, FieldVisitor&);
};

template <class O>
const OptionsType& options_type() {
  static const OptionsType type{
      &typeid(O), []() -> std::shared_ptr<void> { return std::make_shared<O>(); },
      [](const void* from) -> std::shared_ptr<void> { return std::make_shared<O>(*static_cast<const O*>(from)); },
      [](void* options, FieldVisitor& visitor) { static_cast<O*>(options)->fields(visitor); }};
  return type;
}  ///< of O

/// Options of any type, or none.
class AnyOptions {
 public:
  AnyOptions() = default;
  template <class O>
    requires requires(O o, FieldVisitor& v) { o.fields(v); }
  AnyOptions(const O& options) : type_(&options_type<O>()), held_(std::make_shared<O>(options)) {}
  explicit AnyOptions(const OptionsType& type) : type_(&type), held_(type.make()) {}

  explicit operator bool() const { return held_ != nullptr; }
  /// The options as O, which they must be (throws ValueError).
  template <class O>
  const O& get() const {
    if (type_ == nullptr || (type_ != &options_type<O>() && *type_->type != typeid(O))) wrong_type(typeid(O));
    return *static_cast<const O*>(held_.get());
  }
  const OptionsType* type() const { return type_; }  ///< null where there are none
  /// Visits a copy, so that readers need no const twin of `fields`.
  void visit(FieldVisitor& visitor) const {
    if (held_) type_->visit(type_->copy(held_.get()).get(), visitor);
  }
  /// Visits the options themselves; they must not be shared yet.
  void visit_mutable(FieldVisitor& visitor) {
    if (held_) type_->visit(std::const_pointer_cast<void>(held_).get(), visitor);
  }

 private:
  [[noreturn]] void wrong_type(const std::type_info& wanted) const;
  const OptionsType* type_ = nullptr;
  std::shared_ptr<const void> held_;
};

/// "stride=(2, 2), padding=(1, 1), groups=1": the fields in order.
std::string to_string(const AnyOptions& options);

}  // namespace duet
