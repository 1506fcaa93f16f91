// Every draw is made in f64 and rounded once, so that an f32 and an f64 model of one seed begin alike.
#include <duet/nn/init.hpp>

#include <algorithm>
#include <cmath>
#include <vector>

#include <duet/core/fail.hpp>
#include <duet/core/raw.hpp>
#include <duet/core/tape.hpp>

namespace duet::nn::init {
namespace {

/// Writes `values`, in row-major order, into `tensor`.
void assign(const char* op, Tensor& tensor, const Tensor& values) {
  const NoGradGuard no_grad;
  begin_in_place(op, tensor);
  raw::copy(values, tensor);
}

void check_floating(const char* op, const Tensor& tensor) {
  if (!is_floating(tensor.dtype())) raw::not_floating(op, tensor.dtype());
}

template <class Map>
Tensor mapped(Tensor values, Map map) {
  double* first = raw::data<double>(values);
  std::transform(first, first + values.numel(), first, map);
  return values;
}

void fill_uniform(const char* op, Tensor& tensor, double low, double high, Generator& generator) {
  check_floating(op, tensor);
  if (!(low <= high)) fail<ValueError>(op, "low {} is above high {}", low, high);
  assign(op, tensor, mapped(rand(tensor.shape(), {.dtype = f64}, generator),
                            [=](double u) { return low + (high - low) * u; }));
}

void fill_normal(const char* op, Tensor& tensor, double mean, double deviation, Generator& generator) {
  check_floating(op, tensor);
  if (!(deviation >= 0)) fail<ValueError>(op, "deviation must not be negative, got {}", deviation);
  assign(op, tensor, mapped(randn(tensor.shape(), {.dtype = f64}, generator),
                            [=](double z) { return mean + deviation * z; }));
}

double kaiming_deviation(const Tensor& weight, const KaimingOptions& options) {
  const Fans fan = fans(weight.shape());
  const auto count = static_cast<double>(std::max<std::int64_t>(1, options.mode == FanMode::fan_in ? fan.in : fan.out));
  return gain(options.nonlinearity, options.a) / std::sqrt(count);
}

double xavier_deviation(const Tensor& weight, double factor) {
  const Fans fan = fans(weight.shape());
  return factor * std::sqrt(2.0 / static_cast<double>(std::max<std::int64_t>(1, fan.in + fan.out)));
}

/// The z at which the normal distribution function is p. Below 1/2 the function is convex, so that Newton's method
/// from 0 comes down to z without overshooting; above, by symmetry.
double normal_quantile(double p) {
  const double tail = std::min(p, 1 - p);
  double z = 0;
  for (int step = 0; step < 200; ++step) {
    const double density = std::exp(-z * z / 2) / std::sqrt(2 * 3.141592653589793238462643);
    const double change = (0.5 * std::erfc(-z / std::sqrt(2.0)) - tail) / density;
    z -= change;
    if (!(change > 1e-15 * std::abs(z))) break;
  }
  return p < 0.5 ? z : -z;
}

/// Makes the rows of a (rows, columns) matrix orthonormal; rows <= columns (Gram and Schmidt, done twice, which keeps
/// round-off down).
void orthonormalize(double* matrix, std::int64_t rows, std::int64_t columns) {
  const auto dot = [&](const double* u, const double* v) {
    double total = 0;
    for (std::int64_t i = 0; i < columns; ++i) total += u[i] * v[i];
    return total;
  };
  for (std::int64_t r = 0; r < rows; ++r) {
    double* row = matrix + r * columns;
    for (int pass = 0; pass < 2; ++pass)
      for (std::int64_t before = 0; before < r; ++before) {
        const double* other = matrix + before * columns;
        const double along = dot(row, other);
        for (std::int64_t i = 0; i < columns; ++i) row[i] -= along * other[i];
      }
    const double length = std::sqrt(dot(row, row));
    for (std::int64_t i = 0; i < columns; ++i) row[i] /= length;
  }
}

}  // namespace

double gain(Nonlinearity nonlinearity, double slope) {
  switch (nonlinearity) {
    case Nonlinearity::tanh: return 5.0 / 3.0;
    case Nonlinearity::relu: return std::sqrt(2.0);
    case Nonlinearity::leaky_relu: return std::sqrt(2.0 / (1 + slope * slope));
    case Nonlinearity::selu: return 0.75;
    default: return 1;
  }
}

Fans fans(const Shape& weight) {
  if (weight.rank() < 2) fail<ShapeError>("init", "fans need a weight of two dimensions or more, got {}", weight);
  std::int64_t taps = 1;
  for (int i = 2; i < weight.rank(); ++i) taps *= weight[i];
  return {weight[1] * taps, weight[0] * taps};
}

void constant_(Tensor tensor, double value) {
  const NoGradGuard no_grad;
  begin_in_place("constant_", tensor);
  raw::fill(tensor, value);
}
void zeros_(Tensor tensor) { constant_(std::move(tensor), 0); }
void ones_(Tensor tensor) { constant_(std::move(tensor), 1); }

void uniform_(Tensor tensor, double low, double high, Generator& generator) {
  fill_uniform("uniform_", tensor, low, high, generator);
}

void normal_(Tensor tensor, double mean, double deviation, Generator& generator) {
  fill_normal("normal_", tensor, mean, deviation, generator);
}

void trunc_normal_(Tensor tensor, double mean, double deviation, double low, double high, Generator& generator) {
  constexpr const char* op = "trunc_normal_";
  check_floating(op, tensor);
  if (!(deviation > 0) || !(low < high))
    fail<ValueError>(op, "needs a positive deviation and low < high, got {}, {}, {}", deviation, low, high);
  const auto below = [&](double x) { return 0.5 * std::erfc(-(x - mean) / deviation / std::sqrt(2.0)); };
  const double from = below(low), to = below(high);
  if (!(to - from > 1e-12)) fail<ValueError>(op, "[{}, {}] holds nothing of N({}, {}²)", low, high, mean, deviation);
  assign(op, tensor, mapped(rand(tensor.shape(), {.dtype = f64}, generator), [=](double u) {
           return std::clamp(mean + deviation * normal_quantile(from + (to - from) * u), low, high);
         }));
}

void kaiming_uniform_(Tensor weight, KaimingOptions options, Generator& generator) {
  const double bound = std::sqrt(3.0) * kaiming_deviation(weight, options);
  fill_uniform("kaiming_uniform_", weight, -bound, bound, generator);
}
void kaiming_normal_(Tensor weight, KaimingOptions options, Generator& generator) {
  fill_normal("kaiming_normal_", weight, 0, kaiming_deviation(weight, options), generator);
}
void xavier_uniform_(Tensor weight, double factor, Generator& generator) {
  const double bound = std::sqrt(3.0) * xavier_deviation(weight, factor);
  fill_uniform("xavier_uniform_", weight, -bound, bound, generator);
}
void xavier_normal_(Tensor weight, double factor, Generator& generator) {
  fill_normal("xavier_normal_", weight, 0, xavier_deviation(weight, factor), generator);
}

void orthogonal_(Tensor weight, double factor, Generator& generator) {
  check_floating("orthogonal_", weight);
  fans(weight.shape());  // refuses vectors
  if (weight.numel() == 0) return;
  const std::int64_t rows = weight.shape()[0], columns = weight.numel() / rows;
  const bool wide = rows <= columns;
  Tensor basis = randn(wide ? Shape{rows, columns} : Shape{columns, rows}, {.dtype = f64}, generator);
  orthonormalize(raw::data<double>(basis), basis.shape()[0], basis.shape()[1]);
  basis = mapped(basis, [=](double value) { return factor * value; });
  const Tensor matrix = raw::contiguous(wide ? basis : raw::view(basis, {rows, columns}, {1, rows}));
  assign("orthogonal_", weight, raw::view(matrix, weight.shape(), contiguous_strides(weight.shape())));
}

void dirac_(Tensor weight, std::int64_t groups) {
  constexpr const char* op = "dirac_";
  check_floating(op, weight);
  const Shape& shape = weight.shape();
  if (shape.rank() < 3 || shape.rank() > 5) fail<ShapeError>(op, "needs a weight of rank 3 to 5, got {}", shape);
  if (groups < 1 || shape[0] % groups != 0) fail<ValueError>(op, "{} groups do not divide {}", groups, shape);
  Tensor values = Tensor::empty(shape, {.dtype = f64});
  raw::fill(values, 0);
  std::int64_t center = 0, taps = 1;
  for (int i = 2; i < shape.rank(); ++i) {
    center = center * shape[i] + shape[i] / 2;
    taps *= shape[i];
  }
  const std::int64_t per_group = shape[0] / groups;
  for (std::int64_t g = 0; g < groups; ++g)
    for (std::int64_t c = 0; c < std::min(per_group, shape[1]); ++c)
      raw::data<double>(values)[((g * per_group + c) * shape[1] + c) * taps + center] = 1;
  assign(op, weight, values);
}

void bilinear_(Tensor weight) {
  constexpr const char* op = "bilinear_";
  check_floating(op, weight);
  const Shape& shape = weight.shape();
  if (shape.rank() != 4 || shape[2] != shape[3] || (shape[1] != 1 && shape[0] != shape[1]))
    fail<ShapeError>(op, "needs a weight (channels, 1, k, k) or (channels, channels, k, k), got {}", shape);
  const std::int64_t k = shape[2], factor = (k + 1) / 2;
  const double center = k % 2 == 1 ? static_cast<double>(factor - 1) : static_cast<double>(factor) - 0.5;
  const auto tent = [&](std::int64_t i) {
    return 1 - std::abs(static_cast<double>(i) - center) / static_cast<double>(factor);
  };
  Tensor values = Tensor::empty(shape, {.dtype = f64});
  raw::fill(values, 0);
  for (std::int64_t c = 0; c < shape[0]; ++c) {
    double* plane = raw::data<double>(values) + (c * shape[1] + (shape[1] == 1 ? 0 : c)) * k * k;
    for (std::int64_t i = 0; i < k; ++i)
      for (std::int64_t j = 0; j < k; ++j) plane[i * k + j] = tent(i) * tent(j);
  }
  assign(op, weight, values);
}

void icnr_(Tensor weight, std::int64_t scale, Generator& generator) {
  constexpr const char* op = "icnr_";
  check_floating(op, weight);
  const Shape& shape = weight.shape();
  const std::int64_t copies = scale * scale;
  fans(shape);  // refuses vectors
  if (scale < 1 || shape[0] % copies != 0)
    fail<ValueError>(op, "scale {} squared does not divide the {} filters of {}", scale, shape[0], shape);
  Shape few = shape;
  few[0] /= copies;
  Tensor kernel = Tensor::empty(few, {.dtype = f64});
  kaiming_normal_(kernel, {.nonlinearity = Nonlinearity::relu}, generator);
  Tensor values = Tensor::empty(shape, {.dtype = f64});
  const std::int64_t filter = few[0] == 0 ? 0 : kernel.numel() / few[0];
  for (std::int64_t c = 0; c < shape[0]; ++c)
    std::copy_n(raw::data<double>(kernel) + c / copies * filter, filter, raw::data<double>(values) + c * filter);
  assign(op, weight, values);
}

}  // namespace duet::nn::init
