// Samplers: which samples an epoch has, and in which order. A DataLoader takes one in place of its own order.
#pragma once

#include <cstdint>
#include <vector>

namespace duet::data {

/// The order of the samples in each epoch.
class Sampler {
 public:
  virtual ~Sampler() = default;
  /// How many samples an epoch has: always the same.
  virtual std::int64_t size() const = 0;
  /// The samples of an epoch: a function of its number alone, so that a run can go on anywhere.
  virtual std::vector<std::int64_t> order(std::int64_t epoch) const = 0;
};

/// 0, 1, 2, …
class SequentialSampler : public Sampler {
 public:
  /// ValueError for a count below 1.
  explicit SequentialSampler(std::int64_t count);
  std::int64_t size() const override { return count_; }
  std::vector<std::int64_t> order(std::int64_t epoch) const override;

 private:
  std::int64_t count_;
};

struct RandomSamplerOptions {
  bool replacement = false;      ///< draw each sample anew from all
  std::int64_t num_samples = 0;  ///< of an epoch; 0: as many as there are
  std::uint64_t seed = 0;
};

/// A new permutation of 0 … count−1 each epoch, or its beginning; or draws with replacement.
class RandomSampler : public Sampler {
 public:
  /// ValueError for a count below 1, or more samples than there are without replacement.
  explicit RandomSampler(std::int64_t count, const RandomSamplerOptions& options = {});
  std::int64_t size() const override;
  std::vector<std::int64_t> order(std::int64_t epoch) const override;

 private:
  std::int64_t count_;
  RandomSamplerOptions options_;
};

struct WeightedSamplerOptions {
  std::int64_t num_samples = 0;  ///< of an epoch; 0: as many as there are weights
  bool replacement = true;       ///< else each sample at most once, drawn in turn by what is left of the weights
  std::uint64_t seed = 0;
};

/// Sample i comes with a probability in proportion to weights[i].
class WeightedSampler : public Sampler {
 public:
  /// ValueError for weights that are negative, not finite or all 0, or, without replacement, fewer positive ones than
  /// samples.
  explicit WeightedSampler(std::vector<double> weights, const WeightedSamplerOptions& options = {});
  std::int64_t size() const override;
  std::vector<std::int64_t> order(std::int64_t epoch) const override;

 private:
  std::vector<double> weights_;
  WeightedSamplerOptions options_;
};

/// Weights under which every class is drawn equally often: 1 / (how many samples have the class of sample i).
/// ValueError for a negative class.
std::vector<double> balancing_weights(const std::vector<std::int64_t>& classes);

}  // namespace duet::data
