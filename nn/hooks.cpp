// Hooks of modules. The backward ones stand on two nodes of the tape around the module: both hand tensors through, and
// see the gradients of all of them at once.
#include <algorithm>

#include <duet/core/fail.hpp>
#include <duet/core/op.hpp>
#include <duet/nn/module.hpp>

namespace duet::nn {

template <class... Lists>
using HookList = std::vector<std::pair<std::uint64_t, Callable<Tensors(Lists...)>>>;

struct ModuleHooks {
  HookList<Module&, const Tensors&> forward_pre;
  HookList<Module&, const Tensors&, const Tensors&> forward;
  HookList<const Tensors&> backward_pre;
  HookList<const Tensors&, const Tensors&> backward;
  std::uint64_t next = 1;

  template <class List, class Hook>
  std::uint64_t add(List& list, Hook hook) {
    list.emplace_back(next, std::move(hook));
    return next++;
  }
};

namespace {

/// Puts what a hook returned in the places of `values`; one tensor is for the first of them.
template <class E>
void replace(const char* hook, const Tensors& returned, Tensors& values) {
  if (returned.size() > 1 && returned.size() != values.size())
    fail<E>(hook, "returned {} tensors for {}", returned.size(), values.size());
  for (std::size_t i = 0; i < returned.size() && i < values.size(); ++i)
    if (returned[i].defined()) values[i] = returned[i];
}

/// `tensors` by way of a node that asks `on_gradients` for its gradients; those that require none stay as they are. The
/// list that it sees and returns has a place for each tensor.
Tensors watched(const char* name, const Tensors& tensors, Callable<Tensors(Tensors)> on_gradients) {
  std::vector<std::size_t> places;
  Tensors given;
  for (std::size_t i = 0; i < tensors.size(); ++i)
    if (tensors[i].defined() && tensors[i].requires_grad()) {
      places.push_back(i);
      given.push_back(tensors[i]);
    }
  if (given.empty()) return tensors;
  auto op = std::make_shared<OpDef>();
  op->name = name;
  op->doc = "Hands tensors through; hooks see their gradients.";
  op->forward = [](const Call& call) {
    Tensors through;
    for (const Tensor& input : call.inputs) through.push_back(input.detach());
    return through;
  };
  op->vjp = [places, on_gradients, count = tensors.size()](const Vjp& v) {
    Tensors all(count), needed;
    for (std::size_t i = 0; i < places.size(); ++i) all[places[i]] = v.cotangent(static_cast<int>(i));
    all = on_gradients(std::move(all));
    for (const std::size_t place : places) needed.push_back(all[place]);
    return needed;
  };
  const Tensors through = duet::apply(op, given);
  Tensors out = tensors;
  for (std::size_t i = 0; i < places.size(); ++i) out[places[i]] = through[i];
  return out;
}

}  // namespace

const Tensor& detail::first(const Tensors& list) {
  static const Tensor none;
  return list.empty() ? none : list.front();
}

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

ModuleHookHandle Module::add_forward_pre_hook(Callable<Tensors(Module&, const Tensors&)> hook) {
  const std::uint64_t id = hooks().add(hooks().forward_pre, std::move(hook));
  return {hooks_, id};
}
ModuleHookHandle Module::add_forward_hook(Callable<Tensors(Module&, const Tensors&, const Tensors&)> hook) {
  const std::uint64_t id = hooks().add(hooks().forward, std::move(hook));
  return {hooks_, id};
}
ModuleHookHandle Module::add_backward_pre_hook(Callable<Tensors(const Tensors&)> hook) {
  const std::uint64_t id = hooks().add(hooks().backward_pre, std::move(hook));
  return {hooks_, id};
}
ModuleHookHandle Module::add_backward_hook(Callable<Tensors(const Tensors&, const Tensors&)> hook) {
  const std::uint64_t id = hooks().add(hooks().backward, std::move(hook));
  return {hooks_, id};
}

// Lists of hooks are copied before they run: a hook may remove itself, or add one.
Tensors Module::call_with_hooks(const Tensors& given, FunctionRef<Tensors(const Tensors&)> body) {
  const std::shared_ptr<ModuleHooks> list = hooks_;  // outlives a hook that drops the module
  Tensors x = given;
  for (const auto& [id, hook] : HookList<Module&, const Tensors&>(list->forward_pre))
    replace<ValueError>("forward pre-hook", hook(*this, x), x);

  const auto by_y = std::make_shared<Tensors>();  // from the node behind the module to the one before it
  Tensors inner = x;
  if (!list->backward.empty())
    inner = watched("backward_hook", x, [list, by_y](Tensors by_x) {
      const Tensors reached = std::exchange(*by_y, {});
      if (reached.empty()) return by_x;  // what came round the outputs: a second order of what was inside
      for (const auto& [id, hook] : HookList<const Tensors&, const Tensors&>(list->backward))
        replace<AutogradError>("backward hook", hook(by_x, reached), by_x);
      return by_x;
    });

  Tensors y = body(inner);
  for (const auto& [id, hook] : HookList<Module&, const Tensors&, const Tensors&>(list->forward))
    replace<ValueError>("forward hook", hook(*this, x, y), y);
  if (list->backward.empty() && list->backward_pre.empty()) return y;
  return watched("backward_pre_hook", y, [list, by_y](Tensors gradients) {
    for (const auto& [id, hook] : HookList<const Tensors&>(list->backward_pre))
      replace<AutogradError>("backward pre-hook", hook(gradients), gradients);
    if (!list->backward.empty()) *by_y = gradients;
    return gradients;
  });
}

}  // namespace duet::nn
