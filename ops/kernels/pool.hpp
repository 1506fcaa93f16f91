// Arithmetic of pooling: planes of three axes (those in front may be 1), each with its windows.
#pragma once

#include <cstdint>

#include <duet/ops/conv_geometry.hpp>

namespace duet::kernels {

struct PoolPlanes {
  std::int64_t count = 0;  ///< planes: samples times channels
  ConvAxis axis[max_conv_rank];

  std::int64_t large_size() const { return axis[0].large * axis[1].large * axis[2].large; }
  std::int64_t small_size() const { return axis[0].small * axis[1].small * axis[2].small; }
  std::int64_t window_size() const { return axis[0].kernel * axis[1].kernel * axis[2].kernel; }
};

/// Maxima, and the first tap (row-major number of an element of the window) that has each. I is uint8_t or int64_t.
template <class T, class I>
void max_pool(const PoolPlanes& planes, const T* x, T* y, I* taps);

/// y = the element of x that each tap names. These three return false, with the result undefined, if a tap names none.
template <class T, class I>
bool pool_gather(const PoolPlanes& planes, const T* x, const I* taps, T* y);

/// x = zeros, plus each y at the element that its tap names.
template <class T, class I>
bool pool_scatter(const PoolPlanes& planes, const T* y, const I* taps, T* x);

/// Taps as row-major indices in their plane.
template <class I>
bool pool_indices(const PoolPlanes& planes, const I* taps, std::int64_t* indices);

}  // namespace duet::kernels
