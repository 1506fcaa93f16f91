// Elementwise ops: values and derivatives on one screen per op.
#include <duet/ops/elementwise.hpp>

#include <duet/ops/define.hpp>

namespace duet {
namespace {

Specs broadcast_rule(const ShapeCall& call) {
  const Dtype dtype = require_same_dtype(call);
  return {{broadcast_shapes(call.name(), call[0].shape, call[1].shape), dtype}};
}

Specs same_rule(const ShapeCall& call) { return {call[0]}; }

/// The elements of `tensor` seen at `shape`, with strides of zero where it is broadcast.
Tensor broadcast_view(const Tensor& tensor, const Shape& shape) {
  Shape strides = Shape::filled(shape.rank(), 0);
  const int extra = shape.rank() - tensor.rank();
  for (int i = 0; i < tensor.rank(); ++i)
    strides[i + extra] = tensor.shape()[i] == 1 ? 0 : tensor.strides()[i];
  return raw::view(tensor, shape, strides);
}

template <class F>
Tensors binary(const Call& call, F f) {
  const Tensor out = call.empty();
  const Tensor a = raw::contiguous(broadcast_view(call[0], out.shape()));
  const Tensor b = raw::contiguous(broadcast_view(call[1], out.shape()));
  raw::dispatch_all(out.dtype(), [&](auto zero) {
    using T = decltype(zero);
    const T* pa = raw::data<T>(a);
    const T* pb = raw::data<T>(b);
    T* po = raw::data<T>(out);
    for (std::int64_t i = 0; i < out.numel(); ++i) po[i] = static_cast<T>(f(pa[i], pb[i]));
  });
  return {out};
}

std::vector<Sample> broadcast_samples() {
  return {{"same", {sample_normal({3, 17}, 1), sample_normal({3, 17}, 2)}},
          {"row", {sample_normal({2, 3, 33}, 3), sample_normal({33}, 4)}},
          {"column", {sample_normal({4, 1}, 5), sample_normal({2, 4, 5}, 6)}},
          {"scalar", {sample_normal({}, 7), sample_normal({5}, 8)}}};
}

}  // namespace

const OpPtr& add_op() {
  static const OpPtr op = define({
      .name = "add",
      .doc = "The sum of two tensors, element by element.",
      .formula = "a + b",
      .inputs = {"a", "b"},
      .shape_rule = broadcast_rule,
      .forward = [](const Call& c) { return binary(c, [](auto a, auto b) { return a + b; }); },
      .vjp =
          [](const Vjp& v) -> Tensors {
        const Tensor& g = v.cotangent();
        return {v.needs(0) ? sum_to(g, v.shape(0)) : Tensor(), v.needs(1) ? sum_to(g, v.shape(1)) : Tensor()};
      },
      .onnx = "Add",
      .samples = broadcast_samples,
  });
  return op;
}

const OpPtr& sub_op() {
  static const OpPtr op = define({
      .name = "sub",
      .doc = "The difference of two tensors, element by element.",
      .formula = "a - b",
      .inputs = {"a", "b"},
      .shape_rule = broadcast_rule,
      .forward = [](const Call& c) { return binary(c, [](auto a, auto b) { return a - b; }); },
      .vjp =
          [](const Vjp& v) -> Tensors {
        const Tensor& g = v.cotangent();
        return {v.needs(0) ? sum_to(g, v.shape(0)) : Tensor(), v.needs(1) ? sum_to(-g, v.shape(1)) : Tensor()};
      },
      .onnx = "Sub",
      .samples = broadcast_samples,
  });
  return op;
}

const OpPtr& mul_op() {
  static const OpPtr op = define({
      .name = "mul",
      .doc = "The product of two tensors, element by element.",
      .formula = "a * b",
      .inputs = {"a", "b"},
      .shape_rule = broadcast_rule,
      .forward = [](const Call& c) { return binary(c, [](auto a, auto b) { return a * b; }); },
      .vjp =
          [](const Vjp& v) -> Tensors {
        const Tensor& g = v.cotangent();
        return {v.needs(0) ? sum_to(g * v.input(1), v.shape(0)) : Tensor(),
                v.needs(1) ? sum_to(g * v.input(0), v.shape(1)) : Tensor()};
      },
      .saves = {save_input(0, {1}), save_input(1, {0})},
      .linear = {0, 1},
      .onnx = "Mul",
      .samples = broadcast_samples,
  });
  return op;
}

const OpPtr& neg_op() {
  static const OpPtr op = define({
      .name = "neg",
      .doc = "The negative of a tensor.",
      .formula = "-x",
      .inputs = {"x"},
      .shape_rule = same_rule,
      .forward =
          [](const Call& c) -> Tensors {
        const Tensor x = raw::contiguous(c[0]), out = c.empty();
        raw::dispatch_all(out.dtype(), [&](auto zero) {
          using T = decltype(zero);
          for (std::int64_t i = 0; i < out.numel(); ++i)
            raw::data<T>(out)[i] = static_cast<T>(-raw::data<T>(x)[i]);
        });
        return {out};
      },
      .vjp = [](const Vjp& v) -> Tensors { return {-v.cotangent()}; },
      .linear = {0},
      .onnx = "Neg",
      .samples = []() -> std::vector<Sample> { return {{"plain", {sample_normal({3, 17}, 1)}}}; },
  });
  return op;
}

Tensor add(const Tensor& a, const Tensor& b) { return apply1(add_op(), {a, b}); }
Tensor sub(const Tensor& a, const Tensor& b) { return apply1(sub_op(), {a, b}); }
Tensor mul(const Tensor& a, const Tensor& b) { return apply1(mul_op(), {a, b}); }
Tensor neg(const Tensor& x) { return apply1(neg_op(), {x}); }

}  // namespace duet
