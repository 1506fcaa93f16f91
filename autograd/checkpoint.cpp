// A frame per checkpoint, a slot per tensor left out. Recomputing fills the slots in the order of the first run.
#include <duet/autograd/checkpoint.hpp>

#include <algorithm>

#include <duet/core/fail.hpp>
#include <duet/core/random.hpp>
#include <duet/core/node.hpp>
#include <duet/core/tensor_impl.hpp>

namespace duet {
namespace {

thread_local int recomputing = 0;

struct RecomputingScope {
  RecomputingScope() { ++recomputing; }
  ~RecomputingScope() { --recomputing; }
};

/// Puts the default generator to a state for the length of a scope.
class RandomStateScope {
 public:
  RandomStateScope(std::uint64_t seed, std::uint64_t position)
      : seed_(default_generator().seed()), position_(default_generator().position()) {
    default_generator().set_state(seed, position);
  }
  ~RandomStateScope() { default_generator().set_state(seed_, position_); }

 private:
  std::uint64_t seed_, position_;
};

struct Frame {
  TensorsFunction function;
  Tensors inputs;
  std::vector<std::uint64_t> versions;
  std::uint64_t seed = 0, position = 0;
  Specs slots;         // what each slot held in the first run
  Tensors recomputed;  // empty until somebody asks

  /// Whether leaving a tensor out frees nothing: an input is kept to run again, a parameter belongs to somebody.
  bool keeps(const Tensor& tensor) const {
    if (tensor.is_leaf() && tensor.requires_grad()) return true;
    return std::any_of(inputs.begin(), inputs.end(), [&](const Tensor& input) {
      return input.defined() && input.shares_storage_with(tensor);
    });
  }

  Tensor value(std::size_t slot) {
    if (recomputed.empty() || !recomputed[slot].defined()) recompute();
    return recomputed[slot];
  }

  void recompute() {
    Tensors again;
    for (std::size_t i = 0; i < inputs.size(); ++i) {
      if (inputs[i].defined() && inputs[i].version() != versions[i])
        fail<AutogradError>("checkpoint", "input {} {} was changed in place since: its version is {}, expected {}", i,
                            to_string(spec_of(inputs[i])), inputs[i].version(), versions[i]);
      again.push_back(inputs[i].defined() ? inputs[i].detach() : Tensor());
      if (inputs[i].requires_grad()) again.back().set_requires_grad();
    }
    recomputed.clear();
    const RecomputingScope scope;
    const RandomStateScope random(seed, position);
    const EnableGradGuard recording;
    const SavedTensorHooksGuard hooks({.pack = [this](const Tensor& tensor) -> std::shared_ptr<void> {
                                         if (!keeps(tensor)) recomputed.push_back(tensor.detach());
                                         return std::make_shared<int>(0);
                                       },
                                       .unpack = [](const std::shared_ptr<void>&) { return Tensor(); }});
    function(again);
    check();
  }

  void check() const {
    if (recomputed.size() != slots.size())
      fail<AutogradError>("checkpoint", "the function saved {} tensors at first and {} when run again: it must do the same",
                          slots.size(), recomputed.size());
    for (std::size_t k = 0; k < slots.size(); ++k)
      if (to_string(spec_of(recomputed[k])) != to_string(slots[k]))
        fail<AutogradError>("checkpoint", "tensor {} was {} at first and {} when run again: the function must do the same",
                            k, to_string(slots[k]), to_string(spec_of(recomputed[k])));
  }
};

/// What a node holds in place of a tensor.
struct Slot {
  std::shared_ptr<Frame> frame;
  std::size_t index = 0;
  Tensor kept = {};  // where leaving it out frees nothing
  std::uint64_t version = 0;
  Edge edge = {};

  ~Slot() {
    if (frame && !kept.defined() && !frame->recomputed.empty()) frame->recomputed[index] = Tensor();
  }

  Tensor unpack() const {
    if (kept.defined()) {
      if (kept.version() != version)
        fail<AutogradError>("checkpoint", "{} was changed in place since: its version is {}, expected {}",
                            to_string(spec_of(kept)), kept.version(), version);
      return kept;
    }
    const Tensor tensor = frame->value(index).detach();
    tensor.impl()->grad_fn = edge.node;
    tensor.impl()->output_index = edge.index;
    return tensor;
  }
};

SavedTensorHooks leave_out(const std::shared_ptr<Frame>& frame) {
  return {.pack = [frame](const Tensor& tensor) -> std::shared_ptr<void> {
            auto slot = std::make_shared<Slot>();
            slot->frame = frame;
            if (frame->keeps(tensor)) {
              slot->kept = tensor;
              slot->version = tensor.version();
            } else {
              slot->index = frame->slots.size();
              slot->edge = {tensor.impl()->grad_fn, tensor.impl()->output_index};
              frame->slots.push_back(spec_of(tensor));
            }
            return slot;
          },
          .unpack = [](const std::shared_ptr<void>& held) { return static_cast<const Slot*>(held.get())->unpack(); }};
}

}  // namespace

bool is_recomputing() { return recomputing != 0; }

Tensors checkpoint_function(TensorsFunction function, const Tensors& inputs) {
  if (!grad_enabled()) return function(inputs);
  auto frame = std::make_shared<Frame>();
  frame->function = std::move(function);
  frame->inputs = inputs;
  for (const Tensor& input : inputs) frame->versions.push_back(input.defined() ? input.version() : 0);
  frame->seed = default_generator().seed();
  frame->position = default_generator().position();
  const SavedTensorHooksGuard guard(leave_out(frame));
  return frame->function(inputs);
}

}  // namespace duet
