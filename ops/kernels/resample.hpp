// Separable linear maps of planes: along each axis, an output is a weighted sum of a few adjacent inputs. Average
// pools and interpolation are both of this kind.
#pragma once

#include <cstdint>
#include <vector>

namespace duet::kernels {

/// One axis: output o is the sum over t of weights[first[o] + t] · x[begin[o] + t], t below first[o + 1] - first[o].
struct AxisMap {
  std::int64_t large = 1;  ///< inputs
  std::vector<std::int64_t> begin{0};
  std::vector<std::int64_t> first{0, 1};
  std::vector<double> weights{1};

  std::int64_t small() const { return static_cast<std::int64_t>(begin.size()); }
  /// Starts over, for an axis of `size` inputs.
  void clear(std::int64_t size);
  /// Appends an output.
  void add(std::int64_t from, const std::vector<double>& taps);
};

/// Three axes, of which those in front may be the identity on one element.
struct SeparableMap {
  AxisMap axis[3];
  std::int64_t large_size() const { return axis[0].large * axis[1].large * axis[2].large; }
  std::int64_t small_size() const { return axis[0].small() * axis[1].small() * axis[2].small(); }
};

/// y = A x for each of `planes` planes.
template <class T>
void separable_forward(std::int64_t planes, const SeparableMap& map, const T* x, T* y);

/// x = A^T y for each of `planes` planes.
template <class T>
void separable_backward(std::int64_t planes, const SeparableMap& map, const T* y, T* x);

}  // namespace duet::kernels
