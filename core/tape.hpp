// The tape: nodes that remember how a tensor was computed. core records; autograd/ walks.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <vector>

#include <duet/core/op.hpp>

namespace duet {

using NodePtr = std::shared_ptr<Node>;

/// Where a gradient flows next: input `node`'s output number `index`. Empty: nowhere.
struct Edge {
  NodePtr node;
  int index = 0;
};

/// Replaces how saved tensors are kept while it is installed on a thread (see SavedTensorHooksGuard).
struct SavedTensorHooks {
  Callable<std::shared_ptr<void>(const Tensor&)> pack;
  Callable<Tensor(const std::shared_ptr<void>&)> unpack;
};

/// A tensor kept for the backward pass. An input keeps its handle and with it its edge upstream; an output keeps
/// only its data, and gets its edge to the running node when it is unpacked, so that no cycle arises.
class SavedTensor {
 public:
  SavedTensor() = default;
  SavedTensor(const Tensor& tensor, bool is_output);
  /// Throws AutogradError if the data changed since. `node` is the node that owns this.
  Tensor unpack(const NodePtr& node, int index) const;
  bool saved() const { return tensor_.defined() || packed_ != nullptr; }
  std::int64_t bytes() const { return bytes_; }
  /// What it keeps alive; null where a hook packed it away.
  const Storage* storage() const;
  void release();
  /// Moves out what may hold the last reference to another node.
  void take(std::vector<Tensor>& tensors, std::vector<std::shared_ptr<void>>& packed);

 private:
  Tensor tensor_;
  std::shared_ptr<void> packed_;
  Callable<Tensor(const std::shared_ptr<void>&)> unpack_;
  std::uint64_t version_ = 0;
  std::int64_t bytes_ = 0;
  bool is_output_ = false;
};

/// A hook and the number that removes it.
struct TensorHook {
  std::uint64_t id;
  int output;
  Callable<Tensor(const Tensor&)> call;
  bool last = false;  ///< after those that may replace the gradient
};

/// Where an op was recorded. Observers that want to know fill it in; otherwise a node has none.
struct NodeNote {
  std::int64_t number = 0;     ///< of the op since the observer began, from 1; 0: not counted
  std::string scope = {};      ///< the module path (core/scope.hpp)
  std::vector<void*> stack = {};  ///< return addresses, innermost first
};

/// One recorded op, or (with no op) the place where a leaf's gradient arrives. Not thread-safe: a graph belongs to
/// one thread at a time; separate graphs are independent.
struct Node : std::enable_shared_from_this<Node> {
  Node();
  ~Node();
  Node(const Node&) = delete;
  Node& operator=(const Node&) = delete;

  std::uint64_t sequence;  // process-wide; consumers have higher numbers than producers
  OpPtr op;                // null for a leaf's accumulator
  AnyOptions options;
  std::vector<Edge> edges;  // one an input; empty where no gradient flows
  Specs input_specs, output_specs;
  std::vector<SavedTensor> saved;  // parallel to op->saves
  bool released = false;           // saved tensors were freed by a backward
  std::vector<TensorHook> hooks;   // on the gradients of the outputs
  std::weak_ptr<TensorImpl> leaf;  // of an accumulator
  std::unique_ptr<NodeNote> note;  // an observer's

  std::int64_t saved_bytes() const;
  void release();
  const char* name() const { return op ? op->name.c_str() : "leaf"; }
};

/// The edge along which this tensor's gradient flows; empty if it requires none. Makes a leaf's accumulator.
Edge gradient_edge(const Tensor& tensor);

/// Whether ops are being recorded on this thread.
bool grad_enabled();

/// Switches recording on this thread for the length of a scope.
class GradModeGuard {
 public:
  explicit GradModeGuard(bool enabled);
  ~GradModeGuard();
  GradModeGuard(const GradModeGuard&) = delete;
  GradModeGuard& operator=(const GradModeGuard&) = delete;

 private:
  bool before_;
};
struct NoGradGuard : GradModeGuard {
  NoGradGuard() : GradModeGuard(false) {}
};
struct EnableGradGuard : GradModeGuard {
  EnableGradGuard() : GradModeGuard(true) {}
};

/// Records nothing for the length of a scope, whatever guards are set inside, and marks what ops make as not fit for a
/// gradient: reading such a tensor where one is recorded is an AutogradError instead of a silent constant.
class InferenceModeGuard {
 public:
  InferenceModeGuard();
  ~InferenceModeGuard();
  InferenceModeGuard(const InferenceModeGuard&) = delete;
  InferenceModeGuard& operator=(const InferenceModeGuard&) = delete;

 private:
  bool before_;
};
bool inference_mode();

/// Installs hooks for saved tensors on this thread for the length of a scope; the innermost counts.
class SavedTensorHooksGuard {
 public:
  explicit SavedTensorHooksGuard(SavedTensorHooks hooks);
  ~SavedTensorHooksGuard();
  SavedTensorHooksGuard(const SavedTensorHooksGuard&) = delete;
  SavedTensorHooksGuard& operator=(const SavedTensorHooksGuard&) = delete;
};

/// Throws AutogradError in the name of `op` if writing to `tensor` in place would falsify the tape, or its memory
/// is constant; else raises its version. Every in-place write goes through this.
void begin_in_place(const char* op, const Tensor& tensor);

/// What `apply` and the backward pass tell. Observers belong to a thread and see what it runs, in the order in
/// which they were added.
class Observer {
 public:
  virtual ~Observer() = default;
  /// Before an op runs: after its shape rule, so outputs are known by their specs.
  virtual void before_op(const Call&) {}
  /// After it ran. `node` is what was recorded, or null.
  virtual void after_op(const Call&, std::span<const Tensor> /*outputs*/, Node* /*node*/) {}
  /// Around the vjp of a node.
  virtual void before_vjp(Node&, std::span<const Tensor> /*cotangents*/) {}
  virtual void after_vjp(Node&, std::span<const Tensor> /*cotangents*/, std::span<const Tensor> /*gradients*/) {}
  /// In place of after_op or after_vjp, where what began last threw.
  virtual void failed() {}
};
/// The observers of this thread.
std::span<Observer* const> observers();
/// Adds an observer for the length of a scope.
class ObserverGuard {
 public:
  explicit ObserverGuard(Observer& observer);
  ~ObserverGuard();
  ObserverGuard(const ObserverGuard&) = delete;
  ObserverGuard& operator=(const ObserverGuard&) = delete;

 private:
  Observer* observer_;
};

}  // namespace duet
