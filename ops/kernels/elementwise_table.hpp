// The elementwise functions of floats that have a SIMD kernel, and the plain structs through which the host calls
// them. Included by the per-instruction-set builds, so it holds nothing but plain data.
#pragma once

#include <cstdint>

namespace duet::kernels {

/// X(name, inputs): what each computes stands in arch/elementwise.cpp. The "_backward" ones take the cotangent first.
#define DUET_MAPS(X)                                                                                              \
  X(neg, 1) X(abs, 1) X(sign, 1) X(square, 1) X(cube, 1) X(reciprocal, 1) X(sqrt, 1) X(rsqrt, 1) X(exp, 1)        \
  X(log, 1) X(log1p, 1) X(sin, 1) X(cos, 1) X(tanh, 1) X(sigmoid, 1) X(relu, 1) X(leaky_relu, 1) X(elu, 1)        \
  X(gelu, 1) X(gelu_tanh, 1) X(silu, 1) X(mish, 1) X(softplus, 1) X(hardsigmoid, 1) X(hardswish, 1) X(clamp, 1)   \
  X(pow_scalar, 1)                                                                                                \
  X(add, 2) X(sub, 2) X(mul, 2) X(div, 2) X(pow, 2) X(maximum, 2) X(minimum, 2)                                   \
  X(add_scaled, 2) X(relu_backward, 2) X(leaky_relu_backward, 2) X(sigmoid_backward, 2) X(tanh_backward, 2)       \
  X(elu_backward, 2) X(gelu_backward, 2) X(gelu_tanh_backward, 2) X(silu_backward, 2) X(mish_backward, 2)         \
  X(softplus_backward, 2) X(hardswish_backward, 2) X(inside, 2) X(inside_or_at, 2)                                \
  X(squared_error, 2) X(absolute_error, 2) X(huber, 2) X(cross_entropy_of, 2) X(divergence, 2) X(log_divergence, 2)                   \
  X(lerp, 3) X(logits_cross_entropy, 3) X(sigmoid_error, 3)

enum class Map : int {
#define DUET_MAP_NAME(name, inputs) name,
  DUET_MAPS(DUET_MAP_NAME)
#undef DUET_MAP_NAME
};

#define DUET_MAP_COUNT(name, inputs) +1
inline constexpr int map_count = 0 DUET_MAPS(DUET_MAP_COUNT);
#undef DUET_MAP_COUNT

/// A stack of rows: out[r * n + i] = f(in[0][r, i], in[1][r, i], in[2][r, i]; p, q).
struct MapCall {
  const void* in[3];
  std::int64_t row_stride[3];  // elements
  bool step[3];                // false: one value for the whole row
  void* out;
  std::int64_t rows, n;
  double p, q;
  bool streamed;  // past the caches
};

struct MapTable {
  void (*f32[map_count])(const MapCall&);
  void (*f64[map_count])(const MapCall&);
};

}  // namespace duet::kernels
