// What a data set is to a loader: numbered samples, each a function of its number and of the random numbers it is
// given.
#pragma once

#include <cstdint>

#include <duet/core/random.hpp>
#include <duet/core/tensor.hpp>

namespace duet::data {

/// An image (or a batch of them) and what a model should make of it.
struct Sample {
  Tensor image;
  Tensor target;
};

/// Numbered samples.
class Dataset {
 public:
  virtual ~Dataset() = default;
  /// How many samples an epoch has.
  virtual std::int64_t size() const = 0;
  /// Sample `index` of [0, size()), contiguous tensors. Called from several threads at once, so it must not change
  /// the data set, and must draw random numbers from `random` alone: that makes it the same on any number of threads.
  virtual Sample get(std::int64_t index, Generator& random) const = 0;
};

/// The random numbers of sample `index` in epoch `epoch` of a run with this seed.
Generator sample_generator(std::uint64_t seed, std::int64_t epoch, std::int64_t index);

}  // namespace duet::data
