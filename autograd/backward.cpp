// The backward pass. Nodes run in descending sequence number: whatever reads a tensor was recorded after what
// made it, so when a node's turn comes all of its cotangents have arrived. A heap and a map, no recursion.
#include <duet/autograd/backward.hpp>

#include <algorithm>
#include <unordered_map>
#include <unordered_set>

#include <duet/core/factory.hpp>
#include <duet/core/fail.hpp>
#include <duet/core/node.hpp>
#include <duet/core/raw.hpp>
#include <duet/core/tensor_impl.hpp>
#include <duet/ops/elementwise.hpp>
#include <duet/ops/inplace.hpp>

namespace duet {
namespace {

/// A gradient that somebody asked for: where it arrives, and its place in the result.
struct Capture {
  Edge edge;
  std::size_t position;
};

class BackwardPass {
 public:
  BackwardPass(bool create_graph, bool retain_graph) : create_graph_(create_graph), retain_graph_(retain_graph) {}

  void add_root(const Edge& edge, const Tensor& cotangent) { arrive(edge, cotangent); }

  /// grad(): only what leads to these edges runs, and leaves are left alone. Returns whether each is reached.
  std::vector<bool> capture(const std::vector<Capture>& captures, std::size_t count) {
    for (const Capture& one : captures) captures_[one.edge.node.get()].push_back(one);
    captured_.resize(count);
    mark_needed();
    capturing_ = true;
    std::vector<bool> reached(count, false);
    for (const Capture& one : captures) reached[one.position] = needed_.count(one.edge.node.get()) != 0;
    return reached;
  }

  /// Runs to the end. If something throws, every grad() is again what it was.
  Tensors run() {
    try {
      walk();
      for (LeafGradient& one : arrived_) accumulate(one.impl, std::move(one.gradient));
    } catch (...) {
      for (auto one = undo_.rbegin(); one != undo_.rend(); ++one) {
        const LeafLock lock(*one->impl);
        std::swap(one->impl->leaf->grad, one->gradient);
      }
      throw;
    }
    return std::move(captured_);
  }

 private:
  void walk() {
    const GradModeGuard mode(create_graph_);
    while (!heap_.empty()) {
      std::pop_heap(heap_.begin(), heap_.end());
      Node* const key = heap_.back().node;
      heap_.pop_back();
      auto found = pending_.find(key);
      Pending pending = std::move(found->second);
      pending_.erase(found);
      visit(*pending.node, pending.cotangents);
    }
  }

  struct Pending {
    NodePtr node;
    Tensors cotangents;
  };
  struct LeafGradient {
    std::shared_ptr<TensorImpl> impl;
    Tensor gradient;
  };
  struct Turn {
    std::uint64_t sequence;
    Node* node;
    bool operator<(const Turn& other) const { return sequence < other.sequence; }
  };

  void arrive(const Edge& edge, Tensor cotangent) {
    if (!edge.node || !cotangent.defined() || !needed(edge.node.get())) return;
    auto [found, fresh] = pending_.try_emplace(edge.node.get());
    if (fresh) {
      found->second.node = edge.node;
      found->second.cotangents.resize(edge.node->output_specs.size());
      heap_.push_back({edge.node->sequence, edge.node.get()});
      std::push_heap(heap_.begin(), heap_.end());
    }
    Tensor& sum = found->second.cotangents[static_cast<std::size_t>(edge.index)];
    sum = sum.defined() ? joined(std::move(sum), std::move(cotangent)) : std::move(cotangent);
  }

  /// Nobody else holds the handle, or a view of the memory.
  static bool is_sole(const Tensor& tensor) {
    return tensor.impl().use_count() == 1 && tensor.impl()->storage.use_count() == 1 && tensor.is_contiguous();
  }

  /// a + b, in the memory of one of them where nobody would see it and nothing is recorded.
  Tensor joined(Tensor a, Tensor b) const {
    if (!create_graph_ && is_sole(a)) return add_(a, b);
    if (!create_graph_ && is_sole(b)) return add_(b, a);
    return add(a, b);
  }

  void visit(Node& node, Tensors& cotangents) {
    if (!node.op) return visit_leaf(node, std::move(cotangents[0]));
    if (!node.hooks.empty()) call_hooks(node, cotangents);
    if (auto wanted = captures_.find(&node); wanted != captures_.end())
      for (const Capture& one : wanted->second)
        captured_[one.position] = cotangents[static_cast<std::size_t>(one.edge.index)];
    std::vector<std::uint8_t> needs;
    for (const Edge& edge : node.edges) needs.push_back(edge.node && needed(edge.node.get()));
    if (std::find(needs.begin(), needs.end(), 1) == needs.end()) return;
    differentiate(node, cotangents, needs);
    if (!retain_graph_) node.release();
  }

  void differentiate(Node& node, Tensors& cotangents, const std::vector<std::uint8_t>& needs) {
    if (node.released)
      fail<AutogradError>(node.name(),
                          "backward runs a second time through a graph whose saved tensors were freed: "
                          "pass retain_graph = true the first time");
    const std::vector<Observer*> watching(observers().begin(), observers().end());
    Tensors gradients;
    try {
      for (Observer* observer : watching) observer->before_vjp(node, cotangents);
      gradients = node.op->vjp(Vjp(node, cotangents, needs));
      check(node, gradients);
    } catch (...) {
      for (Observer* observer : watching) observer->failed();
      throw;
    }
    for (Observer* observer : watching) observer->after_vjp(node, cotangents, gradients);
    cotangents.clear();
    bool slices = false;
    for (std::size_t i = 0; i < node.edges.size(); ++i) {
      if (needs[i] == 0) continue;
      slices = slices || is_small_slice(gradients[i]);
      arrive(node.edges[i], std::move(gradients[i]));
    }
    if (slices && !create_graph_) copy_waiting_slices(node);
  }

  /// Whether keeping this keeps a mebibyte of memory or more that it does not show.
  static bool is_small_slice(const Tensor& tensor) {
    return tensor.defined() && tensor.impl()->storage->bytes() - tensor.bytes() >= std::int64_t{1} << 20;
  }

  /// Gradients that are slices of one (those of a cat) all keep that one whole. One whose node runs next will be gone
  /// soon; those that wait, in a U-Net for half of the backward, are copied out.
  void copy_waiting_slices(const Node& node) {
    for (const Edge& edge : node.edges) {
      const auto found = pending_.find(edge.node.get());
      if (found == pending_.end() || heap_.front().node == edge.node.get()) continue;
      Tensor& waiting = found->second.cotangents[static_cast<std::size_t>(edge.index)];
      if (is_small_slice(waiting)) waiting = raw::clone(waiting);
    }
  }

  static void check(const Node& node, const Tensors& gradients) {
    if (gradients.size() != node.edges.size())
      fail<AutogradError>(node.name(), "its vjp returned {} gradients for {} inputs", gradients.size(),
                          node.edges.size());
    for (std::size_t i = 0; i < gradients.size(); ++i) {
      const TensorSpec& spec = node.input_specs[i];
      if (gradients[i].defined() && (gradients[i].shape() != spec.shape || gradients[i].dtype() != spec.dtype))
        fail<AutogradError>(node.name(), "its vjp returned a gradient {} for input {}, which is {}",
                            to_string(spec_of(gradients[i])), i, to_string(spec));
    }
  }

  /// Those that may replace a gradient first, then those that only look.
  static void call_hooks(Node& node, Tensors& cotangents) {
    const std::vector<TensorHook> hooks = node.hooks;  // a copy: a hook may remove itself or add others
    for (const bool last : {false, true})
      for (const TensorHook& hook : hooks)
        if (hook.last == last) call_hook(hook.call, cotangents[static_cast<std::size_t>(hook.output)]);
  }

  static void call_hook(const Callable<Tensor(const Tensor&)>& hook, Tensor& gradient) {
    if (!gradient.defined()) return;
    const Tensor replaced = hook(gradient);
    if (!replaced.defined()) return;
    if (replaced.shape() != gradient.shape() || replaced.dtype() != gradient.dtype())
      fail<AutogradError>("hook", "returned {} for a gradient {}", to_string(spec_of(replaced)),
                          to_string(spec_of(gradient)));
    gradient = replaced;
  }

  void visit_leaf(Node& node, Tensor gradient) {
    const std::shared_ptr<TensorImpl> impl = node.leaf.lock();
    if (!impl) return;  // the leaf died; nobody can ask for its gradient
    // Copies of the lists: a hook may remove itself or add others.
    const auto hooks = impl->leaf->hooks;
    for (const auto& hook : hooks) call_hook(hook.second, gradient);
    if (auto wanted = captures_.find(&node); wanted != captures_.end())
      for (const Capture& one : wanted->second) captured_[one.position] = gradient;
    if (capturing_) return;
    const auto post = impl->leaf->post_accumulate_hooks;
    if (post.empty()) {
      arrived_.push_back({impl, create_graph_ || is_sole(gradient) ? std::move(gradient) : raw::clone(gradient)});
      return;
    }
    accumulate(impl, std::move(gradient));
    for (const auto& hook : post) hook.second(Tensor(impl));
  }

  /// Adds to grad(). What is there is taken out, summed and put back, as often as another thread's backward has put
  /// something in its place meanwhile.
  void accumulate(const std::shared_ptr<TensorImpl>& impl, Tensor gradient) {
    // A cotangent may be shared with the user or with another leaf; grad() is the leaf's own to change.
    bool own = create_graph_ || is_sole(gradient);
    for (;;) {
      undo_.push_back({impl, {}});
      Tensor& before = undo_.back().gradient;
      {
        const LeafLock lock(*impl);
        before = std::move(impl->leaf->grad);
        if (own && !before.defined()) {
          gradient.impl()->storage->keep_place();
          impl->leaf->grad = std::move(gradient);
          return;
        }
      }
      gradient = before.defined() ? joined(before, std::move(gradient)) : raw::clone(gradient);
      own = true;
    }
  }

  bool needed(Node* node) const { return !capturing_ || needed_.count(node) != 0; }

  /// Fills needed_ with the nodes from which a captured edge can be reached.
  void mark_needed() {
    std::vector<Node*> order, stack;
    std::unordered_set<Node*> seen;
    for (const Turn& turn : heap_) stack.push_back(turn.node);
    while (!stack.empty()) {
      Node* node = stack.back();
      stack.pop_back();
      if (!seen.insert(node).second) continue;
      order.push_back(node);
      for (const Edge& edge : node->edges)
        if (edge.node) stack.push_back(edge.node.get());
    }
    std::sort(order.begin(), order.end(), [](Node* a, Node* b) { return a->sequence < b->sequence; });
    for (Node* node : order) {
      const bool leads = std::any_of(node->edges.begin(), node->edges.end(), [&](const Edge& edge) {
        return edge.node && needed_.count(edge.node.get()) != 0;
      });
      if (leads || captures_.count(node) != 0) needed_.insert(node);
    }
  }

  bool create_graph_, retain_graph_, capturing_ = false;
  std::vector<Turn> heap_;
  std::unordered_map<Node*, Pending> pending_;
  std::unordered_map<Node*, std::vector<Capture>> captures_;
  std::unordered_set<Node*> needed_;
  Tensors captured_;
  std::vector<LeafGradient> undo_;  // the leaves touched, and their grad() before
  // What waits for the end: a pass that fails touches no leaf, but those that hooks wait for, and so takes nothing away
  // that another thread's pass added meanwhile.
  std::vector<LeafGradient> arrived_;
};

/// Checks outputs and cotangents, and starts the pass at them.
void add_roots(const char* op, BackwardPass& pass, const Tensors& outputs, const Tensors& cotangents) {
  if (!cotangents.empty() && cotangents.size() != outputs.size())
    fail<AutogradError>(op, "{} cotangents for {} outputs", cotangents.size(), outputs.size());
  std::vector<std::pair<Edge, Tensor>> roots;
  for (std::size_t j = 0; j < outputs.size(); ++j) {
    const Tensor& output = outputs[j];
    if (!output.requires_grad())
      fail<AutogradError>(op,
                          "output {} {} does not require a gradient: nothing that does was recorded on the way to it",
                          j, to_string(spec_of(output)));
    Tensor cotangent = cotangents.empty() ? Tensor() : cotangents[j];
    if (!cotangent.defined()) {
      if (output.numel() != 1)
        fail<AutogradError>(op, "output {} {} is not a scalar: pass a cotangent of its shape, or reduce it (sum, mean)",
                            j, to_string(spec_of(output)));
      cotangent = ones_like(output);
    } else if (cotangent.shape() != output.shape() || cotangent.dtype() != output.dtype()) {
      fail<AutogradError>(op, "cotangent {} {} does not fit its output {}", j, to_string(spec_of(cotangent)),
                          to_string(spec_of(output)));
    }
    roots.emplace_back(gradient_edge(output), cotangent);
  }
  for (const auto& [edge, cotangent] : roots) pass.add_root(edge, cotangent);
}

}  // namespace

Tensors grad(const Tensors& outputs, const Tensors& inputs, const GradOptions& options) {
  BackwardPass pass(options.create_graph, options.retain_graph.value_or(options.create_graph));
  std::vector<Capture> captures;
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    if (inputs[i].requires_grad())
      captures.push_back({gradient_edge(inputs[i]), i});
    else if (!options.allow_unused)
      fail<AutogradError>("grad", "input {} {} does not require a gradient", i, to_string(spec_of(inputs[i])));
  }
  add_roots("grad", pass, outputs, options.cotangents);
  const std::vector<bool> reached = pass.capture(captures, inputs.size());
  for (std::size_t i = 0; i < inputs.size(); ++i)
    if (!reached[i] && !options.allow_unused)
      fail<AutogradError>("grad", "no output depends on input {} {}: pass allow_unused = true if that is meant", i,
                          to_string(spec_of(inputs[i])));
  Tensors result = pass.run();
  // Reached, yet a structural zero on every way: zeros, unless the caller takes undefined for them.
  for (std::size_t i = 0; i < result.size() && !options.allow_unused; ++i)
    if (!result[i].defined()) result[i] = zeros_like(inputs[i]);
  return result;
}

void backward(const Tensors& outputs, const Tensors& cotangents, const BackwardOptions& options) {
  BackwardPass pass(options.create_graph, options.retain_graph.value_or(options.create_graph));
  add_roots("backward", pass, outputs, cotangents);
  pass.run();
}

void Tensor::backward(const Tensor& cotangent) const { duet::backward({*this}, {cotangent}); }
void Tensor::backward(const Tensor& cotangent, const BackwardOptions& options) const {
  duet::backward({*this}, {cotangent}, options);
}

}  // namespace duet
