// What the triple's ops are recorded with, and the calls on which the sweep checks them. Internal to ops/.
#pragma once

#include <optional>
#include <vector>

#include <duet/core/op.hpp>
#include <duet/ops/conv.hpp>

namespace duet {

/// Either a user's options or, in derivatives, a geometry that overrides them.
template <int N>
struct ConvCall {
  ConvOptions<N> options = {};
  std::optional<ConvGeometry> geometry = {};
  void fields(FieldVisitor& visitor);
};
template <int N>
struct ConvTransposeCall {
  ConvTransposeOptions<N> options = {};
  std::optional<ConvGeometry> geometry = {};
  void fields(FieldVisitor& visitor);
};
template <int N>
struct ConvWeightCall {
  Extent<N> kernel_size = 1;
  ConvOptions<N> options = {};
  std::optional<ConvGeometry> geometry = {};
  void fields(FieldVisitor& visitor);
};

template <int N>
std::vector<Sample> conv_samples();
template <int N>
std::vector<Sample> conv_transpose_samples();
template <int N>
std::vector<Sample> conv_weight_samples();

}  // namespace duet
