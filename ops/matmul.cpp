// Matrix products. With transposition as an option the op is closed: each derivative is a matmul again.
#include <duet/ops/matmul.hpp>

#include <algorithm>

#include <duet/ops/elementwise_rules.hpp>
#include <duet/ops/elementwise.hpp>
#include <duet/ops/kernels/matmul.hpp>
#include <duet/ops/reduce.hpp>
#include <duet/ops/shape.hpp>

namespace duet {
namespace {

/// An operand as a stack of matrices: a vector gets its dimension of 1, in front (left) or behind (right).
Shape as_matrices(const Shape& shape, bool left) {
  if (shape.rank() != 1) return shape;
  return left ? Shape{1, shape[0]} : Shape{shape[0], 1};
}

Shape batch_of(Shape shape) {
  shape.erase(shape.rank() - 1);
  shape.erase(shape.rank() - 1);
  return shape;
}

/// Sizes of a product after transposition, and where its vectors' dimensions are dropped.
struct Plan {
  Shape a, b, batch, out;
  std::int64_t m, n, k, k_of_b;
  bool transpose_a, transpose_b;
};

Plan plan_of(const char* op, const Shape& a, const Shape& b, const MatmulOptions& o) {
  Plan p;
  p.transpose_a = o.transpose_a && a.rank() > 1;
  p.transpose_b = o.transpose_b && b.rank() > 1;
  p.a = as_matrices(a, true);
  p.b = as_matrices(b, false);
  const int ra = p.a.rank(), rb = p.b.rank();
  p.m = p.a[p.transpose_a ? ra - 1 : ra - 2];
  p.k = p.a[p.transpose_a ? ra - 2 : ra - 1];
  p.k_of_b = p.b[p.transpose_b ? rb - 1 : rb - 2];
  p.n = p.b[p.transpose_b ? rb - 2 : rb - 1];
  p.batch = broadcast_shapes(op, batch_of(p.a), batch_of(p.b));
  p.out = p.batch;
  if (a.rank() > 1) p.out.push_back(p.m);
  if (b.rank() > 1) p.out.push_back(p.n);
  return p;
}

/// A tensor whose last two dimensions are a matrix that the kernel reads: dense along one of them.
struct Matrices {
  Tensor held;
  std::int64_t leading = 1;  // distance of rows as the kernel sees them
  bool transposed = false;   // dense along the second last dimension
};

Matrices readable(const Tensor& tensor) {
  Matrices result{tensor};
  const int r = tensor.rank();
  const std::int64_t rows = tensor.shape()[r - 2], columns = tensor.shape()[r - 1];
  const std::int64_t down = tensor.strides()[r - 2], across = tensor.strides()[r - 1];
  if ((across == 1 || columns == 1) && (down >= columns || rows == 1)) {
    result.leading = rows == 1 ? columns : down;
  } else if ((down == 1 || rows == 1) && (across >= rows || columns == 1)) {
    result.transposed = true;
    result.leading = columns == 1 ? rows : across;
  } else {
    result.held = raw::clone(tensor);
    result.leading = columns;
  }
  result.leading = std::max<std::int64_t>(1, result.leading);
  return result;
}

/// Where matrix number `index` of the broadcast batch begins.
std::int64_t batch_offset(const Tensor& tensor, const Shape& batch, std::int64_t index) {
  std::int64_t offset = 0;
  const int extra = batch.rank() - (tensor.rank() - 2);
  for (int i = batch.rank() - 1; i >= extra; --i) {
    if (tensor.shape()[i - extra] != 1) offset += index % batch[i] * tensor.strides()[i - extra];
    index /= batch[i];
  }
  return offset;
}

Tensor multiply(const Call& c) {
  const Plan p = plan_of(c.name(), c[0].shape(), c[1].shape(), c.opt<MatmulOptions>());
  const auto seen = [](const Tensor& tensor, const Shape& shape) {
    return tensor.shape() == shape ? tensor : raw::view(raw::contiguous(tensor), shape, contiguous_strides(shape));
  };
  const Matrices a = readable(seen(c[0], p.a)), b = readable(seen(c[1], p.b));
  const Tensor out = c.empty();
  raw::dispatch_floating(c.name(), out.dtype(), [&](auto zero) {
    using T = decltype(zero);
    const std::int64_t count = p.batch.numel();
    for (std::int64_t i = 0; i < count; ++i)
      kernels::matmul<T>(p.transpose_a != a.transposed, p.transpose_b != b.transposed, p.m, p.n, p.k,
                         raw::data<T>(a.held) + batch_offset(a.held, p.batch, i), a.leading,
                         raw::data<T>(b.held) + batch_offset(b.held, p.batch, i), b.leading,
                         raw::data<T>(out) + i * p.m * p.n, std::max<std::int64_t>(1, p.n), false);
  });
  return out;
}

/// The gradients of out = op(a) op(b), on matrices: each again a product, transposed as it needs be.
Tensors matmul_gradients(const Vjp& v) {
  const Plan p = plan_of(v.name(), v.shape(0), v.shape(1), v.opt<MatmulOptions>());
  const bool ta = p.transpose_a, tb = p.transpose_b;
  Shape full = p.batch;
  full.push_back(p.m);
  full.push_back(p.n);
  const Tensor g = v.cotangent().shape() == full ? v.cotangent() : reshape(v.cotangent(), full);
  const auto lift = [](const Tensor& tensor, const Shape& shape) {
    return tensor.shape() == shape ? tensor : reshape(tensor, shape);
  };
  const auto lower = [](const Tensor& gradient, const Shape& matrices, const Shape& shape) {
    const Tensor summed = sum_to(gradient, matrices);
    return summed.shape() == shape ? summed : reshape(summed, shape);
  };
  Tensors result(2);
  if (v.needs(0)) {
    const Tensor b = lift(v.input(1), p.b);
    result[0] = lower(ta ? matmul(b, g, {tb, true}) : matmul(g, b, {false, !tb}), p.a, v.shape(0));
  }
  if (v.needs(1)) {
    const Tensor a = lift(v.input(0), p.a);
    result[1] = lower(tb ? matmul(g, a, {true, ta}) : matmul(a, g, {!ta, false}), p.b, v.shape(1));
  }
  return result;
}

std::vector<Sample> matmul_samples() {
  struct Case {
    const char* name;
    Shape a, b;
    MatmulOptions options;
  };
  const Case cases[] = {
      {"matrices", {3, 4}, {4, 5}, {}},
      {"17 and 33", {2, 17}, {17, 33}, {}},
      {"transposed left", {4, 3}, {4, 5}, {.transpose_a = true}},
      {"transposed right", {3, 4}, {5, 4}, {.transpose_b = true}},
      {"both transposed", {4, 3}, {5, 4}, {true, true}},
      {"matrix and vector", {3, 4}, {4}, {}},
      {"vector and matrix", {4}, {4, 5}, {}},
      {"vectors", {7}, {7}, {}},
      {"batches", {2, 3, 4}, {2, 4, 5}, {}},
      {"a batch and a matrix", {2, 3, 4}, {4, 5}, {}},
      {"batches that broadcast", {2, 1, 3, 4}, {3, 4, 2}, {}},
      {"transposed batches", {2, 4, 3}, {1, 5, 4}, {true, true}},
      {"a batch and a vector", {2, 3, 4}, {4}, {}},
      {"one by one", {1, 1}, {1, 1}, {}},
  };
  std::vector<Sample> samples;
  std::uint64_t seed = 1;
  for (const Case& one : cases) {
    samples.push_back({one.name, {sample_normal(one.a, seed), sample_normal(one.b, seed + 1)}, one.options});
    seed += 2;
  }
  return samples;
}

Specs linear_rule(const ShapeCall& c) {
  const Dtype dtype = require_floating(c);
  require_rank(c, 1, 2);
  const Shape& x = c[0].shape;
  if (x.rank() < 1 || x.back() != c[1].shape[1])
    fail<ShapeError>(c.name(), "weight expects {} inputs in x's last dimension: x {}, weight {}", c[1].shape[1], x,
                     c[1].shape);
  if (c.has(2) && c[2].shape != Shape{c[1].shape[0]})
    fail<ShapeError>(c.name(), "bias needs shape {}, got {}: weight {}", Shape{c[1].shape[0]}, c[2].shape, c[1].shape);
  Shape out = x;
  out.back() = c[1].shape[0];
  return {{out, dtype}};
}

}  // namespace

DUET_DEFINE_OP(matmul, define({
    .name = "matmul",
    .doc = "The matrix product over the last two dimensions; the others broadcast.",
    .formula = "c_ij = sum_k a_ik b_kj",
    .inputs = {"a", "b"},
    .options = &options_type<MatmulOptions>(),
    .shape_rule = [](const ShapeCall& c) -> Specs {
      const Dtype dtype = require_floating(c);
      for (int i = 0; i < 2; ++i)
        if (c[i].shape.rank() == 0)
          fail<ShapeError>(c.name(), "{} needs at least one dimension, got a scalar", input_name(c.op, i));
      const Plan p = plan_of(c.name(), c[0].shape, c[1].shape, c.opt<MatmulOptions>());
      if (p.k != p.k_of_b)
        fail<ShapeError>(c.name(), "inner sizes differ, {} and {}: a {}{}, b {}{}", p.k, p.k_of_b, c[0].shape,
                         p.transpose_a ? " transposed" : "", c[1].shape, p.transpose_b ? " transposed" : "");
      return {{p.out, dtype}};
    },
    .forward = [](const Call& c) -> Tensors { return {multiply(c)}; },
    .vjp = matmul_gradients,
    .saves = {save_input(0, {1}), save_input(1, {0})},
    .linear = {0, 1},
    .onnx = "MatMul",
    .samples = matmul_samples,
}))

DUET_DEFINE_OP(linear, define({
    .name = "linear",
    .doc = "A fully connected layer.",
    .formula = "y = x W^T + b",
    .inputs = {"x", "weight", "bias?"},
    .shape_rule = linear_rule,
    .forward = [](const Call& c) -> Tensors {
      const Tensor x = raw::contiguous(c[0]), weight = raw::contiguous(c[1]), out = c.empty();
      const std::int64_t n = weight.shape()[0], k = weight.shape()[1];
      std::int64_t m = 1;
      for (int i = 0; i + 1 < x.rank(); ++i) m *= x.shape()[i];
      if (c.has(2)) {
        Tensor rows = raw::view(out, {m, n}, {n, 1});
        raw::copy(raw::view(c[2], {m, n}, {0, c[2].strides()[0]}), rows);
      }
      raw::dispatch_floating(c.name(), out.dtype(), [&](auto zero) {
        using T = decltype(zero);
        kernels::matmul<T>(false, true, m, n, k, raw::data<T>(x), std::max<std::int64_t>(1, k), raw::data<T>(weight),
                           std::max<std::int64_t>(1, k), raw::data<T>(out), std::max<std::int64_t>(1, n), c.has(2));
      });
      return {out};
    },
    .vjp = [](const Vjp& v) -> Tensors {
      const Tensor& g = v.cotangent();
      Tensors result(static_cast<std::size_t>(v.count()));
      if (v.needs(0)) result[0] = matmul(g, v.input(1));
      if (v.needs(1)) {
        const Tensor x = v.input(0);
        result[1] = matmul(reshape(g, {-1, g.shape().back()}), reshape(x, {-1, x.shape().back()}),
                           {.transpose_a = true});
      }
      if (v.needs(2)) result[2] = sum_to(g, v.shape(2));
      return result;
    },
    .saves = {save_input(0, {1}), save_input(1, {0})},
    .linear = {0, 1},
    .onnx = "Gemm",
    .samples = []() -> std::vector<Sample> {
      std::vector<Sample> samples;
      std::uint64_t seed = 1;
      for (const Shape& x : {Shape{5, 4}, Shape{4}, Shape{2, 3, 4}, Shape{17, 4}, Shape{1, 4}, Shape{33, 4}})
        for (std::int64_t out : {1, 3}) {
          samples.push_back({fmt::format("x {}, {} out", x, out),
                             {sample_normal(x, seed), sample_normal({out, 4}, seed + 1), sample_normal({out}, seed + 2)}});
          samples.push_back({fmt::format("x {}, {} out, no bias", x, out),
                             {sample_normal(x, seed + 3), sample_normal({out, 4}, seed + 4)}});
          seed += 5;
        }
      return samples;
    },
}))

Tensor matmul(const Tensor& a, const Tensor& b, const MatmulOptions& options) {
  // A batch on the left and one matrix on the right are one tall product, and so are their gradients.
  if (a.defined() && b.defined() && a.rank() > 2 && b.rank() == 2 && !options.transpose_a && a.numel() > 0) {
    Shape out = a.shape();
    out.back() = b.shape()[options.transpose_b ? 0 : 1];
    if (a.shape().back() == b.shape()[options.transpose_b ? 1 : 0])
      return reshape(apply1(matmul_op(), {reshape(a, {-1, a.shape().back()}), b}, options), out);
  }
  return apply1(matmul_op(), {a, b}, options);
}

Tensor linear(const Tensor& x, const Tensor& weight, const Tensor& bias) {
  return apply1(linear_op(), {x, weight, bias});
}

}  // namespace duet
