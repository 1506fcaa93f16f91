// The bridge to DLPack (github.com/dmlc/dlpack), the form in which array libraries hand memory to each other without a
// copy. A header of its own that a user includes knowingly: it needs dlpack.h (Debian: libdlpack-dev).
//
//     DLManagedTensor* out = duet::to_dlpack(tensor);      // the taker calls out->deleter(out)
//     duet::Tensor in = duet::from_dlpack(managed);        // takes it over, and calls its deleter at the end
#pragma once

#include <dlpack/dlpack.h>

#include <cstdint>
#include <memory>
#include <string>

#include <duet/core/error.hpp>
#include <duet/core/tape.hpp>
#include <duet/core/tensor.hpp>

namespace duet {

/// A tensor of any shape as DLPack sees it, sharing its memory, which lives until the taker calls the deleter. The
/// taker may write to it at any time, so this counts as handing out a writable pointer: AutogradError for a tensor on
/// the tape (detach() it first), ValueError for an undefined one.
inline DLManagedTensor* to_dlpack(Tensor tensor) {
  if (!tensor.defined()) throw ValueError("[to_dlpack] the tensor is undefined");
  if (tensor.requires_grad())
    throw AutogradError("[to_dlpack] " + to_string(spec_of(tensor)) + " requires a gradient: detach() it");
  struct Holder {
    DLManagedTensor managed = {};
    Tensor tensor;
    Shape shape, strides;
  };
  auto holder = std::make_unique<Holder>();
  holder->tensor = std::move(tensor);
  holder->shape = holder->tensor.shape();
  holder->strides = holder->tensor.strides();
  DLTensor& view = holder->managed.dl_tensor;
  switch (holder->tensor.dtype()) {
    case Dtype::f32:
      view.data = holder->tensor.mutable_data<float>();
      view.dtype = {kDLFloat, 32, 1};
      break;
    case Dtype::f64:
      view.data = holder->tensor.mutable_data<double>();
      view.dtype = {kDLFloat, 64, 1};
      break;
    case Dtype::i64:
      view.data = holder->tensor.mutable_data<std::int64_t>();
      view.dtype = {kDLInt, 64, 1};
      break;
    default:
      view.data = holder->tensor.mutable_data<std::uint8_t>();
      view.dtype = {kDLUInt, 8, 1};
  }
  view.device = {kDLCPU, 0};
  view.ndim = holder->shape.rank();
  view.shape = holder->shape.begin();
  view.strides = holder->strides.begin();
  view.byte_offset = 0;
  holder->managed.deleter = [](DLManagedTensor* self) { delete static_cast<Holder*>(self->manager_ctx); };
  holder->managed.manager_ctx = holder.get();
  return &holder.release()->managed;
}

/// A tensor on somebody else's memory, without a copy: f32, f64, i64, u8 and bool (as u8) in the memory of the
/// processor. Takes `managed` over where it succeeds, and calls its deleter when the last tensor on it goes. ValueError
/// for null or another device, DtypeError for other elements, ShapeError for negative sizes or strides or more than 8
/// dimensions; `managed` is untouched then.
inline Tensor from_dlpack(DLManagedTensor* managed) {
  if (managed == nullptr) throw ValueError("[from_dlpack] there is nothing to take over");
  const DLTensor& view = managed->dl_tensor;
  if (view.device.device_type != kDLCPU && view.device.device_type != kDLCUDAHost)
    throw ValueError("[from_dlpack] the memory belongs to device " + std::to_string(view.device.device_type) +
                     ", not to the processor");
  if (view.ndim < 0 || view.ndim > max_rank)
    throw ShapeError("[from_dlpack] " + std::to_string(view.ndim) + " dimensions, at most " + std::to_string(max_rank));
  Shape shape;
  for (int i = 0; i < view.ndim; ++i) shape.push_back(view.shape[i]);
  Shape strides = contiguous_strides(shape);
  for (int i = 0; i < view.ndim; ++i) {
    if (view.strides != nullptr) strides[i] = view.strides[i];
    if (shape[i] < 0 || strides[i] < 0)
      throw ShapeError("[from_dlpack] sizes " + to_string(shape) + ", strides " + to_string(strides) +
                       ": none may be negative");
  }
  const auto is = [&](int code, int bits) {
    return view.dtype.code == code && view.dtype.bits == bits && view.dtype.lanes == 1;
  };
  constexpr int truth = 6;  // kDLBool, which older headers lack
  const bool bytes = is(kDLUInt, 8) || is(truth, 8);
  if (!is(kDLFloat, 32) && !is(kDLFloat, 64) && !is(kDLInt, 64) && !bytes)
    throw DtypeError("[from_dlpack] elements of kind " + std::to_string(view.dtype.code) + " with " +
                     std::to_string(view.dtype.bits) + " bits; Duet has f32, f64, i64 and u8");
  auto* data = static_cast<std::uint8_t*>(view.data) + view.byte_offset;
  const std::shared_ptr<const void> owner(managed, [](DLManagedTensor* last) {
    if (last->deleter != nullptr) last->deleter(last);
  });
  if (is(kDLFloat, 32)) return Tensor::wrap(reinterpret_cast<float*>(data), shape, strides, owner);
  if (is(kDLFloat, 64)) return Tensor::wrap(reinterpret_cast<double*>(data), shape, strides, owner);
  if (is(kDLInt, 64)) return Tensor::wrap(reinterpret_cast<std::int64_t*>(data), shape, strides, owner);
  return Tensor::wrap(data, shape, strides, owner);
}

}  // namespace duet
