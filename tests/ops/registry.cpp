// What the registry promises of every op: samples enough, and f32 that is as near to f64 as its OpDef says, in every
// table of kernels, at ordinary and at extreme values.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>

#include <duet/autograd/backward.hpp>
#include <duet/core/factory.hpp>
#include <duet/core/random.hpp>
#include <duet/ops/elementwise.hpp>
#include <duet/ops/kernels/simd.hpp>
#include <duet/ops/registry.hpp>
#include <duet/ops/shape.hpp>

using namespace duet;

namespace {

/// What is done to the floating inputs of a sample.
struct Extreme {
  const char* name;
  double factor, offset;
  double least_gradient = 1e-6;  ///< cotangents are normal: what is below this times them has cancelled
};
constexpr Extreme extremes[] = {
    {"as they are", 1, 0},
    {"times 1e4 (logits, large errors)", 1e4, 0, 0.1},
    {"plus 1e4 (a mean that swamps the variance)", 1, 1e4, 0.1},
    {"times 1e-38 (half of them denormal in f32)", 1e-38, 0},
};

/// Outputs of an op and gradients by its floating inputs.
struct Run {
  Tensors outputs, gradients;
};

/// What an op gives for these inputs; nothing where it refuses them.
std::optional<Run> run(const OpPtr& op, const Sample& sample, Tensors inputs) {
  const bool differentiated = static_cast<bool>(op->vjp);
  Tensors sources;
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    const bool by =
        sample.by.empty() || std::find(sample.by.begin(), sample.by.end(), static_cast<int>(i)) != sample.by.end();
    if (!differentiated || !by || !inputs[i].defined() || !is_floating(inputs[i].dtype())) continue;
    inputs[i] = inputs[i].detach();
    inputs[i].set_requires_grad();
    sources.push_back(inputs[i]);
  }
  Run result;
  try {
    result.outputs = apply(op, inputs, sample.options);
  } catch (const Error&) {
    return std::nullopt;
  }
  Tensors chosen, cotangents;
  Generator random(0xc07a);
  for (const Tensor& output : result.outputs) {
    if (!output.defined() || !output.requires_grad()) continue;
    chosen.push_back(output);
    cotangents.push_back(to(to(randn(output.shape(), {.dtype = f64}, random), f32), output.dtype()));
  }
  result.gradients.resize(sources.size());
  if (!chosen.empty()) result.gradients = grad(chosen, sources, {.allow_unused = true, .cotangents = cotangents});
  return result;
}

/// |got − expected| relative to the largest value that f32 can hold among `expected`, or to least_scale. What f64 has
/// beyond f32 must be infinite, or NaN, in f32 too; what it has below the smallest normal number may be 0.
double distance(const Tensor& got, const Tensor& expected, double least_scale) {
  if (!got.defined() || !expected.defined()) {
    // A structural zero on one side: the other must be zero.
    const Tensor& given = got.defined() ? got : expected;
    double most = 0;
    if (given.defined())
      for (const double v : given.to_vector()) most = std::max(most, std::abs(v));
    return most <= std::numeric_limits<float>::min() ? 0 : INFINITY;
  }
  const std::vector<double> a = got.to_vector(), b = expected.to_vector();
  double most = 0, scale = least_scale;
  for (std::size_t i = 0; i < a.size(); ++i) {
    if (!std::isfinite(static_cast<float>(b[i]))) {
      if (std::isfinite(a[i])) return INFINITY;
      continue;
    }
    scale = std::max(scale, std::abs(b[i]));
    const double error = std::abs(a[i] - b[i]);
    if (error <= static_cast<double>(std::numeric_limits<float>::min())) continue;
    most = std::isnan(error) ? INFINITY : std::max(most, error);
  }
  return most == 0 ? 0 : most / scale;
}

/// Whether nothing comes near the end of f32's range, where what is computed on the way may be beyond it.
bool within_f32(const Tensors& tensors) {
  for (const Tensor& tensor : tensors) {
    if (!tensor.defined()) continue;
    for (const double v : tensor.to_vector())
      if (!(std::abs(v) < 1e-3 * static_cast<double>(std::numeric_limits<float>::max()))) return false;
  }
  return true;
}

bool has_nan(const Tensors& tensors) {
  for (const Tensor& tensor : tensors) {
    if (!tensor.defined()) continue;
    for (const double v : tensor.to_vector())
      if (std::isnan(v)) return true;
  }
  return false;
}

/// The inputs of a sample, changed, in f32 and the same numbers in f64. Targets (probabilities), exponents and
/// cotangents stay.
std::pair<Tensors, Tensors> both(const OpPtr& op, const Sample& sample, const Extreme& extreme) {
  Tensors low, high;
  for (std::size_t i = 0; i < sample.inputs.size(); ++i) {
    const Tensor& input = sample.inputs[i];
    const std::string& name = op->inputs[std::min(i, op->inputs.size() - 1)];
    const bool stays = name == "target" || name == "exponent?" || (name == "g" && extreme.offset != 0);
    if (!input.defined() || input.dtype() != f64) {
      low.push_back(input);
      high.push_back(input);
      continue;
    }
    low.push_back(to(stays ? input : input * extreme.factor + extreme.offset, f32));
    high.push_back(to(low.back(), f64));
  }
  return {low, high};
}

}  // namespace

TEST_CASE("every op with arguments has twelve samples or more") {
  for (const OpPtr& op : registry()) {
    if (!op->no_samples_because.empty()) continue;
    CAPTURE(op->name);
    const std::size_t count = op->samples().size();
    CHECK(count >= (op->options != nullptr || op->inputs.size() > 1 ? 12 : 4));
  }
}

TEST_CASE("every op is linear in inputs that it has, each named once") {
  for (const OpPtr& op : registry()) {
    CAPTURE(op->name);
    const bool any_number = !op->inputs.empty() && op->inputs.back().ends_with("…");
    for (std::size_t i = 0; i < op->linear.size(); ++i) {
      CHECK(op->linear[i] >= 0);
      CHECK((any_number || op->linear[i] < std::ssize(op->inputs)));
      CHECK((i == 0 || op->linear[i] > op->linear[i - 1]));
    }
  }
}

TEST_CASE("f32 is f64 to the declared bound, for every op in every table, extreme inputs too") {
  const kernels::Simd before = kernels::active_simd();
  int calls = 0;
  for (const OpPtr& op : registry()) {
    if (!op->samples) continue;
    CAPTURE(op->name);
    for (const Sample& sample : op->samples()) {
      CAPTURE(sample.name);
      for (const Extreme& extreme : extremes) {
        INFO(extreme.name);
        const auto [low, high] = both(op, sample, extreme);
        const std::optional<Run> expected = run(op, sample, high);
        for (const kernels::Simd simd : kernels::available_simd()) {
          INFO(kernels::name(simd));
          kernels::set_active_simd(simd);
          const std::optional<Run> got = run(op, sample, low);
          ++calls;
          CHECK(got.has_value() == expected.has_value());
          if (!got || !expected) continue;
          double worst = 0, worst_gradient = 0;
          for (std::size_t j = 0; j < got->outputs.size(); ++j)
            worst = std::max(worst, distance(got->outputs[j], expected->outputs[j], 0));
          CHECK(worst <= op->f32_tolerance);
          // f64 itself has no excuse at finite inputs and outputs.
          if (within_f32(low) && within_f32(expected->outputs)) CHECK(!has_nan(expected->gradients));
          // Beyond the range of f32 a gradient is inf · 0 on the one side and a number on the other.
          if (!within_f32(expected->outputs)) continue;
          for (std::size_t i = 0; i < got->gradients.size(); ++i)
            if (within_f32({expected->gradients[i]}))
              worst_gradient =
                  std::max(worst_gradient, distance(got->gradients[i], expected->gradients[i], extreme.least_gradient));
          CHECK(worst_gradient <= op->f32_tolerance);
        }
      }
    }
  }
  kernels::set_active_simd(before);
  MESSAGE(calls << " calls compared");
}
