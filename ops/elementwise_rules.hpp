// What the elementwise families (arithmetic, activations, losses) share: how a kernel is run on tensors, and the
// table row from which the OpDef of a function of one tensor is made. Internal to ops/.
#pragma once

#include <duet/ops/define.hpp>
#include <duet/ops/kernels/elementwise.hpp>

namespace duet {

/// The two numbers that an elementwise kernel may take.
struct Parameters {
  double p = 0, q = 0;
};

/// Inputs of one dtype whose shapes broadcast; the second refuses integers.
Specs broadcast_rule(const ShapeCall& call);
Specs broadcast_floating_rule(const ShapeCall& call);
/// The output is what the first input is.
Specs same_rule(const ShapeCall& call);
Specs same_floating_rule(const ShapeCall& call);
/// Throws ShapeError unless the first two inputs have one shape: a target never broadcasts.
void require_target_shape(const ShapeCall& call);

/// `tensor` seen at `shape` as a kernel wants it; `held` keeps a copy alive where one was needed.
kernels::Operand operand(const Tensor& tensor, const Shape& shape, Tensor& held);

/// map(inputs; p, q) broadcast to `shape`, in the inputs' dtype. Of the integer dtypes only what is exact there.
Tensor run_map(const char* op, kernels::Map map, std::initializer_list<Tensor> inputs, const Shape& shape,
               Parameters parameters = {});

/// Where a function is sampled: makes a tensor of a shape.
using Domain = Tensor (*)(const Shape& shape, std::uint64_t seed);
Tensor normal_domain(const Shape& shape, std::uint64_t seed);
Tensor positive_domain(const Shape& shape, std::uint64_t seed);  ///< in [0.3, 2.3)
Tensor off_zero_domain(const Shape& shape, std::uint64_t seed);  ///< at least 0.1 from 0

/// Samples of a function of one tensor: several shapes for each of the options, `least` or more in all.
std::vector<Sample> unary_samples(Domain domain, std::vector<AnyOptions> options = {AnyOptions()}, std::size_t least = 4);
/// Samples of a function of two tensors that broadcast, the second from `second`.
std::vector<Sample> binary_samples(Domain first, Domain second, std::vector<AnyOptions> options = {AnyOptions()});

/// Defines `name_op()`, the function that op_list.inc promises.
#define DUET_DEFINE_OP(name, ...)            \
  const OpPtr& name##_op() {                 \
    static const OpPtr op = __VA_ARGS__;     \
    return op;                               \
  }

/// A kernel and its parameters.
struct Kernel {
  kernels::Map map;
  Parameters parameters = {};
};

/// A function of one tensor, element by element.
struct UnaryRow {
  const char* name;
  const char* doc;
  const char* formula;
  Kernel kernel;
  /// The gradient by x, given the cotangent.
  Callable<Tensor(const Vjp&, const Tensor&)> derivative;
  std::vector<Save> saves = {};
  Domain domain = normal_domain;
  const char* onnx = "";
  bool integers = false;  ///< whether integer tensors are taken
  const OptionsType* options = nullptr;
  Callable<Kernel(const AnyOptions&)> kernel_of = {};  ///< where options choose the kernel
  std::vector<AnyOptions> sampled_options = {AnyOptions()};
  const char* source = "";
  Callable<void(const char* op, const AnyOptions&)> check = {};  ///< refuses options out of range
};
OpPtr unary_op(UnaryRow row);

/// A cotangent times the derivative of a unary op, as one pass: what the vjp of such an op calls.
struct BackwardRow {
  const char* name;
  const char* doc;
  const char* formula;
  Kernel kernel;
  const OpPtr& (*self)();  ///< linear in g, its gradient by g is itself
  /// The gradient by y, given the cotangent; empty where f is locally constant in y.
  Callable<Tensor(const Vjp&, const Tensor&)> second = {};
  Domain domain = normal_domain;
  const OptionsType* options = nullptr;
  Callable<Kernel(const AnyOptions&)> kernel_of = {};
  std::vector<AnyOptions> sampled_options = {AnyOptions()};
};
OpPtr backward_op(BackwardRow row);

}  // namespace duet
