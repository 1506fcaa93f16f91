// Picking and placing by index tensors: each picking op and its placing op are adjoint to each other.
#include <duet/ops/index.hpp>

#include <algorithm>
#include <atomic>

#include <duet/core/factory.hpp>
#include <duet/core/parallel.hpp>
#include <duet/ops/define.hpp>
#include <duet/ops/elementwise.hpp>

namespace duet {
namespace {

void require_index(const ShapeCall& c, int i) {
  if (c[i].dtype != i64) fail<DtypeError>(c.name(), "{} must be i64, got {}", input_name(c.op, i), to_string(c[i]));
}

/// The dimension that an op's options name, of x, which must have one.
int indexed_dim(const char* op, std::int64_t dim, const Shape& x) {
  if (x.rank() == 0) fail<ShapeError>(op, "x is a scalar, which has no dimension to index");
  return normalize_dim(op, dim, x.rank());
}

/// Throws ValueError unless every index lies in [0, size).
void check_range(const char* op, const Tensor& index, std::int64_t size) {
  const std::int64_t* first = raw::data<std::int64_t>(index);
  for (std::int64_t i = 0; i < index.numel(); ++i)
    if (first[i] < 0 || first[i] >= size)
      fail<ValueError>(op, "index {} at position {} is out of range [0, {})", first[i], i, size);
}

/// x (outer, size, inner) around a dimension.
struct Around {
  Around(const Shape& x, int dim) : size(x[dim]) {
    for (int i = 0; i < x.rank(); ++i) (i < dim ? outer : inner) *= i == dim ? 1 : x[i];
  }
  std::int64_t outer = 1, size, inner = 1;
};

/// y (outer, K, inner) = the slices of x (outer, size, inner) that index (K,) names.
void select_slices(const char* op, const Tensor& x, int dim, const Tensor& index, const Tensor& y) {
  const Tensor from = raw::contiguous(x), rows = raw::contiguous(index);
  const Around around(x.shape(), dim);
  check_range(op, rows, around.size);
  const std::int64_t* at = raw::data<std::int64_t>(rows);
  const std::int64_t count = rows.numel();
  raw::dispatch_all(x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    const T* source = raw::data<T>(from);
    T* target = raw::data<T>(y);
    const std::int64_t grain = std::max<std::int64_t>(1, (1 << 15) / std::max<std::int64_t>(1, around.inner));
    parallel_for(around.outer * count, grain, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t i = begin; i < end; ++i)
        std::copy_n(source + (i / count * around.size + at[i % count]) * around.inner, around.inner,
                    target + i * around.inner);
    });
  });
}

/// y (outer, size, inner) += src (outer, K, inner) at the slices that index names.
void add_slices(const char* op, const Tensor& src, int dim, const Tensor& index, const Tensor& y) {
  const Tensor from = raw::contiguous(src), rows = raw::contiguous(index);
  const Around around(y.shape(), dim);
  check_range(op, rows, around.size);
  const std::int64_t* at = raw::data<std::int64_t>(rows);
  const std::int64_t count = rows.numel();
  raw::dispatch_all(y.dtype(), [&](auto zero) {
    using T = decltype(zero);
    const T* source = raw::data<T>(from);
    T* target = raw::data<T>(y);
    parallel_for(around.outer, 1, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t o = begin; o < end; ++o)
        for (std::int64_t k = 0; k < count; ++k) {
          const T* add = source + (o * count + k) * around.inner;
          T* to = target + (o * around.size + at[k]) * around.inner;
          for (std::int64_t i = 0; i < around.inner; ++i) to[i] = static_cast<T>(to[i] + add[i]);
        }
    });
  });
}

/// Calls body(position in index, place in x) for every element of a contiguous index, row by row; `strides` are x's.
template <class Body>
void for_each_place(const Tensor& index, const Shape& strides, int dim, Body&& body) {
  const Shape& shape = index.shape();
  const int last = shape.rank() - 1;
  const std::int64_t* at = raw::data<std::int64_t>(index);
  const std::int64_t width = shape[last], rows = width == 0 ? 0 : index.numel() / width;
  for (std::int64_t row = 0; row < rows; ++row) {
    std::int64_t rest = row, base = 0;
    for (int i = last - 1; i >= 0; --i) {
      if (i != dim) base += rest % shape[i] * strides[i];
      rest /= shape[i];
    }
    const std::int64_t step = dim == last ? 0 : strides[last];
    for (std::int64_t k = 0; k < width; ++k) {
      const std::int64_t position = row * width + k;
      body(position, base + k * step + at[position] * strides[dim]);
    }
  }
}

/// Throws ShapeError unless index fits x but for `dim`.
void require_fit(const ShapeCall& c, const Shape& x, const Shape& index, int dim) {
  bool fits = index.rank() == x.rank();
  for (int i = 0; i < x.rank() && fits; ++i) fits = i == dim || index[i] <= x[i];
  if (!fits)
    fail<ShapeError>(c.name(), "index {} must have the rank of x {} and be no larger outside dimension {}", index, x, dim);
}

/// A sample index tensor with entries below `size`.
Tensor sample_index(const Shape& shape, std::int64_t size, std::uint64_t seed) {
  const Tensor uniform = sample_uniform(shape, 0, static_cast<double>(size), seed);
  Tensor index = Tensor::empty(shape, {.dtype = i64});
  raw::copy(uniform, index);
  return index;
}

struct IndexCase {
  const char* name;
  Shape x, index;
  std::int64_t dim;
};

std::vector<IndexCase> slice_cases() {
  return {{"front", {5, 3}, {4}, 0},       {"last", {3, 5}, {7}, -1},        {"middle", {2, 5, 3}, {3}, 1},
          {"vector", {6}, {4}, 0},         {"one", {2, 3}, {1}, 1},          {"none", {2, 3}, {0}, 1},
          {"repeated", {2, 2, 3}, {9}, 1}, {"channels", {2, 17, 2}, {5}, 1}, {"width", {2, 33}, {17}, 1},
          {"negative", {4, 3, 2}, {3}, -3}, {"long_rows", {6, 33}, {4}, 0},  {"four", {2, 3, 4, 2}, {3}, 2}};
}

std::vector<IndexCase> element_cases() {
  return {{"front", {5, 3}, {4, 3}, 0},        {"last", {3, 5}, {3, 7}, -1},          {"middle", {2, 5, 3}, {2, 4, 3}, 1},
          {"vector", {6}, {4}, 0},             {"smaller", {4, 5}, {2, 3}, 1},        {"none", {2, 3}, {2, 0}, 1},
          {"repeated", {2, 2, 3}, {2, 9, 3}, 1}, {"channels", {2, 17, 2}, {1, 5, 2}, 1}, {"width", {2, 33}, {2, 17}, 1},
          {"negative", {4, 3, 2}, {3, 3, 1}, -3}, {"corner", {3, 4, 5}, {2, 2, 2}, 2},  {"four", {2, 3, 4, 2}, {2, 3, 6, 2}, 2}};
}

std::vector<Sample> index_samples(const std::vector<IndexCase>& cases, bool placing, bool slices) {
  std::vector<Sample> samples;
  for (const IndexCase& one : cases) {
    const std::uint64_t seed = 10 * samples.size();
    const int dim = normalize_dim("sample", one.dim, one.x.rank());
    Tensors inputs{sample_normal(one.x, seed), sample_index(one.index, one.x[dim], seed + 1)};
    Shape src = slices ? one.x : one.index;
    if (slices) src[dim] = one.index[0];
    if (placing) inputs.push_back(sample_normal(src, seed + 2));
    samples.push_back({one.name, inputs, DimOptions{one.dim}});
  }
  return samples;
}

/// The vjp of an op that picks: its adjoint places the cotangent into zeros.
Callable<Tensors(const Vjp&)> placed_back(Tensor (*place)(const Tensor&, std::int64_t, const Tensor&, const Tensor&)) {
  return [place](const Vjp& v) -> Tensors {
    return {place(zeros(v.shape(0), {.dtype = v.spec(0).dtype}), v.opt<DimOptions>().dim, v.input(1), v.cotangent()), {}};
  };
}

/// The vjp of an op that adds src to x: the cotangent itself, and what its adjoint picks of it.
Callable<Tensors(const Vjp&)> picked_back(Tensor (*pick)(const Tensor&, std::int64_t, const Tensor&)) {
  return [pick](const Vjp& v) -> Tensors {
    return {v.needs(0) ? v.cotangent() : Tensor(), {},
            v.needs(2) ? pick(v.cotangent(), v.opt<DimOptions>().dim, v.input(1)) : Tensor()};
  };
}

}  // namespace

const OpPtr& index_select_op() {
  static const OpPtr op = define({
      .name = "index_select",
      .doc = "The slices of one dimension that an index tensor names.",
      .formula = "x[..., index, ...]",
      .inputs = {"x", "index"},
      .options = &options_type<DimOptions>(),
      .shape_rule = [](const ShapeCall& c) -> Specs {
        require_index(c, 1);
        require_rank(c, 1, 1);
        Shape shape = c[0].shape;
        shape[indexed_dim(c.name(), c.opt<DimOptions>().dim, shape)] = c[1].shape[0];
        return {{shape, c[0].dtype}};
      },
      .forward = [](const Call& c) -> Tensors {
        const Tensor out = c.empty();
        select_slices(c.name(), c[0], normalize_dim(c.name(), c.opt<DimOptions>().dim, c[0].rank()), c[1], out);
        return {out};
      },
      .vjp = placed_back(index_add),
      .saves = {save_input(1)},
      .linear = {0},
      .dual = "index_add",
      .onnx = "Gather",
      .samples = [] { return index_samples(slice_cases(), false, true); },
  });
  return op;
}

const OpPtr& index_add_op() {
  static const OpPtr op = define({
      .name = "index_add",
      .doc = "x, with slices added to those that an index tensor names.",
      .formula = "y[..., index[k], ...] += src[..., k, ...]",
      .inputs = {"x", "index", "src"},
      .options = &options_type<DimOptions>(),
      .shape_rule = [](const ShapeCall& c) -> Specs {
        require_index(c, 1);
        require_rank(c, 1, 1);
        Shape shape = c[0].shape;
        shape[indexed_dim(c.name(), c.opt<DimOptions>().dim, shape)] = c[1].shape[0];
        if (c[2].shape != shape || c[2].dtype != c[0].dtype)
          fail<ShapeError>(c.name(), "src must be {}, got {}", to_string(TensorSpec{shape, c[0].dtype}), to_string(c[2]));
        return {c[0]};
      },
      .forward = [](const Call& c) -> Tensors {
        const Tensor out = raw::clone(c[0]);
        add_slices(c.name(), c[2], normalize_dim(c.name(), c.opt<DimOptions>().dim, c[0].rank()), c[1], out);
        return {out};
      },
      .vjp = picked_back(index_select),
      .saves = {save_input(1, {2})},
      .linear = {0, 2},
      .samples = [] { return index_samples(slice_cases(), true, true); },
  });
  return op;
}

const OpPtr& gather_op() {
  static const OpPtr op = define({
      .name = "gather",
      .doc = "Elements along one dimension, each at the index that an index tensor has at its place.",
      .formula = "y[i, j, k] = x[i, index[i, j, k], k]",
      .inputs = {"x", "index"},
      .options = &options_type<DimOptions>(),
      .shape_rule = [](const ShapeCall& c) -> Specs {
        require_index(c, 1);
        require_fit(c, c[0].shape, c[1].shape, indexed_dim(c.name(), c.opt<DimOptions>().dim, c[0].shape));
        return {{c[1].shape, c[0].dtype}};
      },
      .forward = [](const Call& c) -> Tensors {
        const int dim = normalize_dim(c.name(), c.opt<DimOptions>().dim, c[0].rank());
        const Tensor index = raw::contiguous(c[1]), out = c.empty();
        check_range(c.name(), index, c[0].shape()[dim]);
        raw::dispatch_all(out.dtype(), [&](auto zero) {
          using T = decltype(zero);
          const T* from = raw::data<T>(c[0]);
          T* to = raw::data<T>(out);
          for_each_place(index, c[0].strides(), dim, [&](std::int64_t position, std::int64_t place) { to[position] = from[place]; });
        });
        return {out};
      },
      .vjp = placed_back(scatter_add),
      .saves = {save_input(1)},
      .linear = {0},
      .dual = "scatter_add",
      .onnx = "GatherElements",
      .samples = [] { return index_samples(element_cases(), false, false); },
  });
  return op;
}

const OpPtr& scatter_add_op() {
  static const OpPtr op = define({
      .name = "scatter_add",
      .doc = "x, with each element of src added at the index that an index tensor has at its place.",
      .formula = "y[i, index[i, j, k], k] += src[i, j, k]",
      .inputs = {"x", "index", "src"},
      .options = &options_type<DimOptions>(),
      .shape_rule = [](const ShapeCall& c) -> Specs {
        require_index(c, 1);
        require_fit(c, c[0].shape, c[1].shape, indexed_dim(c.name(), c.opt<DimOptions>().dim, c[0].shape));
        if (c[2].shape != c[1].shape || c[2].dtype != c[0].dtype)
          fail<ShapeError>(c.name(), "src must be {}, got {}", to_string(TensorSpec{c[1].shape, c[0].dtype}), to_string(c[2]));
        return {c[0]};
      },
      .forward = [](const Call& c) -> Tensors {
        const int dim = normalize_dim(c.name(), c.opt<DimOptions>().dim, c[0].rank());
        const Tensor index = raw::contiguous(c[1]), src = raw::contiguous(c[2]), out = raw::clone(c[0]);
        check_range(c.name(), index, out.shape()[dim]);
        raw::dispatch_all(out.dtype(), [&](auto zero) {
          using T = decltype(zero);
          const T* from = raw::data<T>(src);
          T* to = raw::data<T>(out);
          for_each_place(index, out.strides(), dim, [&](std::int64_t position, std::int64_t place) {
            to[place] = static_cast<T>(to[place] + from[position]);
          });
        });
        return {out};
      },
      .vjp = picked_back(gather),
      .saves = {save_input(1, {2})},
      .linear = {0, 2},
      .onnx = "ScatterElements",
      .samples = [] { return index_samples(element_cases(), true, false); },
  });
  return op;
}

namespace {

/// 1 for every index, 0 for the padding's: (K, 1).
Tensor not_padding(const Tensor& index, std::int64_t padding, Dtype dtype) {
  const Tensor rows = raw::contiguous(index), mask = Tensor::empty({index.numel(), 1}, {.dtype = dtype});
  raw::dispatch_floating("embedding", dtype, [&](auto zero) {
    using T = decltype(zero);
    for (std::int64_t i = 0; i < index.numel(); ++i)
      raw::data<T>(mask)[i] = raw::data<std::int64_t>(rows)[i] == padding ? T(0) : T(1);
  });
  return mask;
}

Sample embedding_sample(const char* name, const Shape& index, const Shape& weight, const EmbeddingOptions& options, std::uint64_t seed) {
  return {name, {sample_index(index, weight[0], seed), sample_normal(weight, seed + 1)}, options};
}

}  // namespace

const OpPtr& embedding_op() {
  static const OpPtr op = define({
      .name = "embedding",
      .doc = "The row of a table for every index.",
      .formula = "weight[indices]",
      .inputs = {"indices", "weight"},
      .options = &options_type<EmbeddingOptions>(),
      .shape_rule = [](const ShapeCall& c) -> Specs {
        require_index(c, 0);
        require_rank(c, 1, 2);
        const std::int64_t rows = c[1].shape[0];
        if (const auto padding = c.opt<EmbeddingOptions>().padding_idx; padding && (*padding < -rows || *padding >= rows))
          fail<ValueError>(c.name(), "padding_idx {} is out of range [{}, {}] of weight {}", *padding, -rows, rows - 1, c[1].shape);
        Shape shape = c[0].shape;
        shape.push_back(c[1].shape[1]);
        return {{shape, c[1].dtype}};
      },
      .forward = [](const Call& c) -> Tensors {
        const Tensor out = c.empty(), index = raw::contiguous(c[0]);
        select_slices(c.name(), c[1], 0, index, out);
        return {out};
      },
      .vjp = [](const Vjp& v) -> Tensors {
        const Tensor index = reshape(v.input(0), {-1});
        Tensor g = reshape(v.cotangent(), {index.numel(), v.shape(1)[1]});
        if (const auto padding = v.opt<EmbeddingOptions>().padding_idx; padding)
          g = g * not_padding(index, *padding < 0 ? *padding + v.shape(1)[0] : *padding, g.dtype());
        return {{}, index_add(zeros(v.shape(1), {.dtype = v.spec(1).dtype}), 0, index, g)};
      },
      .saves = {save_input(0)},
      .linear = {1},
      .onnx = "Gather",
      .samples = []() -> std::vector<Sample> {
        return {embedding_sample("matrix", {3, 4}, {6, 5}, {}, 1),
                embedding_sample("vector", {7}, {3, 4}, {}, 3),
                embedding_sample("scalar", {}, {4, 3}, {}, 5),
                embedding_sample("channels", {5}, {4, 17}, {}, 7),
                embedding_sample("width", {2, 2}, {3, 33}, {}, 9),
                embedding_sample("cube", {2, 2, 3}, {9, 2}, {}, 11),
                embedding_sample("one_row", {4}, {1, 3}, {}, 13),
                embedding_sample("one_column", {6}, {5, 1}, {}, 15),
                embedding_sample("none", {0}, {3, 2}, {}, 17),
                embedding_sample("all_rows", {40}, {7, 2}, {}, 19),
                embedding_sample("single", {1}, {8, 4}, {}, 21),
                embedding_sample("tall", {3, 1}, {33, 2}, {}, 23)};
      },
  });
  return op;
}

const OpPtr& one_hot_op() {
  static const OpPtr op = define({
      .name = "one_hot",
      .doc = "A 1 at each class, zeros at the others.",
      .inputs = {"x"},
      .options = &options_type<OneHotOptions>(),
      .shape_rule = [](const ShapeCall& c) -> Specs {
        require_index(c, 0);
        Shape shape = c[0].shape;
        shape.push_back(c.opt<OneHotOptions>().num_classes);
        shape.numel();
        return {{shape, i64}};
      },
      .forward = [](const Call& c) -> Tensors {
        const Tensor x = raw::contiguous(c[0]);
        Tensor out = c.empty();
        const std::int64_t classes = c.opt<OneHotOptions>().num_classes;
        check_range(c.name(), x, classes);
        raw::fill(out, 0);
        for (std::int64_t i = 0; i < x.numel(); ++i)
          raw::data<std::int64_t>(out)[i * classes + raw::data<std::int64_t>(x)[i]] = 1;
        return {out};
      },
      .onnx = "OneHot",
      .no_samples_because = "it maps integers to integers",
  });
  return op;
}

Tensor index_select(const Tensor& x, std::int64_t dim, const Tensor& index) {
  return apply1(index_select_op(), {x, index}, DimOptions{dim});
}
Tensor index_add(const Tensor& x, std::int64_t dim, const Tensor& index, const Tensor& src) {
  return apply1(index_add_op(), {x, index, src}, DimOptions{dim});
}
Tensor gather(const Tensor& x, std::int64_t dim, const Tensor& index) { return apply1(gather_op(), {x, index}, DimOptions{dim}); }
Tensor scatter_add(const Tensor& x, std::int64_t dim, const Tensor& index, const Tensor& src) {
  return apply1(scatter_add_op(), {x, index, src}, DimOptions{dim});
}
Tensor embedding(const Tensor& indices, const Tensor& weight, const EmbeddingOptions& options) {
  return apply1(embedding_op(), {indices, weight}, options);
}

Tensor one_hot(const Tensor& x, std::int64_t num_classes) {
  if (num_classes < -1) fail<ValueError>("one_hot", "num_classes must be at least 0, or -1 for the largest class + 1, got {}", num_classes);
  if (num_classes == -1) {
    if (x.dtype() != i64) fail<DtypeError>("one_hot", "x must be i64, got {}", to_string(spec_of(x)));
    if (x.numel() == 0) fail<ValueError>("one_hot", "x {} is empty: num_classes cannot be told from it", x.shape());
    const Tensor dense = raw::contiguous(x);
    const std::int64_t* first = raw::data<std::int64_t>(dense);
    num_classes = std::max<std::int64_t>(0, *std::max_element(first, first + x.numel())) + 1;
  }
  return apply1(one_hot_op(), {x}, OneHotOptions{num_classes});
}

}  // namespace duet
