// duet_op_reference: writes docs/ops.md from the registry, so that the page says what the ops say of themselves. A
// test holds the checked-in page to it.
#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <string>
#include <vector>

#include <duet/core/format.hpp>
#include <duet/ops/registry.hpp>

namespace {

using duet::OpDef;

/// The name of an input without the marks for "optional" and "any number".
std::string plain(std::string input) {
  if (!input.empty() && input.back() == '?') input.pop_back();
  const std::string any_number = "…";
  if (input.ends_with(any_number)) input.resize(input.size() - any_number.size());
  return input;
}

std::string signature(const OpDef& op) {
  std::string text = fmt::format("{}({}", op.name, fmt::join(op.inputs, ", "));
  if (op.options != nullptr) {
    const std::string fields = to_string(duet::AnyOptions(*op.options));
    if (!fields.empty()) text += fmt::format("{}{{{}}}", op.inputs.empty() ? "" : ", ", fields);
  }
  return text + ")";
}

std::string link(const std::string& name) {
  return duet::find_op(name) ? fmt::format("[`{}`](#{})", name, name) : fmt::format("`{}`", name);
}

/// "2 on 6 samples", or with samples of several orders "1 on 2 samples, 2 on 6".
std::string checked(const OpDef& op) {
  if (!op.samples) return "not by the sweep: " + op.no_samples_because;
  std::map<int, int> count_by_order;
  for (const duet::Sample& sample : op.samples()) ++count_by_order[sample.order];
  std::vector<std::string> parts;
  for (const auto& [order, count] : count_by_order)
    parts.push_back(fmt::format("{} {}", count,
                                order == 0 ? (count == 1 ? "sample by value" : "samples by value")
                                           : fmt::format("{} to order {}", count == 1 ? "sample" : "samples", order)));
  return fmt::format("{}", fmt::join(parts, ", "));
}

void print_op(const OpDef& op) {
  fmt::print("\n### {}\n\n`{}`\n\n{}\n", op.name, signature(op), op.doc);
  if (!op.formula.empty()) fmt::print("\n    {}\n", op.formula);
  fmt::print("\n");
  fmt::print("- gradient: {}\n", op.vjp ? "yes" : "none");
  if (!op.linear.empty()) {
    std::vector<std::string> names;
    for (int i : op.linear) {
      const auto position = std::min(static_cast<std::size_t>(i), op.inputs.size() - 1);  // "tensor…" stands for all
      const std::string name = fmt::format("`{}`", plain(op.inputs[position]));
      if (std::find(names.begin(), names.end(), name) == names.end()) names.push_back(name);
    }
    fmt::print("- linear in {}{}\n", fmt::join(names, ", "), names.size() > 1 ? ", each with the others held" : "");
  }
  if (!op.dual.empty()) fmt::print("- adjoint by its first input: {}\n", link(op.dual));
  fmt::print("- checked: {}; f32 against f64 to {:g}\n", checked(op), op.f32_tolerance);
  if (!op.onnx.empty()) fmt::print("- ONNX: `{}`\n", op.onnx);
  if (!op.source.empty()) fmt::print("- source: {}\n", op.source);
}

}  // namespace

int main() {
  const auto ops = duet::registry();
  fmt::print(
      "# Ops\n\n"
      "Written by `duet_op_reference` from the registry (`scripts/op-reference` writes it anew); a test holds this "
      "page "
      "to it.\n\n"
      "A `?` marks an input that may be absent, `…` any number of them. Options stand with their defaults, under the "
      "names that PyTorch's functions give them. *Checked* says on how many of its samples, and to which order of "
      "differentiation, the sweep compares an op's derivatives with finite differences (`ctest --test-dir "
      "build/release -R sweep/`).\n\n");
  std::vector<std::string> names;
  for (const auto& op : ops) names.push_back(op->name);
  std::sort(names.begin(), names.end());
  for (std::string& name : names) name = link(name);
  fmt::print("{} ops: {}\n", names.size(), fmt::join(names, ", "));
  for (const auto& op : ops) print_op(*op);
}
