// The ways to compute a reading of a convolution; ops/kernels/conv.cpp chooses. Internal to ops/kernels. All expect
// at least one image, channel and element on every side.
#pragma once

#include <duet/ops/kernels/conv_reading.hpp>

namespace duet::kernels {

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
