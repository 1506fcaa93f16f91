// The checks of an OpDef, each of them a few lines on one sample.
#include <duet/autograd/sweep.hpp>

#include <algorithm>
#include <cmath>
#include <memory>

#include <duet/autograd/backward.hpp>
#include <duet/autograd/gradcheck.hpp>
#include <duet/core/factory.hpp>
#include <duet/core/fail.hpp>
#include <duet/core/node.hpp>
#include <duet/core/random.hpp>
#include <duet/core/raw.hpp>
#include <duet/ops/registry.hpp>

namespace duet {
namespace {

using Vector = std::vector<double>;

bool floating(const Tensor& tensor) { return tensor.defined() && is_floating(tensor.dtype()); }

double largest(const Vector& values) {
  double most = 0;
  for (const double v : values) most = std::max(most, std::isnan(v) ? 0 : std::abs(v));
  return most;
}

/// The largest difference relative to the largest value of `expected`; infinite for different NaN or sizes.
double distance(const Vector& got, const Vector& expected) {
  if (got.size() != expected.size()) return INFINITY;
  double most = 0;
  for (std::size_t k = 0; k < got.size(); ++k) {
    if (got[k] == expected[k] || (std::isnan(got[k]) && std::isnan(expected[k]))) continue;
    const double difference = std::abs(got[k] - expected[k]);
    most = std::isnan(difference) ? INFINITY : std::max(most, difference);
  }
  const double scale = largest(expected);
  return most == 0 ? 0 : scale == 0 ? most : most / scale;
}

Vector values(const Tensor& tensor, const Tensor& like) {
  return tensor.defined() ? tensor.to_vector() : Vector(static_cast<std::size_t>(like.numel()), 0);
}

double dot(const Tensor& a, const Tensor& b) {
  if (!a.defined() || !b.defined()) return 0;
  const Vector x = a.to_vector(), y = b.to_vector();
  double total = 0;
  for (std::size_t k = 0; k < x.size(); ++k) total += x[k] * y[k];
  return total;
}

Tensor cast(const Tensor& tensor, Dtype dtype) {
  Tensor result = Tensor::empty(tensor.shape(), {.dtype = dtype});
  raw::copy(tensor, result);
  return result;
}

/// The same values, transposed in memory, every other element, not at the storage's start.
Tensor scattered(const Tensor& tensor) {
  Shape strides = tensor.shape();
  std::int64_t step = 2;
  for (int i = 0; i < tensor.rank(); ++i) {
    strides[i] = step;
    step *= std::max<std::int64_t>(tensor.shape()[i], 1);
  }
  const Tensor memory = Tensor::empty({step + 1}, {.dtype = tensor.dtype()});
  Tensor result = raw::view(memory, tensor.shape(), strides, 1);
  raw::copy(tensor, result);
  return result;
}

/// Counts what a node keeps and what its vjp reads of it.
struct SaveCount {
  struct Kept {
    Tensor tensor;
    bool read = false;
  };
  std::vector<std::shared_ptr<Kept>> kept;

  SavedTensorHooks hooks() {
    return {.pack = [this](const Tensor& tensor) -> std::shared_ptr<void> {
              kept.push_back(std::make_shared<Kept>(Kept{tensor}));
              return kept.back();
            },
            .unpack =
                [](const std::shared_ptr<void>& held) {
                  auto* one = static_cast<Kept*>(held.get());
                  one->read = true;
                  return one->tensor;
                }};
  }
};

/// Keeps the first vjp's gradients as they come from it.
class WatchVjp final : public Observer {
 public:
  Tensors gradients;
  void after_vjp(Node&, std::span<const Tensor>, std::span<const Tensor> all) override {
    if (gradients.empty()) gradients.assign(all.begin(), all.end());
  }
};

class SampleSweep {
 public:
  SampleSweep(const OpPtr& op, const Sample& sample, SweepReport& report)
      : op_(op), sample_(sample), report_(report), by_(sample.by), random_(0xad101) {
    for (std::size_t i = 0; i < sample.inputs.size() && sample.by.empty(); ++i)
      if (floating(sample.inputs[i])) by_.push_back(static_cast<int>(i));
  }

  void run() {
    if (!attempt("options", [&] { return options(); }) || !attempt("shape", [&] { return shape(); })) return;
    attempt("strides", [&] { return strides(); });
    if (!op_->vjp || by_.empty()) {
      attempt("f32", [&] { return single(); });
      return;
    }
    attempt("gradcheck", [&] { return derivatives(); });
    for (const int i : op_->linear)
      if (std::find(by_.begin(), by_.end(), i) != by_.end()) attempt("adjoint", [&] { return adjoint(i); });
    attempt("needs", [&] { return needs(); });
    attempt("saves", [&] { return saves(); });
    attempt("zeros", [&] { return zeros(); });
    attempt("f32", [&] { return single(); });
  }

 private:
  const Tensor& input(int i) const { return sample_.inputs[static_cast<std::size_t>(i)]; }
  std::string input_name(int i) const {
    const auto& names = op_->inputs;
    return static_cast<std::size_t>(i) < names.size() ? "'" + names[static_cast<std::size_t>(i)] + "'"
                                                      : fmt::format("input {}", i);
  }

  /// Runs one check, which returns what is wrong, or nothing.
  template <class Check>
  bool attempt(const char* check, Check body) {
    ++report_.checks;
    std::string wrong;
    try {
      wrong = body();
    } catch (const std::exception& error) {
      wrong = fmt::format("threw {}", error.what());
    }
    if (!wrong.empty()) report_.failures.push_back({sample_.name, check, wrong});
    return wrong.empty();
  }

  Tensors run_op(const Tensors& inputs) const { return apply(op_, inputs, sample_.options); }

  /// Outputs without those that have no derivative.
  Tensors varying(Tensors outputs) const {
    for (const int j : op_->constant_outputs) outputs[static_cast<std::size_t>(j)] = Tensor();
    return outputs;
  }

  /// Inputs of which those in `by` are fresh leaves.
  Tensors leaves(const Tensors& inputs, const std::vector<int>& by) const {
    Tensors result = inputs;
    for (const int i : by) {
      Tensor& leaf = result[static_cast<std::size_t>(i)];
      leaf = leaf.detach();
      leaf.set_requires_grad();
    }
    return result;
  }

  /// One normal cotangent for each floating output; the same ones at every call.
  Tensors cotangents(const Tensors& outputs) const {
    Generator random(0xc07a);
    Tensors result;
    for (const Tensor& output : outputs)
      result.push_back(floating(output) ? cast(randn(output.shape(), {.dtype = f64}, random), output.dtype())
                                        : Tensor());
    return result;
  }

  /// Gradients by the inputs `by` of the outputs that have some, for these cotangents (undefined: left out).
  Tensors gradients(const Tensors& inputs, const std::vector<int>& by, const Tensors& outputs,
                    const Tensors& cotangents_of) const {
    Tensors chosen, cotangent, sources;
    for (std::size_t j = 0; j < outputs.size(); ++j)
      if (cotangents_of[j].defined() && outputs[j].requires_grad()) {
        chosen.push_back(outputs[j]);
        cotangent.push_back(cotangents_of[j]);
      }
    for (const int i : by) sources.push_back(inputs[static_cast<std::size_t>(i)]);
    if (chosen.empty()) return Tensors(by.size());
    return grad(chosen, sources, {.retain_graph = true, .allow_unused = true, .cotangents = cotangent});
  }

  std::string options() const {
    if (sample_.options.type() != op_->options && op_->options != nullptr)
      return "its options are not of the op's type";
    const bool any_number = !op_->inputs.empty() && op_->inputs.back().find("…") != std::string::npos;
    if (sample_.inputs.size() > op_->inputs.size() && !any_number)
      return fmt::format("{} inputs, the op names {}", sample_.inputs.size(), op_->inputs.size());
    return {};
  }

  std::string shape() const {
    Specs specs;
    std::vector<Vector> before;
    for (const Tensor& tensor : sample_.inputs) {
      specs.push_back(spec_of(tensor));
      before.push_back(tensor.defined() ? tensor.to_vector() : Vector());
    }
    const Specs expected = op_->shape_rule(ShapeCall{*op_, specs, sample_.options});
    const Tensors outputs = run_op(sample_.inputs);
    if (outputs.size() != expected.size())
      return fmt::format("the shape rule gives {} outputs, forward {}", expected.size(), outputs.size());
    for (std::size_t j = 0; j < outputs.size(); ++j)
      if (to_string(spec_of(outputs[j])) != to_string(expected[j]))
        return fmt::format("output {}: the shape rule says {}, forward gives {}", j, to_string(expected[j]),
                           to_string(spec_of(outputs[j])));
    for (std::size_t i = 0; i < sample_.inputs.size(); ++i)
      if (sample_.inputs[i].defined() && distance(sample_.inputs[i].to_vector(), before[i]) != 0)
        return fmt::format("forward changed {}", input_name(static_cast<int>(i)));
    return {};
  }

  std::string strides() const {
    const Tensors expected = run_op(sample_.inputs);
    Tensors inputs = sample_.inputs;
    for (Tensor& tensor : inputs)
      if (tensor.defined()) tensor = scattered(tensor);
    const Tensors outputs = run_op(inputs);
    for (std::size_t j = 0; j < outputs.size(); ++j) {
      if (!outputs[j].defined()) continue;
      const double error = distance(outputs[j].to_vector(), expected[j].to_vector());
      if (!(error <= 1e-12))
        return fmt::format("output {} differs by {:.2g} for inputs that do not lie in a row", j, error);
    }
    return {};
  }

  std::string derivatives() const {
    GradcheckOptions check{.order = sample_.order, .linear = op_->linear, .by = by_};
    for (std::size_t i = 0; i < sample_.inputs.size(); ++i) check.names.push_back(input_name(static_cast<int>(i)));
    std::erase_if(check.linear, [&](int i) { return i >= static_cast<int>(sample_.inputs.size()); });
    const GradcheckResult result =
        gradcheck([&](const Tensors& inputs) { return varying(run_op(inputs)); }, sample_.inputs, check);
    return result ? std::string() : to_string(result);
  }

  std::string adjoint(int i) {
    Tensors inputs = leaves(sample_.inputs, {i});
    const Tensors outputs = run_op(inputs), y = cotangents(outputs);
    const Tensor pulled = gradients(inputs, {i}, outputs, y)[0];
    const Tensor x = randn(input(i).shape(), {.dtype = f64}, random_);
    Tensors at_x = sample_.inputs, at_zero = sample_.inputs;
    at_x[static_cast<std::size_t>(i)] = x;
    at_zero[static_cast<std::size_t>(i)] = zeros_like(x);
    const Tensors image = run_op(at_x), offset = run_op(at_zero);
    double forward = 0, scale = 0;
    for (std::size_t j = 0; j < image.size(); ++j) {
      if (!y[j].defined()) continue;
      forward += dot(image[j], y[j]) - dot(offset[j], y[j]);
      const double size = std::sqrt(dot(image[j], image[j])) + std::sqrt(dot(offset[j], offset[j]));
      scale = std::max(scale, size * std::sqrt(dot(y[j], y[j])));
    }
    const double backward = dot(x, pulled);
    if (!(std::abs(forward - backward) <= 1e-12 * scale))
      return fmt::format("by {}: <A x, y> = {:.15g}, <x, A^T y> = {:.15g}", input_name(i), forward, backward);
    if (i == 0 && !op_->dual.empty()) return dual(inputs, outputs, y);
    return {};
  }

  std::string dual(const Tensors& inputs, const Tensors& outputs, Tensors y) const {
    for (Tensor& cotangent : y)
      if (cotangent.defined()) cotangent.set_requires_grad();
    const Tensor pulled = grad(outputs, {inputs[0]}, {.create_graph = true, .cotangents = y})[0];
    const Edge edge = gradient_edge(pulled);
    if (!edge.node || edge.node->name() != op_->dual)
      return fmt::format("its dual is '{}', and its gradient comes from '{}'", op_->dual,
                         edge.node ? edge.node->name() : "nothing");
    return {};
  }

  std::string needs() const {
    const Tensors all = leaves(sample_.inputs, by_);
    const Tensors outputs = run_op(all), y = cotangents(outputs);
    const Tensors expected = gradients(all, by_, outputs, y);
    for (std::size_t p = 0; p < by_.size(); ++p) {
      const Tensors one = leaves(sample_.inputs, {by_[p]});
      const Tensors results = run_op(one);
      WatchVjp watch;
      const ObserverGuard guard(watch);
      const Tensor alone = gradients(one, {by_[p]}, results, y)[0];
      const double error = distance(values(alone, input(by_[p])), values(expected[p], input(by_[p])));
      if (!(error <= 1e-12))
        return fmt::format("the gradient by {} alone differs by {:.2g} from the one among all", input_name(by_[p]),
                           error);
      for (std::size_t i = 0; i < watch.gradients.size(); ++i)
        if (watch.gradients[i].defined() && static_cast<int>(i) != by_[p])
          return fmt::format("asked for the gradient by {}, its vjp computes the one by {}: ask needs({}) first",
                             input_name(by_[p]), input_name(static_cast<int>(i)), i);
    }
    return {};
  }

  std::string saves() const {
    for (const int i : by_) {
      SaveCount count;
      const Tensors inputs = leaves(sample_.inputs, {i});
      Tensors outputs;
      {
        const SavedTensorHooksGuard guard(count.hooks());
        outputs = run_op(inputs);
      }
      gradients(inputs, {i}, outputs, cotangents(outputs));
      for (const auto& kept : count.kept)
        if (!kept->read)
          return fmt::format("a node keeps {} for the gradient by {}, and its vjp does not read it",
                             to_string(spec_of(kept->tensor)), input_name(i));
    }
    return {};
  }

  std::string zeros() const {
    const Tensors inputs = leaves(sample_.inputs, by_);
    const Tensors outputs = run_op(inputs), y = cotangents(outputs);
    for (std::size_t j = 0; j < outputs.size() && outputs.size() > 1; ++j) {
      if (!y[j].defined()) continue;
      Tensors alone(outputs.size()), with_zeros = y;
      alone[j] = y[j];
      for (std::size_t k = 0; k < y.size(); ++k)
        if (k != j && y[k].defined()) with_zeros[k] = zeros_like(y[k]);
      const Tensors got = gradients(inputs, by_, outputs, alone),
                    expected = gradients(inputs, by_, outputs, with_zeros);
      for (std::size_t p = 0; p < by_.size(); ++p)
        if (!(distance(values(got[p], input(by_[p])), values(expected[p], input(by_[p]))) <= 1e-12))
          return fmt::format("the gradient of output {} by {} changes when the other cotangents are zeros", j,
                             input_name(by_[p]));
    }
    return {};
  }

  std::string single() const {
    Tensors low = sample_.inputs, high = sample_.inputs;
    bool any = false;
    for (std::size_t i = 0; i < low.size(); ++i) {
      if (!low[i].defined() || low[i].dtype() != f64) continue;
      any = true;
      low[i] = cast(low[i], f32);
      high[i] = cast(low[i], f64);  // the same numbers
    }
    if (!any) return {};
    const std::vector<int> by = op_->vjp ? by_ : std::vector<int>();
    low = leaves(low, by);
    high = leaves(high, by);
    const Tensors got = run_op(low), expected = run_op(high);
    for (std::size_t j = 0; j < got.size(); ++j) {
      if (!got[j].defined()) continue;
      const double error = distance(got[j].to_vector(), expected[j].to_vector());
      if (!(error <= op_->f32_tolerance))
        return fmt::format("output {} in f32 is {:.2g} of its scale away from f64, allowed {:.2g}", j, error,
                           op_->f32_tolerance);
    }
    Tensors y = cotangents(got), y64 = y;
    for (Tensor& cotangent : y64)
      if (cotangent.defined() && cotangent.dtype() == f32) cotangent = cast(cotangent, f64);
    const Tensors g = gradients(low, by, got, y), g64 = gradients(high, by, expected, y64);
    for (std::size_t p = 0; p < by.size(); ++p) {
      const double error = distance(values(g[p], input(by[p])), values(g64[p], input(by[p])));
      if (!(error <= op_->f32_tolerance))
        return fmt::format("the gradient by {} in f32 is {:.2g} of its scale away from f64, allowed {:.2g}",
                           input_name(by[p]), error, op_->f32_tolerance);
    }
    return {};
  }

  const OpPtr& op_;
  const Sample& sample_;
  SweepReport& report_;
  std::vector<int> by_;
  Generator random_;
};

}  // namespace

SweepReport sweep(const OpPtr& op) {
  SweepReport report{.op = op->name};
  const auto require = [&](bool holds, const char* check, const char* message) {
    ++report.checks;
    if (!holds) report.failures.push_back({"", check, message});
  };
  require(!op->name.empty(), "doc", "it has no name");
  require(!op->doc.empty(), "doc", "it has no doc");
  require(op->shape_rule && op->forward, "doc", "it has no shape rule or no forward");
  if (!op->no_samples_because.empty() || !report) return report;
  std::vector<Sample> samples;
  try {
    if (op->samples) samples = op->samples();
  } catch (const std::exception& error) {
    report.failures.push_back({"", "samples", fmt::format("threw {}", error.what())});
    return report;
  }
  require(!samples.empty(), "samples", "it has none, and no_samples_because does not say why");
  for (const Sample& sample : samples) SampleSweep(op, sample, report).run();
  report.samples = static_cast<int>(samples.size());
  return report;
}

SweepReport sweep(const OpDef& op) { return sweep(std::make_shared<const OpDef>(op)); }

SweepReport::operator bool() const { return failures.empty(); }

std::string to_string(const SweepReport& report) {
  if (report) return fmt::format("{}: ok ({} samples, {} checks)", report.op, report.samples, report.checks);
  std::string text = fmt::format("{}: {} of {} checks failed", report.op, report.failures.size(), report.checks);
  for (const SweepFailure& failure : report.failures)
    text += fmt::format("\n[{}] sample '{}', {}: {}", report.op, failure.sample, failure.check, failure.message);
  return text;
}

int sweep_main(int argc, const char* const* argv, std::span<const OpPtr> ops) {
  std::vector<OpPtr> chosen;
  for (int i = 1; i < argc; ++i) {
    if (std::string(argv[i]) == "--list") {
      for (const OpPtr& op : ops) fmt::print("{}\n", op->name);
      return 0;
    }
    const auto found = std::find_if(ops.begin(), ops.end(), [&](const OpPtr& op) { return op->name == argv[i]; });
    if (found == ops.end()) {
      fmt::print(stderr, "no op is called '{}'; usage: {} [--list] [OP…]\n", argv[i], argv[0]);
      return 1;
    }
    chosen.push_back(*found);
  }
  if (argc == 1) chosen.assign(ops.begin(), ops.end());
  int failed = 0;
  for (const OpPtr& op : chosen) {
    const SweepReport report = sweep(op);
    fmt::print("{}\n", to_string(report));
    if (!report) ++failed;
  }
  return failed == 0 ? 0 : 1;
}

}  // namespace duet
