// The tape as a picture (Graphviz, Mermaid) and as a table.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include <duet/core/tensor.hpp>

namespace duet {

struct DrawOptions {
  std::vector<std::pair<std::string, Tensor>> names = {};  ///< of leaves: model.named_parameters()
  bool leaves = true;    ///< draw the leaves, too (the table never lists them)
  bool options = false;  ///< the ops' options in the nodes of a picture (the table always has them)
};

/// One recorded op.
struct TapeRow {
  int step = 0;             ///< 1 for the op recorded first
  std::string op = {};
  std::string module = {};  ///< where it was recorded, if an observer noted that (ScopeRecorder, AnomalyMode, Profiler)
  std::string options = {};
  std::vector<TensorSpec> inputs = {}, outputs = {};
  std::vector<std::string> sources = {};  ///< for each input: "#3", a leaf's name, or empty where no gradient flows
  std::int64_t bytes_saved = 0;           ///< what the node keeps for backward
};

/// Every op that `outputs` were computed by, in the order in which they were recorded.
std::vector<TapeRow> tape_rows(const Tensors& outputs, const DrawOptions& options = {});

/// A table: step, op, inputs, output shapes, bytes saved, module, options. A tensor that several nodes keep counts
/// once in the total.
std::string to_table(const Tensors& outputs, const DrawOptions& options = {});

/// A Graphviz graph, ops inside boxes for their modules: `dot -Tsvg`.
std::string to_dot(const Tensors& outputs, const DrawOptions& options = {});

/// A Mermaid flowchart, which GitHub renders in Markdown.
std::string to_mermaid(const Tensors& outputs, const DrawOptions& options = {});

}  // namespace duet
