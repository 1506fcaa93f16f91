// The arithmetic of optimizer steps: one pass over a stretch of a parameter, its gradient and its state. Scalars come
// in as doubles and are rounded once.
#pragma once

#include <cstdint>
#include <span>

#include <duet/core/callable.hpp>
#include <duet/ops/kernels/simd.hpp>

namespace duet::kernels {

/// A stretch of one parameter; all pointers are of its dtype. Unused slots are null.
struct UpdateStretch {
  void* parameter;
  const void* gradient;
  void* slot[3];
  std::int64_t count;
};

/// slot 0: momentum buffer (where momentum is not 0).
struct SgdStep {
  double rate, momentum, fresh, decay;  // buffer = momentum·buffer + fresh·gradient
  bool nesterov;
};

/// slots: mean of gradients, mean of squares, greatest mean of squares (amsgrad). AdamW has shrink < 1, Adam decay.
struct AdamStep {
  double beta1, beta2, rate, inverse_root_correction, eps, decay, shrink;  // shrink multiplies the parameter
  bool amsgrad;
};

/// slots: mean of squares, momentum buffer, mean of gradients (centred).
struct RmspropStep {
  double rate, alpha, eps, decay, momentum;
  bool centered;
};

/// slot 0: sum of squares.
struct AdagradStep {
  double rate, eps, decay;
};

/// slot 0: mean of gradients.
struct LionStep {
  double rate, beta1, beta2, shrink;
};

/// A run of adjacent elements of one tensor, and what it is read beside; both of one dtype.
struct Run {
  void* data;
  const void* other;
  std::int64_t count;
  bool f64;
};

/// One entry an optimizer, for f32 [0] and f64 [1]; then what clipping and averaging do.
struct OptimizerTable {
  void (*sgd[2])(const UpdateStretch&, const SgdStep&);
  void (*adam[2])(const UpdateStretch&, const AdamStep&);
  void (*rmsprop[2])(const UpdateStretch&, const RmspropStep&);
  void (*adagrad[2])(const UpdateStretch&, const AdagradStep&);
  void (*lion[2])(const UpdateStretch&, const LionStep&);
  double (*sum_of_squares[2])(const Run&);        // of data, in double
  void (*scale[2])(const Run&, double factor);    // data *= factor
  void (*approach[2])(const Run&, double share);  // data += share * (other - data)
};

DUET_DECLARE_TABLES(OptimizerTable, optimizer_table)

/// Calls body(piece, number of the piece) in parallel over all runs, cut into pieces: one pass over many tensors. The
/// cuts follow from the sizes alone.
void for_each_piece(std::span<const Run> runs, FunctionRef<void(const Run&, std::int64_t)> body);
std::int64_t count_pieces(std::span<const Run> runs);

}  // namespace duet::kernels
