// Checks and sample makers that the family files share.
#include <duet/ops/define.hpp>

#include <cmath>

#include <duet/core/random.hpp>
#include <duet/ops/reduce.hpp>
#include <duet/ops/shape.hpp>

namespace duet {

std::string input_name(const OpDef& op, int i) {
  if (op.inputs.empty()) return fmt::format("input {}", i);
  std::string name = op.inputs[std::min(static_cast<std::size_t>(i), op.inputs.size() - 1)];
  constexpr std::string_view any_number = "…";
  if (name.ends_with(any_number)) return fmt::format("{} {}", name.substr(0, name.size() - any_number.size()), i);
  if (name.ends_with('?')) name.pop_back();
  return name;
}

Dtype require_same_dtype(const ShapeCall& call) {
  int first = -1;
  for (int i = 0; i < call.count(); ++i) {
    if (!call.has(i)) continue;
    if (first < 0) first = i;
    if (call[i].dtype != call[first].dtype)
      fail<DtypeError>(call.name(), "needs one dtype, got {} {} and {} {}", input_name(call.op, first),
                       to_string(call[first]), input_name(call.op, i), to_string(call[i]));
  }
  if (first < 0) fail<ValueError>(call.name(), "every input is undefined");
  return call[first].dtype;
}

Dtype require_floating(const ShapeCall& call) {
  for (int i = 0; i < call.count(); ++i)
    if (call.has(i) && !is_floating(call[i].dtype))
      fail<DtypeError>(call.name(), "needs f32 or f64, got {} {}", input_name(call.op, i), to_string(call[i]));
  return require_same_dtype(call);
}

void require_rank(const ShapeCall& call, int i, int rank) {
  if (call[i].shape.rank() != rank)
    fail<ShapeError>(call.name(), "{} needs {} dimensions, got {}", input_name(call.op, i), rank, call[i].shape);
}

Tensor sum_to(const Tensor& gradient, const Shape& shape) {
  if (gradient.shape() == shape) return gradient;
  Dims dims;
  const int extra = gradient.rank() - shape.rank();
  for (int i = 0; i < gradient.rank(); ++i)
    if (i < extra || (shape[i - extra] == 1 && gradient.shape()[i] != 1)) dims.push_back(i);
  const Tensor summed = dims.empty() ? gradient : sum(gradient, {.dim = dims, .keepdim = true});
  return summed.shape() == shape ? summed : reshape(summed, shape);
}

Tensor sample_normal(const Shape& shape, std::uint64_t seed) {
  Generator generator(0x5eed0000 + seed);
  return randn(shape, {.dtype = f64}, generator);
}

Tensor sample_uniform(const Shape& shape, double low, double high, std::uint64_t seed) {
  Generator generator(0x5eed0000 + seed);
  const Tensor tensor = rand(shape, {.dtype = f64}, generator);
  double* values = raw::data<double>(tensor);
  for (std::int64_t i = 0; i < tensor.numel(); ++i) values[i] = low + (high - low) * values[i];
  return tensor;
}

Tensor sample_off_kink(const Shape& shape, double kink, double gap, std::uint64_t seed) {
  const Tensor tensor = sample_normal(shape, seed);
  double* values = raw::data<double>(tensor);
  for (std::int64_t i = 0; i < tensor.numel(); ++i) {
    const double distance = values[i] - kink;
    if (std::abs(distance) < gap) values[i] = kink + (distance < 0 ? -gap : gap) + distance;
  }
  return tensor;
}

}  // namespace duet
