// Views and moves.
#include <duet/ops/shape.hpp>

#include <duet/ops/define.hpp>

namespace duet {
namespace {

Shape reshape_target(const char* op, const Shape& from, Shape to) {
  int unknown = -1;
  std::int64_t known = 1;
  for (int i = 0; i < to.rank(); ++i) {
    if (to[i] == -1) {
      if (unknown >= 0) fail<ShapeError>(op, "only one size may be -1, got {}", to);
      unknown = i;
    } else if (to[i] < 0) {
      fail<ShapeError>(op, "negative size in {}", to);
    } else {
      known = checked_mul(op, known, to[i]);
    }
  }
  const std::int64_t count = from.numel();
  if (unknown >= 0 && known > 0 && count % known == 0) to[unknown] = count / known;
  if (to.contains(-1) || to.numel() != count)
    fail<ShapeError>(op, "{} elements of {} do not fit shape {}", count, from, to);
  return to;
}

}  // namespace

const OpPtr& reshape_op() {
  static const OpPtr op = define({
      .name = "reshape",
      .doc = "The same elements, in row-major order, in another shape.",
      .inputs = {"x"},
      .options = &options_type<ShapeOptions>(),
      .shape_rule = [](const ShapeCall& c) -> Specs {
        return {{reshape_target(c.name(), c[0].shape, c.opt<ShapeOptions>().shape), c[0].dtype}};
      },
      .forward = [](const Call& c) -> Tensors {
        const Tensor x = raw::contiguous(c[0]);
        return {raw::view(x, c.spec().shape, contiguous_strides(c.spec().shape))};
      },
      .vjp = [](const Vjp& v) -> Tensors { return {reshape(v.cotangent(), v.shape(0))}; },
      .linear = {0},
      .onnx = "Reshape",
      .samples = []() -> std::vector<Sample> {
        return {{"flat", {sample_normal({3, 4, 5}, 1)}, ShapeOptions{{60}}},
                {"inferred", {sample_normal({3, 4, 5}, 2)}, ShapeOptions{{2, -1}}}};
      },
  });
  return op;
}

const OpPtr& expand_op() {
  static const OpPtr op = define({
      .name = "expand",
      .doc = "A view that repeats sizes of 1 and adds dimensions in front.",
      .inputs = {"x"},
      .options = &options_type<ShapeOptions>(),
      .shape_rule = [](const ShapeCall& c) -> Specs {
        Shape shape = c.opt<ShapeOptions>().shape;
        const Shape& from = c[0].shape;
        const int extra = shape.rank() - from.rank();
        if (extra < 0) fail<ShapeError>(c.name(), "{} has fewer dimensions than x {}", shape, from);
        for (int i = 0; i < shape.rank(); ++i) {
          const std::int64_t have = i < extra ? 1 : from[i - extra];
          if (shape[i] == -1 && i >= extra) shape[i] = have;
          if (shape[i] < 0 || (have != 1 && have != shape[i]))
            fail<ShapeError>(c.name(), "x {} does not expand to {}", from, c.opt<ShapeOptions>().shape);
        }
        shape.numel();
        return {{shape, c[0].dtype}};
      },
      .forward = [](const Call& c) -> Tensors {
        const Shape& shape = c.spec().shape;
        Shape strides = Shape::filled(shape.rank(), 0);
        const int extra = shape.rank() - c[0].rank();
        for (int i = 0; i < c[0].rank(); ++i)
          if (c[0].shape()[i] != 1) strides[i + extra] = c[0].strides()[i];
        return {raw::view(c[0], shape, strides)};
      },
      .vjp = [](const Vjp& v) -> Tensors { return {sum_to(v.cotangent(), v.shape(0))}; },
      .linear = {0},
      .onnx = "Expand",
      .samples = []() -> std::vector<Sample> {
        return {{"row", {sample_normal({1, 5}, 1)}, ShapeOptions{{3, 5}}},
                {"front", {sample_normal({3, 1}, 2)}, ShapeOptions{{2, -1, 17}}}};
      },
  });
  return op;
}

Tensor reshape(const Tensor& x, const Shape& shape) { return apply1(reshape_op(), {x}, ShapeOptions{shape}); }
Tensor expand(const Tensor& x, const Shape& shape) { return apply1(expand_op(), {x}, ShapeOptions{shape}); }

}  // namespace duet
