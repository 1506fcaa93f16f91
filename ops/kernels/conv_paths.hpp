// The ways to compute a reading of a convolution; ops/kernels/conv.cpp chooses. Internal to ops/kernels. All expect
// at least one image, channel and element on every side.
#pragma once

#include <duet/ops/kernels/conv_reading.hpp>

namespace duet::kernels {

/// Whether conv_by_rows computes the two phases of an output row at once.
inline bool pairs_phases(const AxisReading& axis) {
  return axis.period == 2 && axis.phases == 2 && axis.out == 2 * axis.positions;
}

/// What conv_by_rows costs for a vector of pixels of an output channel, in products of vectors: the products, which
/// wait for more loads where channels are few; what a sum costs; interleaving two phases; and splitting rows that are
/// read in steps. Empty lanes are counted.
inline double cost_along_rows(const ConvReading& r, int vector) {
  const double source = static_cast<double>(r.source_channels), out = static_cast<double>(r.out_channels);
  const double products = source * static_cast<double>(r.taps) / static_cast<double>(r.phases());
  const bool paired = pairs_phases(r.axis[2]);
  const double interleaving = r.axis[2].period == 1 ? 0 : paired ? 1 : 4;
  const double step = static_cast<double>(r.axis[2].step);
  const double splitting = step > 1 ? 0.75 * vector * step * static_cast<double>(r.axis[1].step) * source / out : 0;
  const Index row = r.axis[2].positions;
  const double filled = static_cast<double>(row) / static_cast<double>((row + vector - 1) / vector * vector);
  return ((out > (paired ? 2 : 4) ? 1.1 : 1.4) * products + 2 + interleaving + splitting) / filled *
         (row < vector ? 2.0 : 1.0);
}

/// Output channels side by side in vectors.
template <class T>
void conv_by_channels(const ConvReading& reading, const T* source, const T* weight, const T* bias, T* out);

/// Output pixels side by side in vectors, for few channels.
template <class T>
void conv_by_rows(const ConvReading& reading, const T* source, const T* weight, const T* bias, T* out);

/// The weight gradient with the channels of `out` side by side in vectors.
template <class T>
void weight_by_channels(const ConvReading& reading, const T* source, const T* out, T* weight);

/// The weight gradient as dot products of rows, for few channels on both sides.
template <class T>
void weight_by_rows(const ConvReading& reading, const T* source, const T* out, T* weight);

}  // namespace duet::kernels
