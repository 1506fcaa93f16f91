// A custom function is an OpDef made for one call. What it saves becomes the OpDef's `saves`: inputs and outputs by
// their place, other tensors as outputs that the caller does not see; so freeing, versions and hooks are the tape's.
#include <duet/autograd/custom.hpp>

#include <duet/core/factory.hpp>
#include <duet/core/fail.hpp>
#include <duet/core/tape.hpp>

namespace duet {

void FunctionContext::save(const Tensors& tensors) { saved_.insert(saved_.end(), tensors.begin(), tensors.end()); }

struct CustomFunction {
  struct Kept {
    Save place;
    bool constant = false;  // neither input nor output
  };
  CustomForward forward;
  CustomBackward backward;
  std::size_t visible = 0;  // outputs that the caller gets
  std::vector<Kept> kept;

  static int position(const Tensor& tensor, std::span<const Tensor> among) {
    for (std::size_t i = 0; i < among.size(); ++i)
      if (among[i].impl() == tensor.impl()) return static_cast<int>(i);
    return -1;
  }

  /// Runs the user's forward; returns its outputs and behind them the constants that it saved.
  Tensors run(const Call& call, std::vector<Save>& saves) {
    FunctionContext context;
    Tensors outputs = forward(context, Tensors(call.inputs.begin(), call.inputs.end()));
    visible = outputs.size();
    for (const Tensor& tensor : context.saved_) {
      if (!tensor.defined()) fail<ValueError>(call.name(), "its forward saved an undefined tensor");
      Kept one;
      if (const int i = position(tensor, call.inputs); i >= 0) {
        one.place = save_input(i);
      } else if (const int j = position(tensor, std::span<const Tensor>(outputs).first(visible)); j >= 0) {
        one.place = save_output(j);
      } else {
        one = {save_output(static_cast<int>(outputs.size())), true};
        outputs.push_back(tensor.detach());
      }
      kept.push_back(one);
      saves.push_back(one.place);
    }
    return outputs;
  }

  Tensors differentiate(const Vjp& v) {
    FunctionContext context;
    for (int i = 0; i < v.count(); ++i) context.needs_.push_back(v.needs(i));
    for (const Kept& one : kept) {
      const Tensor tensor = one.place.output ? v.output(one.place.index) : v.input(one.place.index);
      context.saved_.push_back(one.constant ? tensor.detach() : tensor);
    }
    Tensors cotangents;
    bool recorded = false;
    for (std::size_t j = 0; j < visible; ++j) {
      const Tensor& cotangent = v.cotangent(static_cast<int>(j));
      const TensorSpec& spec = v.output_spec(static_cast<int>(j));
      cotangents.push_back(cotangent.defined() || !is_floating(spec.dtype) ? cotangent
                                                                         : zeros(spec.shape, {.dtype = spec.dtype}));
      recorded = recorded || (grad_enabled() && cotangent.requires_grad());
    }
    Tensors gradients = backward(context, cotangents);
    for (std::size_t i = 0; i < gradients.size() && recorded; ++i)
      if (gradients[i].defined() && !gradients[i].requires_grad())
        fail<AutogradError>(v.name(), "its gradient by input {} was asked with create_graph and is off the tape: write "
                            "backward in ops (and return an undefined tensor for zero), or differentiate once only", i);
    return gradients;
  }
};

Tensors apply_custom(const std::string& name, const Tensors& inputs, CustomForward forward, CustomBackward backward) {
  auto function = std::make_shared<CustomFunction>();
  function->forward = std::move(forward);
  function->backward = std::move(backward);
  auto op = std::make_shared<OpDef>();
  op->name = name;
  op->doc = "A custom function.";
  // Without a cycle: the OpDef outlives the call, which fills in its saves.
  op->forward = [function, saves = &op->saves](const Call& call) { return function->run(call, *saves); };
  op->vjp = [function](const Vjp& v) { return function->differentiate(v); };
  Tensors outputs = duet::apply(op, inputs);
  outputs.resize(function->visible);
  // What forward held on to is not needed any more.
  op->forward = nullptr;
  function->forward = nullptr;
  return outputs;
}

}  // namespace duet
