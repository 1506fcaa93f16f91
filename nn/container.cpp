// Sequential, and what every ModuleList shares.
#include <duet/nn/container.hpp>

#include <duet/core/fail.hpp>

namespace duet::nn {

Sequential::Sequential() = default;
Sequential::Sequential(Module* parent, const std::string& name) : Module(parent, name) {}
Sequential::Sequential(Sequential&&) = default;
Sequential::~Sequential() = default;
std::string Sequential::kind() const { return "Sequential"; }

Module& Sequential::add(std::unique_ptr<Module> module) {
  if (module == nullptr) fail<ValueError>("Sequential", "there is no module to add at position {}", size());
  register_heap_child(std::to_string(size()), *module);
  modules_.push_back(std::move(module));
  return *modules_.back();
}

Module& Sequential::at(std::size_t position) const {
  if (position >= size()) fail<ValueError>("Sequential", "position {} of {}", position, size());
  return *modules_[position];
}

Tensor Sequential::forward(const Tensor& x) {
  Tensor value = x;
  for (const auto& module : modules_) value = (*module)(value);
  return value;
}

ModuleListBase::ModuleListBase() = default;
ModuleListBase::ModuleListBase(Module* parent, const std::string& name) : Module(parent, name) {}
ModuleListBase::ModuleListBase(ModuleListBase&&) = default;
ModuleListBase::~ModuleListBase() = default;
std::string ModuleListBase::kind() const { return "ModuleList"; }

void ModuleListBase::append(std::unique_ptr<Module> module) {
  register_heap_child(std::to_string(size()), *module);
  modules_.push_back(std::move(module));
}

}  // namespace duet::nn
