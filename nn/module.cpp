// Registration, traversal and state of modules.
#include <duet/nn/module.hpp>

#include <algorithm>
#include <typeinfo>
#include <unordered_map>
#include <unordered_set>

#include <duet/core/fail.hpp>
#include <duet/core/platform.hpp>
#include <duet/core/raw.hpp>
#include <duet/core/tape.hpp>
#include <duet/core/tensor_impl.hpp>

namespace duet::nn {
namespace {

thread_local const Module* running = nullptr;  // the module whose forward this thread is in

std::string joined(const std::string& prefix, const std::string& name) {
  return prefix.empty() ? name : name.empty() ? prefix : prefix + "." + name;
}

template <class T>
T* shifted(T* pointer, std::ptrdiff_t by) {
  return reinterpret_cast<T*>(reinterpret_cast<std::uintptr_t>(pointer) + static_cast<std::uintptr_t>(by));
}

/// Swaps a leaf's memory for a converted copy, under every handle. A graph that still refers to it keeps the old
/// memory where it saved it as an output, and its old accumulator, which no longer finds the leaf.
void convert(TensorImpl& impl, Dtype dtype) {
  if (!is_floating(impl.dtype) || impl.dtype == dtype) return;
  Tensor old = Tensor::empty({}), converted = Tensor::empty(impl.shape, {.dtype = dtype});
  TensorImpl& view = *old.impl();
  view.storage = impl.storage;
  view.offset = impl.offset;
  view.shape = impl.shape;
  view.strides = impl.strides;
  view.dtype = impl.dtype;
  view.contiguous = impl.contiguous;
  raw::copy(old, converted);
  impl.storage = converted.impl()->storage;
  impl.offset = 0;
  impl.strides = converted.strides();
  impl.contiguous = true;
  impl.dtype = dtype;
  if (impl.leaf == nullptr) return;
  impl.leaf->accumulator.reset();
  if (!impl.leaf->grad.defined()) return;
  Tensor grad = Tensor::empty(impl.shape, {.dtype = dtype});
  raw::copy(impl.leaf->grad, grad);
  impl.leaf->grad = grad;
}

}  // namespace

Parameter::Parameter(Module* owner, const std::string& name, const Tensor& value) {
  owner->register_tensor(name, this, true);
  *this = value;
}

Parameter& Parameter::operator=(const Tensor& value) {
  if (value.defined() && !value.is_leaf())
    fail<AutogradError>("parameter", "{} was computed; a parameter is a leaf: assign its detach()",
                        to_string(spec_of(value)));
  static_cast<Tensor&>(*this) = value;
  if (defined()) set_requires_grad();
  return *this;
}

Buffer::Buffer(Module* owner, const std::string& name, const Tensor& value) {
  owner->register_tensor(name, this, false);
  *this = value;
}

Buffer& Buffer::operator=(const Tensor& value) {
  static_cast<Tensor&>(*this) = value.defined() ? value.detach() : value;
  return *this;
}

Module::Module() = default;
Module::Module(Module* parent, std::string name) : name_(std::move(name)) {
  if (parent == nullptr) return;
  parent->check_name(name_);
  parent->children_.push_back({this, true});
  parent_ = parent;
}

Module& Module::movable(Module& module) {
  if (module.parent_ != nullptr && module.moving_to_ == nullptr)
    fail<ValueError>("module", "'{}' ({}) is registered in {} and cannot be moved out of it", module.name_,
                     module.kind(), module.parent_->kind());
  return module;
}

Module::Module(Module&& other)
    : parent_(movable(other).moving_to_),
      name_(std::move(other.name_)),
      training_(other.training_),
      tensors_(std::move(other.tensors_)),
      children_(std::move(other.children_)),
      hooks_(std::move(other.hooks_)) {
  other.parent_ = other.moving_to_ = nullptr;
  other.tensors_.clear();
  other.children_.clear();
  // The members of this object will lie as far from `this` as those of `other` lay from it.
  const std::ptrdiff_t by = reinterpret_cast<std::byte*>(this) - reinterpret_cast<std::byte*>(&other);
  for (TensorEntry& entry : tensors_) entry.tensor = shifted(entry.tensor, by);
  for (ChildEntry& child : children_) {
    if (child.member) {
      child.module->moving_to_ = this;
      child.module = shifted(child.module, by);
    } else {
      child.module->parent_ = this;
    }
  }
}

Module::~Module() {
  if (parent_ != nullptr)
    std::erase_if(parent_->children_, [&](const ChildEntry& child) { return child.module == this; });
}

void Module::check_name(const std::string& name) const {
  if (name.empty() || name.find('.') != std::string::npos)
    fail<ValueError>("module", "{} cannot register the name '{}': names are not empty and have no dots", kind(), name);
  const bool taken =
      std::any_of(tensors_.begin(), tensors_.end(), [&](const auto& entry) { return entry.name == name; }) ||
      std::any_of(children_.begin(), children_.end(), [&](const auto& child) { return child.module->name_ == name; });
  if (taken) fail<ValueError>("module", "{} already has a member named '{}'", kind(), name);
}

void Module::register_tensor(const std::string& name, Tensor* tensor, bool trained) {
  check_name(name);
  tensors_.push_back({name, tensor, trained});
}

void Module::register_heap_child(const std::string& name, Module& child) {
  check_name(name);
  if (child.parent_ != nullptr)
    fail<ValueError>("module", "'{}' ({}) already belongs to {}", child.name_, child.kind(), child.parent_->kind());
  child.name_ = name;
  child.parent_ = this;
  children_.push_back({&child, false});
}

Tensor Module::forward(const Tensor&) {
  fail<ValueError>("module", "{} has no forward(const Tensor&): declare one, or call what it declares instead", kind());
}

Module::CallGuard::CallGuard(const Module& module)
    : scope_(&module, [](const void* object) { return static_cast<const Module*>(object)->path(); }), outer_(running) {
  if (outer_ != nullptr && module.parent_ == nullptr && outer_ != &module && grad_enabled()) {
    const auto named = module.named_parameters();
    if (std::any_of(named.begin(), named.end(), [](const auto& entry) { return entry.second.requires_grad(); }))
      fail<ValueError>(
          "module",
          "{} is called inside {} but is not registered in it, so its parameters would not be "
          "trained: declare it as {{this, \"name\", …}}; if it is meant to stand alone, call its forward()",
          module.kind(), outer_->kind());
  }
  running = &module;
}
Module::CallGuard::~CallGuard() { running = outer_; }

Tensor Module::operator()(const Tensor& x) {
  return call([&](const Tensor& given) { return forward(given); }, x);
}

void Module::collect(const std::string& prefix, bool trained, bool untrained, NamedTensors& into) const {
  for (const bool parameters_first : {true, false})
    for (const TensorEntry& entry : tensors_)
      if (entry.trained == parameters_first && (entry.trained ? trained : untrained) && entry.tensor->defined())
        into.emplace_back(joined(prefix, entry.name), *entry.tensor);
  for (const ChildEntry& child : children_)
    child.module->collect(joined(prefix, child.module->name_), trained, untrained, into);
}

NamedTensors Module::distinct(bool trained, bool untrained) const {
  NamedTensors all;
  collect("", trained, untrained, all);
  std::unordered_set<const TensorImpl*> seen;
  std::erase_if(all, [&](const auto& entry) { return !seen.insert(entry.second.impl().get()).second; });
  return all;
}

NamedTensors Module::named_parameters() const { return distinct(true, false); }
NamedTensors Module::named_buffers() const { return distinct(false, true); }

std::vector<Tensor> Module::parameters() const {
  std::vector<Tensor> all;
  for (auto& entry : named_parameters()) all.push_back(std::move(entry.second));
  return all;
}

std::int64_t Module::parameter_count() const {
  std::int64_t count = 0;
  for (const Tensor& parameter : parameters()) count += parameter.numel();
  return count;
}

std::vector<Module*> Module::children() const {
  std::vector<Module*> all;
  for (const ChildEntry& child : children_) all.push_back(child.module);
  return all;
}

std::vector<std::pair<std::string, Module*>> Module::named_modules() {
  std::vector<std::pair<std::string, Module*>> all{{"", this}};
  for (const ChildEntry& child : children_)
    for (auto& [name, module] : child.module->named_modules())
      all.emplace_back(joined(child.module->name_, name), module);
  return all;
}

std::vector<Tensor*> Module::tensor_slots() const {
  std::vector<Tensor*> slots;
  for (const TensorEntry& entry : tensors_) slots.push_back(entry.tensor);
  for (const ChildEntry& child : children_)
    for (Tensor* slot : child.module->tensor_slots()) slots.push_back(slot);
  return slots;
}

Module& Module::train(bool on) {
  training_ = on;
  for (const ChildEntry& child : children_) child.module->train(on);
  return *this;
}

void Module::zero_grad() {
  for (Tensor& parameter : parameters()) parameter.set_grad({});
}

Module& Module::set_requires_grad(bool on) {
  for (Tensor& parameter : parameters()) parameter.set_requires_grad(on);
  return *this;
}

Module& Module::to(Dtype dtype) {
  if (!is_floating(dtype)) fail<DtypeError>("to", "{} can be f32 or f64, not {}", kind(), name(dtype));
  for (auto& entry : distinct(true, true)) convert(*entry.second.impl(), dtype);
  return *this;
}

NamedTensors Module::state_dict() const {
  NamedTensors all;
  collect("", true, true, all);
  for (auto& entry : all) entry.second = entry.second.detach();
  return all;
}

void Module::load_state_dict(const NamedTensors& state, LoadOptions options) {
  std::unordered_map<std::string_view, const Tensor*> given;
  for (const auto& [name, tensor] : state) given.emplace(name, &tensor);
  std::vector<std::pair<const Tensor*, Tensor>> copies;
  std::string missing, misfits, unexpected;
  for (const auto& [name, own] : state_dict()) {
    const auto found = given.find(name);
    if (found == given.end()) {
      if (options.strict) missing += fmt::format("\n  missing: {} {}", name, to_string(spec_of(own)));
      continue;
    }
    const Tensor& other = *found->second;
    given.erase(found);
    if (!other.defined() || other.shape() != own.shape() || is_floating(other.dtype()) != is_floating(own.dtype()))
      misfits += fmt::format("\n  other form: {} is {} here, {} in what is loaded", name, to_string(spec_of(own)),
                             to_string(spec_of(other)));
    else
      copies.emplace_back(&other, own);
  }
  if (options.strict)
    for (const auto& [name, tensor] : state)
      if (given.contains(name)) unexpected += fmt::format("\n  unexpected: {} {}", name, to_string(spec_of(tensor)));
  if (!missing.empty() || !misfits.empty() || !unexpected.empty())
    fail<ValueError>("load_state_dict", "the tensors do not fit {}:{}{}{}", kind(), missing, misfits, unexpected);
  const NoGradGuard no_grad;
  for (auto& [from, to] : copies) {
    begin_in_place("load_state_dict", to);
    raw::copy(*from, to);
  }
}

std::string Module::kind() const {
  const std::string name = readable_name(typeid(*this).name());
  // Namespaces go, those of template arguments stay.
  const std::size_t colons = name.substr(0, name.find('<')).rfind("::");
  return colons == std::string::npos ? name : name.substr(colons + 2);
}

std::string Module::path() const { return parent_ == nullptr ? std::string() : joined(parent_->path(), name_); }

NamedTensors clone_tensors(const NamedTensors& tensors) {
  NamedTensors copies;
  for (const auto& [name, tensor] : tensors) copies.emplace_back(name, raw::clone(tensor));
  return copies;
}

void detail::copy_module(const Module& from, Module& to) {
  const auto state = from.state_dict();
  for (const auto& entry : state)
    if (is_floating(entry.second.dtype())) {
      to.to(entry.second.dtype());
      break;
    }
  to.load_state_dict(state);
  to.train(from.is_training());
}

}  // namespace duet::nn
