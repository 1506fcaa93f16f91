// Modules that hold modules: Sequential runs them one after the other, ModuleList<M> keeps several of one type.
#pragma once

#include <duet/nn/module.hpp>

namespace duet::nn {

/// Runs its modules in order. Names are their positions, as in PyTorch: "0.weight", "1.bias".
///
///     duet::nn::Sequential net{duet::nn::Linear{2, 16}, duet::nn::ReLU{}, duet::nn::Linear{16, 1}};
class Sequential : public Module {
 public:
  Sequential() = default;
  Sequential(Module* parent, const std::string& name) : Module(parent, name) {}
  template <class... Modules>
    requires(sizeof...(Modules) > 0 && (std::is_base_of_v<Module, Modules> && ...))
  explicit Sequential(Modules&&... modules) {
    (add(std::make_unique<Modules>(std::move(modules))), ...);
  }
  template <class... Modules>
    requires(sizeof...(Modules) > 0 && (std::is_base_of_v<Module, Modules> && ...))
  Sequential(Module* parent, const std::string& name, Modules&&... modules) : Module(parent, name) {
    (add(std::make_unique<Modules>(std::move(modules))), ...);
  }

  /// Appends a module; gives it back.
  Module& add(std::unique_ptr<Module> module);
  template <class M>
    requires std::is_base_of_v<Module, M>
  M& add(M&& module) {
    return static_cast<M&>(add(std::unique_ptr<Module>(std::make_unique<M>(std::move(module)))));
  }

  std::size_t size() const { return modules_.size(); }
  /// The module at a position; ValueError out of range.
  Module& at(std::size_t position) const;

  Tensor forward(const Tensor& x) override;
  std::string kind() const override { return "Sequential"; }

 private:
  std::vector<std::unique_ptr<Module>> modules_;
};

/// Any number of modules of one type, named by their positions. It has no forward: its owner calls them.
template <class M>
class ModuleList : public Module {
 public:
  ModuleList() = default;
  ModuleList(Module* parent, const std::string& name) : Module(parent, name) {}

  /// Constructs one more from `arguments`.
  template <class... Arguments>
  M& add(Arguments&&... arguments) {
    auto module = std::make_unique<M>(std::forward<Arguments>(arguments)...);
    register_heap_child(std::to_string(modules_.size()), *module);
    modules_.push_back(std::move(module));
    return *modules_.back();
  }

  std::size_t size() const { return modules_.size(); }
  bool empty() const { return modules_.empty(); }
  /// The module at a position below size().
  M& operator[](std::size_t position) const { return *modules_[position]; }

  class Iterator {
   public:
    explicit Iterator(const std::unique_ptr<M>* at) : at_(at) {}
    M& operator*() const { return **at_; }
    Iterator& operator++() {
      ++at_;
      return *this;
    }
    friend bool operator==(const Iterator&, const Iterator&) = default;

   private:
    const std::unique_ptr<M>* at_;
  };
  Iterator begin() const { return Iterator(modules_.data()); }
  Iterator end() const { return Iterator(modules_.data() + modules_.size()); }

  std::string kind() const override { return "ModuleList"; }

 private:
  std::vector<std::unique_ptr<M>> modules_;
};

}  // namespace duet::nn
