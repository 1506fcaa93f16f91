// Running elementwise kernels on tensors, and OpDefs from table rows.
#include <duet/ops/elementwise_rules.hpp>

#include <algorithm>

namespace duet {

using kernels::Map;

Specs broadcast_rule(const ShapeCall& call) {
  Specs specs{{call[0].shape, require_same_dtype(call)}};
  for (int i = 1; i < call.count(); ++i) specs[0].shape = broadcast_shapes(call.name(), specs[0].shape, call[i].shape);
  return specs;
}

Specs broadcast_floating_rule(const ShapeCall& call) {
  require_floating(call);
  return broadcast_rule(call);
}

Specs same_rule(const ShapeCall& call) { return {call[0]}; }

Specs same_floating_rule(const ShapeCall& call) {
  require_floating(call);
  return {call[0]};
}

void require_target_shape(const ShapeCall& c) {
  if (c[0].shape != c[1].shape)
    fail<ShapeError>(c.name(), "{} and {} need one shape, got {} and {}", input_name(c.op, 0), input_name(c.op, 1),
                     c[0].shape, c[1].shape);
}

namespace {

Shape broadcast_strides(const Tensor& tensor, const Shape& shape) {
  Shape strides = Shape::filled(shape.rank(), 0);
  const int extra = shape.rank() - tensor.rank();
  for (int i = 0; i < tensor.rank(); ++i)
    strides[i + extra] = tensor.shape()[i] == 1 ? 0 : tensor.strides()[i];
  return strides;
}

/// Wraps around on overflow, as two's complement does: computed in unsigned numbers.
template <class T>
T integer_value(Map map, T x, T y) {
  const auto a = static_cast<std::uint64_t>(x), b = static_cast<std::uint64_t>(y);
  switch (map) {
    case Map::neg: return static_cast<T>(0 - a);
    case Map::abs: return static_cast<T>(x < T(0) ? 0 - a : a);
    case Map::sign: return static_cast<T>(x > T(0) ? 1 : x < T(0) ? -1 : 0);
    case Map::square: return static_cast<T>(a * a);
    case Map::add: return static_cast<T>(a + b);
    case Map::sub: return static_cast<T>(a - b);
    case Map::mul: return static_cast<T>(a * b);
    case Map::maximum: return std::max(x, y);
    default: return std::min(x, y);
  }
}

bool has_integers(Map map) {
  constexpr Map known[] = {Map::neg, Map::abs, Map::sign, Map::square, Map::add,
                           Map::sub, Map::mul, Map::maximum, Map::minimum};
  return std::find(std::begin(known), std::end(known), map) != std::end(known);
}

template <class T>
void run_integer(Map map, const Shape& shape, const kernels::Operand* operands, int count, T* out) {
  kernels::for_rows(shape, operands, count, [&](const kernels::Rows& rows) {
    for (std::int64_t r = 0; r < rows.rows; ++r) {
      const T* x = static_cast<const T*>(operands[0].data) + rows.offset[0] + r * rows.row_stride[0];
      const T* y = count > 1 ? static_cast<const T*>(operands[1].data) + rows.offset[1] + r * rows.row_stride[1] : x;
      const int step = rows.step[0], other = count > 1 ? rows.step[1] : step;
      T* to = out + rows.out + r * rows.n;
      for (std::int64_t i = 0; i < rows.n; ++i) to[i] = integer_value(map, x[i * step], y[i * other]);
    }
  });
}

}  // namespace

kernels::Operand operand(const Tensor& tensor, const Shape& shape, Tensor& held) {
  held = tensor;
  Shape strides = broadcast_strides(held, shape);
  if (!kernels::steps_by_rows(shape, strides)) {
    held = raw::clone(tensor);
    strides = broadcast_strides(held, shape);
  }
  return {raw::data<std::byte>(held), strides};
}

Tensor run_map(const char* op, Map map, std::initializer_list<Tensor> inputs, const Shape& shape,
               Parameters parameters) {
  const Dtype dtype = inputs.begin()->dtype();
  const Tensor out = Tensor::empty(shape, {.dtype = dtype});
  Tensor held[kernels::max_operands];
  kernels::Operand operands[kernels::max_operands];
  int count = 0;
  for (const Tensor& input : inputs) {
    operands[count] = operand(input, shape, held[count]);
    ++count;
  }
  if (is_floating(dtype)) {
    kernels::map(map, dtype == f64, shape, operands, count, raw::data<std::byte>(out), parameters.p, parameters.q);
    return out;
  }
  if (!has_integers(map)) raw::not_floating(op, dtype);
  if (dtype == i64)
    run_integer(map, shape, operands, count, raw::data<std::int64_t>(out));
  else
    run_integer(map, shape, operands, count, raw::data<std::uint8_t>(out));
  return out;
}

Tensor normal_domain(const Shape& shape, std::uint64_t seed) { return sample_normal(shape, seed); }
Tensor positive_domain(const Shape& shape, std::uint64_t seed) { return sample_uniform(shape, 0.3, 2.3, seed); }
Tensor off_zero_domain(const Shape& shape, std::uint64_t seed) { return sample_off_kink(shape, 0, 0.1, seed); }

std::vector<Sample> unary_samples(Domain domain, std::vector<AnyOptions> options, std::size_t least) {
  const Shape shapes[] = {{2, 17, 2}, {33},   {},     {3, 1, 5}, {1},  {4, 9},
                          {0, 3},     {2, 2}, {7, 3}, {1, 65},   {16}, {2, 1, 2, 3}};
  const std::size_t each = std::clamp<std::size_t>((least + options.size() - 1) / options.size(), 4, std::size(shapes));
  std::vector<Sample> samples;
  std::uint64_t seed = 1;
  for (const AnyOptions& one : options)
    for (const Shape& shape : std::span(shapes).first(each))
      samples.push_back({fmt::format("{} {}", shape, to_string(one)), {domain(shape, seed++)}, one});
  return samples;
}

std::vector<Sample> binary_samples(Domain first, Domain second, std::vector<AnyOptions> options) {
  const std::pair<Shape, Shape> shapes[] = {{{3, 17}, {3, 17}}, {{2, 3, 9}, {9}}, {{4, 1}, {2, 4, 5}},
                                            {{}, {5}},          {{33}, {}},       {{2, 1, 3, 1}, {3, 1, 4}},
                                            {{}, {}},           {{17}, {1}},      {{1, 1}, {2, 5}},
                                            {{0, 3}, {3}},      {{2, 33}, {2, 1}}, {{2, 1, 2, 1, 3}, {2, 2, 2, 2, 3}}};
  std::vector<Sample> samples;
  std::uint64_t seed = 1;
  for (const AnyOptions& one : options)
    for (const auto& [a, b] : shapes) {
      samples.push_back({fmt::format("{} with {} {}", a, b, to_string(one)),
                         {first(a, seed), second(b, seed + 1)}, one});
      seed += 2;
    }
  return samples;
}

OpPtr unary_op(UnaryRow row) {
  return define({
      .name = row.name,
      .doc = row.doc,
      .formula = row.formula,
      .inputs = {"x"},
      .options = row.options,
      .shape_rule = [integers = row.integers, check = row.check](const ShapeCall& c) -> Specs {
        if (check) check(c.name(), c.options);
        return integers ? same_rule(c) : same_floating_rule(c);
      },
      .forward = [fixed = row.kernel, kernel_of = row.kernel_of](const Call& c) -> Tensors {
        const Kernel kernel = kernel_of ? kernel_of(c.options) : fixed;
        return {run_map(c.name(), kernel.map, {c[0]}, c[0].shape(), kernel.parameters)};
      },
      .vjp = [derivative = row.derivative](const Vjp& v) -> Tensors { return {derivative(v, v.cotangent())}; },
      .saves = row.saves,
      .onnx = row.onnx,
      .source = row.source,
      .samples = [domain = row.domain, options = row.sampled_options, least = row.options == nullptr ? 4u : 12u] {
        return unary_samples(domain, options, least);
      },
  });
}

OpPtr backward_op(BackwardRow row) {
  return define({
      .name = row.name,
      .doc = row.doc,
      .formula = row.formula,
      .inputs = {"g", "y"},
      .options = row.options,
      .shape_rule = [](const ShapeCall& c) -> Specs {
        require_floating(c);
        if (c[0].shape != c[1].shape)
          fail<ShapeError>(c.name(), "needs one shape, got g {} and y {}", c[0].shape, c[1].shape);
        return {c[0]};
      },
      .forward = [fixed = row.kernel, kernel_of = row.kernel_of](const Call& c) -> Tensors {
        const Kernel kernel = kernel_of ? kernel_of(c.options) : fixed;
        return {run_map(c.name(), kernel.map, {c[0], c[1]}, c[0].shape(), kernel.parameters)};
      },
      .vjp = [self = row.self, second = row.second](const Vjp& v) -> Tensors {
        const Tensor& h = v.cotangent();
        return {v.needs(0) ? apply1(self(), {h, v.input(1)}, v.options()) : Tensor(),
                v.needs(1) && second ? second(v, h) : Tensor()};
      },
      .saves = row.second ? std::vector<Save>{save_input(0, {1}), save_input(1)}
                          : std::vector<Save>{save_input(1, {0})},
      .linear = {0},
      .samples = [domain = row.domain, options = row.sampled_options] {
        std::vector<Sample> samples = unary_samples(domain, options, 12);
        for (std::size_t i = 0; i < samples.size(); ++i)
          samples[i].inputs.insert(samples[i].inputs.begin(), sample_normal(samples[i].inputs[0].shape(), 100 + i));
        return samples;
      },
  });
}

}  // namespace duet
