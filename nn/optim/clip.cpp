// Norms are summed in double, stretch by stretch in a fixed order.
#include <duet/nn/optim/clip.hpp>

#include <algorithm>
#include <cmath>

#include <duet/core/fail.hpp>
#include <duet/core/parallel.hpp>
#include <duet/core/raw.hpp>
#include <duet/core/tape.hpp>

namespace duet::optim {
namespace {

constexpr std::int64_t stretch_length = 1 << 14;

/// The larger of two numbers; NaN if one of them is.
double larger(double a, double b) { return std::isnan(a) || a >= b ? a : b; }

/// Sum of |x|^p over a stretch, or the greatest |x| for infinite p.
template <class T>
double power_sum(const T* x, std::int64_t count, double p) {
  double total = 0;
  if (p == 2)
    for (std::int64_t i = 0; i < count; ++i) total += static_cast<double>(x[i]) * static_cast<double>(x[i]);
  else if (std::isinf(p))
    for (std::int64_t i = 0; i < count; ++i) total = larger(total, std::abs(static_cast<double>(x[i])));
  else
    for (std::int64_t i = 0; i < count; ++i) total += std::pow(std::abs(static_cast<double>(x[i])), p);
  return total;
}

double tensor_power_sum(const Tensor& given, double p) {
  const Tensor x = raw::contiguous(given);
  std::vector<double> parts(static_cast<std::size_t>((x.numel() + stretch_length - 1) / stretch_length));
  raw::dispatch_floating("grad_norm", x.dtype(), [&](auto zero) {
    const auto* first = raw::data<decltype(zero)>(x);
    parallel_for(x.numel(), stretch_length, [&](std::int64_t begin, std::int64_t end) {
      parts[static_cast<std::size_t>(begin / stretch_length)] = power_sum(first + begin, end - begin, p);
    });
  });
  double total = 0;
  for (const double part : parts) total = std::isinf(p) ? larger(total, part) : total + part;
  return total;
}

/// Replaces each gradient's elements by map(element).
template <class Map>
void map_gradients(const char* op, const std::vector<Tensor>& parameters, Map map) {
  const NoGradGuard no_grad;
  for (Tensor parameter : parameters) {
    if (!parameter.grad().defined()) continue;
    Tensor gradient = parameter.grad();
    if (gradient.is_contiguous()) {
      begin_in_place(op, gradient);
    } else {
      gradient = raw::clone(gradient);
      parameter.set_grad(gradient);
    }
    raw::dispatch_floating(op, gradient.dtype(), [&](auto zero) {
      using T = decltype(zero);
      T* first = raw::data<T>(gradient);
      parallel_for(gradient.numel(), stretch_length, [&](std::int64_t begin, std::int64_t end) {
        for (std::int64_t i = begin; i < end; ++i) first[i] = map(first[i]);
      });
    });
  }
}

}  // namespace

double grad_norm(const std::vector<Tensor>& parameters, double norm_type) {
  if (!(norm_type > 0)) fail<ValueError>("grad_norm", "norm_type must be positive, got {}", norm_type);
  double total = 0;
  for (const Tensor& parameter : parameters) {
    if (!parameter.grad().defined()) continue;
    const double part = tensor_power_sum(parameter.grad(), norm_type);
    total = std::isinf(norm_type) ? larger(total, part) : total + part;
  }
  return std::isinf(norm_type) ? total : std::pow(total, 1 / norm_type);
}

double clip_grad_norm_(const std::vector<Tensor>& parameters, double max_norm, const ClipOptions& options) {
  constexpr const char* op = "clip_grad_norm_";
  if (!(max_norm > 0)) fail<ValueError>(op, "max_norm must be positive, got {}", max_norm);
  const double norm = grad_norm(parameters, options.norm_type);
  if (options.error_if_nonfinite && !std::isfinite(norm)) fail<ValueError>(op, "the norm of the gradients is {}", norm);
  const double factor = max_norm / (norm + 1e-6);
  if (!(factor >= 1))
    map_gradients(op, parameters, [factor](auto value) { return static_cast<decltype(value)>(value * static_cast<decltype(value)>(factor)); });
  return norm;
}

void clip_grad_value_(const std::vector<Tensor>& parameters, double clip_value) {
  constexpr const char* op = "clip_grad_value_";
  if (!(clip_value >= 0)) fail<ValueError>(op, "clip_value must not be negative, got {}", clip_value);
  map_gradients(op, parameters, [clip_value](auto value) {
    using T = decltype(value);
    return std::isnan(value) ? value : std::clamp(value, static_cast<T>(-clip_value), static_cast<T>(clip_value));
  });
}

}  // namespace duet::optim
