// What the declaration of an op is written with, and apply for lists written in place.
#include <duet/core/op.hpp>

#include <utility>

namespace duet {

Save save_input(int index, std::vector<int> for_inputs, Callable<bool(const AnyOptions&, int)> only_if) {
  return {index, false, std::move(for_inputs), std::move(only_if)};
}
Save save_output(int index, std::vector<int> for_inputs, Callable<bool(const AnyOptions&, int)> only_if) {
  return {index, true, std::move(for_inputs), std::move(only_if)};
}

const char* ShapeCall::name() const { return op.name.c_str(); }
const char* Call::name() const { return op.name.c_str(); }

Tensors apply(const OpPtr& op, std::initializer_list<Tensor> inputs, const AnyOptions& options) {
  return apply(op, std::span<const Tensor>(inputs.begin(), inputs.size()), options);
}
Tensor apply1(const OpPtr& op, std::initializer_list<Tensor> inputs, const AnyOptions& options) {
  return apply(op, inputs, options)[0];
}

}  // namespace duet
