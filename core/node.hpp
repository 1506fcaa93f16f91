// Internal: what the tape is made of. Nodes remember how a tensor was computed; core records them, autograd/ walks.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include <duet/core/tape.hpp>
#include <duet/core/tensor_impl.hpp>

namespace duet {

/// Where a gradient flows next: input `node`'s output number `index`. Empty: nowhere.
struct Edge {
  NodePtr node;
  int index = 0;
};

/// A tensor kept for the backward pass. An input keeps its handle and with it its edge upstream; an output keeps
/// only its data, and gets its edge to the running node when it is unpacked, so that no cycle arises.
class SavedTensor {
 public:
  SavedTensor() = default;
  SavedTensor(const Tensor& tensor, bool is_output);
  /// An input that is not kept: the op that made it makes it again (OpDef::remake) when it is unpacked. Empty where it
  /// cannot, or where that would spare too little.
  static SavedTensor remade(const Tensor& tensor);
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
  std::int64_t number = 0;        ///< of the op since the observer began, from 1; 0: not counted
  std::string scope = {};         ///< the module path (core/scope.hpp)
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

}  // namespace duet
