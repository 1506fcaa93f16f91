// Where hooks are put: on the node that made a tensor, or on the leaf.
#include <duet/autograd/hooks.hpp>

#include <atomic>

#include <duet/core/fail.hpp>
#include <duet/core/node.hpp>
#include <duet/core/tensor_impl.hpp>
#include <duet/ops/elementwise.hpp>

namespace duet {
namespace {

std::uint64_t next_id() {
  static std::atomic<std::uint64_t> next{1};
  return next.fetch_add(1, std::memory_order_relaxed);
}

void require_gradient(const char* what, const Tensor& tensor) {
  if (!tensor.requires_grad())
    fail<AutogradError>(what, "{} requires no gradient, so none will ever reach it", to_string(spec_of(tensor)));
}

LeafState& leaf_state(TensorImpl& impl) {
  const LeafLock lock(impl);
  if (!impl.leaf) impl.leaf = std::make_unique<LeafState>();
  return *impl.leaf;
}

HookHandle add_to_node(const Tensor& tensor, Callable<Tensor(const Tensor&)> hook, bool last) {
  const NodePtr& node = tensor.impl()->grad_fn;
  const std::uint64_t id = next_id();
  node->hooks.push_back({id, tensor.impl()->output_index, std::move(hook), last});
  return {std::weak_ptr<Node>(node), id};
}

}  // namespace

void HookHandle::remove() {
  if (const NodePtr node = node_.lock()) std::erase_if(node->hooks, [&](const TensorHook& hook) { return hook.id == id_; });
  if (const std::shared_ptr<TensorImpl> leaf = leaf_.lock(); leaf && leaf->leaf) {
    const auto ours = [&](const auto& hook) { return hook.first == id_; };
    std::erase_if(leaf->leaf->hooks, ours);
    std::erase_if(leaf->leaf->post_accumulate_hooks, ours);
  }
  *this = HookHandle();
}

HookHandle add_gradient_hook(const Tensor& tensor, Callable<Tensor(const Tensor&)> hook) {
  require_gradient("register_hook", tensor);
  if (!tensor.is_leaf()) return add_to_node(tensor, std::move(hook), false);
  const std::uint64_t id = next_id();
  leaf_state(*tensor.impl()).hooks.emplace_back(id, std::move(hook));
  return {std::weak_ptr<TensorImpl>(tensor.impl()), id};
}

HookHandle register_post_accumulate_hook(const Tensor& leaf, Callable<void(const Tensor&)> hook) {
  require_gradient("register_post_accumulate_hook", leaf);
  if (!leaf.is_leaf())
    fail<AutogradError>("register_post_accumulate_hook", "{} was computed by {}: only leaves accumulate; use register_hook",
                        to_string(spec_of(leaf)), leaf.impl()->grad_fn->name());
  const std::uint64_t id = next_id();
  leaf_state(*leaf.impl()).post_accumulate_hooks.emplace_back(id, std::move(hook));
  return {std::weak_ptr<TensorImpl>(leaf.impl()), id};
}

HookHandle retain_grad(const Tensor& tensor) {
  require_gradient("retain_grad", tensor);
  if (tensor.is_leaf()) return {};
  const std::weak_ptr<TensorImpl> weak = tensor.impl();
  return add_to_node(
      tensor,
      [weak](const Tensor& gradient) {
        if (const std::shared_ptr<TensorImpl> impl = weak.lock()) {
          Tensor& grad = leaf_state(*impl).grad;
          grad = grad.defined() ? add(grad, gradient) : gradient;
        }
        return Tensor();
      },
      true);
}

}  // namespace duet
