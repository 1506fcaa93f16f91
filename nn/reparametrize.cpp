// The arithmetic of the two norms, in differentiable ops.
#include <duet/nn/reparametrize.hpp>

#include <duet/autograd/checkpoint.hpp>
#include <duet/core/fail.hpp>
#include <duet/core/random.hpp>
#include <duet/core/raw.hpp>
#include <duet/core/tape.hpp>
#include <duet/ops/matmul.hpp>
#include <duet/ops/reduce.hpp>
#include <duet/ops/shape.hpp>

namespace duet::nn::detail {
namespace {

/// The weight as a matrix (outputs, rest).
Tensor as_matrix(const Tensor& weight, int output_dim) {
  if (weight.rank() < 2)
    fail<ShapeError>("spectral_norm", "needs a weight of at least two dimensions, got {}", weight.shape());
  const Tensor outputs_first = output_dim == 0 ? weight : transpose(weight, 0, output_dim);
  return reshape(outputs_first, {outputs_first.size(0), -1});
}

Tensor unit(const Tensor& x, double eps) { return x / clamp(norm(x), {.min = eps}); }

/// Power iteration: v ← Wᵀu / |Wᵀu|, u ← Wv / |Wv|.
void iterate(const Tensor& matrix, Tensor& u, Tensor& v, int times, double eps) {
  for (int i = 0; i < times; ++i) {
    v = unit(matmul(u, matrix), eps);
    u = unit(matmul(matrix, v), eps);
  }
}

void assign(Tensor& buffer, const Tensor& value) {
  begin_in_place("spectral_norm", buffer);
  raw::copy(value, buffer);
}

}  // namespace

Tensor take_weight(Parameter& slot) {
  const Tensor weight = slot;
  static_cast<Tensor&>(slot) = Tensor();
  return weight;
}

Tensor left_singular_vector(const Tensor& weight, int output_dim, double eps) {
  const NoGradGuard no_grad;
  const Tensor matrix = as_matrix(weight, output_dim);
  Tensor u = unit(randn({matrix.size(0)}, {.dtype = matrix.dtype()}), eps), v;
  constexpr int first_iterations = 15;  // as many as PyTorch's parametrization begins with
  iterate(matrix, u, v, first_iterations, eps);
  return u;
}

Tensor right_singular_vector(const Tensor& weight, const Tensor& u, int output_dim, double eps) {
  const NoGradGuard no_grad;
  return unit(matmul(u, as_matrix(weight, output_dim)), eps);
}

Tensor divided_by_spectral_norm(const Tensor& weight, Tensor& u, Tensor& v, int output_dim, int iterations,
                                double eps) {
  const Tensor matrix = as_matrix(weight, output_dim);
  // Copies: the next call writes to the buffers, while this one's backward may still be to come.
  Tensor left = raw::clone(u), right = raw::clone(v);
  if (iterations > 0 && !is_recomputing()) {  // a checkpoint's second run repeats the first
    const NoGradGuard no_grad;
    iterate(matrix.detach(), left, right, iterations, eps);
    assign(u, left);
    assign(v, right);
  }
  return weight / sum(left * matmul(matrix, right));
}

Tensor norm_but_first(const Tensor& weight) {
  Dims rest;
  for (int i = 1; i < weight.rank(); ++i) rest.push_back(i);
  if (rest.empty())
    fail<ShapeError>("weight_norm", "needs a weight of at least two dimensions, got {}", weight.shape());
  return norm(weight, {.dim = rest, .keepdim = true});
}

Tensor lengths(const Tensor& weight) {
  const NoGradGuard no_grad;
  return norm_but_first(weight);
}

}  // namespace duet::nn::detail
