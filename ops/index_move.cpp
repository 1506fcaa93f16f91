// Rearrangements by rule: flip, roll, repeat, and the triangles.
#include <algorithm>

#include <duet/ops/define.hpp>
#include <duet/ops/index.hpp>
#include <duet/ops/reduce.hpp>

namespace duet {

const OpPtr& flip_op() {
  static const OpPtr op = define({
      .name = "flip",
      .doc = "The order of some dimensions reversed.",
      .inputs = {"x"},
      .options = &options_type<DimsOptions>(),
      .shape_rule = [](const ShapeCall& c) -> Specs {
        const Dims& dims = c.opt<DimsOptions>().dims;
        if (!dims.empty()) normalize_dims(c.name(), dims, c[0].shape.rank());
        return {c[0]};
      },
      .forward = [](const Call& c) -> Tensors {
        Shape strides = c[0].strides();
        std::int64_t offset = 0;
        for (std::int64_t dim : c.opt<DimsOptions>().dims) {
          const int axis = normalize_dim(c.name(), dim, c[0].rank());
          if (c[0].rank() == 0 || c[0].shape()[axis] == 0) continue;
          offset += (c[0].shape()[axis] - 1) * strides[axis];
          strides[axis] = -strides[axis];
        }
        return {raw::clone(raw::view(c[0], c[0].shape(), strides, offset))};
      },
      .vjp = [](const Vjp& v) -> Tensors { return {flip(v.cotangent(), v.opt<DimsOptions>().dims)}; },
      .linear = {0},
      .dual = "flip",
      .samples = []() -> std::vector<Sample> {
        return {{"front", {sample_normal({2, 3, 4}, 1)}, DimsOptions{{0}}},
                {"two", {sample_normal({2, 3, 4}, 2)}, DimsOptions{{1, 2}}},
                {"all", {sample_normal({2, 3, 4}, 3)}, DimsOptions{{0, 1, 2}}},
                {"none", {sample_normal({2, 3}, 4)}, DimsOptions{{}}},
                {"negative", {sample_normal({2, 3, 4}, 5)}, DimsOptions{{-1}}},
                {"vector", {sample_normal({33}, 6)}, DimsOptions{{0}}},
                {"outer_pair", {sample_normal({2, 3, 4}, 7)}, DimsOptions{{0, 2}}},
                {"channels", {sample_normal({2, 17, 3}, 8)}, DimsOptions{{1}}},
                {"width", {sample_normal({2, 33}, 9)}, DimsOptions{{1}}},
                {"one", {sample_normal({3, 1}, 10)}, DimsOptions{{1}}},
                {"image", {sample_normal({1, 2, 3, 4}, 11)}, DimsOptions{{2, 3}}},
                {"middle", {sample_normal({2, 3, 2, 2}, 12)}, DimsOptions{{-3}}}};
      },
  });
  return op;
}

namespace {

/// How far each dimension of x moves, from 0 up to its size.
Shape roll_distances(const char* op, const Shape& x, const RollOptions& o) {
  Shape distances = Shape::filled(x.rank(), 0);
  for (int i = 0; i < o.dims.rank(); ++i) {
    const int dim = normalize_dim(op, o.dims[i], x.rank());
    const std::int64_t size = x[dim];
    if (size > 0) distances[dim] = (o.shifts[static_cast<std::size_t>(i)] % size + size) % size;
  }
  return distances;
}

/// x rolled along one dimension: two blocks change places.
Tensor roll_one(const Tensor& x, int dim, std::int64_t distance) {
  const Tensor out = Tensor::empty(x.shape(), {.dtype = x.dtype()});
  const std::int64_t size = x.shape()[dim];
  const auto move = [&](std::int64_t from, std::int64_t to, std::int64_t count) {
    Shape shape = x.shape();
    shape[dim] = count;
    Tensor target = raw::view(out, shape, out.strides(), to * out.strides()[dim]);
    raw::copy(raw::view(x, shape, x.strides(), from * x.strides()[dim]), target);
  };
  move(0, distance, size - distance);
  move(size - distance, 0, distance);
  return out;
}

}  // namespace

const OpPtr& roll_op() {
  static const OpPtr op = define({
      .name = "roll",
      .doc = "Elements moved along some dimensions; what leaves at one end comes in at the other.",
      .inputs = {"x"},
      .options = &options_type<RollOptions>(),
      .shape_rule = [](const ShapeCall& c) -> Specs {
        const RollOptions& o = c.opt<RollOptions>();
        if (o.shifts.size() != o.dims.size())
          fail<ValueError>(c.name(), "needs a shift for each dim, got {} shifts and dims {}", o.shifts.size(), o.dims);
        if (c[0].shape.rank() == 0 && !o.dims.empty()) fail<ShapeError>(c.name(), "x is a scalar, which has no dimension to roll");
        if (!o.dims.empty()) normalize_dims(c.name(), o.dims, c[0].shape.rank());
        return {c[0]};
      },
      .forward = [](const Call& c) -> Tensors {
        const Shape distances = roll_distances(c.name(), c[0].shape(), c.opt<RollOptions>());
        Tensor x = c[0];
        for (int i = 0; i < x.rank(); ++i)
          if (distances[i] != 0) x = roll_one(x, i, distances[i]);
        return {x};
      },
      .vjp = [](const Vjp& v) -> Tensors {
        const Shape distances = roll_distances(v.name(), v.shape(0), v.opt<RollOptions>());
        std::vector<std::int64_t> shifts;
        Dims dims;
        for (int i = 0; i < distances.rank(); ++i)
          if (distances[i] != 0) {
            dims.push_back(i);
            shifts.push_back(-distances[i]);
          }
        return {dims.empty() ? v.cotangent() : roll(v.cotangent(), shifts, dims)};
      },
      .linear = {0},
      .samples = []() -> std::vector<Sample> {
        return {{"front", {sample_normal({4, 3}, 1)}, RollOptions{{1}, {0}}},
                {"back", {sample_normal({4, 3}, 2)}, RollOptions{{-1}, {0}}},
                {"last", {sample_normal({2, 5}, 3)}, RollOptions{{2}, {-1}}},
                {"two", {sample_normal({3, 4}, 4)}, RollOptions{{1, -2}, {0, 1}}},
                {"far", {sample_normal({3, 4}, 5)}, RollOptions{{11}, {1}}},
                {"none", {sample_normal({3, 4}, 6)}, RollOptions{{0}, {1}}},
                {"vector", {sample_normal({33}, 7)}, RollOptions{{16}, {0}}},
                {"channels", {sample_normal({2, 17, 2}, 8)}, RollOptions{{5}, {1}}},
                {"width", {sample_normal({2, 33}, 9)}, RollOptions{{-7}, {1}}},
                {"whole", {sample_normal({4, 2}, 10)}, RollOptions{{4}, {0}}},
                {"three", {sample_normal({2, 3, 4}, 11)}, RollOptions{{1, 1, 1}, {0, 1, 2}}},
                {"no_dims", {sample_normal({2, 3}, 12)}, RollOptions{}}};
      },
  });
  return op;
}

const OpPtr& repeat_op() {
  static const OpPtr op = define({
      .name = "repeat",
      .doc = "Copies of a tensor side by side along its dimensions.",
      .inputs = {"x"},
      .options = &options_type<RepeatOptions>(),
      .shape_rule = [](const ShapeCall& c) -> Specs {
        const Shape& repeats = c.opt<RepeatOptions>().repeats;
        const int extra = repeats.rank() - c[0].shape.rank();
        if (extra < 0)
          fail<ShapeError>(c.name(), "repeats {} are fewer than the dimensions of x {}", repeats, c[0].shape);
        Shape shape = repeats;
        for (int i = 0; i < repeats.rank(); ++i) {
          if (repeats[i] < 0) fail<ValueError>(c.name(), "repeats must not be negative, got {}", repeats);
          if (i >= extra) shape[i] = checked_mul(c.name(), repeats[i], c[0].shape[i - extra]);
        }
        shape.numel();
        return {{shape, c[0].dtype}};
      },
      .forward = [](const Call& c) -> Tensors {
        const Tensor out = c.empty();
        if (out.numel() == 0) return {out};
        const Shape& repeats = c.opt<RepeatOptions>().repeats;
        // The block that is filled grows along one dimension after the other, by copies of itself.
        Shape filled = out.shape();
        for (int i = 0; i < repeats.rank(); ++i) filled[i] /= repeats[i];
        Tensor corner = raw::view(out, filled, out.strides());
        raw::copy(raw::view(raw::contiguous(c[0]), filled, contiguous_strides(filled)), corner);
        for (int i = repeats.rank() - 1; i >= 0; --i) {
          const Tensor block = raw::view(out, filled, out.strides());
          for (std::int64_t k = 1; k < repeats[i]; ++k) {
            Tensor next = raw::view(out, filled, out.strides(), k * filled[i] * out.strides()[i]);
            raw::copy(block, next);
          }
          filled[i] *= repeats[i];
        }
        return {out};
      },
      .vjp = [](const Vjp& v) -> Tensors {
        const Shape& repeats = v.opt<RepeatOptions>().repeats;
        Shape shape = v.output_spec().shape;
        Tensor g = v.cotangent();
        const int extra = repeats.rank() - v.shape(0).rank();
        for (int i = 0; i < repeats.rank(); ++i) {
          if (repeats[i] == 1) continue;
          std::int64_t outer = 1, inner = 1;
          for (int j = 0; j < i; ++j) outer *= shape[j];
          for (int j = i + 1; j < repeats.rank(); ++j) inner *= shape[j];
          const std::int64_t size = i < extra ? 1 : v.shape(0)[i - extra];
          g = sum(reshape(g, {outer, repeats[i], size, inner}), {.dim = {1}});
          shape[i] = size;
        }
        return {reshape(g, v.shape(0))};
      },
      .linear = {0},
      .onnx = "Tile",
      .samples = []() -> std::vector<Sample> {
        return {{"front", {sample_normal({2, 3}, 1)}, RepeatOptions{{3, 1}}},
                {"last", {sample_normal({2, 3}, 2)}, RepeatOptions{{1, 4}}},
                {"both", {sample_normal({2, 3}, 3)}, RepeatOptions{{2, 2}}},
                {"more_dims", {sample_normal({2, 3}, 4)}, RepeatOptions{{2, 1, 3}}},
                {"scalar", {sample_normal({}, 5)}, RepeatOptions{{3}}},
                {"none", {sample_normal({2, 3}, 6)}, RepeatOptions{{1, 1}}},
                {"vector", {sample_normal({33}, 7)}, RepeatOptions{{2}}},
                {"channels", {sample_normal({1, 17, 2}, 8)}, RepeatOptions{{2, 1, 2}}},
                {"zero", {sample_normal({2, 3}, 9)}, RepeatOptions{{0, 2}}},
                {"three", {sample_normal({2, 1, 3}, 10)}, RepeatOptions{{2, 3, 2}}},
                {"scalar_twice", {sample_normal({}, 11)}, RepeatOptions{{2, 2}}},
                {"middle", {sample_normal({2, 2, 2, 2}, 12)}, RepeatOptions{{1, 3, 1, 1}}}};
      },
  });
  return op;
}

namespace {

/// Keeps what lies on or below the diagonal, or on or above it.
OpPtr define_triangle(const char* name, const char* doc, bool lower) {
  return define({
      .name = name,
      .doc = doc,
      .inputs = {"x"},
      .options = &options_type<DiagonalOptions>(),
      .shape_rule = [](const ShapeCall& c) -> Specs {
        if (c[0].shape.rank() < 2) fail<ShapeError>(c.name(), "x needs at least 2 dimensions, got {}", c[0].shape);
        return {c[0]};
      },
      .forward = [lower](const Call& c) -> Tensors {
        const Tensor out = raw::clone(c[0]);
        const std::int64_t height = out.size(-2), width = out.size(-1);
        const std::int64_t diagonal = std::clamp(c.opt<DiagonalOptions>().diagonal, -height - 1, width + 1);
        raw::dispatch_all(out.dtype(), [&](auto zero) {
          using T = decltype(zero);
          T* row = raw::data<T>(out);
          for (std::int64_t i = 0; width > 0 && i < out.numel() / width; ++i, row += width) {
            // The first column behind, or on, the diagonal.
            const std::int64_t edge = std::clamp<std::int64_t>(i % height + diagonal + (lower ? 1 : 0), 0, width);
            std::fill(lower ? row + edge : row, lower ? row + width : row + edge, T(0));
          }
        });
        return {out};
      },
      .vjp = [lower](const Vjp& v) -> Tensors {
        const std::int64_t diagonal = v.opt<DiagonalOptions>().diagonal;
        return {lower ? tril(v.cotangent(), diagonal) : triu(v.cotangent(), diagonal)};
      },
      .linear = {0},
      .dual = name,
      .onnx = "Trilu",
      .samples = []() -> std::vector<Sample> {
        return {{"square", {sample_normal({4, 4}, 1)}, DiagonalOptions{}},
                {"above", {sample_normal({4, 4}, 2)}, DiagonalOptions{1}},
                {"below", {sample_normal({4, 4}, 3)}, DiagonalOptions{-1}},
                {"tall", {sample_normal({5, 3}, 4)}, DiagonalOptions{}},
                {"wide", {sample_normal({3, 5}, 5)}, DiagonalOptions{2}},
                {"batch", {sample_normal({2, 3, 4}, 6)}, DiagonalOptions{-1}},
                {"far_right", {sample_normal({3, 4}, 7)}, DiagonalOptions{9}},
                {"far_left", {sample_normal({3, 4}, 8)}, DiagonalOptions{-9}},
                {"width", {sample_normal({17, 33}, 9)}, DiagonalOptions{3}},
                {"channels", {sample_normal({17, 2, 2}, 10)}, DiagonalOptions{}},
                {"one", {sample_normal({1, 1}, 11)}, DiagonalOptions{}},
                {"row", {sample_normal({1, 6}, 12)}, DiagonalOptions{2}}};
      },
  });
}

}  // namespace

const OpPtr& tril_op() {
  static const OpPtr op = define_triangle("tril", "The lower triangle of the last two dimensions, zeros above.", true);
  return op;
}
const OpPtr& triu_op() {
  static const OpPtr op = define_triangle("triu", "The upper triangle of the last two dimensions, zeros below.", false);
  return op;
}

Tensor flip(const Tensor& x, const Dims& dims) { return apply1(flip_op(), {x}, DimsOptions{dims}); }

Tensor roll(const Tensor& x, const std::vector<std::int64_t>& shifts, const Dims& dims) {
  if (!dims.empty()) return apply1(roll_op(), {x}, RollOptions{shifts, dims});
  if (shifts.size() != 1) fail<ValueError>("roll", "needs one shift where no dims are given, got {}", shifts.size());
  return reshape(apply1(roll_op(), {reshape(x, {-1})}, RollOptions{shifts, {0}}), x.shape());
}

Tensor repeat(const Tensor& x, const Shape& repeats) { return apply1(repeat_op(), {x}, RepeatOptions{repeats}); }
Tensor tril(const Tensor& x, std::int64_t diagonal) { return apply1(tril_op(), {x}, DiagonalOptions{diagonal}); }
Tensor triu(const Tensor& x, std::int64_t diagonal) { return apply1(triu_op(), {x}, DiagonalOptions{diagonal}); }

}  // namespace duet
