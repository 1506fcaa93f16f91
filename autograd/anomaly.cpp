// Looking for the first value that is not finite, and telling its story.
#include <duet/autograd/anomaly.hpp>

#include <algorithm>
#include <cmath>

#include <duet/autograd/note.hpp>
#include <duet/core/fail.hpp>
#include <duet/core/node.hpp>
#include <duet/core/platform.hpp>
#include <duet/core/scope.hpp>

namespace duet {
namespace {

struct Range {
  double low = INFINITY, high = -INFINITY;
  std::int64_t nans = 0, infinities = 0, first = -1;
};

Range range_of(const Tensor& tensor) {
  Range range;
  const std::vector<double> values = tensor.to_vector();
  for (std::size_t k = 0; k < values.size(); ++k) {
    if (std::isfinite(values[k])) {
      range.low = std::min(range.low, values[k]);
      range.high = std::max(range.high, values[k]);
      continue;
    }
    ++(std::isnan(values[k]) ? range.nans : range.infinities);
    if (range.first < 0) range.first = static_cast<std::int64_t>(k);
  }
  return range;
}

std::string index_text(std::int64_t flat, const Shape& shape) {
  Shape index = shape;
  for (int i = shape.rank() - 1; i >= 0; --i) {
    index[i] = flat % shape[i];
    flat /= shape[i];
  }
  return to_string(index);
}

std::string describe(const Tensor& tensor) {
  if (!tensor.defined()) return "absent";
  const Range range = range_of(tensor);
  std::string text = to_string(spec_of(tensor));
  if (range.low <= range.high) text += fmt::format(" in [{:.6g}, {:.6g}]", range.low, range.high);
  if (range.nans > 0) text += fmt::format(", {} NaN", range.nans);
  if (range.infinities > 0) text += fmt::format(", {} infinite", range.infinities);
  return text;
}

/// "NaN in output 0 (2, 3) f32, first at (0, 1)".
std::string finding(const char* what, std::size_t position, const Tensor& tensor) {
  const Range range = range_of(tensor);
  return fmt::format("{} in {} {} {}, first at {}", range.nans > 0 ? "NaN" : "an infinity", what, position,
                     to_string(spec_of(tensor)), index_text(range.first, tensor.shape()));
}

std::string input_label(const OpDef& op, std::size_t i) {
  return i < op.inputs.size() ? op.inputs[i] : fmt::format("input {}", i);
}

/// The stack from the first caller outside of Duet on, where names are known.
std::string stack_text(const std::vector<void*>& stack) {
  std::vector<std::string> frames;
  for (void* address : stack) frames.push_back(describe_address(address));
  const auto inside = [](const std::string& frame) {
    return frame.find("duet::") != std::string::npos && frame.find("duet::nn") == std::string::npos;
  };
  // Down to apply, nameless frames are Duet's own.
  auto first = frames.begin();
  for (auto frame = frames.begin(); frame != frames.end(); ++frame)
    if (frame->find("duet::apply") != std::string::npos) first = frame + 1;
  while (first != frames.end() && inside(*first)) ++first;
  std::string text;
  for (int shown = 0; first != frames.end() && shown < 16; ++first, ++shown) text += "\n    " + *first;
  return text;
}

/// Which op it is: number, module, stack.
std::string place(const NodeNote* note) {
  if (note == nullptr) return "\n  recorded before anomaly mode began: its module and stack are not known";
  std::string text = fmt::format("\n  op {} on the tape", note->number);
  if (!note->scope.empty()) text += fmt::format(", in module '{}'", note->scope);
  if (!note->stack.empty()) text += "\n  recorded at" + stack_text(note->stack);
  return text;
}

}  // namespace

NodeNote& note_of(Node& node) {
  if (!node.note) {
    node.note = std::make_unique<NodeNote>();
    node.note->scope = scope_path();
  }
  return *node.note;
}

ScopeRecorder::ScopeRecorder() : guard_(*this) {}
void ScopeRecorder::after_op(const Call&, std::span<const Tensor>, Node* node) {
  if (node != nullptr) note_of(*node).number = ++recorded_;
}

AnomalyMode::AnomalyMode(const AnomalyOptions& options) : options_(options), guard_(*this) {}
AnomalyMode::~AnomalyMode() = default;

bool AnomalyMode::bad(const Tensor& tensor) const {
  if (!tensor.defined() || !is_floating(tensor.dtype())) return false;
  const Range range = range_of(tensor);
  return range.nans > 0 || (options_.infinities && range.infinities > 0);
}

void AnomalyMode::before_op(const Call&) { running_.push_back(0); }

void AnomalyMode::failed() {
  if (!running_.empty()) running_.pop_back();
}

void AnomalyMode::after_op(const Call& call, std::span<const Tensor> outputs, Node* node) {
  failed();
  if (node != nullptr) {
    NodeNote& note = note_of(*node);
    note.number = ++recorded_;
    if (options_.stacks) note.stack = call_stack();
  }
  for (std::size_t j = 0; j < outputs.size(); ++j) {
    if (!bad(outputs[j])) continue;
    std::string text = finding("output", j, outputs[j]);
    for (std::size_t i = 0; i < call.inputs.size(); ++i)
      text += fmt::format("\n  {}: {}", input_label(call.op, i), describe(call.inputs[i]));
    if (std::find(running_.begin(), running_.end(), 1) != running_.end()) {
      // after_vjp tells, if the vjp's result is bad too.
      if (inner_.empty()) inner_ = fmt::format("\n  inside, {} made {}", call.name(), text);
      return;
    }
    if (std::string options = to_string(call.options); !options.empty()) text += "\n  options: " + options;
    if (node != nullptr) {
      text += place(node->note.get());
    } else {
      if (const std::string scope = scope_path(); !scope.empty()) text += fmt::format("\n  in module '{}'", scope);
      text += "\n  not on the tape; called at" + stack_text(call_stack());
    }
    fail<AutogradError>(call.name(), "forward made {}", text);
  }
}

void AnomalyMode::before_vjp(Node& node, std::span<const Tensor> cotangents) {
  running_.push_back(1);
  inner_.clear();
  for (std::size_t j = 0; j < cotangents.size(); ++j)
    if (bad(cotangents[j]))
      fail<AutogradError>(node.name(),
                          "backward was given {}: no vjp before it made that, so it came with the cotangent, "
                          "from a hook, or from adding gradients up{}",
                          finding("cotangent", j, cotangents[j]), place(node.note.get()));
}

void AnomalyMode::after_vjp(Node& node, std::span<const Tensor> cotangents, std::span<const Tensor> gradients) {
  failed();
  for (std::size_t i = 0; i < gradients.size(); ++i) {
    if (!bad(gradients[i])) continue;
    std::string text = finding("the gradient by input", i, gradients[i]);
    for (std::size_t j = 0; j < cotangents.size(); ++j)
      text += fmt::format("\n  cotangent {}: {}", j, describe(cotangents[j]));
    for (std::size_t k = 0; k < node.saved.size(); ++k) {
      if (!node.saved[k].saved()) continue;
      const Save& save = node.op->saves[k];
      const Tensor tensor = node.saved[k].unpack(node.shared_from_this(), static_cast<int>(k)).detach();
      const std::string label = save.output ? fmt::format("output {}", save.index)
                                            : input_label(*node.op, static_cast<std::size_t>(save.index));
      text += fmt::format("\n  {}: {}", label, describe(tensor));
    }
    fail<AutogradError>(node.name(), "backward made {}{}{}", text, inner_, place(node.note.get()));
  }
}

}  // namespace duet
