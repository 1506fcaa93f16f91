// Norms are summed in double, stretch by stretch in a fixed order.
#include <duet/nn/optim/clip.hpp>

#include <algorithm>
#include <cmath>

#include <duet/core/fail.hpp>
#include <duet/core/raw.hpp>
#include <duet/core/tape.hpp>
#include <duet/ops/kernels/optimizer.hpp>

namespace duet::optim {
namespace {

using kernels::Run;

/// The larger of two numbers; NaN if one of them is.
double larger(double a, double b) { return std::isnan(a) || a >= b ? a : b; }

/// Sum of |x|^p over a run, or the greatest |x| for infinite p.
template <class T>
double power_sum(const Run& run, double p) {
  const T* x = static_cast<const T*>(run.data);
  double total = 0;
  if (std::isinf(p))
    for (std::int64_t i = 0; i < run.count; ++i) total = larger(total, std::abs(static_cast<double>(x[i])));
  else
    for (std::int64_t i = 0; i < run.count; ++i) total += std::pow(std::abs(static_cast<double>(x[i])), p);
  return total;
}

/// The elements of every gradient there is. Gradients with gaps are replaced by dense ones if they are to be written,
/// else copied into `held`.
std::vector<Run> gradient_runs(const char* op, const std::vector<Tensor>& parameters, bool write,
                               std::vector<Tensor>& held) {
  std::vector<Run> runs;
  for (Tensor parameter : parameters) {
    Tensor gradient = parameter.grad();
    if (!gradient.defined()) continue;
    if (!is_floating(gradient.dtype())) raw::not_floating(op, gradient.dtype());
    if (!gradient.is_contiguous()) {
      gradient = raw::clone(gradient);
      if (write) parameter.set_grad(gradient);
      held.push_back(gradient);
    } else if (write) {
      const NoGradGuard no_grad;
      begin_in_place(op, gradient);
    }
    runs.push_back({raw::data<std::byte>(gradient), nullptr, gradient.numel(), gradient.dtype() == f64});
  }
  return runs;
}

}  // namespace

double grad_norm(const std::vector<Tensor>& parameters, double norm_type) {
  if (!(norm_type > 0)) fail<ValueError>("grad_norm", "norm_type must be positive, got {}", norm_type);
  std::vector<Tensor> held;
  const std::vector<Run> runs = gradient_runs("grad_norm", parameters, false, held);
  std::vector<double> parts(static_cast<std::size_t>(kernels::count_pieces(runs)));
  kernels::for_each_piece(runs, [&](const Run& run, std::int64_t piece) {
    parts[static_cast<std::size_t>(piece)] = norm_type == 2 ? kernels::optimizer_table().sum_of_squares[run.f64](run)
                                             : run.f64      ? power_sum<double>(run, norm_type)
                                                            : power_sum<float>(run, norm_type);
  });
  double total = 0;
  for (const double part : parts) total = std::isinf(norm_type) ? larger(total, part) : total + part;
  return std::isinf(norm_type) ? total : std::pow(total, 1 / norm_type);
}

double clip_grad_norm_(const std::vector<Tensor>& parameters, double max_norm, const ClipOptions& options) {
  constexpr const char* op = "clip_grad_norm_";
  if (!(max_norm > 0)) fail<ValueError>(op, "max_norm must be positive, got {}", max_norm);
  const double norm = grad_norm(parameters, options.norm_type);
  if (options.error_if_nonfinite && !std::isfinite(norm)) fail<ValueError>(op, "the norm of the gradients is {}", norm);
  const double factor = max_norm / (norm + 1e-6);
  if (!(factor >= 1)) {
    std::vector<Tensor> held;
    kernels::for_each_piece(gradient_runs(op, parameters, true, held), [factor](const Run& run, std::int64_t) {
      kernels::optimizer_table().scale[run.f64](run, factor);
    });
  }
  return norm;
}

void clip_grad_value_(const std::vector<Tensor>& parameters, double clip_value) {
  constexpr const char* op = "clip_grad_value_";
  if (!(clip_value >= 0)) fail<ValueError>(op, "clip_value must not be negative, got {}", clip_value);
  const auto clip = [clip_value](auto* x, std::int64_t count) {
    using T = std::remove_pointer_t<decltype(x)>;
    const T low = static_cast<T>(-clip_value), high = static_cast<T>(clip_value);
    for (std::int64_t i = 0; i < count; ++i) x[i] = x[i] < low ? low : x[i] > high ? high : x[i];  // a NaN stays
  };
  std::vector<Tensor> held;
  kernels::for_each_piece(gradient_runs(op, parameters, true, held), [&](const Run& run, std::int64_t) {
    if (run.f64)
      clip(static_cast<double*>(run.data), run.count);
    else
      clip(static_cast<float*>(run.data), run.count);
  });
}

}  // namespace duet::optim
