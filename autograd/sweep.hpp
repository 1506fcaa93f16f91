// sweep: every check that an OpDef can be put to, made from the OpDef itself. The library's own ops get one ctest
// each from it, and so do a user's (cmake/DuetOpSweep.cmake).
#pragma once

#include <span>
#include <string>
#include <vector>

#include <duet/core/op.hpp>

namespace duet {

/// A check that failed.
struct SweepFailure {
  std::string sample;  ///< empty where the op itself is at fault
  std::string check;   ///< "doc", "shape", "gradcheck", …
  std::string message;
};

/// What a sweep over an op found; true if nothing failed.
struct SweepReport {
  std::string op;
  int samples = 0;
  int checks = 0;
  std::vector<SweepFailure> failures = {};
  explicit operator bool() const;  ///< whether nothing failed
};

/// One line for a success; for a failure a line with the reason for each check that failed.
std::string to_string(const SweepReport& report);

/// Checks an op on all of its samples:
///  - doc, names of inputs and samples are there, and a sample's options are of the op's type;
///  - shape: the shape rule says what forward returns; inputs are left as they were;
///  - strides: inputs that do not lie in a row give the same;
///  - gradcheck to the sample's order;
///  - adjoint: <A x, y> = <x, A^T y> for every linear input, and the dual, where named, is the op that computes A^T;
///  - needs: asked for the gradient by one input, the vjp computes that alone, and the same;
///  - saves: what the node keeps for one gradient is read for it;
///  - zeros: an undefined cotangent of one output counts as zeros;
///  - f32: values and gradients in f32 are those in f64 to f32_tolerance of their scale.
/// Never throws what the op throws: that is a failure in the report.
SweepReport sweep(const OpPtr& op);
SweepReport sweep(const OpDef& op);

/// The main function of a test program: `PROGRAM [--list] [OP…]` sweeps the ops named, or all; returns 1 on a failure
/// or an unknown name.
int sweep_main(int argc, const char* const* argv, std::span<const OpPtr> ops);

}  // namespace duet
