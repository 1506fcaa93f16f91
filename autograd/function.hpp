// TensorsFunction: any function of tensors that gradcheck, vjp, jacobian and their kin take. Written as
// f(const Tensors&) or f(x), f(x, w), … with Tensor arguments; it returns a Tensor or Tensors.
#pragma once

#include <type_traits>
#include <utility>

#include <duet/core/callable.hpp>
#include <duet/core/tensor.hpp>

namespace duet {

using TensorsFunction = Callable<Tensors(const Tensors&)>;

namespace detail {

/// Throws ValueError: a function of `takes` tensors was given `got`.
[[noreturn]] void wrong_input_count(std::size_t takes, std::size_t got);

template <class F, std::size_t... I>
constexpr bool takes(std::index_sequence<I...>) {
  return std::is_invocable_v<F&, std::enable_if_t<(I < 64), const Tensor&>...>;
}

/// The number of Tensor arguments that F takes, up to 8; 0 if it takes none of these.
template <class F, std::size_t N = 1>
constexpr std::size_t arity() {
  if constexpr (N > 8)
    return 0;
  else if constexpr (takes<F>(std::make_index_sequence<N>()))
    return N;
  else
    return arity<F, N + 1>();
}

inline Tensors as_tensors(Tensor result) { return {std::move(result)}; }
inline Tensors as_tensors(Tensors results) { return results; }

template <class F, std::size_t... I>
Tensors call(F& function, const Tensors& inputs, std::index_sequence<I...>) {
  if (inputs.size() != sizeof...(I)) wrong_input_count(sizeof...(I), inputs.size());
  return as_tensors(function(inputs[I]...));
}

}  // namespace detail

/// Gives a callable the one signature that the checks work with.
template <class F>
TensorsFunction tensors_function(F&& function) {
  using Held = std::decay_t<F>;
  if constexpr (std::is_same_v<Held, TensorsFunction>) {
    return std::forward<F>(function);
  } else if constexpr (detail::arity<Held>() > 0) {
    return [held = Held(std::forward<F>(function))](const Tensors& inputs) mutable {
      return detail::call(held, inputs, std::make_index_sequence<detail::arity<Held>()>());
    };
  } else {
    static_assert(std::is_invocable_v<Held&, const Tensors&>,
                  "needs a function of Tensor arguments (up to 8) or of const Tensors&");
    return [held = Held(std::forward<F>(function))](const Tensors& inputs) mutable {
      return detail::as_tensors(held(inputs));
    };
  }
}

}  // namespace duet
