// Checkpointing: run a part of a model without keeping what its backward reads, and run it again when the backward
// comes (Chen et al. 2016, "Training deep nets with sublinear memory cost", arXiv:1604.06174). It stands on the tape's
// saved-tensor hooks: the graph is recorded as always, only the tensors in it are left out.
#pragma once

#include <duet/autograd/function.hpp>
#include <duet/core/tensor.hpp>

namespace duet {

Tensors checkpoint_function(TensorsFunction function, const Tensors& inputs);  ///< what checkpoint() calls

/// function(inputs), any number and shapes of each, recorded without the tensors that backward reads; the first of them
/// that is asked for makes the function run again, with the state that default_generator() had, which is put back
/// after. So gradients are the same to the bit, by inputs and by parameters inside the function, and can be
/// differentiated again. The function must do the same when run again: a generator of its own must start from the same
/// state, and what depends on how often it is called asks is_recomputing(). AutogradError in backward if it does not,
/// or if an input was changed in place.
template <class F>
Tensors checkpoint(F&& function, const Tensors& inputs) {
  return checkpoint_function(tensors_function(std::forward<F>(function)), inputs);
}
/// The same for a function of one tensor that returns one. See checkpoint().
template <class F>
Tensor checkpoint(F&& function, const Tensor& input) {
  return checkpoint_function(tensors_function(std::forward<F>(function)), Tensors{input}).at(0);
}

/// Whether this thread is running a checkpointed function for the second time.
bool is_recomputing();

}  // namespace duet
