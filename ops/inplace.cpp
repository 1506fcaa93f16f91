// Writes in place through the elementwise kernels.
#include <duet/ops/inplace.hpp>

#include <duet/core/tape.hpp>
#include <duet/ops/elementwise_rules.hpp>

namespace duet {
namespace {

using kernels::Map;

void refuse_lost_gradient(const char* op, const Tensor& source) {
  if (grad_enabled() && source.requires_grad())
    fail<AutogradError>(op, "writes in place are not recorded, so the gradient of the source {} would be lost: use a "
                            "NoGradGuard, or the op that returns a new tensor",
                        to_string(spec_of(source)));
}

void require_broadcast_to(const char* op, const Tensor& source, const Shape& shape) {
  if (broadcast_shapes(op, source.shape(), shape) != shape)
    fail<ShapeError>(op, "the source {} does not broadcast to the target {}", source.shape(), shape);
}

/// target = map(target, others…), checked first.
Tensor& update(const char* op, Map map, Tensor& target, std::initializer_list<Tensor> others, Parameters parameters) {
  if (!target.defined()) fail<ValueError>(op, "cannot write to an undefined tensor");
  if (!is_floating(target.dtype())) raw::not_floating(op, target.dtype());
  for (const Tensor& other : others) {
    if (other.dtype() != target.dtype())
      fail<DtypeError>(op, "needs one dtype, got target {} and source {}", to_string(spec_of(target)),
                       to_string(spec_of(other)));
    require_broadcast_to(op, other, target.shape());
    refuse_lost_gradient(op, other);
  }
  begin_in_place(op, target);
  Tensor held[kernels::max_operands];
  kernels::Operand operands[kernels::max_operands] = {operand(target, target.shape(), held[0])};
  int count = 1;
  bool overlaps = !target.is_contiguous();
  for (const Tensor& other : others) {
    operands[count] = operand(other, target.shape(), held[count]);
    overlaps = overlaps || held[count].shares_storage_with(target);
    ++count;
  }
  Tensor out = overlaps ? Tensor::empty(target.shape(), {.dtype = target.dtype()}) : target;
  kernels::map(map, target.dtype() == f64, target.shape(), operands, count, raw::data<std::byte>(out), parameters.p,
               parameters.q);
  if (overlaps) raw::copy(out, target);
  return target;
}

}  // namespace

Tensor& fill_(Tensor& target, double value) {
  begin_in_place("fill_", target);
  raw::fill(target, value);
  return target;
}

Tensor& zero_(Tensor& target) { return fill_(target, 0); }

Tensor& copy_(Tensor& target, const Tensor& source) {
  if (!target.defined() || !source.defined()) fail<ValueError>("copy_", "target or source is undefined");
  require_broadcast_to("copy_", source, target.shape());
  refuse_lost_gradient("copy_", source);
  begin_in_place("copy_", target);
  Tensor from = target.shares_storage_with(source) ? raw::clone(source) : source;
  Shape strides = Shape::filled(target.rank(), 0);
  const int extra = target.rank() - from.rank();
  for (int i = 0; i < from.rank(); ++i)
    if (from.shape()[i] != 1) strides[i + extra] = from.strides()[i];
  raw::copy(raw::view(from, target.shape(), strides), target);
  return target;
}

Tensor& add_(Tensor& target, const Tensor& source, const AddOptions& options) {
  return update("add_", Map::add_scaled, target, {source}, {.p = options.alpha});
}
Tensor& sub_(Tensor& target, const Tensor& source, const AddOptions& options) {
  return update("sub_", Map::add_scaled, target, {source}, {.p = -options.alpha});
}
Tensor& mul_(Tensor& target, const Tensor& source) { return update("mul_", Map::mul, target, {source}, {}); }
Tensor& div_(Tensor& target, const Tensor& source) { return update("div_", Map::div, target, {source}, {}); }
Tensor& add_(Tensor& target, double value) {
  return update("add_", Map::add, target, {Tensor::scalar(value, {.dtype = target.dtype()})}, {});
}
Tensor& mul_(Tensor& target, double factor) {
  return update("mul_", Map::mul, target, {Tensor::scalar(factor, {.dtype = target.dtype()})}, {});
}
Tensor& div_(Tensor& target, double divisor) {
  return update("div_", Map::div, target, {Tensor::scalar(divisor, {.dtype = target.dtype()})}, {});
}
Tensor& lerp_(Tensor& target, const Tensor& end, double weight) {
  return update("lerp_", Map::lerp, target, {end, Tensor::scalar(weight, {.dtype = target.dtype()})}, {});
}
Tensor& clamp_(Tensor& target, double low, double high) {
  return update("clamp_", Map::clamp, target, {}, {low, high});
}

}  // namespace duet
