// What the tests of autograd share.
#pragma once

#include <string>

#include <duet/core/random.hpp>
#include <duet/core/tensor.hpp>

inline duet::Tensor normal(const duet::Shape& shape, std::uint64_t seed = 1, duet::Dtype dtype = duet::f64) {
  duet::Generator generator(seed);
  return duet::randn(shape, {.dtype = dtype}, generator);
}

inline duet::Tensor leaf(const duet::Shape& shape, std::uint64_t seed = 1, duet::Dtype dtype = duet::f64) {
  return normal(shape, seed, dtype).set_requires_grad();
}
