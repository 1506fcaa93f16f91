// Callable<R(Args...)>: a shared, type-erased function, and FunctionRef: a borrowed one. They stand in for
// <functional>, which alone would add a fifth of a second to every file that includes Duet.
#pragma once

#include <memory>
#include <type_traits>
#include <utility>

namespace duet {

template <class Signature>
class Callable;

/// Owns a function object; copies share it. Calling an empty one is undefined: test it first. One shared_ptr<void> and
/// a plain function pointer: a signature costs its users' compilers next to nothing.
template <class R, class... Args>
class Callable<R(Args...)> {
 public:
  Callable() = default;
  Callable(std::nullptr_t) {}
  template <class F>
  requires(!std::is_same_v<std::remove_cvref_t<F>, Callable> && std::is_invocable_r_v<R, F&, Args...>)
      Callable(F&& function)
      : held_(std::make_shared<std::decay_t<F>>(std::forward<F>(function))), call_(&run<std::decay_t<F>>) {}

  explicit operator bool() const { return held_ != nullptr; }
  R operator()(Args... args) const { return call_(held_.get(), std::forward<Args>(args)...); }

 private:
  template <class F>
  static R run(void* held, Args... args) {
    if constexpr (std::is_void_v<R>)
      (*static_cast<F*>(held))(std::forward<Args>(args)...);
    else
      return (*static_cast<F*>(held))(std::forward<Args>(args)...);
  }
  std::shared_ptr<void> held_;
  R (*call_)(void*, Args...) = nullptr;
};

template <class Signature>
class FunctionRef;

/// Borrows a function object for the duration of a call.
template <class R, class... Args>
class FunctionRef<R(Args...)> {
 public:
  template <class F>
  requires(!std::is_same_v<std::remove_cvref_t<F>, FunctionRef>) FunctionRef(F&& function)
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
