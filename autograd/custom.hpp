// Custom functions: a forward and a backward of one's own, without an OpDef. For an op that others will use, an
// OpDef is the better place: it brings its samples and so its tests (examples/own_op).
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <duet/autograd/function.hpp>
#include <duet/core/op.hpp>

namespace duet {

/// What a custom function's forward hands to its backward.
class FunctionContext {
 public:
  /// In forward: keeps tensors for backward. Inputs and outputs keep their place on the tape, so a backward written in
  /// ops can be differentiated again; what is neither is a constant there.
  void save(const Tensors& tensors);
  /// In backward: the tensors, in the order in which they were saved. AutogradError if one was changed in place.
  const Tensors& saved() const { return saved_; }
  /// In backward: whether anybody wants the gradient by input i.
  bool needs(int i) const {
    return static_cast<std::size_t>(i) < needs_.size() && needs_[static_cast<std::size_t>(i)] != 0;
  }

 private:
  friend struct CustomFunction;
  Tensors saved_;
  std::vector<int> needs_;  // 0 or 1, an input (not bool, whose vector compiles slowly)
};

using CustomForward = Callable<Tensors(FunctionContext&, const Tensors&)>;
using CustomBackward = Callable<Tensors(FunctionContext&, const Tensors&)>;
/// What custom() calls.
Tensors apply_custom(const std::string& name, const Tensors& inputs, CustomForward forward, CustomBackward backward);

/// Runs `forward(context, inputs)`, off the tape, and records it as one node. `backward(context, cotangents)` is then
/// asked for one gradient an input, undefined for zero; cotangents that nothing reached are zeros. Either may return a
/// Tensor for a list of one. Written in ops, backward can be differentiated to any order; gradcheck tells.
/// AutogradError in backward for another number of gradients or another shape or dtype than its input's, and when a
/// second order is asked of a backward that is not written in ops.
template <class Forward, class Backward>
Tensors custom(const std::string& name, const Tensors& inputs, Forward forward, Backward backward) {
  return apply_custom(
      name, inputs,
      [forward](FunctionContext& c, const Tensors& x) mutable { return detail::as_tensors(forward(c, x)); },
      [backward](FunctionContext& c, const Tensors& g) mutable { return detail::as_tensors(backward(c, g)); });
}

/// The same for a struct with members `forward(FunctionContext&, const Tensors&)` and `backward(FunctionContext&, const
/// Tensors&)`, and `static constexpr const char* name`. Its other members are its options.
template <class Function>
Tensors custom(Function function, const Tensors& inputs) {
  auto held = std::make_shared<Function>(std::move(function));
  return apply_custom(
      Function::name, inputs,
      [held](FunctionContext& c, const Tensors& x) { return detail::as_tensors(held->forward(c, x)); },
      [held](FunctionContext& c, const Tensors& g) { return detail::as_tensors(held->backward(c, g)); });
}

}  // namespace duet
