// Internal: what a forward did, call by call.
#pragma once

#include <map>
#include <string>
#include <unordered_map>
#include <vector>

#include <duet/core/op.hpp>
#include <duet/core/safetensors.hpp>

namespace duet::onnx_export {

/// The fields of an options struct by name.
struct Fields {
  std::map<std::string, std::vector<std::int64_t>> integers;  ///< truth values too
  std::map<std::string, std::vector<double>> reals;
  std::map<std::string, std::string> words;  ///< choices, and words in the place of integers

  explicit Fields(const AnyOptions& options);
  std::int64_t integer(const std::string& name) const { return integers.at(name).at(0); }
  double real(const std::string& name) const { return reals.at(name).at(0); }
  bool flag(const std::string& name) const { return integer(name) != 0; }
  bool has(const std::string& name) const { return integers.contains(name) || reals.contains(name); }
  friend bool operator==(const Fields&, const Fields&) = default;
};

/// One call of an op, and where its inputs came from.
struct TracedCall {
  std::string op, onnx, scope;
  Fields fields;
  Tensors inputs, outputs;
  std::vector<std::string> sources;  ///< "input 0", "call 3 output 0", "constant 2" or empty for an absent one
};

struct Trace {
  std::vector<TracedCall> calls;
  Tensors inputs, outputs, constants;
  std::vector<std::string> output_sources;
  std::string source_of(const Tensor& tensor);  ///< a tensor not met before becomes a constant

 private:
  friend class Tracer;
  std::unordered_map<const TensorImpl*, std::string> sources_;
};

/// Runs a forward without recording gradients.
Trace trace(const Tensors& inputs, FunctionRef<Tensors(const Tensors&)> forward);

/// ValueError unless both took the same path and made the same constants.
void require_same_path(const Trace& a, const Trace& b);

}  // namespace duet::onnx_export
