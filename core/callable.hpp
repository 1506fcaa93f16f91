// Callable<R(Args...)>: a shared, type-erased function, and FunctionRef: a borrowed one. They stand in for
// <functional>, which alone would add a fifth of a second to every file that includes Duet.
#pragma once

#include <memory>
#include <type_traits>
#include <utility>

namespace duet {

template <class Signature>
class Callable;

/// Owns a function object; copies share it. Calling an empty one is undefined: test it first.
template <class R, class... Args>
class Callable<R(Args...)> {
 public:
  Callable() = default;
  Callable(std::nullptr_t) {}
  template <class F>
    requires(!std::is_same_v<std::remove_cvref_t<F>, Callable> && std::is_invocable_r_v<R, F&, Args...>)
  Callable(F&& function) : held_(std::make_shared<Holder<std::decay_t<F>>>(std::forward<F>(function))) {}

  explicit operator bool() const { return held_ != nullptr; }
  R operator()(Args... args) const { return held_->call(std::forward<Args>(args)...); }

 private:
  struct Base {
    virtual ~Base() = default;
    virtual R call(Args... args) = 0;
  };
  template <class F>
  struct Holder final : Base {
    template <class G>
    explicit Holder(G&& function) : held(std::forward<G>(function)) {}
    R call(Args... args) override {
      if constexpr (std::is_void_v<R>)
        held(std::forward<Args>(args)...);
      else
        return held(std::forward<Args>(args)...);
    }
    F held;
  };
  std::shared_ptr<Base> held_;
};

template <class Signature>
class FunctionRef;

/// Borrows a function object for the duration of a call.
template <class R, class... Args>
class FunctionRef<R(Args...)> {
 public:
  template <class F>
    requires(!std::is_same_v<std::remove_cvref_t<F>, FunctionRef>)
  FunctionRef(F&& function)
      : object_(const_cast<void*>(static_cast<const void*>(std::addressof(function)))),
        call_([](void* object, Args... args) -> R {
          return (*static_cast<std::remove_reference_t<F>*>(object))(std::forward<Args>(args)...);
        }) {}
  R operator()(Args... args) const { return call_(object_, std::forward<Args>(args)...); }

 private:
  void* object_;
  R (*call_)(void*, Args...);
};

}  // namespace duet
