// Module: what every layer and model derives from. Declaring a member with {this, "name", …} registers it:
//
//     struct Block : duet::nn::Module {
//       duet::nn::Conv2d conv{this, "conv", 1, 16, 3, {.padding = 1}};
//       Tensor forward(const Tensor& x) { return relu(conv(x)); }
//     };
//
// Without a parent the same constructors make a module that stands alone. Modules are not copied; a member's names
// are fixed when it is declared.
#pragma once

#include <memory>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include <duet/core/callable.hpp>
#include <duet/core/safetensors.hpp>
#include <duet/core/scope.hpp>
#include <duet/core/tensor.hpp>

namespace duet::nn {

class Module;
struct ModuleHooks;

/// Removes a hook of a module. Dropping the handle leaves the hook where it is.
class ModuleHookHandle {
 public:
  ModuleHookHandle() = default;
  ModuleHookHandle(std::weak_ptr<ModuleHooks> hooks, std::uint64_t id) : hooks_(std::move(hooks)), id_(id) {}
  /// Does nothing the second time, or when the module is gone.
  void remove();

 private:
  std::weak_ptr<ModuleHooks> hooks_;
  std::uint64_t id_ = 0;
};

namespace detail {

inline Tensors as_list(Tensor one) { return {std::move(one)}; }
inline Tensors as_list(Tensors all) { return all; }

/// body(given[0], given[1], …) as a list.
template <class Body, std::size_t... I>
Tensors unpacked(Body& body, const Tensors& given, std::index_sequence<I...>) {
  return as_list(body(given[I]...));
}

/// The first tensor of a list; an undefined one of none.
const Tensor& first(const Tensors& list);

/// Calls a hook with the first tensor of each list if it takes tensors, else with the lists. What it returns as a list:
/// of nothing, of one tensor for the first place, or of all.
template <class Hook, class... Lists>
Tensors call_hook(Hook&& hook, const Lists&... lists) {
  if constexpr (std::is_invocable_v<Hook&, decltype(first(lists))...>) {
    if constexpr (std::is_void_v<decltype(hook(first(lists)...))>)
      return hook(first(lists)...), Tensors();
    else
      return as_list(hook(first(lists)...));
  } else {
    static_assert(std::is_invocable_v<Hook&, const Lists&...>,
                  "a hook takes tensors, or const Tensors&: one for each that its register function names");
    if constexpr (std::is_void_v<decltype(hook(lists...))>)
      return hook(lists...), Tensors();
    else
      return as_list(hook(lists...));
  }
}

}  // namespace detail

/// A trained tensor of a module: a leaf that requires a gradient. Without a value it is absent (a layer without
/// bias) and is not listed. Assigning another leaf shares that one (tied weights).
class Parameter : public Tensor {
 public:
  /// Registers itself at `owner`. ValueError for a name that is taken, empty or holds a dot; DtypeError for integers.
  Parameter(Module* owner, const std::string& name, const Tensor& value = {});
  /// Only its module moves a parameter. The handle stays behind too: nothing is lost by moving one by hand.
  Parameter(Parameter&& other) noexcept : Tensor(static_cast<const Tensor&>(other)) {}
  Parameter(const Parameter&) = delete;
  Parameter& operator=(const Parameter& other) { return *this = static_cast<const Tensor&>(other); }
  /// AutogradError for a computed tensor.
  Parameter& operator=(const Tensor& value);
};

/// A tensor that belongs to a module's state without being trained: running statistics, counters.
class Buffer : public Tensor {
 public:
  Buffer(Module* owner, const std::string& name, const Tensor& value = {});
  Buffer(Buffer&& other) noexcept : Tensor(static_cast<const Tensor&>(other)) {}
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer& other) { return *this = static_cast<const Tensor&>(other); }
  Buffer& operator=(const Tensor& value);
};

struct LoadOptions {
  bool strict = true;  ///< missing and unexpected names are errors
};
/// Threads may call one module together in evaluation, which changes nothing in it; training and loading are for one.
class Module {
 public:
  /// Stands alone.
  Module();
  /// Registers itself as `parent`'s child. ValueError for a name that is taken, empty or holds a dot.
  Module(Module* parent, std::string name);
  Module(const Module&) = delete;
  Module& operator=(const Module&) = delete;
  virtual ~Module();

  /// Calls forward(). While it runs, scope_path() gives this module's path. ValueError where a stand-alone module
  /// with parameters to train is called inside another module's forward: it is most likely a member whose
  /// declaration lacks {this, "name"}, and no optimizer would see it. (A module that is meant to stand alone, or a
  /// frozen one, is not refused: call the former's forward().)
  Tensor operator()(const Tensor& x);
  /// What the module computes. A module that takes other arguments declares its own forward, and an operator() that
  /// passes it through call().
  virtual Tensor forward(const Tensor& x);

  /// Every distinct parameter, this module's own first, then its children's, in the order of declaration.
  std::vector<Tensor> parameters() const;
  /// The same with names: "down.0.conv1.weight". A tensor that stands in two places comes once.
  NamedTensors named_parameters() const;
  NamedTensors named_buffers() const;  ///< likewise of buffers
  /// The modules directly below.
  std::vector<Module*> children() const;
  /// This module ("") and all below, by path.
  std::vector<std::pair<std::string, Module*>> named_modules();
  /// How many numbers are trained.
  std::int64_t parameter_count() const;

  /// Switches between training and evaluation, which batch norm and dropout tell apart, here and below.
  Module& train(bool on = true);
  Module& eval() { return train(false); }         ///< switches to evaluation
  bool is_training() const { return training_; }  ///< see train()

  /// Drops the gradient of every parameter.
  void zero_grad();
  /// Whether parameters ask for gradients: off freezes this module.
  Module& set_requires_grad(bool on);
  /// Converts every floating parameter, gradient and buffer in place: handles that others hold, such as an
  /// optimizer, follow. DtypeError unless f32 or f64.
  Module& to(Dtype dtype);

  /// Parameters and buffers by name. They share memory with the module; clone_tensors() gives a snapshot.
  NamedTensors state_dict() const;
  /// Copies values in, converting between f32 and f64. Unless everything fits nothing changes, and one ValueError
  /// lists each missing, unexpected or mis-shaped name with its shapes.
  void load_state_dict(const NamedTensors& state, LoadOptions options = {});

  /// The name of the type: "Conv2d".
  virtual std::string kind() const;
  /// What kind() leaves open, for summaries: "1, 16, kernel_size=(3, 3)".
  virtual std::string describe() const { return {}; }

  // --- hooks: run by every operator(), in the order in which they were added (nn/hooks.cpp) ---
  // A hook takes Tensor arguments, which are the module's first input and first output (or the gradients by them), or
  // const Tensors& of all of them. It returns a Tensor or Tensors that take their places, or nothing; an undefined
  // tensor leaves what is there. ValueError in forward, AutogradError in backward for a list of another length.

  /// `hook(module, x)` before forward; what it returns takes x's place.
  template <class Hook>
  ModuleHookHandle register_forward_pre_hook(Hook hook) {
    return add_forward_pre_hook([hook](Module& module, const Tensors& x) mutable {
      return detail::call_hook([&](const auto&... t) -> decltype(hook(module, t...)) { return hook(module, t...); }, x);
    });
  }
  /// `hook(module, x, y)` after forward; what it returns takes y's place.
  template <class Hook>
  ModuleHookHandle register_forward_hook(Hook hook) {
    return add_forward_hook([hook](Module& module, const Tensors& x, const Tensors& y) mutable {
      return detail::call_hook([&](const auto&... t) -> decltype(hook(module, t...)) { return hook(module, t...); }, x,
                               y);
    });
  }
  /// `hook(gradient by y)` when a backward reaches the module; what it returns takes its place and must have its shape
  /// and dtype (AutogradError).
  template <class Hook>
  ModuleHookHandle register_backward_pre_hook(Hook hook) {
    return add_backward_pre_hook([hook](const Tensors& by_y) mutable { return detail::call_hook(hook, by_y); });
  }
  /// `hook(gradient by x, gradient by y)` when a backward leaves the module towards x; what it returns takes the place
  /// of the gradient by x. It is called once a backward, and not at all where no input requires a gradient, or where
  /// the gradient did not come by way of the outputs (a second derivative of what the module computed inside).
  template <class Hook>
  ModuleHookHandle register_backward_hook(Hook hook) {
    return add_backward_hook(
        [hook](const Tensors& by_x, const Tensors& by_y) mutable { return detail::call_hook(hook, by_x, by_y); });
  }

  /// Every place, here and below, that holds a parameter or a buffer, absent ones included: for calling the module with
  /// other tensors in them (nn/gradcheck.hpp).
  std::vector<Tensor*> tensor_slots() const;

  /// Names from the root down to here: "down.0.conv1"; empty at the root.
  std::string path() const;

 protected:
  /// Moves a module that stands alone, with its members, into a container or out of a function. ValueError for one
  /// that is registered. Protected, so that a module is not sliced.
  Module(Module&& other);

  /// Runs `body(inputs…)`, which calls a forward, as operator() does: inputs are tensors, undefined ones for absent
  /// arguments; the result is a Tensor or Tensors. What is not a tensor `body` captures.
  template <class Body, class... Inputs>
  std::invoke_result_t<Body&, const Inputs&...> call(Body&& body, const Inputs&... inputs) {
    static_assert((std::is_convertible_v<const Inputs&, const Tensor&> && ...), "hooks see tensors");
    using Result = std::invoke_result_t<Body&, const Inputs&...>;
    const CallGuard guard(*this);
    if (!hooks_) return body(inputs...);
    Tensors results = call_with_hooks({inputs...}, [&](const Tensors& given) {
      return detail::unpacked(body, given, std::index_sequence_for<Inputs...>());
    });
    if constexpr (std::is_same_v<Result, Tensor>)
      return std::move(results.front());
    else
      return results;
  }
  /// Registers a child that this module keeps on the heap.
  void register_heap_child(const std::string& name, Module& child);

 private:
  friend class Parameter;
  friend class Buffer;
  struct TensorEntry {
    std::string name;
    Tensor* tensor;  // a member of the module that owns the entry
    bool trained;
  };
  struct ChildEntry {
    Module* module;
    bool member;  // lies inside its parent, and moves with it
  };
  class CallGuard {
   public:
    explicit CallGuard(const Module& module);
    ~CallGuard();
    CallGuard(const CallGuard&) = delete;
    CallGuard& operator=(const CallGuard&) = delete;

   private:
    ScopeGuard scope_;
    const Module* outer_;
  };

  static Module& movable(Module& module);
  Tensors call_with_hooks(const Tensors& given, FunctionRef<Tensors(const Tensors&)> body);
  ModuleHooks& hooks();
  ModuleHookHandle add_forward_pre_hook(Callable<Tensors(Module&, const Tensors&)> hook);
  ModuleHookHandle add_forward_hook(Callable<Tensors(Module&, const Tensors&, const Tensors&)> hook);
  ModuleHookHandle add_backward_pre_hook(Callable<Tensors(const Tensors&)> hook);
  ModuleHookHandle add_backward_hook(Callable<Tensors(const Tensors&, const Tensors&)> hook);
  void register_tensor(const std::string& name, Tensor* tensor, bool trained);
  void check_name(const std::string& name) const;
  void collect(const std::string& prefix, bool trained, bool untrained, NamedTensors& into) const;
  NamedTensors distinct(bool trained, bool untrained) const;

  Module* parent_ = nullptr;
  Module* moving_to_ = nullptr;  // the new parent, while the parent's members move one by one
  std::string name_;
  bool training_ = true;
  std::vector<TensorEntry> tensors_;
  std::vector<ChildEntry> children_;
  std::shared_ptr<ModuleHooks> hooks_;  // null as long as there is none
};

/// Copies in the same shapes that share nothing with the originals: a snapshot of a state_dict().
NamedTensors clone_tensors(const NamedTensors& tensors);

/// A second module with the same values: constructed from `arguments`, then given `module`'s parameters, buffers,
/// dtype and mode. ValueError if the arguments make a module of another form.
template <class M, class... Arguments>
std::unique_ptr<M> clone(const M& module, Arguments&&... arguments);

namespace detail {
void copy_module(const Module& from, Module& to);
}

template <class M, class... Arguments>
std::unique_ptr<M> clone(const M& module, Arguments&&... arguments) {
  static_assert(std::is_base_of_v<Module, M>);
  auto copy = std::make_unique<M>(std::forward<Arguments>(arguments)...);
  detail::copy_module(module, *copy);
  return copy;
}

}  // namespace duet::nn
