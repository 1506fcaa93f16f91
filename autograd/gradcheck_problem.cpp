// Validation of what gradcheck was given, and the recursion that makes it a check of any order.
#include <duet/autograd/gradcheck_problem.hpp>

#include <algorithm>
#include <utility>

#include <duet/autograd/backward.hpp>
#include <duet/core/factory.hpp>
#include <duet/core/fail.hpp>
#include <duet/core/random.hpp>
#include <duet/core/raw.hpp>
#include <duet/core/tape.hpp>

namespace duet {

void detail::wrong_input_count(std::size_t takes, std::size_t got) {
  fail<ValueError>("function", "takes {} tensors, got {}", takes, got);
}

bool is_differentiable(const Tensor& tensor) { return tensor.defined() && is_floating(tensor.dtype()); }

/// (inputs, cotangents) -> gradients: the problem one order up.
GradcheckProblem next_order(const GradcheckProblem& problem, const Tensors& outputs, std::uint64_t seed) {
  GradcheckProblem next = problem;
  next.output_names.clear();
  Generator random(seed);
  std::vector<std::size_t> positions;  // of the outputs that have gradients
  for (std::size_t j = 0; j < outputs.size(); ++j) {
    if (!is_differentiable(outputs[j]) || !outputs[j].requires_grad()) continue;
    positions.push_back(j);
    next.by.push_back(static_cast<int>(next.inputs.size()));
    next.inputs.push_back(randn(outputs[j].shape(), {.dtype = outputs[j].dtype()}, random));
    next.linear.push_back(true);
    next.input_names.push_back("cotangent of " + (j < problem.output_names.size() ? problem.output_names[j]
                                                                                : fmt::format("output {}", j)));
  }
  for (const int i : problem.by)
    next.output_names.push_back("gradient by " + problem.input_names[static_cast<std::size_t>(i)]);
  const std::size_t count = problem.inputs.size();
  next.function = [function = problem.function, by = problem.by, positions, count](const Tensors& all) {
    const bool recording = grad_enabled();
    const EnableGradGuard enable;
    Tensors inputs(all.begin(), all.begin() + static_cast<std::ptrdiff_t>(count)), sources, chosen, cotangents;
    for (const int i : by) {
      Tensor& source = inputs[static_cast<std::size_t>(i)];
      if (!source.requires_grad()) source = source.detach().set_requires_grad();
      sources.push_back(source);
    }
    const Tensors results = function(inputs);
    for (std::size_t k = 0; k < positions.size(); ++k)
      if (results[positions[k]].requires_grad()) {
        chosen.push_back(results[positions[k]]);
        cotangents.push_back(all[count + k]);
      }
    Tensors gradients(sources.size());
    if (!chosen.empty())
      gradients = grad(chosen, sources, {.create_graph = recording, .allow_unused = true, .cotangents = cotangents});
    for (std::size_t i = 0; i < gradients.size(); ++i)
      if (!gradients[i].defined()) gradients[i] = zeros_like(sources[i]);
    return gradients;
  };
  return next;
}

namespace {

/// First and last byte that a tensor's elements take, relative to its storage.
std::pair<std::int64_t, std::int64_t> extent(const Tensor& tensor) {
  const char* first = static_cast<const char*>(static_cast<const void*>(raw::data<char>(tensor)));
  std::int64_t last = 0;
  for (int i = 0; i < tensor.rank(); ++i) last += (tensor.shape()[i] - 1) * tensor.strides()[i];
  const std::int64_t item = static_cast<std::int64_t>(item_size(tensor.dtype()));
  const std::int64_t begin = reinterpret_cast<std::intptr_t>(first);
  return {begin, begin + (last + 1) * item};
}

/// Whether two elements of a tensor may be one: sorted by stride, each dimension must step over the ones below.
bool overlaps_itself(const Tensor& tensor) {
  std::vector<std::pair<std::int64_t, std::int64_t>> dims;
  for (int i = 0; i < tensor.rank(); ++i)
    if (tensor.shape()[i] > 1) dims.emplace_back(tensor.strides()[i], tensor.shape()[i]);
  std::sort(dims.begin(), dims.end());
  std::int64_t reach = 0;
  for (const auto& [stride, size] : dims) {
    if (stride <= reach) return true;
    reach += stride * (size - 1);
  }
  return false;
}

void refuse_overlap(const Tensors& inputs, const std::vector<int>& by) {
  for (std::size_t a = 0; a < by.size(); ++a) {
    const Tensor& one = inputs[static_cast<std::size_t>(by[a])];
    if (one.numel() == 0) continue;
    if (overlaps_itself(one))
      fail<ValueError>("gradcheck", "elements of input {} {} share memory (strides {}): take a clone, or pass "
                       "allow_overlap = true to have them count as separate", by[a], to_string(spec_of(one)), one.strides());
    for (std::size_t b = a + 1; b < by.size(); ++b) {
      const Tensor& two = inputs[static_cast<std::size_t>(by[b])];
      if (two.numel() == 0 || !one.shares_storage_with(two)) continue;
      const auto x = extent(one), y = extent(two);
      if (x.first < y.second && y.first < x.second)
        fail<ValueError>("gradcheck", "inputs {} and {} share memory: take a clone of one, or pass allow_overlap = true "
                         "to have them count as separate", by[a], by[b]);
    }
  }
}

}  // namespace

GradcheckProblem gradcheck_problem(const TensorsFunction& function, const Tensors& inputs, const GradcheckOptions& options) {
  GradcheckProblem problem{.function = function, .inputs = inputs, .by = options.by};
  if (options.order < 1) fail<ValueError>("gradcheck", "order must be at least 1, got {}", options.order);
  const int count = static_cast<int>(inputs.size());
  for (int i = 0; i < count && options.by.empty(); ++i)
    if (is_differentiable(inputs[static_cast<std::size_t>(i)])) problem.by.push_back(i);
  problem.linear.assign(inputs.size(), false);
  const auto label = [&](int i) {
    const auto k = static_cast<std::size_t>(i);
    return k < options.names.size() ? options.names[k] : fmt::format("input {}", i);
  };
  for (const int i : options.linear) {
    if (i < 0 || i >= count) fail<ValueError>("gradcheck", "linear names input {}, there are {}", i, count);
    problem.linear[static_cast<std::size_t>(i)] = true;
  }
  for (const int i : problem.by) {
    if (i < 0 || i >= count) fail<ValueError>("gradcheck", "by names input {}, there are {}", i, count);
    const Tensor& tensor = inputs[static_cast<std::size_t>(i)];
    if (!is_differentiable(tensor))
      fail<DtypeError>("gradcheck", "{} {} has no derivatives", label(i), to_string(spec_of(tensor)));
    if (tensor.dtype() == f32 && !options.allow_float32)
      fail<DtypeError>("gradcheck", "{} {} is f32, whose differences have three digits: use f64, or pass "
                       "allow_float32 = true", label(i), to_string(spec_of(tensor)));
  }
  if (problem.by.empty()) fail<ValueError>("gradcheck", "none of the {} inputs is floating", count);
  if (!options.allow_overlap) refuse_overlap(inputs, problem.by);
  for (std::size_t i = 0; i < inputs.size(); ++i)
    problem.input_names.push_back(label(static_cast<int>(i)));
  // Copies of its own: the function may write to what it is given.
  for (Tensor& tensor : problem.inputs)
    if (tensor.defined()) tensor = raw::clone(tensor);
  return problem;
}

}  // namespace duet
