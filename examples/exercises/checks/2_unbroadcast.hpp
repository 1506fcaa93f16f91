// Exercise 2: what is asked for.
#pragma once

#include <duet/core/tensor.hpp>

/// The gradient of a tensor of `shape` that was broadcast to the shape of g: the sum over all that was repeated. Both
/// have the same rank here; a dimension was repeated where shape has 1 and g does not.
duet::Tensor unbroadcast(const duet::Tensor& g, const duet::Shape& shape);
