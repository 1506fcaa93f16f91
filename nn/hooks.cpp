// Hooks of modules, made of hooks of tensors: on the output before the backward, on the input after it.
#include <algorithm>

#include <duet/autograd/hooks.hpp>
#include <duet/nn/module.hpp>
#include <duet/ops/shape.hpp>

namespace duet::nn {

template <class Signature>
using HookList = std::vector<std::pair<std::uint64_t, Callable<Signature>>>;

struct ModuleHooks {
  HookList<Tensor(Module&, const Tensor&)> forward_pre;
  HookList<Tensor(Module&, const Tensor&, const Tensor&)> forward;
  HookList<Tensor(const Tensor&)> backward_pre;
  HookList<Tensor(const Tensor&, const Tensor&)> backward;
  std::uint64_t next = 1;

  template <class Signature>
  std::uint64_t add(HookList<Signature>& list, Callable<Signature> hook) {
    list.emplace_back(next, std::move(hook));
    return next++;
  }
};

namespace {
/// Calls each hook of a copy of the list (a hook may remove itself); what one returns replaces `value` for the next.
template <class Signature, class... Before>
void run_hooks(HookList<Signature> list, Tensor& value, Before&&... before) {
  for (const auto& [id, hook] : list)
    if (Tensor replaced = hook(before..., value); replaced.defined()) value = std::move(replaced);
}
}  // namespace

void ModuleHookHandle::remove() {
  if (const auto hooks = hooks_.lock()) {
    const auto ours = [&](const auto& entry) { return entry.first == id_; };
    std::erase_if(hooks->forward_pre, ours);
    std::erase_if(hooks->forward, ours);
    std::erase_if(hooks->backward_pre, ours);
    std::erase_if(hooks->backward, ours);
  }
  *this = ModuleHookHandle();
}

ModuleHooks& Module::hooks() {
  if (!hooks_) hooks_ = std::make_shared<ModuleHooks>();
  return *hooks_;
}

ModuleHookHandle Module::register_forward_pre_hook(Callable<Tensor(Module&, const Tensor&)> hook) {
  const std::uint64_t id = hooks().add(hooks().forward_pre, std::move(hook));
  return {hooks_, id};
}
ModuleHookHandle Module::register_forward_hook(Callable<Tensor(Module&, const Tensor&, const Tensor&)> hook) {
  const std::uint64_t id = hooks().add(hooks().forward, std::move(hook));
  return {hooks_, id};
}
ModuleHookHandle Module::register_backward_pre_hook(Callable<Tensor(const Tensor&)> hook) {
  const std::uint64_t id = hooks().add(hooks().backward_pre, std::move(hook));
  return {hooks_, id};
}
ModuleHookHandle Module::register_backward_hook(Callable<Tensor(const Tensor&, const Tensor&)> hook) {
  const std::uint64_t id = hooks().add(hooks().backward, std::move(hook));
  return {hooks_, id};
}

Tensor Module::forward_with_hooks(const Tensor& given) {
  const std::shared_ptr<ModuleHooks> list = hooks_;  // outlives a hook that drops the module
  Tensor x = given;
  run_hooks(list->forward_pre, x, *this);
  // What reaches x through this module alone: a handle of its own, which others do not use.
  const bool watch = !list->backward.empty() && x.requires_grad();
  const Tensor inner = watch ? reshape(x, x.shape()) : x;
  Tensor y = forward(inner);
  run_hooks(list->forward, y, *this, x);
  if (!y.requires_grad() || (list->backward.empty() && list->backward_pre.empty())) return y;
  auto reached = std::make_shared<Tensor>();  // the gradient by y, for the hooks behind
  Tensor outer = y.is_leaf() || y.impl() == inner.impl() ? reshape(y, y.shape()) : y;
  register_hook(outer, [list, reached](const Tensor& gradient) {
    Tensor value = gradient;
    run_hooks(list->backward_pre, value);
    *reached = value;
    return value;
  });
  if (watch)
    register_hook(inner, [list, reached](const Tensor& gradient) {
      Tensor value = gradient;
      for (const auto& [id, hook] : HookList<Tensor(const Tensor&, const Tensor&)>(list->backward))
        if (Tensor replaced = hook(value, *reached); replaced.defined()) value = std::move(replaced);
      *reached = Tensor();
      return value;
    });
  return outer;
}

}  // namespace duet::nn
