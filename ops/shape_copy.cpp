// Ops of ops/shape.hpp that make new memory: cat, stack, to, clone, contiguous; and the pieces that undo cat.
#include <duet/ops/define.hpp>
#include <duet/ops/shape.hpp>

namespace duet {
namespace {

/// The shape after joining; the first tensor gives rank and the other sizes.
Specs cat_rule(const ShapeCall& call) {
  if (call.count() == 0) fail<ValueError>(call.name(), "needs at least one tensor");
  const Dtype dtype = require_same_dtype(call);
  Shape shape = call[0].shape;
  if (shape.rank() == 0) fail<ShapeError>(call.name(), "scalars have no dimension to join along: stack() adds one");
  const int dim = normalize_dim(call.name(), call.opt<DimOptions>().dim, shape.rank());
  for (int i = 1; i < call.count(); ++i) {
    Shape other = call[i].shape;
    if (other.rank() == shape.rank()) {
      const std::int64_t size = other[dim];
      other[dim] = shape[dim];
      if (other == shape) {
        shape[dim] = checked_add(call.name(), shape[dim], size);
        continue;
      }
    }
    fail<ShapeError>(call.name(), "tensors must agree in every dimension but {}: tensor 0 is {}, tensor {} is {}", dim,
                     call[0].shape, i, call[i].shape);
  }
  return {{shape, dtype}};
}

Tensors cat_vjp(const Vjp& v) {
  const int dim = normalize_dim(v.name(), v.opt<DimOptions>().dim, v.shape(0).rank());
  Tensors gradients;
  std::int64_t begin = 0;
  for (int i = 0; i < v.count(); ++i) {
    const std::int64_t end = begin + v.shape(i)[dim];
    gradients.push_back(v.needs(i) ? slice(v.cotangent(), dim, begin, end) : Tensor());
    begin = end;
  }
  return gradients;
}

Tensors normals(std::initializer_list<Shape> shapes, std::uint64_t seed) {
  Tensors tensors;
  for (const Shape& shape : shapes) tensors.push_back(sample_normal(shape, seed++));
  return tensors;
}

}  // namespace

const OpPtr& cat_op() {
  static const OpPtr op = define({
      .name = "cat",
      .doc = "Tensors one behind the other along a dimension.",
      .inputs = {"tensor…"},
      .options = &options_type<DimOptions>(),
      .shape_rule = cat_rule,
      .forward = [](const Call& c) -> Tensors {
        const int dim = normalize_dim(c.name(), c.opt<DimOptions>().dim, c[0].rank());
        const Tensor out = c.empty();
        std::int64_t begin = 0;
        for (const Tensor& tensor : c.inputs) {
          Tensor part = raw::view(out, tensor.shape(), out.strides(), begin * out.strides()[dim]);
          raw::copy(tensor, part);
          begin += tensor.shape()[dim];
        }
        return {out};
      },
      .vjp = cat_vjp,
      .linear = {0, 1},
      .onnx = "Concat",
      .samples = []() -> std::vector<Sample> {
        return {{"front", normals({{2, 2, 2}, {3, 2, 2}, {4, 2, 2}}, 1), DimOptions{0}},
                {"middle", normals({{2, 2, 2}, {2, 3, 2}, {2, 4, 2}}, 4), DimOptions{1}},
                {"last", normals({{2, 2, 2}, {2, 2, 3}, {2, 2, 4}}, 7), DimOptions{-1}},
                {"channels", normals({{2, 17, 2, 3}, {2, 3, 2, 3}}, 10), DimOptions{1}},
                {"width", normals({{2, 33}, {2, 5}}, 12), DimOptions{1}},
                {"vectors", normals({{33}, {1}}, 14), DimOptions{0}},
                {"negative", normals({{2, 3}, {4, 3}}, 16), DimOptions{-2}},
                {"equal", normals({{3, 4}, {3, 4}}, 18), DimOptions{1}},
                {"strided", {transpose(sample_normal({3, 2}, 20), 0, 1), sample_normal({2, 4}, 21)}, DimOptions{1}},
                {"many", normals({{1, 2}, {2, 2}, {1, 2}, {3, 2}, {1, 2}}, 22), DimOptions{0}},
                {"some_empty", normals({{2, 3}, {0, 3}, {1, 3}}, 27), DimOptions{0}},
                {"five_dims", normals({{1, 2, 1, 2, 3}, {1, 2, 1, 1, 3}}, 30), DimOptions{3}}};
      },
  });
  return op;
}

const OpPtr& stack_op() {
  static const OpPtr op = define({
      .name = "stack",
      .doc = "Tensors of one shape side by side along a new dimension.",
      .inputs = {"tensor…"},
      .options = &options_type<DimOptions>(),
      .shape_rule = [](const ShapeCall& c) -> Specs {
        if (c.count() == 0) fail<ValueError>(c.name(), "needs at least one tensor");
        const Dtype dtype = require_same_dtype(c);
        for (int i = 1; i < c.count(); ++i)
          if (c[i].shape != c[0].shape)
            fail<ShapeError>(c.name(), "tensors must have one shape: tensor 0 is {}, tensor {} is {}", c[0].shape, i,
                             c[i].shape);
        Shape shape = c[0].shape;
        shape.insert(normalize_dim(c.name(), c.opt<DimOptions>().dim, shape.rank() + 1), c.count());
        return {{shape, dtype}};
      },
      .forward = [](const Call& c) -> Tensors {
        const Tensor out = c.empty();
        const int dim = normalize_dim(c.name(), c.opt<DimOptions>().dim, out.rank());
        Shape strides = out.strides();
        strides.erase(dim);
        for (int i = 0; i < c.count(); ++i) {
          Tensor part = raw::view(out, c[i].shape(), strides, i * out.strides()[dim]);
          raw::copy(c[i], part);
        }
        return {out};
      },
      .vjp = [](const Vjp& v) -> Tensors {
        Tensors gradients;
        for (int i = 0; i < v.count(); ++i)
          gradients.push_back(v.needs(i) ? select(v.cotangent(), v.opt<DimOptions>().dim, i) : Tensor());
        return gradients;
      },
      .linear = {0, 1},
      .samples = []() -> std::vector<Sample> {
        return {{"front", normals({{2, 3}, {2, 3}, {2, 3}}, 1), DimOptions{0}},
                {"middle", normals({{2, 3}, {2, 3}, {2, 3}}, 4), DimOptions{1}},
                {"last", normals({{2, 3}, {2, 3}, {2, 3}}, 7), DimOptions{-1}},
                {"scalars", normals({{}, {}}, 10), DimOptions{0}},
                {"channels", normals({{2, 17, 3}, {2, 17, 3}}, 12), DimOptions{2}},
                {"width", normals({{33}, {33}}, 14), DimOptions{1}},
                {"negative", normals({{2, 3}, {2, 3}}, 16), DimOptions{-3}},
                {"ones", normals({{1, 1}, {1, 1}}, 18), DimOptions{1}},
                {"strided", {transpose(sample_normal({3, 2}, 20), 0, 1), sample_normal({2, 3}, 21)}, DimOptions{1}},
                {"many", normals({{2}, {2}, {2}, {2}, {2}}, 22), DimOptions{1}},
                {"images", normals({{3, 4, 5}, {3, 4, 5}}, 27), DimOptions{0}},
                {"four_dims", normals({{1, 2, 3, 2}, {1, 2, 3, 2}}, 29), DimOptions{3}}};
      },
  });
  return op;
}

const OpPtr& to_op() {
  static const OpPtr op = define({
      .name = "to",
      .doc = "The elements as another dtype.",
      .inputs = {"x"},
      .options = &options_type<DtypeOptions>(),
      .shape_rule = [](const ShapeCall& c) -> Specs { return {{c[0].shape, c.opt<DtypeOptions>().dtype}}; },
      .forward = [](const Call& c) -> Tensors {
        Tensor out = c.empty();
        raw::copy(c[0], out);
        return {out};
      },
      .vjp = [](const Vjp& v) -> Tensors { return {to(v.cotangent(), v.spec(0).dtype)}; },
      .linear = {0},
      .onnx = "Cast",
      .samples = []() -> std::vector<Sample> {
        return {{"plain", {sample_normal({3, 17}, 1)}, DtypeOptions{f64}},
                {"width", {sample_normal({2, 33}, 2)}, DtypeOptions{f64}},
                {"scalar", {sample_normal({}, 3)}, DtypeOptions{f64}},
                {"transposed", {transpose(sample_normal({4, 5}, 4), 0, 1)}, DtypeOptions{f64}},
                {"vector", {sample_normal({33}, 5)}, DtypeOptions{f64}},
                {"one", {sample_normal({1, 1}, 6)}, DtypeOptions{f64}},
                {"image", {sample_normal({1, 2, 3, 4}, 7)}, DtypeOptions{f64}},
                {"channels", {sample_normal({2, 17, 2}, 8)}, DtypeOptions{f64}},
                {"strided", {slice(sample_normal({3, 17}, 9), 1, 1, 17, 3)}, DtypeOptions{f64}},
                {"large", {sample_uniform({5, 5}, -1e6, 1e6, 10)}, DtypeOptions{f64}},
                {"small", {sample_uniform({5, 5}, -1e-6, 1e-6, 11)}, DtypeOptions{f64}},
                {"tall", {sample_normal({33, 2}, 12)}, DtypeOptions{f64}}};
      },
  });
  return op;
}

const OpPtr& clone_op() {
  static const OpPtr op = define({
      .name = "clone",
      .doc = "A contiguous copy in new memory.",
      .inputs = {"x"},
      .shape_rule = [](const ShapeCall& c) -> Specs { return {c[0]}; },
      .forward = [](const Call& c) -> Tensors { return {raw::clone(c[0])}; },
      .vjp = [](const Vjp& v) -> Tensors { return {v.cotangent()}; },
      .linear = {0},
      .onnx = "Identity",
      .samples = []() -> std::vector<Sample> {
        return {{"plain", {sample_normal({3, 17}, 1)}},
                {"scalar", {sample_normal({}, 2)}},
                {"transposed", {transpose(sample_normal({4, 33}, 3), 0, 1)}},
                {"strided", {slice(sample_normal({3, 17}, 4), 1, 1, 17, 3)}}};
      },
  });
  return op;
}

Tensor cat(const Tensors& tensors, std::int64_t dim) { return apply(cat_op(), tensors, DimOptions{dim})[0]; }
Tensor stack(const Tensors& tensors, std::int64_t dim) { return apply(stack_op(), tensors, DimOptions{dim})[0]; }

Tensors split(const Tensor& x, std::int64_t size, std::int64_t dim) {
  if (x.rank() == 0) fail<ShapeError>("split", "x is a scalar, which has no dimension to split");
  if (size < 1) fail<ValueError>("split", "size must be at least 1, got {}", size);
  const int axis = normalize_dim("split", dim, x.rank());
  const std::int64_t total = x.shape()[axis];
  Tensors pieces;
  for (std::int64_t begin = 0;; begin += size) {
    pieces.push_back(slice(x, axis, begin, size < total - begin ? begin + size : total));
    if (size >= total - begin) break;
  }
  return pieces;
}

Tensors split(const Tensor& x, const std::vector<std::int64_t>& sizes, std::int64_t dim) {
  if (x.rank() == 0) fail<ShapeError>("split", "x is a scalar, which has no dimension to split");
  const int axis = normalize_dim("split", dim, x.rank());
  std::int64_t total = 0;
  for (std::int64_t size : sizes) {
    if (size < 0) fail<ValueError>("split", "sizes must not be negative, got ({})", fmt::join(sizes, ", "));
    total = checked_add("split", total, size);
  }
  if (total != x.shape()[axis])
    fail<ShapeError>("split", "sizes ({}) add up to {}, dimension {} of x {} has {}", fmt::join(sizes, ", "), total,
                     axis, x.shape(), x.shape()[axis]);
  Tensors pieces;
  std::int64_t begin = 0;
  for (std::int64_t size : sizes) {
    pieces.push_back(slice(x, axis, begin, begin + size));
    begin += size;
  }
  return pieces;
}

Tensors chunk(const Tensor& x, std::int64_t chunks, std::int64_t dim) {
  if (x.rank() == 0) fail<ShapeError>("chunk", "x is a scalar, which has no dimension to split");
  if (chunks < 1) fail<ValueError>("chunk", "needs at least 1 chunk, got {}", chunks);
  const std::int64_t total = x.shape()[normalize_dim("chunk", dim, x.rank())];
  return split(x, total == 0 ? 1 : (total - 1) / chunks + 1, dim);
}

Tensor to(const Tensor& x, Dtype dtype) {
  if (x.defined() && x.dtype() == dtype) return x;
  return apply1(to_op(), {x}, DtypeOptions{dtype});
}

Tensor clone(const Tensor& x) { return apply1(clone_op(), {x}); }
Tensor contiguous(const Tensor& x) { return x.is_contiguous() ? x : clone(x); }

}  // namespace duet
