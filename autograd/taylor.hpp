// taylor_test: a second witness besides gradcheck. The remainder of a Taylor polynomial made from the tape's
// derivatives must shrink as h^(order + 1); a wrong derivative leaves a lower power.
#pragma once

#include <string>
#include <vector>

#include <duet/autograd/function.hpp>
#include <duet/core/tensor.hpp>

namespace duet {

struct TaylorOptions {
  int order = 1;             ///< derivatives in the polynomial
  double first_step = 0.25;  ///< the steps are first_step / 2^k
  int steps = 10;
  std::uint64_t seed = 0;   ///< of the covector that makes an output of several elements a scalar
};

/// Remainders for falling steps; true if they fall as those of a right derivative do.
struct TaylorResult {
  int order = 1;
  std::vector<double> steps = {}, remainders = {};
  /// The power of h with which the remainders fall, by least squares over those above rounding. Infinity if none
  /// is: the polynomial is exact.
  double slope = 0;
  /// Whether the slope is the order + 1 that a right derivative gives, or steeper.
  explicit operator bool() const { return slope > order + 0.8; }
};

/// A table of steps, remainders and local slopes.
std::string to_string(const TaylorResult& result);

/// Remainders |f(x + h d) - sum_{k <= order} h^k f^(k)(x)[d, …, d] / k!| for falling h. `function` takes one tensor;
/// `direction` has x's shape and dtype (ShapeError, DtypeError), which is f64 (DtypeError). Taylor tests are described
/// in Farrell et al., "Automated derivation of the adjoint of high-level transient finite element programs", 2013.
TaylorResult taylor_test_function(const TensorsFunction& function, const Tensor& x, const Tensor& direction,
                                  const TaylorOptions& options = {});
template <class F>
TaylorResult taylor_test(F&& function, const Tensor& x, const Tensor& direction, const TaylorOptions& options = {}) {
  return taylor_test_function(tensors_function(std::forward<F>(function)), x, direction, options);
}  ///< the same for any callable; see taylor_test_function()

}  // namespace duet
