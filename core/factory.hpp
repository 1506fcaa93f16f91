// Tensors from nothing: zeros, ones, full, arange, linspace, eye. ShapeError for a size that is negative or impossible,
// before anything is allocated; DtypeError where integers shall require a gradient.
#pragma once

#include <duet/core/tensor.hpp>

namespace duet {

/// Uninitialised elements.
inline Tensor empty(const Shape& shape, TensorOptions options = {}) { return Tensor::empty(shape, options); }
Tensor full(const Shape& shape, double value, TensorOptions options = {});  ///< every element is value
inline Tensor zeros(const Shape& shape, TensorOptions options = {}) { return full(shape, 0, options); }
inline Tensor ones(const Shape& shape, TensorOptions options = {}) { return full(shape, 1, options); }
/// Shape and dtype of `like`, every element the same.
Tensor full_like(const Tensor& like, double value);
inline Tensor zeros_like(const Tensor& like) { return full_like(like, 0); }  ///< zeros of its shape and dtype
inline Tensor ones_like(const Tensor& like) { return full_like(like, 1); }   ///< ones of its shape and dtype
/// start, start + step, … below `end` (above it for a negative step), in one dimension; ValueError for a step of 0 or a
/// bound that is not finite.
Tensor arange(double start, double end, double step = 1, TensorOptions options = {});
/// `count` values from start to end, both included, in one dimension; ValueError for a negative count.
Tensor linspace(double start, double end, std::int64_t count, TensorOptions options = {});
/// The n × n identity.
Tensor eye(std::int64_t n, TensorOptions options = {});

}  // namespace duet
