// Modules that hold modules: Sequential runs them one after the other, ModuleList<M> keeps several of one type.
#pragma once

#include <duet/nn/module.hpp>

namespace duet::nn {

/// Runs its modules in order. Names are their positions, as in PyTorch: "0.weight", "1.bias".
///
///     duet::nn::Sequential net{duet::nn::Linear{2, 16}, duet::nn::ReLU{}, duet::nn::Linear{16, 1}};
class Sequential : public Module {
 public:
  Sequential();
  Sequential(Module* parent, const std::string& name);
  Sequential(Sequential&&);
  ~Sequential() override;
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
  std::string kind() const override;

 private:
  std::vector<std::unique_ptr<Module>> modules_;
};

/// What every ModuleList shares, whatever its type.
class ModuleListBase : public Module {
 public:
  ModuleListBase();
  ModuleListBase(Module* parent, const std::string& name);
  ~ModuleListBase() override;
  std::size_t size() const { return modules_.size(); }
  bool empty() const { return modules_.empty(); }
  std::string kind() const override;

 protected:
  ModuleListBase(ModuleListBase&&);
  void append(std::unique_ptr<Module> module);
  std::vector<std::unique_ptr<Module>> modules_;
};

/// Any number of modules of one type, named by their positions. It has no forward: its owner calls them.
template <class M>
class ModuleList : public ModuleListBase {
 public:
  using ModuleListBase::ModuleListBase;

  /// Constructs one more from `arguments`.
  template <class... Arguments>
  M& add(Arguments&&... arguments) {
    append(std::make_unique<M>(std::forward<Arguments>(arguments)...));
    return (*this)[size() - 1];
  }
  /// The module at a position below size().
  M& operator[](std::size_t position) const { return static_cast<M&>(*modules_[position]); }

  class Iterator {
   public:
    explicit Iterator(const std::unique_ptr<Module>* at) : at_(at) {}
    M& operator*() const { return static_cast<M&>(**at_); }
    Iterator& operator++() {
      ++at_;
      return *this;
    }
    friend bool operator==(const Iterator& a, const Iterator& b) { return a.at_ == b.at_; }

   private:
    const std::unique_ptr<Module>* at_;
  };
  Iterator begin() const { return Iterator(modules_.data()); }
  Iterator end() const { return Iterator(modules_.data() + modules_.size()); }
};

}  // namespace duet::nn
