// Steps and saved state, the same for every optimizer.
#include <duet/nn/optim/optimizer.hpp>

#include <algorithm>
#include <cmath>
#include <optional>
#include <unordered_map>

#include <duet/core/fail.hpp>
#include <duet/core/parallel.hpp>
#include <duet/core/raw.hpp>
#include <duet/core/tape.hpp>
#include <duet/ops/kernels/optimizer.hpp>

namespace duet::optim {
namespace {

constexpr std::int64_t stretch_length = 1 << 14;  // elements to a chunk of parallel work

/// Reads the numbers of an options struct, or writes them back.
class NumberVisitor final : public FieldVisitor {
 public:
  std::vector<std::pair<std::string, double>> read;
  const std::vector<std::pair<std::string, double>>* written = nullptr;  // in the same order

  void field(const char* name, bool& value) override { pass(name, value); }
  void field(const char* name, std::int64_t& value) override { pass(name, value); }
  void field(const char* name, double& value) override { pass(name, value); }
  void field(const char* name, std::string&) override { refuse(name); }
  void field(const char* name, std::vector<std::int64_t>&) override { refuse(name); }
  void field(const char* name, Shape&) override { refuse(name); }
  void integers(const char* name, std::span<std::int64_t>) override { refuse(name); }
  void integers(const char* name, std::span<std::int64_t>, std::string&) override { refuse(name); }
  void field(const char* name, std::optional<double>&) override { refuse(name); }
  void field(const char* name, std::optional<std::int64_t>&) override { refuse(name); }
  void choice(const char* name, int&, std::span<const char* const>) override { refuse(name); }

 private:
  template <class T>
  void pass(const char* name, T& value) {
    if (written != nullptr)
      value = static_cast<T>((*written)[at_++].second);
    else
      read.emplace_back(name, static_cast<double>(value));
  }
  std::size_t at_ = 0;
  [[noreturn]] static void refuse(const char* name) {
    fail<ValueError>("optimizer", "option '{}' is not a number and cannot be kept in a checkpoint", name);
  }
};

std::string state_key(std::size_t member, const char* slot) { return fmt::format("state.{}.{}", member, slot); }
std::string option_key(std::size_t group, const std::string& option) {
  return fmt::format("group.{}.{}", group, option);
}

}  // namespace

std::size_t Optimizer::checked(std::size_t group) const {
  if (group >= group_count_) fail<ValueError>(name_, "there is no group {}, only {}", group, group_count_);
  return group;
}

Optimizer::Optimizer(const char* name) : name_(name) {}
Optimizer::~Optimizer() = default;
Optimizer::Optimizer(Optimizer&&) noexcept = default;

void Optimizer::require(bool ok, const char* what, double value) const {
  if (!ok) fail<ValueError>(name_, "{}, got {}", what, value);
}

void Optimizer::add_group(const std::vector<Tensor>& parameters) {
  if (parameters.empty()) fail<ValueError>(name_, "group {} has no parameters", group_count_);
  for (const Tensor& parameter : parameters) {
    if (!is_floating(parameter.dtype())) raw::not_floating(name_, parameter.dtype());
    if (!parameter.is_leaf())
      fail<AutogradError>(name_, "parameter {} was computed and is no leaf: an optimizer moves leaves",
                          to_string(spec_of(parameter)));
    if (!parameter.is_contiguous())
      fail<ValueError>(name_, "parameter {} has gaps between its elements (strides {}): pass a clone",
                       parameter.shape(), parameter.strides());
    for (const Member& member : members_)
      if (member.parameter.impl() == parameter.impl())
        fail<ValueError>(name_, "parameter {} is given twice", to_string(spec_of(parameter)));
    members_.push_back({parameter, group_count_});
  }
  ++group_count_;
}

void Optimizer::set_lr(std::size_t group, double value) {
  if (!(value >= 0) || !std::isfinite(value))
    fail<ValueError>(name_, "lr must be finite and not negative, got {}", value);
  lr_of(checked(group)) = value;
}

void Optimizer::set_lr(double value) {
  for (std::size_t group = 0; group < group_count_; ++group) set_lr(group, value);
}

double Optimizer::momentum(std::size_t group) const {
  const double* found = const_cast<Optimizer*>(this)->momentum_of(checked(group));
  if (found == nullptr) fail<ValueError>(name_, "has no momentum");
  return *found;
}

void Optimizer::set_momentum(std::size_t group, double value) {
  double* found = momentum_of(checked(group));
  if (found == nullptr) fail<ValueError>(name_, "has no momentum to set");
  if (!(value >= 0 && value < 1)) fail<ValueError>(name_, "momentum must lie in [0, 1), got {}", value);
  *found = value;
}

std::vector<Tensor> Optimizer::parameters() const {
  std::vector<Tensor> all;
  for (const Member& member : members_) all.push_back(member.parameter);
  return all;
}

void Optimizer::zero_grad() {
  for (Member& member : members_) member.parameter.set_grad({});
}

/// Slots that are there and of the parameter's dtype, which may have changed since.
void Optimizer::prepare(Member& member) const {
  member.slots.resize(slot_names().size());
  for (std::size_t i = 0; i < member.slots.size(); ++i) {
    Tensor& slot = member.slots[i];
    if (!uses_slot(member.group, i)) {
      slot = {};
    } else if (!slot.defined() || slot.dtype() != member.parameter.dtype()) {
      Tensor fresh = Tensor::empty(member.parameter.shape(), {.dtype = member.parameter.dtype()});
      if (slot.defined())
        raw::copy(slot, fresh);
      else
        raw::fill(fresh, initial_value(member.group));
      slot = fresh;
    }
  }
}

void Optimizer::make_slots() {
  for (Member& member : members_)
    if (member.parameter.requires_grad()) prepare(member);
}

void Optimizer::step() {
  std::vector<Member*> moved;
  for (Member& member : members_)
    if (member.parameter.grad().defined()) moved.push_back(&member);
  if (moved.empty())
    fail<ValueError>(name_,
                     "none of the {} parameters has a gradient: call backward() on a loss that depends on them "
                     "before step()",
                     members_.size());
  const NoGradGuard no_grad;
  for (Member* member : moved) {
    prepare(*member);
    begin_in_place(name_, member->parameter);
  }
  for (Member* member : moved) ++member->steps;
  update(moved);
}

void Optimizer::for_each_stretch(std::span<Member* const> members,
                                 FunctionRef<void(std::size_t, int, const kernels::UpdateStretch&)> body) {
  struct Work {
    std::size_t member;
    std::int64_t begin;
  };
  std::vector<Work> work;
  std::vector<Tensor> gradients;
  for (std::size_t k = 0; k < members.size(); ++k) {
    gradients.push_back(raw::contiguous(members[k]->parameter.grad()));
    for (std::int64_t at = 0; at < gradients[k].numel(); at += stretch_length) work.push_back({k, at});
  }
  parallel_for(static_cast<std::int64_t>(work.size()), 1, [&](std::int64_t from, std::int64_t to) {
    for (std::int64_t w = from; w < to; ++w) {
      const auto [k, begin] = work[static_cast<std::size_t>(w)];
      const Member& member = *members[k];
      const auto offset = begin * static_cast<std::int64_t>(item_size(member.parameter.dtype()));
      kernels::UpdateStretch stretch{raw::data<std::byte>(member.parameter) + offset,
                                     raw::data<std::byte>(gradients[k]) + offset,
                                     {nullptr, nullptr, nullptr},
                                     std::min(stretch_length, gradients[k].numel() - begin)};
      for (std::size_t i = 0; i < member.slots.size(); ++i)
        if (member.slots[i].defined()) stretch.slot[i] = raw::data<std::byte>(member.slots[i]) + offset;
      body(k, member.parameter.dtype() == f64 ? 1 : 0, stretch);
    }
  });
}

NamedTensors Optimizer::state_dict() const {
  NamedTensors state;
  for (std::size_t group = 0; group < group_count_; ++group) {
    NumberVisitor visitor;
    const_cast<Optimizer*>(this)->visit_options(group, visitor);
    for (const auto& [name, value] : visitor.read)
      state.emplace_back(option_key(group, name), Tensor::scalar(value, {.dtype = f64}));
  }
  for (std::size_t k = 0; k < members_.size(); ++k) {
    const Member& member = members_[k];
    if (member.steps == 0) continue;
    state.emplace_back(state_key(k, "step"), Tensor::scalar(static_cast<double>(member.steps), {.dtype = i64}));
    for (std::size_t i = 0; i < member.slots.size(); ++i)
      if (member.slots[i].defined()) state.emplace_back(state_key(k, slot_names()[i]), raw::clone(member.slots[i]));
  }
  return state;
}

namespace {

/// Takes tensors out of a saved state and writes down what does not fit.
class StateReader {
 public:
  explicit StateReader(const NamedTensors& state) : given_(state.begin(), state.end()) {}
  std::string misfits;

  bool has(const std::string& key) const { return given_.contains(key); }
  Tensor take(const std::string& key, const Shape& shape) {
    const auto found = given_.find(key);
    if (found == given_.end()) {
      misfits += fmt::format("\n  missing: {} {}", key, shape);
      return {};
    }
    const Tensor tensor = found->second;
    given_.erase(found);
    if (tensor.defined() && tensor.shape() == shape) return tensor;
    misfits +=
        fmt::format("\n  other shape: {} is {} here, {} in what is loaded", key, shape, to_string(spec_of(tensor)));
    return {};
  }
  void note_unexpected(const NamedTensors& state) {
    for (const auto& [key, tensor] : state)
      if (has(key)) misfits += fmt::format("\n  unexpected: {} {}", key, to_string(spec_of(tensor)));
  }

 private:
  std::unordered_map<std::string, Tensor> given_;
};

}  // namespace

void Optimizer::load_state_dict(const NamedTensors& state) {
  StateReader reader(state);
  std::vector<Numbers> before(group_count_), loaded_options(group_count_);
  for (std::size_t group = 0; group < group_count_; ++group) {
    NumberVisitor visitor;
    visit_options(group, visitor);
    before[group] = visitor.read;
    loaded_options[group] = before[group];
    for (auto& [name, value] : loaded_options[group])
      if (const Tensor tensor = reader.take(option_key(group, name), {}); tensor.defined()) value = tensor.item();
  }
  std::vector<Member> loaded = members_;
  // The options that were saved say which slots were used.
  write_options(loaded_options);
  for (std::size_t k = 0; k < loaded.size(); ++k) {
    Member& member = loaded[k];
    member.steps = 0;
    member.slots.assign(slot_names().size(), {});
    const std::string steps = state_key(k, "step");
    if (!reader.has(steps)) continue;  // never moved
    if (const Tensor tensor = reader.take(steps, {}); tensor.defined()) member.steps = tensor.item<std::int64_t>();
    for (std::size_t i = 0; i < member.slots.size(); ++i)
      if (uses_slot(member.group, i))
        if (const Tensor slot = reader.take(state_key(k, slot_names()[i]), member.parameter.shape()); slot.defined())
          member.slots[i] = raw::clone(slot);
  }
  reader.note_unexpected(state);
  if (!reader.misfits.empty()) {
    write_options(before);
    fail<ValueError>(name_, "the saved state does not fit:{}", reader.misfits);
  }
  members_ = std::move(loaded);
}

void Optimizer::write_options(const std::vector<Numbers>& options) {
  for (std::size_t group = 0; group < group_count_; ++group) {
    NumberVisitor visitor;
    visitor.written = &options[group];
    visit_options(group, visitor);
  }
}

}  // namespace duet::optim
