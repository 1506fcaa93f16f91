// Random numbers by counting: Philox 4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC
// 2011). Element i of a tensor depends on the seed, on how many numbers were drawn before, and on i: not on the
// number of threads, and not on the SIMD table. Tensors of an impossible size are a ShapeError, normal and uniform
// integers a DtypeError.
#pragma once

#include <cstdint>

#include <duet/core/tensor.hpp>

namespace duet {

/// A stream of random numbers: a seed, and how far it was read. Copies continue from the same place.
/// Threads may draw from one at once, and none gets what another gets; set_state() is for one that is alone.
class Generator {
 public:
  explicit Generator(std::uint64_t seed = 0) : seed_(seed) {}
  std::uint64_t seed() const { return seed_; }          ///< as given
  std::uint64_t position() const { return position_; }  ///< numbers read so far
  void set_state(std::uint64_t seed, std::uint64_t position) {
    seed_ = seed;
    position_ = position;
  }  ///< goes on from there
  /// One 64-bit number.
  std::uint64_t next();
  /// Uniform in [0, 1), 53 bits.
  double uniform();
  /// Uniform in [low, high); ValueError for an empty range.
  std::int64_t integer(std::int64_t low, std::int64_t high);
  /// Normal with mean 0 and deviation 1.
  double normal();
  /// Takes `blocks` blocks of four 32-bit numbers at once and returns where they start.
  std::uint64_t reserve(std::uint64_t blocks);

 private:
  std::uint64_t seed_, position_ = 0;
};

/// The generator of this process; manual_seed() sets it, and functions without a generator draw from it. Where
/// several threads do, it is left to chance which gets what: give each a generator of its own where that matters.
Generator& default_generator();
void manual_seed(std::uint64_t seed);  ///< starts default_generator() anew

/// A tensor of `shape`, uniform in [0, 1).
Tensor rand(const Shape& shape, TensorOptions options = {}, Generator& generator = default_generator());
/// Normal, mean 0 and deviation 1 (Box and Muller 1958).
Tensor randn(const Shape& shape, TensorOptions options = {}, Generator& generator = default_generator());
/// Integers uniform in [low, high), in any dtype, i64 unless asked otherwise; ValueError if high <= low.
Tensor randint(std::int64_t low, std::int64_t high, const Shape& shape, TensorOptions options = {.dtype = i64},
               Generator& generator = default_generator());
/// A permutation of 0 … n-1, i64 (Fisher and Yates).
Tensor randperm(std::int64_t n, Generator& generator = default_generator());

}  // namespace duet
