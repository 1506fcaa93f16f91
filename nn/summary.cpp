// An observer that books every op on the module that runs and on all above it.
#include <duet/nn/summary.hpp>

#include <algorithm>
#include <unordered_map>
#include <unordered_set>

#include <duet/core/fail.hpp>
#include <duet/core/node.hpp>
#include <duet/core/random.hpp>
#include <duet/core/raw.hpp>
#include <duet/core/scope.hpp>
#include <duet/core/tape.hpp>
#include <duet/core/tensor_impl.hpp>
#include <duet/ops/matmul.hpp>

namespace duet::nn {
namespace {

/// Whether the output is memory of its own.
bool is_new(const Call& call, const Tensor& output) {
  return std::none_of(call.inputs.begin(), call.inputs.end(),
                      [&](const Tensor& input) { return input.defined() && input.shares_storage_with(output); });
}

std::int64_t flops_of(const Call& call, std::span<const Tensor> outputs) {
  const std::string& op = call.op.name;
  const auto elements_per = [](const Tensor& weight, std::int64_t units) {
    return units == 0 ? 0 : weight.numel() / units;
  };
  if (op == "conv1d" || op == "conv2d" || op == "conv3d")
    return 2 * outputs[0].numel() * elements_per(call[1], call[1].size(0));
  if (op.starts_with("conv_transpose")) return 2 * call[0].numel() * elements_per(call[1], call[1].size(0));
  if (op == "linear") return 2 * outputs[0].numel() * call[1].size(1);
  if (op == "matmul") {
    const bool vector = call[0].rank() == 1;
    const auto& options = call.opt<MatmulOptions>();
    return 2 * outputs[0].numel() * call[0].size(vector || !options.transpose_a ? -1 : -2);
  }
  std::int64_t count = 0;
  for (const Tensor& output : outputs)
    if (is_new(call, output)) count += output.numel();
  return count;
}

class Bookkeeper final : public Observer {
 public:
  explicit Bookkeeper(Module& model) {
    for (auto& [path, module] : model.named_modules()) {
      SummaryRow row{.path = path, .kind = module->kind(), .description = module->describe()};
      row.depth = path.empty() ? 0 : 1 + static_cast<int>(std::count(path.begin(), path.end(), '.'));
      row.parameters = module->parameter_count();
      place_.emplace(module->path(), rows.size());
      rows.push_back(std::move(row));
    }
    for (const Tensor& parameter : model.parameters()) known_.insert(parameter.impl()->storage.get());
    kept_.resize(rows.size());
  }

  void after_op(const Call& call, std::span<const Tensor> outputs, Node* node) override {
    std::string path = scope_path();
    for (;;) {
      if (const auto at = place_.find(path); at != place_.end()) book(at->second, call, outputs, node);
      if (path.empty()) return;
      const auto dot = path.rfind('.');
      path.resize(dot == std::string::npos ? 0 : dot);
    }
  }

  std::vector<SummaryRow> rows;

 private:
  void book(std::size_t place, const Call& call, std::span<const Tensor> outputs, Node* node) {
    SummaryRow& row = rows[place];
    ++row.calls;
    row.flops += flops_of(call, outputs);
    if (!outputs.empty()) row.output = outputs[0].shape();
    for (const Tensor& output : outputs)
      if (is_new(call, output)) row.output_bytes += output.bytes();
    if (node == nullptr) return;
    for (const SavedTensor& saved : node->saved)
      if (saved.saved() && !known_.contains(saved.storage()) && kept_[place].insert(saved.storage()).second)
        row.saved_bytes += saved.bytes();
  }

  std::unordered_map<std::string, std::size_t> place_;
  std::unordered_set<const Storage*> known_;
  std::vector<std::unordered_set<const Storage*>> kept_;  // storages, by row
};

/// 1234567 as "1,234,567".
std::string grouped(std::int64_t number) {
  const std::string digits = std::to_string(number);
  std::string text;
  for (std::size_t i = 0; i < digits.size(); ++i) {
    if (i > 0 && (digits.size() - i) % 3 == 0) text += ',';
    text += digits[i];
  }
  return text;
}

}  // namespace

Summary summary(Module& model, const Tensor& input) {
  Summary result;
  Bookkeeper bookkeeper(model);
  const NamedTensors buffers = model.named_buffers(), before = clone_tensors(buffers);
  const std::uint64_t seed = default_generator().seed(), position = default_generator().position();
  const auto restore = [&] {
    for (std::size_t i = 0; i < buffers.size(); ++i) {
      Tensor buffer = buffers[i].second;
      raw::copy(before[i].second, buffer);
    }
    default_generator().set_state(seed, position);
  };
  try {
    const EnableGradGuard recording;
    const ObserverGuard watching(bookkeeper);
    const Tensor output = model(input);
  } catch (...) {
    restore();
    throw;
  }
  restore();
  for (const Tensor& parameter : model.parameters()) result.parameter_bytes += parameter.bytes();
  result.rows = std::move(bookkeeper.rows);
  return result;
}

std::string Summary::table() const {
  std::vector<std::vector<std::string>> cells{{"layer", "output", "parameters", "MFLOP", "saved kB"}};
  for (const SummaryRow& row : rows) {
    const auto dot = row.path.rfind('.');
    const std::string own = dot == std::string::npos ? row.path : row.path.substr(dot + 1);
    std::string layer(static_cast<std::size_t>(2 * row.depth), ' ');
    layer += own.empty() ? row.kind : own + ": " + row.kind;
    cells.push_back({layer, row.calls == 0 ? "-" : to_string(row.output), grouped(row.parameters),
                     fmt::format("{:.3f}", static_cast<double>(row.flops) / 1e6),
                     fmt::format("{:.1f}", static_cast<double>(row.saved_bytes) / 1e3)});
  }
  std::vector<std::size_t> width(cells[0].size());
  for (const auto& row : cells)
    for (std::size_t i = 0; i < row.size(); ++i) width[i] = std::max(width[i], row[i].size());
  std::string text;
  for (const auto& row : cells) {
    text += fmt::format("{:<{}}  {:<{}}", row[0], width[0], row[1], width[1]);
    for (std::size_t i = 2; i < row.size(); ++i) text += fmt::format("  {:>{}}", row[i], width[i]);
    text += '\n';
  }
  if (rows.empty()) return text;
  const SummaryRow& all = rows.front();
  return text + fmt::format("parameters {} ({:.1f} kB), {:.3f} MFLOP forward, {:.1f} kB kept for backward\n",
                            grouped(all.parameters), static_cast<double>(parameter_bytes) / 1e3,
                            static_cast<double>(all.flops) / 1e6, static_cast<double>(all.saved_bytes) / 1e3);
}

}  // namespace duet::nn
