// Recording: grad mode, saved tensors, nodes that die without recursion, and apply.
#include <duet/core/tape.hpp>

#include <algorithm>
#include <atomic>
#include <mutex>

#include <duet/core/fail.hpp>
#include <duet/core/node.hpp>
#include <duet/core/op_in_flight.hpp>
#include <duet/core/platform.hpp>
#include <duet/core/raw.hpp>
#include <duet/core/tensor_impl.hpp>

namespace duet {
namespace {

std::atomic<std::uint64_t> next_sequence{1};
thread_local bool grad_mode = true;
thread_local bool in_inference = false;
thread_local std::vector<SavedTensorHooks> saved_tensor_hooks;
thread_local std::vector<Observer*> thread_observers;

/// What a dying node held on to. The outermost ~Node on a thread empties it in a loop, so that a chain of a
/// million nodes dies on a flat stack.
struct Remains {
  std::vector<NodePtr> nodes;
  std::vector<Tensor> tensors;
  std::vector<std::shared_ptr<void>> packed;
  bool empty() const { return nodes.empty() && tensors.empty() && packed.empty(); }
};

/// Drops the last element; its destructor may append to the list again.
template <class T>
void drop_last(std::vector<T>& list) {
  const T last = std::move(list.back());
  list.pop_back();
}

thread_local Remains* remains = nullptr;

TensorImpl& impl_of(const Tensor& tensor) { return *tensor.impl(); }

std::string describe(const Node& node, int index) {
  const Save& save = node.op->saves[static_cast<std::size_t>(index)];
  if (save.output) return fmt::format("output {}", save.index);
  const auto& names = node.op->inputs;
  const std::size_t i = static_cast<std::size_t>(save.index);
  return i < names.size() ? fmt::format("input {} ('{}')", save.index, names[i]) : fmt::format("input {}", save.index);
}

}  // namespace

Node::Node() : sequence(next_sequence.fetch_add(1, std::memory_order_relaxed)) {}

Node::~Node() {
  Remains own;
  Remains* list = remains == nullptr ? &own : remains;
  for (Edge& edge : edges)
    if (edge.node) list->nodes.push_back(std::move(edge.node));
  for (SavedTensor& one : saved) one.take(list->tensors, list->packed);
  if (list != &own) return;
  remains = &own;
  while (!own.empty()) {
    if (!own.tensors.empty())
      drop_last(own.tensors);
    else if (!own.packed.empty())
      drop_last(own.packed);
    else
      drop_last(own.nodes);
  }
  remains = nullptr;
}

std::int64_t Node::saved_bytes() const {
  std::int64_t total = 0;
  for (const SavedTensor& one : saved)
    if (one.saved()) total += one.bytes();
  return total;
}

void Node::release() {
  for (SavedTensor& one : saved) one.release();
  released = true;
}

SavedTensor::SavedTensor(const Tensor& tensor, bool is_output)
    : version_(tensor.version()), bytes_(tensor.bytes()), is_output_(is_output) {
  const Tensor kept = is_output ? tensor.detach() : tensor;
  if (saved_tensor_hooks.empty()) {
    tensor_ = kept;
  } else {
    const SavedTensorHooks hooks = saved_tensor_hooks.back();
    packed_ = hooks.pack(kept);
    unpack_ = hooks.unpack;
  }
}

namespace {

/// Outputs of fewer bytes are kept: their memory is not worth a pass.
constexpr std::int64_t least_remade = std::int64_t{1} << 20;

/// How an output is made again: the node that made it, and a share in all that this node saved, for its own may be
/// released by then.
struct Recipe {
  NodePtr maker, copy;
};

/// Whether the node still has all that it saved, as plain tensors: one that is itself made again would have this follow
/// the graph.
bool holds_all_it_saved(const Node& node) {
  for (std::size_t k = 0; k < node.saved.size(); ++k) {
    const Save& save = node.op->saves[k];
    const bool absent = !save.output && !node.input_specs[static_cast<std::size_t>(save.index)].defined;
    if (!absent && node.saved[k].storage() == nullptr) return false;
  }
  return true;
}

Tensor make_again(const std::shared_ptr<void>& held) {
  const Recipe& recipe = *static_cast<const Recipe*>(held.get());
  const NoGradGuard no_grad;
  const Tensor tensor = recipe.copy->op->remake(Vjp(*recipe.copy, {}, {}));
  impl_of(tensor).grad_fn = recipe.maker;
  impl_of(tensor).output_index = 0;
  return tensor;
}

}  // namespace

SavedTensor SavedTensor::remade(const Tensor& tensor) {
  const TensorImpl& impl = impl_of(tensor);
  const NodePtr& maker = impl.grad_fn;
  SavedTensor result;
  if (!maker || !maker->op || !maker->op->remake || impl.output_index != 0 || tensor.bytes() < least_remade)
    return result;
  // Where somebody packs what is saved, or has written to the output since, there is nothing to spare or it is lost.
  if (!saved_tensor_hooks.empty() || tensor.version() != 0 || impl.storage->exposed() || !holds_all_it_saved(*maker))
    return result;
  auto copy = std::make_shared<Node>();
  copy->op = maker->op;
  copy->options = maker->options;
  copy->edges.resize(maker->edges.size());
  copy->input_specs = maker->input_specs;
  copy->output_specs = maker->output_specs;
  copy->saved = maker->saved;
  result.packed_ = std::make_shared<Recipe>(Recipe{maker, std::move(copy)});
  result.unpack_ = make_again;
  return result;
}

Tensor SavedTensor::unpack(const NodePtr& node, int index) const {
  Tensor tensor = tensor_;
  if (unpack_) {
    tensor = unpack_(packed_);
  } else if (tensor.version() != version_) {
    fail<AutogradError>(node->name(),
                        "{} {} was changed in place after it was recorded: its version is {}, expected {}; change a "
                        "clone, or run backward first",
                        describe(*node, index), to_string(spec_of(tensor)), tensor.version(), version_);
  }
  if (is_output_) {
    tensor = tensor.detach();
    impl_of(tensor).grad_fn = node;
    impl_of(tensor).output_index = node->op->saves[static_cast<std::size_t>(index)].index;
  }
  return tensor;
}

void SavedTensor::take(std::vector<Tensor>& tensors, std::vector<std::shared_ptr<void>>& packed) {
  if (tensor_.defined()) tensors.push_back(std::move(tensor_));
  if (packed_) packed.push_back(std::move(packed_));
}

const Storage* SavedTensor::storage() const { return tensor_.defined() ? impl_of(tensor_).storage.get() : nullptr; }

void SavedTensor::release() {
  tensor_ = Tensor();
  packed_.reset();
  unpack_ = nullptr;
}

int Vjp::count() const { return static_cast<int>(node_.edges.size()); }
const TensorSpec& Vjp::spec(int i) const { return node_.input_specs[static_cast<std::size_t>(i)]; }
const TensorSpec& Vjp::output_spec(int j) const { return node_.output_specs[static_cast<std::size_t>(j)]; }
const AnyOptions& Vjp::options() const { return node_.options; }
const char* Vjp::name() const { return node_.name(); }

namespace {
Tensor unpack_saved(Node& node, int index, bool output) {
  const auto& saves = node.op->saves;
  for (std::size_t k = 0; k < saves.size(); ++k)
    if (saves[k].index == index && saves[k].output == output) {
      const SavedTensor& saved = node.saved[k];
      if (saved.saved()) return saved.unpack(node.shared_from_this(), static_cast<int>(k));
      // An absent optional input was never there to save.
      if (!output && !node.input_specs[static_cast<std::size_t>(index)].defined) return {};
      fail<AutogradError>(node.name(), "{} was not saved for this gradient: list the inputs that need it in 'saves'",
                          describe(node, static_cast<int>(k)));
    }
  fail<AutogradError>(node.name(), "its vjp reads {} {}, which 'saves' does not list", output ? "output" : "input", index);
}
}  // namespace

Tensor Vjp::input(int i) const { return unpack_saved(node_, i, false); }
Tensor Vjp::output(int j) const { return unpack_saved(node_, j, true); }

namespace {
// Shared by the leaves: one in each would make every leaf larger. Few, because a fork takes all of them, and
// ThreadSanitizer follows no more than 64 that one thread holds.
constexpr std::size_t leaf_lock_count = 16;
std::mutex leaf_locks[leaf_lock_count];

void lock_leaves() {
  for (std::mutex& one : leaf_locks) one.lock();
}
void unlock_leaves() {
  for (std::mutex& one : leaf_locks) one.unlock();
}
}  // namespace

LeafLock::LeafLock(const TensorImpl& leaf)
    : slot_(reinterpret_cast<std::uintptr_t>(&leaf) / sizeof leaf % leaf_lock_count) {
  // A thread that holds one while another forks would leave the child a lock that nobody opens.
  static const bool registered = (on_fork(lock_leaves, unlock_leaves, unlock_leaves), true);
  (void)registered;
  leaf_locks[slot_].lock();
}
LeafLock::~LeafLock() { leaf_locks[slot_].unlock(); }

Edge gradient_edge(const Tensor& tensor) {
  if (!tensor.requires_grad()) return {};
  TensorImpl& impl = impl_of(tensor);
  if (impl.grad_fn) return {impl.grad_fn, impl.output_index};
  const LeafLock lock(impl);
  if (!impl.leaf) impl.leaf = std::make_unique<LeafState>();
  NodePtr accumulator = impl.leaf->accumulator.lock();
  if (!accumulator) {
    accumulator = std::make_shared<Node>();
    accumulator->leaf = tensor.impl();
    accumulator->output_specs.push_back(spec_of(tensor));
    impl.leaf->accumulator = accumulator;
  }
  return {accumulator, 0};
}

bool grad_enabled() { return grad_mode && !in_inference; }
bool inference_mode() { return in_inference; }
InferenceModeGuard::InferenceModeGuard() : before_(in_inference) { in_inference = true; }
InferenceModeGuard::~InferenceModeGuard() { in_inference = before_; }
GradModeGuard::GradModeGuard(bool enabled) : before_(grad_mode) { grad_mode = enabled; }
GradModeGuard::~GradModeGuard() { grad_mode = before_; }

SavedTensorHooksGuard::SavedTensorHooksGuard(SavedTensorHooks hooks) { saved_tensor_hooks.push_back(std::move(hooks)); }
SavedTensorHooksGuard::~SavedTensorHooksGuard() { saved_tensor_hooks.pop_back(); }

std::span<Observer* const> observers() { return thread_observers; }
ObserverGuard::ObserverGuard(Observer& observer) : observer_(&observer) { thread_observers.push_back(&observer); }
ObserverGuard::~ObserverGuard() { std::erase(thread_observers, observer_); }

void begin_in_place(const char* op, const Tensor& tensor) {
  if (!tensor.defined()) fail<ValueError>(op, "cannot write to an undefined tensor");
  if (grad_enabled() && tensor.requires_grad())
    fail<AutogradError>(op,
                        "cannot change {} {} in place while it is recorded: use a NoGradGuard, or the op that returns "
                        "a new tensor",
                        tensor.is_leaf() ? "a leaf that requires a gradient," : "a recorded tensor,",
                        to_string(spec_of(tensor)));
  if (!impl_of(tensor).storage->writable())
    fail<ValueError>(op, "cannot write to {}: its memory was wrapped as constant", to_string(spec_of(tensor)));
  impl_of(tensor).storage->bump_version();
}

namespace {

/// Throws ValueError where an input is undefined, or missing, that the op does not mark as optional.
void require_inputs(const OpDef& op, std::span<const Tensor> inputs) {
  const auto& names = op.inputs;
  const auto optional = [&](std::size_t i) { return i < names.size() && names[i].ends_with('?'); };
  for (std::size_t i = 0; i < inputs.size(); ++i)
    if (!inputs[i].defined() && !optional(i))
      fail<ValueError>(op.name, "input {}{} is undefined", i, i < names.size() ? " ('" + names[i] + "')" : "");
  if (names.empty() || names.back().ends_with("…")) return;
  if (inputs.size() > names.size()) fail<ValueError>(op.name, "takes {} inputs, got {}", names.size(), inputs.size());
  for (std::size_t i = inputs.size(); i < names.size(); ++i)
    if (!optional(i)) fail<ValueError>(op.name, "input {} ('{}') is missing", i, names[i]);
}

SavedTensor save_checked(const OpDef& op, const Tensor& input, int i) {
  if (impl_of(input).inference)
    fail<AutogradError>(op.name, "input {} {} was made in inference mode and a gradient needs it: make it under a "
                                 "NoGradGuard, or outside",
                        i, to_string(spec_of(input)));
  SavedTensor remade = SavedTensor::remade(input);
  return remade.saved() ? std::move(remade) : SavedTensor(input, false);
}

/// Marks what a forward made in inference mode; a view of an ordinary tensor stays ordinary.
void mark_inference(std::span<const Tensor> inputs, const Tensors& outputs) {
  for (const Tensor& output : outputs) {
    if (!output.defined()) continue;
    const bool view = std::any_of(inputs.begin(), inputs.end(), [&](const Tensor& input) {
      return input.defined() && !impl_of(input).inference && input.shares_storage_with(output);
    });
    if (!view) impl_of(output).inference = true;
  }
}

/// Puts a node on the tape for a call that just ran.
Node* record(const OpPtr& op, std::span<const Tensor> inputs, const AnyOptions& options, Specs&& input_specs,
             const Specs& output_specs, Tensors& outputs) {
  // Edges first: a leaf's accumulator made here must have a lower sequence number than what reads the leaf.
  std::vector<Edge> edges;
  edges.reserve(inputs.size());
  for (const Tensor& input : inputs) edges.push_back(input.defined() ? gradient_edge(input) : Edge{});
  auto node = std::make_shared<Node>();
  node->op = op;
  node->options = options;
  node->edges = std::move(edges);
  node->saved.resize(op->saves.size());
  for (std::size_t k = 0; k < op->saves.size(); ++k) {
    const Save& save = op->saves[k];
    const std::size_t index = static_cast<std::size_t>(save.index);
    const auto wanted = [&](int i) {
      return static_cast<std::size_t>(i) < inputs.size() && node->edges[static_cast<std::size_t>(i)].node != nullptr &&
             (!save.only_if || save.only_if(options, i));
    };
    bool read = save.for_inputs.empty() && !save.only_if;
    for (int i = 0; i < static_cast<int>(inputs.size()) && !read && save.for_inputs.empty(); ++i) read = wanted(i);
    for (const int i : save.for_inputs) read = read || wanted(i);
    if (!read) continue;
    if (save.output)
      node->saved[k] = SavedTensor(outputs[index], true);
    else if (index < inputs.size() && inputs[index].defined())
      node->saved[k] = save_checked(*op, inputs[index], static_cast<int>(index));
  }
  node->input_specs = std::move(input_specs);
  node->output_specs = output_specs;
  for (std::size_t j = 0; j < outputs.size(); ++j) {
    if (!outputs[j].defined() || !is_floating(outputs[j].dtype())) continue;
    const auto& constant = op->constant_outputs;
    if (std::find(constant.begin(), constant.end(), static_cast<int>(j)) != constant.end()) continue;
    impl_of(outputs[j]).grad_fn = node;
    impl_of(outputs[j]).output_index = static_cast<int>(j);
  }
  return node.get();
}

}  // namespace

Tensors apply(const OpPtr& op, std::span<const Tensor> inputs, const AnyOptions& options) {
  const OpInFlight in_flight(op->name.c_str());
  require_inputs(*op, inputs);
  Specs input_specs;
  input_specs.reserve(inputs.size());
  bool recorded = false;
  for (const Tensor& input : inputs) {
    input_specs.push_back(spec_of(input));
    recorded = recorded || (input.requires_grad() && grad_enabled() && op->vjp);
  }
  Specs specs;
  if (op->shape_rule) specs = op->shape_rule(ShapeCall{*op, input_specs, options});
  const Call call{*op, inputs, options, specs};
  const std::vector<Observer*> watching = thread_observers;
  Tensors outputs;
  try {
    for (Observer* observer : watching) observer->before_op(call);
    const NoGradGuard no_grad;
    outputs = op->forward(call);
  } catch (...) {
    for (Observer* observer : watching) observer->failed();
    throw;
  }
  if (!op->shape_rule)
    for (const Tensor& output : outputs) specs.push_back(spec_of(output));
  if (in_inference) mark_inference(inputs, outputs);
  Node* node = nullptr;
  if (recorded) {
    // A forward may hand back its input (a reshape to the same shape): the output still needs a handle of its own.
    for (Tensor& output : outputs)
      for (const Tensor& input : inputs)
        if (output.impl() == input.impl() && output.defined()) output = output.detach();
    node = record(op, inputs, options, std::move(input_specs), specs, outputs);
  }
  for (Observer* observer : watching) observer->after_op(call, outputs, node);
  return outputs;
}

}  // namespace duet
