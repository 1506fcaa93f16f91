// Taylor remainders along a line.
#include <duet/autograd/taylor.hpp>

#include <cmath>
#include <limits>

#include <duet/autograd/backward.hpp>
#include <duet/core/fail.hpp>
#include <duet/core/random.hpp>
#include <duet/core/tape.hpp>
#include <duet/ops/elementwise.hpp>
#include <duet/ops/reduce.hpp>

namespace duet {
namespace {

/// phi(t) = <covectors, f(x + t d)>.
class Line {
 public:
  Line(const TensorsFunction& function, const Tensor& x, const Tensor& direction, std::uint64_t seed)
      : function_(function), x_(x.detach()), direction_(direction.detach()), random_(seed) {}

  Tensor at(const Tensor& t) {
    const Tensors outputs = function_({x_ + t * direction_});
    Tensor total;
    for (std::size_t j = 0; j < outputs.size(); ++j) {
      if (!is_floating(outputs[j].dtype())) continue;
      if (covectors_.size() <= j) covectors_.resize(j + 1);
      if (!covectors_[j].defined())
        covectors_[j] = outputs[j].numel() == 1 ? Tensor::scalar(1, {.dtype = outputs[j].dtype()})
                                                : randn(outputs[j].shape(), {.dtype = outputs[j].dtype()}, random_);
      const Tensor term = sum(outputs[j] * covectors_[j]);
      total = total.defined() ? total + term : term;
    }
    if (!total.defined()) fail<ValueError>("taylor_test", "the function returned no floating tensor");
    return total;
  }

 private:
  const TensorsFunction& function_;
  Tensor x_, direction_;
  Generator random_;
  Tensors covectors_;
};

/// phi(0), phi'(0), …, phi^(order)(0).
std::vector<double> derivatives(Line& line, int order) {
  const EnableGradGuard recording;
  const Tensor t = Tensor::scalar(0, {.dtype = f64, .requires_grad = true});
  Tensor value = line.at(t);
  std::vector<double> result{value.item()};
  for (int k = 1; k <= order; ++k) {
    if (value.defined() && value.requires_grad())
      value = grad({value}, {t}, {.create_graph = true, .allow_unused = true})[0];
    else
      value = Tensor();
    result.push_back(value.defined() ? value.item() : 0);
  }
  return result;
}

double fitted_slope(const TaylorResult& result, double floor) {
  double n = 0, sx = 0, sy = 0, sxx = 0, sxy = 0;
  for (std::size_t k = 0; k < result.steps.size(); ++k) {
    if (!(result.remainders[k] > floor)) continue;
    const double x = std::log(result.steps[k]), y = std::log(result.remainders[k]);
    n += 1;
    sx += x;
    sy += y;
    sxx += x * x;
    sxy += x * y;
  }
  if (n < 2) return std::numeric_limits<double>::infinity();
  return (n * sxy - sx * sy) / (n * sxx - sx * sx);
}

}  // namespace

TaylorResult taylor_test_function(const TensorsFunction& function, const Tensor& x, const Tensor& direction,
                                  const TaylorOptions& options) {
  const char* name = "taylor_test";
  if (x.dtype() != f64) fail<DtypeError>(name, "needs f64, got x {}", to_string(spec_of(x)));
  if (direction.dtype() != f64) fail<DtypeError>(name, "needs f64, got direction {}", to_string(spec_of(direction)));
  if (direction.shape() != x.shape())
    fail<ShapeError>(name, "direction {} must have the shape of x {}", direction.shape(), x.shape());
  if (options.order < 0 || options.steps < 2 || !(options.first_step > 0))
    fail<ValueError>(name, "needs order >= 0, steps >= 2 and first_step > 0, got {}, {} and {}", options.order,
                     options.steps, options.first_step);
  Line line(function, x, direction, options.seed);
  const std::vector<double> phi = derivatives(line, options.order);
  TaylorResult result{.order = options.order};
  const EnableGradGuard recording;  // for a function that differentiates inside itself
  double scale = std::abs(phi[0]);
  for (int k = 0; k < options.steps; ++k) {
    const double h = options.first_step / std::pow(2, k);
    const double value = line.at(Tensor::scalar(h, {.dtype = f64})).item();
    scale = std::max(scale, std::abs(value));
    double polynomial = 0, factor = 1;
    for (int i = 0; i <= options.order; ++i) {
      polynomial += factor * phi[static_cast<std::size_t>(i)];
      factor *= h / (i + 1);
    }
    result.steps.push_back(h);
    result.remainders.push_back(std::abs(value - polynomial));
  }
  bool finite = true;
  for (const double remainder : result.remainders) finite = finite && std::isfinite(remainder);
  result.slope = finite ? fitted_slope(result, 1e3 * std::numeric_limits<double>::epsilon() * scale)
                        : std::numeric_limits<double>::quiet_NaN();
  return result;
}

std::string to_string(const TaylorResult& r) {
  std::string text = fmt::format("{:>12} {:>14} {:>8}\n", "h", "remainder", "slope");
  for (std::size_t k = 0; k < r.steps.size(); ++k) {
    const std::string local =
        k == 0 ? "" : fmt::format("{:.2f}", std::log(r.remainders[k - 1] / r.remainders[k]) / std::log(r.steps[k - 1] / r.steps[k]));
    text += fmt::format("{:12.4g} {:14.6g} {:>8}\n", r.steps[k], r.remainders[k], local);
  }
  return text + fmt::format("slope {:.2f}, a right derivative of order {} gives {}\n", r.slope, r.order, r.order + 1);
}

}  // namespace duet
