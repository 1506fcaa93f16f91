// One walk over the graph gathers steps and leaves; table and pictures print them.
#include <duet/autograd/draw.hpp>

#include <algorithm>
#include <map>
#include <set>
#include <unordered_map>
#include <unordered_set>

#include <duet/core/fail.hpp>
#include <duet/core/node.hpp>
#include <duet/core/tensor_impl.hpp>

namespace duet {
namespace {

struct Graph {
  std::vector<Node*> ops;     // by sequence
  std::vector<Node*> leaves;  // likewise
  std::unordered_map<const Node*, std::string> names;  // "#3" or the leaf's
};

Graph walk(const Tensors& outputs, const DrawOptions& options) {
  Graph graph;
  std::vector<Node*> stack;
  std::unordered_set<Node*> seen;
  std::vector<NodePtr> roots;
  for (const Tensor& output : outputs)
    if (output.defined())
      if (Edge edge = gradient_edge(output); edge.node) {
        roots.push_back(edge.node);
        stack.push_back(edge.node.get());
      }
  while (!stack.empty()) {
    Node* node = stack.back();
    stack.pop_back();
    if (!seen.insert(node).second) continue;
    (node->op ? graph.ops : graph.leaves).push_back(node);
    for (const Edge& edge : node->edges)
      if (edge.node) stack.push_back(edge.node.get());
  }
  const auto earlier = [](const Node* a, const Node* b) { return a->sequence < b->sequence; };
  std::sort(graph.ops.begin(), graph.ops.end(), earlier);
  std::sort(graph.leaves.begin(), graph.leaves.end(), earlier);
  for (std::size_t k = 0; k < graph.ops.size(); ++k) graph.names[graph.ops[k]] = fmt::format("#{}", k + 1);
  int unnamed = 0;
  for (Node* leaf : graph.leaves) {
    const auto impl = leaf->leaf.lock();
    const auto named = std::find_if(options.names.begin(), options.names.end(),
                                    [&](const auto& entry) { return impl && entry.second.impl() == impl; });
    graph.names[leaf] = named != options.names.end() ? named->first : fmt::format("leaf {}", ++unnamed);
  }
  return graph;
}

std::string shapes(const std::vector<TensorSpec>& specs) {
  std::string text;
  for (const TensorSpec& spec : specs)
    text += fmt::format("{}{}", text.empty() ? "" : " ", spec.defined ? to_string(spec.shape) : "-");
  return text;
}

std::string bytes_text(std::int64_t bytes) {
  if (bytes < 10000) return fmt::format("{} B", bytes);
  if (bytes < 10000000) return fmt::format("{:.1f} kB", static_cast<double>(bytes) / 1e3);
  return fmt::format("{:.1f} MB", static_cast<double>(bytes) / 1e6);
}

TapeRow row_of(const Graph& graph, const Node& node, int step) {
  TapeRow row{.step = step, .op = node.name(), .options = to_string(node.options), .inputs = node.input_specs,
              .outputs = node.output_specs, .bytes_saved = node.saved_bytes()};
  if (node.note) row.module = node.note->scope;
  for (const Edge& edge : node.edges) row.sources.push_back(edge.node ? graph.names.at(edge.node.get()) : "");
  return row;
}

std::string join(const std::vector<std::string>& parts, const char* between) {
  std::string text;
  for (const std::string& part : parts)
    if (!part.empty()) text += fmt::format("{}{}", text.empty() ? "" : between, part);
  return text;
}

/// Text for a quoted label: `line` is what stands for a line break.
std::string escaped(const std::string& text, const char* line) {
  std::string result;
  for (const char c : text) {
    if (c == '\n') result += line;
    else if (c == '"') result += "'";
    else result += c;
  }
  return result;
}

std::string op_label(const TapeRow& row, const DrawOptions& options) {
  std::string text = fmt::format("{}\n{}", row.op, shapes(row.outputs));
  if (row.bytes_saved > 0) text += "\nkeeps " + bytes_text(row.bytes_saved);
  if (options.options && !row.options.empty()) text += "\n" + row.options;
  return text;
}

/// Modules as a tree, ops at their places.
struct ModuleTree {
  std::map<std::string, ModuleTree> children;
  std::vector<std::size_t> ops;

  void add(const std::string& path, std::size_t op) {
    ModuleTree* at = this;
    for (std::size_t begin = 0; begin < path.size();) {
      const std::size_t end = std::min(path.find('.', begin), path.size());
      at = &at->children[path.substr(begin, end - begin)];
      begin = end + 1;
    }
    at->ops.push_back(op);
  }
};

/// What differs between the two languages.
struct Dialect {
  const char *open, *close;            // a module, with its number and its name
  const char* op;                      // a node, with its number and label
  const char* line;
};

void print_tree(std::string& text, const ModuleTree& tree, const Dialect& dialect, const std::vector<std::string>& labels,
                int& modules, const std::string& indent) {
  for (const std::size_t op : tree.ops)
    text += indent + fmt::format(fmt::runtime(dialect.op), op + 1, escaped(labels[op], dialect.line)) + "\n";
  for (const auto& [name, child] : tree.children) {
    text += indent + fmt::format(fmt::runtime(dialect.open), ++modules, escaped(name, dialect.line)) + "\n";
    print_tree(text, child, dialect, labels, modules, indent + "  ");
    text += indent + dialect.close + "\n";
  }
}

std::string tree_text(const Graph& graph, const DrawOptions& options, const Dialect& dialect) {
  ModuleTree tree;
  std::vector<std::string> labels;
  for (std::size_t k = 0; k < graph.ops.size(); ++k) {
    const TapeRow row = row_of(graph, *graph.ops[k], static_cast<int>(k) + 1);
    labels.push_back(op_label(row, options));
    tree.add(row.module, k);
  }
  std::string text;
  int modules = 0;
  print_tree(text, tree, dialect, labels, modules, "  ");
  return text;
}

/// Calls edge(from, to) with node ids, "o3" or "l1".
template <class F>
void for_each_edge(const Graph& graph, const DrawOptions& options, F edge) {
  std::unordered_map<const Node*, std::string> ids;
  for (std::size_t k = 0; k < graph.ops.size(); ++k) ids[graph.ops[k]] = fmt::format("o{}", k + 1);
  for (std::size_t k = 0; k < graph.leaves.size() && options.leaves; ++k) ids[graph.leaves[k]] = fmt::format("l{}", k + 1);
  for (const Node* node : graph.ops)
    for (const Edge& from : node->edges)
      if (from.node && ids.count(from.node.get()) != 0) edge(ids[from.node.get()], ids[node]);
}

std::string leaf_label(const Graph& graph, const Node& leaf) {
  return graph.names.at(&leaf) + "\n" + shapes(leaf.output_specs);
}

}  // namespace

std::vector<TapeRow> tape_rows(const Tensors& outputs, const DrawOptions& options) {
  const Graph graph = walk(outputs, options);
  std::vector<TapeRow> rows;
  for (const Node* node : graph.ops) rows.push_back(row_of(graph, *node, static_cast<int>(rows.size()) + 1));
  return rows;
}

std::string to_table(const Tensors& outputs, const DrawOptions& options) {
  const Graph graph = walk(outputs, options);
  std::vector<std::vector<std::string>> cells{{"step", "op", "inputs", "output", "saved", "module", "options"}};
  for (std::size_t k = 0; k < graph.ops.size(); ++k) {
    const TapeRow row = row_of(graph, *graph.ops[k], static_cast<int>(k) + 1);
    cells.push_back({std::to_string(row.step), row.op, join(row.sources, ", "), shapes(row.outputs),
                     bytes_text(row.bytes_saved), row.module, row.options});
  }
  // A column of which nothing but the title would stand is left out.
  std::string text;
  std::vector<std::size_t> widths(cells[0].size(), 0);
  for (std::size_t row = 1; row < cells.size(); ++row)
    for (std::size_t c = 0; c < widths.size(); ++c) widths[c] = std::max(widths[c], cells[row][c].size());
  for (std::size_t c = 0; c < widths.size(); ++c)
    if (widths[c] > 0) widths[c] = std::max(widths[c], cells[0][c].size());
  for (const auto& row : cells) {
    std::string line;
    for (std::size_t c = 0; c < row.size(); ++c)
      if (widths[c] > 0) line += fmt::format("{:<{}}  ", row[c], widths[c]);
    line.erase(line.find_last_not_of(' ') + 1);
    text += line + "\n";
  }
  // The same memory kept by several nodes counts once.
  std::set<const Storage*> storages;
  std::int64_t total = 0;
  for (const Node* node : graph.ops)
    for (const SavedTensor& saved : node->saved)
      if (saved.saved() && (saved.storage() == nullptr || storages.insert(saved.storage()).second)) total += saved.bytes();
  return text + fmt::format("{} ops, {} kept for backward\n", graph.ops.size(), bytes_text(total));
}

std::string to_dot(const Tensors& outputs, const DrawOptions& options) {
  const Graph graph = walk(outputs, options);
  std::string text =
      "digraph tape {\n  rankdir = TB; fontname = \"sans-serif\"; nodesep = 0.25; ranksep = 0.3;\n"
      "  node [shape = box, style = \"filled,rounded\", fillcolor = \"#dbe9f6\", color = \"#5b7fa6\", fontname = "
      "\"sans-serif\", fontsize = 11];\n  edge [color = \"#555555\", arrowsize = 0.6];\n";
  text += tree_text(graph, options,
                    {"subgraph cluster_{0} {{ label = \"{1}\"; labeljust = l; style = \"rounded\"; color = \"#aaaaaa\"; "
                     "fontsize = 11;", "}", "o{0} [label = \"{1}\"];", "\\n"});
  for (std::size_t k = 0; k < graph.leaves.size() && options.leaves; ++k)
    text += fmt::format("  l{} [label = \"{}\", fillcolor = \"#fdf3d8\", color = \"#b99a3d\"];\n", k + 1,
                        escaped(leaf_label(graph, *graph.leaves[k]), "\\n"));
  for_each_edge(graph, options, [&](const std::string& from, const std::string& to) { text += fmt::format("  {} -> {};\n", from, to); });
  return text + "}\n";
}

std::string to_mermaid(const Tensors& outputs, const DrawOptions& options) {
  const Graph graph = walk(outputs, options);
  std::string text = "flowchart TB\n";
  text += tree_text(graph, options, {"subgraph m{0} [\"{1}\"]", "end", "o{0}[\"{1}\"]", "<br>"});
  for (std::size_t k = 0; k < graph.leaves.size() && options.leaves; ++k)
    text += fmt::format("  l{}([\"{}\"])\n", k + 1, escaped(leaf_label(graph, *graph.leaves[k]), "<br>"));
  for_each_edge(graph, options, [&](const std::string& from, const std::string& to) { text += fmt::format("  {} --> {}\n", from, to); });
  return text;
}

}  // namespace duet
