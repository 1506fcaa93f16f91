// Reductions.
#include <duet/ops/reduce.hpp>

#include <duet/ops/define.hpp>
#include <duet/ops/shape.hpp>

namespace duet {
namespace {

/// The shape after reducing `dims` (normalized), with or without their ones.
Shape reduced_shape(const Shape& shape, const Dims& dims, bool keepdim) {
  Shape result;
  for (int i = 0; i < shape.rank(); ++i) {
    if (!dims.contains(i))
      result.push_back(shape[i]);
    else if (keepdim)
      result.push_back(1);
  }
  return result;
}

Specs reduce_rule(const ShapeCall& call) {
  const ReduceOptions& o = call.opt<ReduceOptions>();
  const Dims dims = normalize_dims(call.name(), o.dim, call[0].shape.rank());
  return {{reduced_shape(call[0].shape, dims, o.keepdim), call[0].dtype}};
}

}  // namespace

const OpPtr& sum_op() {
  static const OpPtr op = define({
      .name = "sum",
      .doc = "The sum over dimensions.",
      .formula = "sum_i x_i",
      .inputs = {"x"},
      .options = &options_type<ReduceOptions>(),
      .shape_rule = reduce_rule,
      .forward =
          [](const Call& c) -> Tensors {
        const Dims dims = normalize_dims(c.name(), c.opt<ReduceOptions>().dim, c[0].rank());
        // Kept dimensions first, reduced ones last: then each result is the sum of a row.
        Shape shape, strides;
        std::int64_t row = 1;
        for (int pass = 0; pass < 2; ++pass)
          for (int i = 0; i < c[0].rank(); ++i)
            if (dims.contains(i) == (pass == 1)) {
              shape.push_back(c[0].shape()[i]);
              strides.push_back(c[0].strides()[i]);
              if (pass == 1) row *= c[0].shape()[i];
            }
        const Tensor x = raw::contiguous(raw::view(c[0], shape, strides)), out = c.empty();
        raw::dispatch_all(out.dtype(), [&](auto zero) {
          using T = decltype(zero);
          for (std::int64_t i = 0; i < out.numel(); ++i) {
            T total = 0;
            for (std::int64_t j = 0; j < row; ++j) total = static_cast<T>(total + raw::data<T>(x)[i * row + j]);
            raw::data<T>(out)[i] = total;
          }
        });
        return {out};
      },
      .vjp =
          [](const Vjp& v) -> Tensors {
        const Dims dims = normalize_dims(v.name(), v.opt<ReduceOptions>().dim, v.shape(0).rank());
        return {expand(reshape(v.cotangent(), reduced_shape(v.shape(0), dims, true)), v.shape(0))};
      },
      .linear = {0},
      .onnx = "ReduceSum",
      .samples = []() -> std::vector<Sample> {
        return {{"all", {sample_normal({3, 17}, 1)}, ReduceOptions{}},
                {"dim", {sample_normal({3, 33, 2}, 2)}, ReduceOptions{.dim = {1}}},
                {"dims_keep", {sample_normal({2, 3, 5}, 3)}, ReduceOptions{.dim = {0, -1}, .keepdim = true}}};
      },
  });
  return op;
}

Tensor sum(const Tensor& x, const ReduceOptions& options) { return apply1(sum_op(), {x}, options); }

}  // namespace duet
