// OpDef: the whole contract of an op, declared once. The sweep, the op reference, the tape's drawing and the
// exporter read it; nothing else knows about any particular op.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include <duet/core/callable.hpp>
#include <duet/core/options.hpp>
#include <duet/core/tensor.hpp>

namespace duet {

struct OpDef;
using OpPtr = std::shared_ptr<const OpDef>;

/// What a shape rule sees: input specs and options, no data.
struct ShapeCall {
  const OpDef& op;
  std::span<const TensorSpec> inputs;
  const AnyOptions& options;

  const TensorSpec& operator[](int i) const { return inputs[static_cast<std::size_t>(i)]; }
  int count() const { return static_cast<int>(inputs.size()); }        ///< inputs, absent ones too
  bool has(int i) const { return i < count() && (*this)[i].defined; }  ///< whether input i is there
  template <class O>
  const O& opt() const {
    return options.get<O>();
  }                          ///< the options as O
  const char* name() const;  ///< of the op
};

/// What a forward sees: input tensors (any strides), options, and the output specs its shape rule gave.
struct Call {
  const OpDef& op;
  std::span<const Tensor> inputs;
  const AnyOptions& options;
  std::span<const TensorSpec> specs;

  const Tensor& operator[](int i) const { return inputs[static_cast<std::size_t>(i)]; }
  int count() const { return static_cast<int>(inputs.size()); }                           ///< inputs, absent ones too
  bool has(int i) const { return i < count() && (*this)[i].defined(); }                   ///< whether input i is there
  const TensorSpec& spec(int j = 0) const { return specs[static_cast<std::size_t>(j)]; }  ///< of output j
  /// An uninitialised output j.
  Tensor empty(int j = 0) const { return Tensor::empty(spec(j).shape, {.dtype = spec(j).dtype}); }
  template <class O>
  const O& opt() const {
    return options.get<O>();
  }                          ///< the options as O
  const char* name() const;  ///< of the op
};

/// What a vjp sees. Cotangents and results may be undefined: a structural zero.
class Vjp {
 public:
  Vjp(Node& node, std::span<const Tensor> cotangents, std::span<const std::uint8_t> needed)
      : node_(node), cotangents_(cotangents), needed_(needed) {}

  /// Whether somebody wants the gradient by input i. Ask before computing it.
  bool needs(int i) const { return i < count() && needed_[static_cast<std::size_t>(i)] != 0; }
  int count() const;  ///< inputs, absent ones too
  const Tensor& cotangent(int j = 0) const { return cotangents_[static_cast<std::size_t>(j)]; }  ///< of output j
  /// Input i, which the OpDef's `saves` must list. Throws AutogradError if it was changed since.
  Tensor input(int i) const;
  /// Output j, likewise.
  Tensor output(int j = 0) const;
  bool has_input(int i) const { return i < count() && spec(i).defined; }  ///< whether it is there
  const TensorSpec& spec(int i) const;                                    ///< of input i
  const Shape& shape(int i) const { return spec(i).shape; }               ///< of input i
  const TensorSpec& output_spec(int j = 0) const;                         ///< of output j
  template <class O>
  const O& opt() const {
    return options().get<O>();
  }                                   ///< the options as O
  const AnyOptions& options() const;  ///< of the call
  const char* name() const;           ///< of the op

 private:
  Node& node_;
  std::span<const Tensor> cotangents_;
  std::span<const std::uint8_t> needed_;
};

/// An input or output that a vjp reads, and the inputs whose gradients read it.
struct Save {
  int index = 0;
  bool output = false;
  std::vector<int> for_inputs;  ///< empty: any
  /// Where it depends on the options too: whether the gradient by this input reads it.
  Callable<bool(const AnyOptions&, int)> only_if = {};
};
/// An input, see Save.
Save save_input(int index, std::vector<int> for_inputs = {}, Callable<bool(const AnyOptions&, int)> only_if = {});
/// An output, see Save.
Save save_output(int index, std::vector<int> for_inputs = {}, Callable<bool(const AnyOptions&, int)> only_if = {});

/// One call on which an op is checked. Floating inputs are f64.
struct Sample {
  std::string name;
  Tensors inputs;
  AnyOptions options = {};
  int order = 2;             ///< the highest derivative that is checked here
  std::vector<int> by = {};  ///< inputs differentiated; empty: every floating one
};

/// An op: what it computes, on which shapes, its derivative, and the calls on which all of that is checked.
struct OpDef {
  std::string name;
  std::string doc;                       ///< one line: what it computes
  std::string formula = {};              ///< in the docs' notation
  std::vector<std::string> inputs = {};  ///< names; a trailing '?' marks an optional one, '…' any number
  const OptionsType* options = nullptr;
  Callable<Specs(const ShapeCall&)> shape_rule = {};  ///< throws typed errors; touches no data. Empty (a custom
                                                      ///< function): the outputs' own shapes
  Callable<Tensors(const Call&)> forward = {};
  Callable<Tensors(const Vjp&)> vjp = {};  ///< one entry an input, in public ops only; empty: no gradient
  std::vector<Save> saves = {};
  /// Where output 0 is made again, bit for bit, from what `saves` keeps, in one cheap pass: the function that does so.
  /// An op whose gradient reads that output as its input then keeps a share in what this op saved, instead of the
  /// output.
  Callable<Tensor(const Vjp&)> remake = {};
  std::vector<int> linear = {};            ///< inputs in which the op is linear, the others held
  std::vector<int> constant_outputs = {};  ///< floating outputs through which no gradient flows (statistics)
  std::string dual = {};                   ///< the op that is its adjoint by its first input
  std::string onnx = {};                   ///< ONNX operator, where one exists
  std::string source = {};                 ///< paper or reference of the formula
  double f32_tolerance = 1e-5;             ///< bound of |f32 - f64| relative to the output's scale
  Callable<std::vector<Sample>()> samples = {};
  std::string no_samples_because = {};  ///< for an op that the sweep cannot check as a function
};

/// Runs an op: shape rule, forward, and where gradients are recorded and some input requires one, a node on the
/// tape. Undefined tensors stand for absent optional inputs. Throws what the shape rule and forward throw.
Tensors apply(const OpPtr& op, std::span<const Tensor> inputs, const AnyOptions& options = {});
Tensors apply(const OpPtr& op, std::initializer_list<Tensor> inputs, const AnyOptions& options = {});
/// The same for an op of one output; see apply().
Tensor apply1(const OpPtr& op, std::initializer_list<Tensor> inputs, const AnyOptions& options = {});

}  // namespace duet
