// gradcheck: are the derivatives of a function right, to any order? Compares what the tape says with central
// differences and says what it found, where, and how sure it is. taylor_test (autograd/taylor.hpp) is the other
// witness, sweep (autograd/sweep.hpp) runs both worlds over an op.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <duet/autograd/function.hpp>
#include <duet/core/tensor.hpp>

namespace duet {

enum class Verdict {
  ok,
  wrong,             ///< the tape's derivative is not the function's
  kink,              ///< one-sided differences disagree here: move the input
  round_off,         ///< the differences drown in rounding: nothing can be said
  nondeterministic,  ///< two calls with the same inputs gave different results
};
const char* name(Verdict verdict);

struct GradcheckOptions {
  int order = 1;                 ///< the highest derivative checked; the lower ones are checked before
  std::vector<int> linear = {};  ///< inputs in which the function is affine, the others held: checked with step 1
  std::vector<int> by = {};      ///< inputs to differentiate by; empty: every floating one
  std::optional<double> tolerance = {};         ///< relative to the Jacobian's norm; default 1e-6 (f32: 1e-2)
  std::optional<double> linear_tolerance = {};  ///< the same for linear inputs; default 1e-12 (f32: 1e-4)
  std::optional<double> step = {};              ///< of the differences; default 2^-17 (f32: 2^-7)
  bool allow_float32 = false;   ///< else f32 inputs are refused: their differences have three digits
  bool allow_overlap = false;   ///< else inputs whose elements share memory are refused; they count as separate
  int full_limit = 512;         ///< calls of the function that a full Jacobian may cost; above it, projections
  int projections = 4;          ///< random directions for each input, and random covectors for each output
  std::uint64_t seed = 0;       ///< of the projections
  std::vector<std::string> names = {};  ///< of the inputs, for the report
};

/// What was found. Every number belongs to the worst entry of the Jacobian where the verdict is not ok.
struct GradcheckResult {
  Verdict verdict = Verdict::ok;
  int order = 0;          ///< at which order it was found; for ok the highest one checked
  std::string input = {}, output = {};  ///< "input 1", "gradient by input 0": the Jacobian's block
  Shape input_index = {}, output_index = {};
  double analytic = 0;    ///< the entry by the tape
  double numeric = 0;     ///< the entry by differences
  double error = 0;       ///< relative to the norm of the block; for ok the largest one seen
  double tolerance = 0;
  double step = 0;
  std::string hint = {};  ///< what to do about it
  explicit operator bool() const { return verdict == Verdict::ok; }
};

/// The result as a few lines that a person can act on.
std::string to_string(const GradcheckResult& result);

/// Checks the derivatives of `function` at `inputs` by every input in `by`.
///
/// The error of a block (one output by one input) is the largest difference of an entry, relative to the largest
/// entry: so a gradient of zero fails under a loss however small. A difference above the tolerance is tried again
/// with smaller steps (truncation vanishes, a wrong gradient stays) and larger ones (round-off vanishes), then told
/// from a kink by one-sided differences. Order n + 1 checks the function (inputs, cotangents) -> gradients of order
/// n, which is linear in the cotangents. Small Jacobians are compared entry by entry, larger ones between random
/// directions and covectors, and a fault is then traced to its entry.
///
/// Throws ValueError for inputs that overlap or an index out of range, DtypeError for f32 unless allowed, and what
/// the function throws.
GradcheckResult gradcheck_function(const TensorsFunction& function, const Tensors& inputs,
                                   const GradcheckOptions& options = {});

/// The same for any callable: `gradcheck(fn, {x, w}, {.order = 2, .linear = {0, 1}})`.
template <class F>
GradcheckResult gradcheck(F&& function, const Tensors& inputs, const GradcheckOptions& options = {}) {
  return gradcheck_function(tensors_function(std::forward<F>(function)), inputs, options);
}

}  // namespace duet
