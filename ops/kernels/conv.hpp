// The arithmetic of the convolution triple on dense NCHW (NCW, NCDHW) buffers, for float and double. Knows
// neither tensors nor the tape. Each function overwrites its whole result; a batch, channel count or size of
// zero is allowed and gives zeros (or the bias) wherever the result has elements.
//
// Results do not depend on the number of threads. Scratch memory comes from core/allocator.hpp.
#pragma once

#include <duet/ops/conv_geometry.hpp>

namespace duet::kernels {

/// y[n,k,s] = bias[k] + sum_{c,t} x[n,c,l(s,t)] * w[k,c,t]. x: large, w: weight, y: small; bias: small_channels
/// values or null. This is conv forward, and conv_transpose's gradient by its input.
template <class T>
void conv(const ConvGeometry& geometry, std::int64_t batch, const T* x, const T* w, const T* bias, T* y);

/// x[n,c,l] = bias[c] + sum over (s,t) with l(s,t) = l, and k, of y[n,k,s] * w[k,c,t]. bias: large_channels
/// values or null. This is conv_transpose forward, and conv's gradient by its input.
template <class T>
void conv_transpose(const ConvGeometry& geometry, std::int64_t batch, const T* y, const T* w, const T* bias, T* x);

/// w[k,c,t] = sum_{n,s} x[n,c,l(s,t)] * y[n,k,s]: the gradient by the weight, of both.
template <class T>
void conv_weight(const ConvGeometry& geometry, std::int64_t batch, const T* x, const T* y, T* w);

}  // namespace duet::kernels
