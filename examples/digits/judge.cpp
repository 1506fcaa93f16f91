// Features in batches, and the distance between their distributions.
#include "digits/judge.hpp"

#include <algorithm>
#include <cmath>

#include <duet/core/fail.hpp>
#include <duet/core/raw.hpp>
#include <duet/core/tape.hpp>
#include <duet/ops/elementwise.hpp>
#include <duet/ops/matmul.hpp>
#include <duet/ops/reduce.hpp>
#include <duet/ops/shape.hpp>
#include <duet/ops/softmax.hpp>

namespace duet::examples {
namespace {

struct Moments {
  Tensor mean, covariance;  // (D), (D, D)
};

Moments moments_of(const Tensor& features) {
  if (features.rank() != 2 || features.size(0) < 2)
    fail<ValueError>("frechet_distance", "needs features (N, D) of at least two images, got {}", features.shape());
  const Tensor mean_of = mean(features, {.dim = {0}}), centred = features - mean_of;
  return {mean_of, matmul(centred, centred, {.transpose_a = true}) / static_cast<double>(features.size(0) - 1)};
}

double trace(const Tensor& matrix) {
  double sum = 0;
  for (std::int64_t i = 0; i < matrix.size(0); ++i) sum += raw::data<double>(matrix)[i * matrix.size(1) + i];
  return sum;
}

/// The square root of a symmetric matrix without negative eigenvalues.
Tensor square_root(const Tensor& matrix) {
  Eigen eigen = eigen_symmetric(matrix);
  Tensor scaled = raw::clone(eigen.vectors);
  const std::int64_t n = matrix.size(0);
  for (std::int64_t i = 0; i < n * n; ++i)
    raw::data<double>(scaled)[i] *= std::sqrt(std::max(0.0, eigen.values[static_cast<std::size_t>(i % n)]));
  return matmul(scaled, eigen.vectors, {.transpose_b = true});
}

}  // namespace

Eigen eigen_symmetric(const Tensor& matrix) {
  const std::int64_t n = matrix.size(0);
  if (matrix.rank() != 2 || matrix.size(1) != n || matrix.dtype() != f64)
    fail<ShapeError>("eigen_symmetric", "needs a square f64 matrix, got {}", to_string(spec_of(matrix)));
  const Tensor work = raw::clone(matrix), vectors = Tensor::empty({n, n}, {.dtype = f64});
  double *a = raw::data<double>(work), *v = raw::data<double>(vectors);
  for (std::int64_t i = 0; i < n * n; ++i) v[i] = i % (n + 1) == 0;
  const auto rotate = [&](double* m, std::int64_t p, std::int64_t q, std::int64_t step, std::int64_t line, double c,
                          double s) {
    for (std::int64_t k = 0; k < n; ++k) {
      double &x = m[k * line + p * step], &y = m[k * line + q * step];
      const double before = x;
      x = c * before - s * y;
      y = s * before + c * y;
    }
  };
  for (int sweep = 0; sweep < 60; ++sweep) {
    double off = 0, all = 0;
    for (std::int64_t i = 0; i < n * n; ++i) {
      all += a[i] * a[i];
      if (i % (n + 1) != 0) off += a[i] * a[i];
    }
    if (off <= 1e-28 * all) break;
    for (std::int64_t p = 0; p < n; ++p)
      for (std::int64_t q = p + 1; q < n; ++q) {
        if (a[p * n + q] == 0) continue;
        const double theta = (a[q * n + q] - a[p * n + p]) / (2 * a[p * n + q]);
        const double t = (theta >= 0 ? 1 : -1) / (std::abs(theta) + std::sqrt(theta * theta + 1));
        const double c = 1 / std::sqrt(t * t + 1), s = t * c;
        rotate(a, p, q, 1, n, c, s);  // columns, then rows
        rotate(a, p, q, n, 1, c, s);
        rotate(v, p, q, 1, n, c, s);
      }
  }
  Eigen result{{}, vectors};
  for (std::int64_t i = 0; i < n; ++i) result.values.push_back(a[i * n + i]);
  return result;
}

double frechet_distance(const Tensor& a, const Tensor& b) {
  const NoGradGuard no_grad;
  if (a.rank() == 2 && b.rank() == 2 && a.size(1) != b.size(1))
    fail<ShapeError>("frechet_distance", "features of {} and of {} numbers", a.size(1), b.size(1));
  const Moments x = moments_of(a), y = moments_of(b);
  // √(AB) has the eigenvalues of √(√A B √A), which is symmetric.
  const Tensor root = square_root(x.covariance);
  double mixed = 0;
  for (const double value : eigen_symmetric(matmul(matmul(root, y.covariance), root)).values)
    mixed += std::sqrt(std::max(0.0, value));
  return sum(square(x.mean - y.mean)).item() + trace(x.covariance) + trace(y.covariance) - 2 * mixed;
}

Sight look(nn::DigitNet& net, const Tensor& images) {
  const NoGradGuard no_grad;
  net.eval();
  constexpr std::int64_t batch = 200;
  Sight sight;
  Tensors features;
  for (std::int64_t begin = 0; begin < images.size(0); begin += batch) {
    const Tensor hidden = net.features(slice(images, 0, begin, std::min(begin + batch, images.size(0))));
    features.push_back(to(hidden, f64));
    const Tensor probability = softmax(to(net.head.forward(hidden), f64), {.dim = 1});
    const auto best = argmax(probability, {.dim = 1}).to_vector(), most = amax(probability, {.dim = {1}}).to_vector();
    for (std::size_t i = 0; i < best.size(); ++i) {
      sight.classes.push_back(static_cast<int>(best[i]));
      sight.confidence.push_back(most[i]);
    }
  }
  sight.features = cat(features, 0);
  return sight;
}

Judge::Judge(const std::string& weights) {
  nn::ModelDescription description;
  net_ = nn::DigitNet::load(weights, &description);
  classes_ = description.classes;
  if (description.mean.size() != 1 || description.deviation.size() != 1 || !(description.deviation[0] > 0) ||
      static_cast<std::int64_t>(classes_.size()) != net_->options.classes)
    fail<IoError>("judge", "{} does not say how its input is normalized, or has other classes than outputs", weights);
  mean_ = description.mean[0];
  deviation_ = description.deviation[0];
}

Sight Judge::look(const Tensor& images) const { return examples::look(*net_, (images - mean_) / deviation_); }

}  // namespace duet::examples
