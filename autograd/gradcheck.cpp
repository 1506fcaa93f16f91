// The check of one Jacobian, by the tape and by differences. What is checked at each order, gradcheck_problem.cpp says.
#include <duet/autograd/gradcheck_problem.hpp>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <utility>

#include <duet/autograd/backward.hpp>
#include <duet/core/factory.hpp>
#include <duet/core/fail.hpp>
#include <duet/core/random.hpp>
#include <duet/core/raw.hpp>
#include <duet/core/tape.hpp>

namespace duet {
namespace {

using Vector = std::vector<double>;
using Vectors = std::vector<Vector>;

double dot(const Vector& a, const Vector& b) {
  double total = 0;
  for (std::size_t k = 0; k < a.size(); ++k) total += a[k] * b[k];
  return total;
}

Shape index_of(std::int64_t flat, const Shape& shape) {
  Shape index = Shape::filled(shape.rank(), 0);
  for (int i = shape.rank() - 1; i >= 0; --i) {
    index[i] = flat % shape[i];
    flat /= shape[i];
  }
  return index;
}

Tensor tensor_like(const Tensor& like, const Vector& values) {
  Tensor result = Tensor::empty(like.shape(), {.dtype = like.dtype()});
  raw::dispatch_floating("gradcheck", like.dtype(), [&](auto zero) {
    std::transform(values.begin(), values.end(), raw::data<decltype(zero)>(result),
                   [](double v) { return static_cast<decltype(zero)>(v); });
  });
  return result;
}

/// The values of the floating outputs; an empty vector for each other one.
Vectors values_of(const Tensors& outputs) {
  Vectors values;
  for (const Tensor& output : outputs) values.push_back(is_differentiable(output) ? output.to_vector() : Vector());
  return values;
}

bool same_bits(const Vectors& a, const Vectors& b) {
  if (a.size() != b.size()) return false;
  for (std::size_t j = 0; j < a.size(); ++j)
    if (a[j].size() != b[j].size() ||
        (!a[j].empty() && std::memcmp(a[j].data(), b[j].data(), a[j].size() * sizeof(double)) != 0))
      return false;
  return true;
}

/// The Jacobian of one problem, by the tape and by differences.
class JacobianCheck {
 public:
  JacobianCheck(const GradcheckProblem& problem, const GradcheckOptions& options, int order, bool single)
      : problem_(problem),
        order_(order),
        epsilon_(single ? std::numeric_limits<float>::epsilon() : std::numeric_limits<double>::epsilon()),
        step_(options.step.value_or(single ? 0x1p-7 : 0x1p-17)),
        tolerance_(options.tolerance.value_or(single ? 1e-2 : 1e-6)),
        linear_tolerance_(options.linear_tolerance.value_or(single ? 1e-4 : 1e-12)),
        random_(options.seed + 0x9e3779b97f4a7c15ULL * static_cast<std::uint64_t>(order)) {
    result_.order = order;
    record();
    choose_probes(options);
  }

  const Tensors& outputs() const { return outputs_; }

  GradcheckResult run() {
    if (!deterministic()) return result_;
    differentiate();
    for (std::size_t p = 0; p < problem_.by.size() && result_; ++p) check_input(p);
    return result_;
  }

 private:
  /// One entry: output j along covector c, by input `by[p]` along direction d.
  struct Entry {
    std::size_t p, d, j, c;
    double analytic, numeric, norm;
    double error() const { return std::abs(analytic - numeric); }
  };

  int input(std::size_t p) const { return problem_.by[p]; }
  const Tensor& base(std::size_t p) const { return problem_.inputs[static_cast<std::size_t>(input(p))]; }
  bool linear(std::size_t p) const { return problem_.linear[static_cast<std::size_t>(input(p))]; }

  /// Runs the function once on the tape; every gradient comes from this graph.
  void record() {
    Tensors leaves = problem_.inputs;
    for (const int i : problem_.by) {
      Tensor& leaf = leaves[static_cast<std::size_t>(i)];
      leaf = leaf.detach();
      leaf.set_requires_grad();
      leaves_.push_back(leaf);
    }
    const EnableGradGuard recording;
    outputs_ = problem_.function(leaves);
    value_ = values_of(outputs_);
    if (std::none_of(outputs_.begin(), outputs_.end(), is_differentiable))
      fail<ValueError>("gradcheck", "the function returned {} tensors, none of them floating", outputs_.size());
  }

  /// Unit vectors if that costs few enough calls of the function, else random ones.
  void choose_probes(const GradcheckOptions& options) {
    std::int64_t calls = 0;
    for (std::size_t p = 0; p < problem_.by.size(); ++p) calls += 2 * base(p).numel();
    for (const Vector& output : value_) calls += static_cast<std::int64_t>(output.size());
    // An order up, a call costs a few times as much.
    const bool full = calls << (2 * (order_ - 1)) <= options.full_limit;
    const auto probes = [&](std::size_t size) {
      Vectors list(full ? size : static_cast<std::size_t>(options.projections), Vector(size, 0));
      for (std::size_t k = 0; k < list.size(); ++k) {
        if (full) list[k][k] = 1;
        for (double& v : list[k])
          if (!full) v = random_.normal();
      }
      return list;
    };
    for (std::size_t p = 0; p < problem_.by.size(); ++p)
      directions_.push_back(probes(static_cast<std::size_t>(base(p).numel())));
    for (const Vector& output : value_) covectors_.push_back(output.empty() ? Vectors() : probes(output.size()));
  }

  /// Recording stays on at order 1, for a function that differentiates inside itself; an order up, the problem's
  /// function switches it on where it needs it.
  Vectors evaluate(const Tensors& inputs) const {
    const GradModeGuard mode(order_ == 1);
    return values_of(problem_.function(inputs));
  }

  /// The function's values with input p moved by h along a direction.
  Vectors moved(std::size_t p, const Vector& direction, double h) const {
    Tensors inputs = problem_.inputs;
    Vector values = base(p).to_vector();
    for (std::size_t k = 0; k < values.size(); ++k) values[k] += h * direction[k];
    inputs[static_cast<std::size_t>(input(p))] = tensor_like(base(p), values);
    Vectors result = evaluate(inputs);
    if (result.size() != value_.size()) fail<ValueError>("gradcheck", "the number of outputs changes with the values");
    for (std::size_t j = 0; j < result.size(); ++j)
      if (result[j].size() != value_[j].size())
        fail<ValueError>("gradcheck", "the size of output {} changes with the values", j);
    return result;
  }

  /// (f(x + h d) - f(x - h d)) / 2h, every output.
  Vectors central(std::size_t p, const Vector& direction, double h) const {
    Vectors plus = moved(p, direction, h);
    const Vectors minus = moved(p, direction, -h);
    for (std::size_t j = 0; j < plus.size(); ++j)
      for (std::size_t k = 0; k < plus[j].size(); ++k) plus[j][k] = (plus[j][k] - minus[j][k]) / (2 * h);
    return plus;
  }

  /// The gradients of <covector, output j> by every input, zeros where there is none.
  Vectors pull_back(std::size_t j, const Vector& covector) const {
    Tensors gradients(leaves_.size());
    if (outputs_[j].requires_grad())
      gradients = grad({outputs_[j]}, leaves_,
                       {.retain_graph = true, .allow_unused = true, .cotangents = {tensor_like(outputs_[j], covector)}});
    Vectors values;
    for (std::size_t p = 0; p < gradients.size(); ++p)
      values.push_back(gradients[p].defined() ? gradients[p].to_vector()
                                              : Vector(static_cast<std::size_t>(base(p).numel()), 0));
    return values;
  }

  bool deterministic() {
    const char* what = nullptr;
    const Vectors first = evaluate(problem_.inputs);
    if (!same_bits(first, evaluate(problem_.inputs))) what = "two calls of the function";
    if (what == nullptr && !same_bits(first, value_)) what = "a call on the tape and one off it";
    for (std::size_t j = 0; j < outputs_.size() && what == nullptr; ++j)
      if (!covectors_[j].empty() && !same_bits(pull_back(j, covectors_[j][0]), pull_back(j, covectors_[j][0])))
        what = "two backward passes";
    if (what == nullptr) return true;
    result_.verdict = Verdict::nondeterministic;
    result_.hint = fmt::format("{} gave different results for the same inputs: fix the seed inside the function", what);
    return false;
  }

  void differentiate() {
    gradients_.resize(outputs_.size());
    for (std::size_t j = 0; j < outputs_.size(); ++j)
      for (const Vector& covector : covectors_[j]) gradients_[j].push_back(pull_back(j, covector));
  }

  /// All blocks of one input.
  void check_input(std::size_t p) {
    const double h = linear(p) ? 1 : step_;
    const double tolerance = linear(p) ? linear_tolerance_ : tolerance_;
    std::vector<std::vector<Entry>> blocks(outputs_.size());
    for (std::size_t d = 0; d < directions_[p].size(); ++d) {
      const Vectors difference = central(p, directions_[p][d], h);
      for (std::size_t j = 0; j < outputs_.size(); ++j)
        for (std::size_t c = 0; c < covectors_[j].size(); ++c)
          blocks[j].push_back({p, d, j, c, dot(gradients_[j][c][p], directions_[p][d]),
                               dot(covectors_[j][c], difference[j]), 0});
    }
    for (std::vector<Entry>& block : blocks) {
      double norm = 0;
      for (const Entry& e : block)
        for (const double v : {e.analytic, e.numeric})
          if (std::isfinite(v)) norm = std::max(norm, std::abs(v));
      std::vector<Entry> failing;
      for (Entry& e : block) {
        e.norm = norm;
        if (!(e.error() <= tolerance * norm))
          failing.push_back(e);
        else if (norm > 0)
          result_.error = std::max(result_.error, e.error() / norm);
      }
      // NaN first, then the largest error.
      std::sort(failing.begin(), failing.end(), [](const Entry& a, const Entry& b) {
        return std::isnan(a.error()) != std::isnan(b.error()) ? std::isnan(a.error()) : a.error() > b.error();
      });
      for (const Entry& e : failing) {
        const GradcheckResult found = linear(p) ? judge_linear(e) : judge(e);
        if (found.verdict != Verdict::ok && (result_ || found.verdict == Verdict::wrong)) result_ = found;
        if (result_.verdict == Verdict::wrong) return;
      }
      if (!result_) return;
    }
  }

  double project(const Entry& e, double h) const {
    return dot(covectors_[e.j][e.c], central(e.p, directions_[e.p][e.d], h)[e.j]);
  }

  /// What rounding of the outputs alone does to an entry.
  double noise(const Entry& e, double h) const {
    double squares = 0;
    for (std::size_t k = 0; k < value_[e.j].size(); ++k) {
      const double term = covectors_[e.j][e.c][k] * value_[e.j][k];
      squares += term * term;
    }
    return epsilon_ * std::sqrt(squares) / h;
  }

  GradcheckResult judge(const Entry& e) const {
    if (!std::isfinite(e.analytic) || !std::isfinite(e.numeric))
      return report(e, Verdict::wrong, tolerance_, step_,
                    std::isfinite(e.numeric) ? "the gradient is not finite" : "the function is not finite around this point");
    double best = e.error();
    for (const double h : {step_ / 10, step_ / 100, step_ * 8, step_ * 64}) {
      const double error = std::abs(e.analytic - project(e, h));
      if (error <= tolerance_ * e.norm) return {};
      best = std::min(best, error);
    }
    if (at_kink(e))
      return report(e, Verdict::kink, tolerance_, step_,
                    "the differences to the left and to the right disagree at every step: move the input off the kink");
    const double spread = std::max(std::abs(e.numeric - project(e, step_ / 10)), noise(e, step_));
    if (best <= 2 * spread)
      return report(e, Verdict::round_off, tolerance_, step_,
                    fmt::format("differences at steps {:.2g} and {:.2g} are {:.2g} apart: centre or scale the function",
                                step_, step_ / 10, spread));
    return report(e, Verdict::wrong, tolerance_, step_,
                  "the differences agree with each other at every step and not with the gradient");
  }

  /// Whether the gradient lies between one-sided differences that do not meet as the step shrinks.
  bool at_kink(const Entry& e) const {
    double gap[2];
    bool between = true;
    for (int i = 0; i < 2; ++i) {
      const double h = i == 0 ? step_ : step_ / 10;
      const Vector& covector = covectors_[e.j][e.c];
      const double here = dot(covector, value_[e.j]);
      const double right = (dot(covector, moved(e.p, directions_[e.p][e.d], h)[e.j]) - here) / h;
      const double left = (here - dot(covector, moved(e.p, directions_[e.p][e.d], -h)[e.j])) / h;
      const double slack = tolerance_ * e.norm + 4 * noise(e, h);
      gap[i] = std::abs(right - left);
      between = between && e.analytic >= std::min(left, right) - slack && e.analytic <= std::max(left, right) + slack &&
                gap[i] > 2 * slack;
    }
    return between && gap[1] > gap[0] / 2;
  }

  GradcheckResult judge_linear(const Entry& e) const {
    if (!std::isfinite(e.analytic) || !std::isfinite(e.numeric)) return judge(e);
    if (e.error() <= 8 * noise(e, 1))
      return report(e, Verdict::round_off, linear_tolerance_, 1,
                    "the outputs are so large that a step of 1 drowns in their rounding: centre or scale the function");
    if (std::abs(e.analytic - project(e, step_)) <= tolerance_ * e.norm)
      return report(e, Verdict::wrong, linear_tolerance_, 1,
                    "right for a small step, not for a step of 1: the function is not linear in this input, or its "
                    "gradient has lost digits");
    return report(e, Verdict::wrong, linear_tolerance_, 1, "a step of 1 is exact here, and the gradient differs");
  }

  /// Traces an entry between two probes to the pair of elements that is most at fault.
  GradcheckResult report(const Entry& e, Verdict verdict, double tolerance, double h, std::string hint) const {
    GradcheckResult found{.verdict = verdict, .order = order_};
    found.input = problem_.input_names[static_cast<std::size_t>(input(e.p))];
    found.output = e.j < problem_.output_names.size() ? problem_.output_names[e.j] : fmt::format("output {}", e.j);
    found.tolerance = tolerance;
    found.step = h;
    found.hint = std::move(hint);
    found.error = e.norm > 0 ? e.error() / e.norm : e.error();
    Vector direction = directions_[e.p][e.d], covector = covectors_[e.j][e.c];
    const Vector& gradient = gradients_[e.j][e.c][e.p];
    const std::size_t k = bisect(direction, [&](const Vector& part) {
      return dot(gradient, part) - dot(covector, central(e.p, part, h)[e.j]);
    });
    const Vector column = central(e.p, direction, h)[e.j];
    const std::size_t l = bisect(covector, [&](const Vector& part) {
      return pull_back(e.j, part)[e.p][k] * direction[k] - dot(part, column);
    });
    found.input_index = index_of(static_cast<std::int64_t>(k), base(e.p).shape());
    found.output_index = index_of(static_cast<std::int64_t>(l), outputs_[e.j].shape());
    Vector unit(covector.size(), 0);
    unit[l] = 1;
    found.analytic = pull_back(e.j, unit)[e.p][k];
    found.numeric = column[l] / direction[k];
    return found;
  }

  /// Halves the support of `probe` until one element is left, keeping the half with the larger fault.
  template <class Fault>
  static std::size_t bisect(Vector& probe, Fault fault) {
    std::vector<std::size_t> support;
    for (std::size_t k = 0; k < probe.size(); ++k)
      if (probe[k] != 0) support.push_back(k);
    while (support.size() > 1) {
      const auto middle = support.begin() + static_cast<std::ptrdiff_t>(support.size() / 2);
      Vector first = probe, second = probe;
      std::for_each(middle, support.end(), [&](std::size_t k) { first[k] = 0; });
      std::for_each(support.begin(), middle, [&](std::size_t k) { second[k] = 0; });
      const double a = std::abs(fault(first)), b = std::abs(fault(second));
      const bool keep_first = std::isnan(a) || a >= b;
      probe = keep_first ? std::move(first) : std::move(second);
      support = keep_first ? std::vector<std::size_t>(support.begin(), middle)
                           : std::vector<std::size_t>(middle, support.end());
    }
    return support[0];
  }

  const GradcheckProblem& problem_;
  int order_;
  double epsilon_, step_, tolerance_, linear_tolerance_;
  Generator random_;
  Tensors leaves_, outputs_;
  Vectors value_;
  std::vector<Vectors> directions_, covectors_;     // [by][direction], [output][covector]
  std::vector<std::vector<Vectors>> gradients_;     // [output][covector][by]
  GradcheckResult result_;
};

}  // namespace

GradcheckResult gradcheck_function(const TensorsFunction& function, const Tensors& inputs,
                                   const GradcheckOptions& options) {
  GradcheckProblem problem = gradcheck_problem(function, inputs, options);
  const bool single = std::any_of(problem.by.begin(), problem.by.end(), [&](int i) {
    return inputs[static_cast<std::size_t>(i)].dtype() == f32;
  });
  GradcheckResult result;
  double error = 0;
  for (int order = 1; order <= options.order && result; ++order) {
    JacobianCheck check(problem, options, order, single);
    result = check.run();
    error = std::max(error, result.error);
    if (order < options.order) problem = next_order(problem, check.outputs(), options.seed + static_cast<std::uint64_t>(order));
  }
  if (result) result.error = error;
  return result;
}

const char* name(Verdict verdict) {
  switch (verdict) {
    case Verdict::ok: return "ok";
    case Verdict::wrong: return "wrong";
    case Verdict::kink: return "kink";
    case Verdict::round_off: return "round_off";
    default: return "nondeterministic";
  }
}

std::string to_string(const GradcheckResult& r) {
  if (r.verdict == Verdict::ok) return fmt::format("ok to order {}, largest relative error {:.2g}", r.order, r.error);
  if (r.verdict == Verdict::nondeterministic) return fmt::format("nondeterministic at order {}: {}", r.order, r.hint);
  return fmt::format(
      "{} at order {}: d {}{} / d {}{}\n"
      "  by the tape {:.12g}, by differences {:.12g} (step {:.2g})\n"
      "  error {:.2g} of the Jacobian's norm, allowed {:.2g}\n"
      "  {}",
      name(r.verdict), r.order, r.output, to_string(r.output_index), r.input, to_string(r.input_index), r.analytic,
      r.numeric, r.step, r.error, r.tolerance, r.hint);
}

}  // namespace duet
