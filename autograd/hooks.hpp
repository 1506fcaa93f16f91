// Hooks: functions that see a gradient on its way (and may replace it), or a leaf after its gradient was added.
// Hooks of modules are nn/'s; they stand on these.
#pragma once

#include <cstdint>
#include <memory>
#include <type_traits>
#include <utility>

#include <duet/core/callable.hpp>
#include <duet/core/tape.hpp>
#include <duet/core/tensor.hpp>

namespace duet {

/// Removes a hook. Dropping the handle leaves the hook where it is.
class HookHandle {
 public:
  HookHandle() = default;
  HookHandle(std::weak_ptr<Node> node, std::uint64_t id) : node_(std::move(node)), id_(id) {}
  HookHandle(std::weak_ptr<TensorImpl> leaf, std::uint64_t id) : leaf_(std::move(leaf)), id_(id) {}
  /// The hook is not called again. Does nothing the second time, or when the tensor is gone.
  void remove();

 private:
  std::weak_ptr<Node> node_;
  std::weak_ptr<TensorImpl> leaf_;
  std::uint64_t id_ = 0;
};

HookHandle add_gradient_hook(const Tensor& tensor, Callable<Tensor(const Tensor&)> hook);  ///< see register_hook()

/// Calls `hook(gradient)` in every backward that brings `tensor` a gradient, once, with the sum of what reaches it. A
/// tensor that the hook returns takes the gradient's place (an undefined one, or void, leaves it); it must have the
/// gradient's shape and dtype, else the backward throws AutogradError. Hooks run in the order in which they were
/// added. AutogradError for a tensor that requires no gradient.
template <class Hook>
HookHandle register_hook(const Tensor& tensor, Hook&& hook) {
  if constexpr (std::is_void_v<std::invoke_result_t<Hook&, const Tensor&>>)
    return add_gradient_hook(tensor, [held = std::decay_t<Hook>(std::forward<Hook>(hook))](const Tensor& gradient) mutable {
      held(gradient);
      return Tensor();
    });
  else
    return add_gradient_hook(tensor, std::forward<Hook>(hook));
}

/// Calls `hook(leaf)` after a backward added to leaf.grad(); grad() (the function) does not. The hook may take the
/// gradient away: leaf.set_grad({}). AutogradError for a tensor that is not a leaf that requires a gradient.
HookHandle register_post_accumulate_hook(const Tensor& leaf, Callable<void(const Tensor&)> hook);

/// Keeps the gradient of a computed tensor: after a backward, tensor.grad() is what reached it, hooks included, added
/// up over backwards as for a leaf. AutogradError for a tensor that requires no gradient; a leaf needs no asking.
HookHandle retain_grad(const Tensor& tensor);

}  // namespace duet
