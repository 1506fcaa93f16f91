// The cases of duet_bench ops and the memory traffic that each cannot do without. Standard library only: shared with
// the libtorch comparator.
#pragma once

#include <functional>

#include "shapes.hpp"

namespace duet::bench {

/// x is 8x64x128x128, 33.6 MB in f32; what is read and written is counted in sizes of x.
struct OpCase {
  const char* name;
  double reads, writes;
  std::function<void()> run;
};

inline constexpr std::int64_t op_shape[] = {8, 64, 128, 128};
inline constexpr double op_elements = 8.0 * 64 * 128 * 128;
/// The optimizer cases move as many elements, as this many parameters.
inline constexpr std::int64_t op_parameters = 64;

inline double op_bytes(const OpCase& one) { return 4 * op_elements * (one.reads + one.writes); }

}  // namespace duet::bench
