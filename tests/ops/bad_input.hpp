// Calls that must fail, each with its type of error and a piece of the message. The tables are by family; bad_input.cpp
// runs them all.
#pragma once

#include <span>
#include <vector>

#include <duet/core/tensor.hpp>

#include "bad_call.hpp"

namespace bad_input {

// Inputs that many of the calls share; nobody may change them.
const duet::Tensor& image();        ///< (1, 2, 4, 6) f64
const duet::Tensor& matrix();       ///< (2, 3) f32
const duet::Tensor& scalar();       ///< () f32
const duet::Tensor& whole();        ///< (6,) i64
const duet::Tensor& empty_batch();  ///< (0, 2, 4, 6) f32
duet::Tensor index(std::vector<std::int64_t> values);

std::vector<BadCall> arithmetic_calls();
std::vector<BadCall> reduction_calls();
std::vector<BadCall> loss_calls();
std::vector<BadCall> product_calls();
std::vector<BadCall> shape_calls();
std::vector<BadCall> index_calls();
std::vector<BadCall> pool_calls();
std::vector<BadCall> norm_calls();

}  // namespace bad_input
