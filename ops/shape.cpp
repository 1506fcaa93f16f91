// Views: reshape, expand, permute, slice and what is said through them.
#include <duet/ops/shape.hpp>

#include <algorithm>

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

/// Strides that show elements laid out by (shape, strides) at `target`, an equal number of them; none where no strides
/// do. Each run of dimensions that lie behind each other in memory must be cut into whole dimensions of the target.
std::optional<Shape> strides_for(const Shape& shape, const Shape& strides, const Shape& target) {
  Shape result = contiguous_strides(target);
  int j = target.rank() - 1;
  int i = shape.rank() - 1;
  while (i >= 0) {
    if (shape[i] == 1) {
      --i;
      continue;
    }
    std::int64_t run = shape[i], covered = 1;
    const std::int64_t step = strides[i];
    while (--i >= 0 && (shape[i] == 1 || strides[i] == step * run)) run *= shape[i];
    for (; j >= 0 && covered < run; --j) {
      result[j] = step * covered;
      covered *= target[j];
    }
    if (covered != run) return std::nullopt;
  }
  return result;
}

/// Where a slice starts and how many indices it has, of a dimension of `size`.
struct Range {
  std::int64_t start, count;
};

Range slice_range(const char* op, const SliceOptions& o, std::int64_t size) {
  if (o.step < 1) fail<ValueError>(op, "step must be at least 1, got {}: flip() reverses a dimension", o.step);
  const auto bring_in = [size](std::int64_t index) { return std::clamp<std::int64_t>(index < 0 ? index + size : index, 0, size); };
  const std::int64_t start = bring_in(o.start.value_or(0)), end = bring_in(o.end.value_or(size));
  return {start, end > start ? (end - start - 1) / o.step + 1 : 0};
}

/// slice() of a tensor, without the tape.
Tensor slice_view(const char* op, const Tensor& x, const SliceOptions& o) {
  const int dim = normalize_dim(op, o.dim, x.rank());
  const Range range = slice_range(op, o, x.shape()[dim]);
  Shape shape = x.shape(), strides = x.strides();
  shape[dim] = range.count;
  const std::int64_t offset = range.count == 0 ? 0 : range.start * strides[dim];
  // A step across at most one index is never taken, and might not fit 63 bits.
  if (range.count > 1) strides[dim] *= o.step;
  return raw::view(x, shape, strides, offset);
}

/// What slice_backward is told besides the slice.
struct SliceBackwardOptions {
  std::int64_t size = 0;
  SliceOptions slice = {};
  void fields(FieldVisitor& visitor) {
    visitor.field("size", size);
    slice.fields(visitor);
  }
};

void require_a_dimension(const ShapeCall& c) {
  if (c[0].shape.rank() == 0) fail<ShapeError>(c.name(), "x is a scalar, which has no dimension to slice");
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
        const Shape& target = c.spec().shape;
        if (const auto strides = strides_for(c[0].shape(), c[0].strides(), target))
          return {raw::view(c[0], target, *strides)};
        return {raw::view(raw::contiguous(c[0]), target, contiguous_strides(target))};
      },
      .vjp = [](const Vjp& v) -> Tensors { return {reshape(v.cotangent(), v.shape(0))}; },
      .linear = {0},
      .onnx = "Reshape",
      .samples = []() -> std::vector<Sample> {
        return {{"flat", {sample_normal({3, 4, 5}, 1)}, ShapeOptions{{60}}},
                {"inferred", {sample_normal({3, 4, 5}, 2)}, ShapeOptions{{2, -1}}},
                {"same", {sample_normal({3, 17}, 3)}, ShapeOptions{{3, 17}}},
                {"ones", {sample_normal({1, 33}, 4)}, ShapeOptions{{33, 1, 1}}},
                {"scalar", {sample_normal({1, 1}, 5)}, ShapeOptions{{}}},
                {"strided", {transpose(sample_normal({4, 6}, 6), 0, 1)}, ShapeOptions{{2, 3, 4}}},
                {"copied", {transpose(sample_normal({4, 6}, 7), 0, 1)}, ShapeOptions{{24}}},
                {"tail_minus_one", {sample_normal({2, 3, 17}, 8)}, ShapeOptions{{-1, 17}}},
                {"split", {sample_normal({34, 3}, 9)}, ShapeOptions{{2, 17, 3}}},
                {"merge", {sample_normal({2, 3, 2, 3}, 10)}, ShapeOptions{{6, 6}}},
                {"recut", {sample_normal({6, 6}, 11)}, ShapeOptions{{4, 9}}},
                {"from_scalar", {sample_normal({}, 12)}, ShapeOptions{{1, 1}}}};
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
                {"front", {sample_normal({3, 1}, 2)}, ShapeOptions{{2, -1, 17}}},
                {"scalar", {sample_normal({}, 3)}, ShapeOptions{{2, 3}}},
                {"same", {sample_normal({3, 4}, 4)}, ShapeOptions{{3, 4}}},
                {"keep", {sample_normal({3, 1, 2}, 5)}, ShapeOptions{{-1, 4, -1}}},
                {"channels", {sample_normal({1, 17, 1, 1}, 6)}, ShapeOptions{{2, 17, 2, 3}}},
                {"width", {sample_normal({1, 33}, 7)}, ShapeOptions{{2, 33}}},
                {"ones", {sample_normal({1, 1}, 8)}, ShapeOptions{{1, 1}}},
                {"two_front", {sample_normal({4}, 9)}, ShapeOptions{{2, 3, 4}}},
                {"middle", {sample_normal({2, 1, 1, 3}, 10)}, ShapeOptions{{2, 5, 2, 3}}},
                {"last", {sample_normal({2, 1}, 11)}, ShapeOptions{{2, 33}}},
                {"transposed", {transpose(sample_normal({1, 4}, 12), 0, 1)}, ShapeOptions{{4, 3}}}};
      },
  });
  return op;
}

const OpPtr& permute_op() {
  static const OpPtr op = define({
      .name = "permute",
      .doc = "A view with the dimensions in another order.",
      .inputs = {"x"},
      .options = &options_type<DimsOptions>(),
      .shape_rule = [](const ShapeCall& c) -> Specs {
        const Dims& dims = c.opt<DimsOptions>().dims;
        const Shape& from = c[0].shape;
        if (dims.rank() != from.rank())
          fail<ShapeError>(c.name(), "dims {} must name each of the {} dimensions of x {} once", dims, from.rank(), from);
        if (from.rank() > 0) normalize_dims(c.name(), dims, from.rank());
        Shape shape;
        for (std::int64_t dim : dims) shape.push_back(from[normalize_dim(c.name(), dim, from.rank())]);
        return {{shape, c[0].dtype}};
      },
      .forward = [](const Call& c) -> Tensors {
        Shape strides;
        for (std::int64_t dim : c.opt<DimsOptions>().dims)
          strides.push_back(c[0].strides()[normalize_dim(c.name(), dim, c[0].rank())]);
        return {raw::view(c[0], c.spec().shape, strides)};
      },
      .vjp = [](const Vjp& v) -> Tensors {
        const Dims& dims = v.opt<DimsOptions>().dims;
        Dims inverse = dims;
        for (int i = 0; i < dims.rank(); ++i) inverse[normalize_dim(v.name(), dims[i], dims.rank())] = i;
        return {permute(v.cotangent(), inverse)};
      },
      .linear = {0},
      .dual = "permute",
      .onnx = "Transpose",
      .samples = []() -> std::vector<Sample> {
        return {{"swap", {sample_normal({2, 3, 4}, 1)}, DimsOptions{{1, 0, 2}}},
                {"rotate", {sample_normal({2, 3, 4}, 2)}, DimsOptions{{2, 0, 1}}},
                {"rotate_back", {sample_normal({2, 3, 4}, 3)}, DimsOptions{{1, 2, 0}}},
                {"reverse", {sample_normal({2, 17, 3}, 4)}, DimsOptions{{2, 1, 0}}},
                {"negative", {sample_normal({2, 3, 5}, 5)}, DimsOptions{{-1, 0, -2}}},
                {"identity", {sample_normal({3, 4}, 6)}, DimsOptions{{0, 1}}},
                {"channels_last", {sample_normal({2, 17, 2, 3}, 7)}, DimsOptions{{0, 2, 3, 1}}},
                {"channels_first", {sample_normal({2, 2, 3, 17}, 8)}, DimsOptions{{0, 3, 1, 2}}},
                {"matrix", {sample_normal({3, 33}, 9)}, DimsOptions{{1, 0}}},
                {"vector", {sample_normal({5}, 10)}, DimsOptions{{0}}},
                {"scalar", {sample_normal({}, 11)}, DimsOptions{{}}},
                {"five", {sample_normal({2, 1, 3, 2, 2}, 12)}, DimsOptions{{4, 2, 0, 3, 1}}}};
      },
  });
  return op;
}

namespace {

std::vector<std::pair<std::string, std::pair<Shape, SliceOptions>>> slice_cases() {
  return {{"plain", {{4, 5, 6}, {.dim = 0, .start = 1, .end = 3}}},
          {"whole", {{3, 4}, {}}},
          {"step", {{4, 5, 6}, {.dim = 1, .start = 0, .end = 5, .step = 2}}},
          {"negative", {{4, 5, 6}, {.dim = 2, .start = -3, .end = -1}}},
          {"beyond", {{4, 5, 6}, {.dim = -1, .start = 1, .end = 100, .step = 3}}},
          {"from", {{2, 17, 3}, {.dim = 1, .start = 9}}},
          {"until", {{2, 17, 3}, {.dim = 1, .end = -8}}},
          {"row_edge", {{2, 33}, {.dim = 1, .start = 1, .end = 32}}},
          {"one", {{5, 3}, {.dim = 0, .start = 4, .end = 5, .step = 7}}},
          {"vector", {{33}, {.dim = 0, .start = 2, .step = 5}}},
          {"far_start", {{3, 4}, {.dim = 1, .start = -100, .end = 2}}},
          {"channels", {{2, 17, 2, 3}, {.dim = 1, .start = 16}}}};
}

}  // namespace

const OpPtr& slice_op() {
  static const OpPtr op = define({
      .name = "slice",
      .doc = "A view of every step-th index of one dimension, from start up to end.",
      .formula = "x[start:end:step]",
      .inputs = {"x"},
      .options = &options_type<SliceOptions>(),
      .shape_rule = [](const ShapeCall& c) -> Specs {
        require_a_dimension(c);
        const SliceOptions& o = c.opt<SliceOptions>();
        Shape shape = c[0].shape;
        const int dim = normalize_dim(c.name(), o.dim, shape.rank());
        shape[dim] = slice_range(c.name(), o, shape[dim]).count;
        return {{shape, c[0].dtype}};
      },
      .forward = [](const Call& c) -> Tensors { return {slice_view(c.name(), c[0], c.opt<SliceOptions>())}; },
      .vjp = [](const Vjp& v) -> Tensors {
        const SliceOptions& o = v.opt<SliceOptions>();
        return {slice_backward(v.cotangent(), v.shape(0)[normalize_dim(v.name(), o.dim, v.shape(0).rank())], o)};
      },
      .linear = {0},
      .dual = "slice_backward",
      .onnx = "Slice",
      .samples = []() -> std::vector<Sample> {
        std::vector<Sample> samples;
        for (const auto& [name, one] : slice_cases())
          samples.push_back({name, {sample_normal(one.first, samples.size())}, one.second});
        return samples;
      },
  });
  return op;
}

const OpPtr& slice_backward_op() {
  static const OpPtr op = define({
      .name = "slice_backward",
      .doc = "Zeros, with g in the place of a slice: the adjoint of slice.",
      .inputs = {"g"},
      .options = &options_type<SliceBackwardOptions>(),
      .shape_rule = [](const ShapeCall& c) -> Specs {
        require_a_dimension(c);
        const SliceBackwardOptions& o = c.opt<SliceBackwardOptions>();
        Shape shape = c[0].shape;
        const int dim = normalize_dim(c.name(), o.slice.dim, shape.rank());
        if (o.size < 0) fail<ValueError>(c.name(), "size must not be negative, got {}", o.size);
        const std::int64_t count = slice_range(c.name(), o.slice, o.size).count;
        if (shape[dim] != count)
          fail<ShapeError>(c.name(), "the slice has {} indices, g {} has {} in dimension {}", count, shape, shape[dim], dim);
        shape[dim] = o.size;
        return {{shape, c[0].dtype}};
      },
      .forward = [](const Call& c) -> Tensors {
        Tensor out = c.empty();
        // Where g covers everything there is nothing to clear.
        if (out.numel() != c[0].numel()) raw::fill(out, 0);
        Tensor part = slice_view(c.name(), out, c.opt<SliceBackwardOptions>().slice);
        raw::copy(c[0], part);
        return {out};
      },
      .vjp = [](const Vjp& v) -> Tensors { return {slice(v.cotangent(), v.opt<SliceBackwardOptions>().slice)}; },
      .linear = {0},
      .dual = "slice",
      .samples = []() -> std::vector<Sample> {
        std::vector<Sample> samples;
        for (const auto& [name, one] : slice_cases()) {
          Shape shape = one.first;
          const int dim = normalize_dim("slice", one.second.dim, shape.rank());
          const std::int64_t size = shape[dim];
          shape[dim] = slice_range("slice", one.second, size).count;
          samples.push_back({name, {sample_normal(shape, samples.size())}, SliceBackwardOptions{size, one.second}});
        }
        return samples;
      },
  });
  return op;
}

Tensor reshape(const Tensor& x, const Shape& shape) { return apply1(reshape_op(), {x}, ShapeOptions{shape}); }
Tensor expand(const Tensor& x, const Shape& shape) { return apply1(expand_op(), {x}, ShapeOptions{shape}); }
Tensor permute(const Tensor& x, const Dims& dims) { return apply1(permute_op(), {x}, DimsOptions{dims}); }

Tensor transpose(const Tensor& x, std::int64_t dim0, std::int64_t dim1) {
  Dims dims;
  for (int i = 0; i < x.rank(); ++i) dims.push_back(i);
  const int a = normalize_dim("transpose", dim0, x.rank()), b = normalize_dim("transpose", dim1, x.rank());
  if (x.rank() > 0) std::swap(dims[a], dims[b]);
  return permute(x, dims);
}

Tensor slice(const Tensor& x, const SliceOptions& options) { return apply1(slice_op(), {x}, options); }

Tensor slice(const Tensor& x, std::int64_t dim, std::int64_t start, std::int64_t end, std::int64_t step) {
  return slice(x, SliceOptions{dim, start, end, step});
}

Tensor select(const Tensor& x, std::int64_t dim, std::int64_t index) {
  if (x.rank() == 0) fail<ShapeError>("select", "x is a scalar, which has no dimension to select from");
  const int axis = normalize_dim("select", dim, x.rank());
  const std::int64_t size = x.shape()[axis];
  if (index < -size || index >= size)
    fail<ValueError>("select", "index {} is out of range [{}, {}] of dimension {} of x {}", index, -size, size - 1, axis,
                     x.shape());
  const std::int64_t from_start = index < 0 ? index + size : index;
  return squeeze(slice(x, axis, from_start, from_start + 1), {axis});
}

Tensor slice_backward(const Tensor& g, std::int64_t size, const SliceOptions& options) {
  return apply1(slice_backward_op(), {g}, SliceBackwardOptions{size, options});
}

Tensor squeeze(const Tensor& x) {
  Shape shape;
  for (std::int64_t size : x.shape())
    if (size != 1) shape.push_back(size);
  return reshape(x, shape);
}

Tensor squeeze(const Tensor& x, const Dims& dims) {
  if (dims.empty()) return x;
  const Dims removed = normalize_dims("squeeze", dims, x.rank());
  Shape shape;
  for (int i = 0; i < x.rank(); ++i)
    if (x.shape()[i] != 1 || !removed.contains(i)) shape.push_back(x.shape()[i]);
  return reshape(x, shape);
}

Tensor unsqueeze(const Tensor& x, std::int64_t dim) {
  Shape shape = x.shape();
  shape.insert(normalize_dim("unsqueeze", dim, x.rank() + 1), 1);
  return reshape(x, shape);
}

Tensor flatten(const Tensor& x, std::int64_t start_dim, std::int64_t end_dim) {
  if (x.rank() == 0) return reshape(x, {1});
  const int first = normalize_dim("flatten", start_dim, x.rank()), last = normalize_dim("flatten", end_dim, x.rank());
  if (first > last)
    fail<ShapeError>("flatten", "start_dim {} lies behind end_dim {} of x {}", start_dim, end_dim, x.shape());
  Shape shape;
  std::int64_t run = 1;
  for (int i = 0; i < x.rank(); ++i) {
    if (i >= first && i <= last) run *= x.shape()[i];
    if (i < first || i > last)
      shape.push_back(x.shape()[i]);
    else if (i == last)
      shape.push_back(run);
  }
  return reshape(x, shape);
}

}  // namespace duet
