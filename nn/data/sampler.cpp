// Draws are functions of seed and epoch.
#include <duet/nn/data/sampler.hpp>

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>

#include <duet/core/fail.hpp>
#include <duet/nn/data/dataset.hpp>

namespace duet::data {
namespace {

void require_positive(const char* sampler, std::int64_t count) {
  if (count < 1) fail<ValueError>(sampler, "needs at least one sample, got {}", count);
}

Generator generator_of(std::uint64_t seed, std::int64_t epoch) { return sample_generator(seed, epoch, -1); }

std::vector<std::int64_t> counting(std::int64_t count) {
  std::vector<std::int64_t> order(static_cast<std::size_t>(count));
  std::iota(order.begin(), order.end(), 0);
  return order;
}

}  // namespace

SequentialSampler::SequentialSampler(std::int64_t count) : count_(count) {
  require_positive("SequentialSampler", count);
}

std::vector<std::int64_t> SequentialSampler::order(std::int64_t) const { return counting(count_); }

RandomSampler::RandomSampler(std::int64_t count, const RandomSamplerOptions& options)
    : count_(count), options_(options) {
  require_positive("RandomSampler", count);
  if (options.num_samples < 0 || (!options.replacement && options.num_samples > count))
    fail<ValueError>("RandomSampler", "cannot draw {} of {} samples without replacement", options.num_samples, count);
}

std::int64_t RandomSampler::size() const { return options_.num_samples > 0 ? options_.num_samples : count_; }

std::vector<std::int64_t> RandomSampler::order(std::int64_t epoch) const {
  Generator random = generator_of(options_.seed, epoch);
  if (options_.replacement) {
    std::vector<std::int64_t> order(static_cast<std::size_t>(size()));
    for (std::int64_t& index : order) index = random.integer(0, count_);
    return order;
  }
  std::vector<std::int64_t> order = counting(count_);
  for (std::int64_t i = count_ - 1; i > 0; --i)
    std::swap(order[static_cast<std::size_t>(i)], order[static_cast<std::size_t>(random.integer(0, i + 1))]);
  order.resize(static_cast<std::size_t>(size()));
  return order;
}

WeightedSampler::WeightedSampler(std::vector<double> weights, const WeightedSamplerOptions& options)
    : weights_(std::move(weights)), options_(options) {
  constexpr const char* name = "WeightedSampler";
  double sum = 0;
  std::int64_t positive = 0;
  for (std::size_t i = 0; i < weights_.size(); ++i) {
    if (!(weights_[i] >= 0) || !std::isfinite(weights_[i]))
      fail<ValueError>(name, "weights must be finite and not negative, weight {} is {}", i, weights_[i]);
    sum += weights_[i];
    positive += weights_[i] > 0;
  }
  if (!(sum > 0) || !std::isfinite(sum)) fail<ValueError>(name, "the sum of {} weights is {}", weights_.size(), sum);
  if (options.num_samples < 0) fail<ValueError>(name, "num_samples must not be negative, got {}", options.num_samples);
  if (!options.replacement && size() > positive)
    fail<ValueError>(name, "cannot draw {} samples without replacement: {} weights are positive", size(), positive);
}

std::int64_t WeightedSampler::size() const {
  return options_.num_samples > 0 ? options_.num_samples : static_cast<std::int64_t>(weights_.size());
}

std::vector<std::int64_t> WeightedSampler::order(std::int64_t epoch) const {
  Generator random = generator_of(options_.seed, epoch);
  const auto count = static_cast<std::size_t>(size());
  std::vector<std::int64_t> order;
  if (options_.replacement) {
    std::vector<double> sums(weights_.size());
    std::partial_sum(weights_.begin(), weights_.end(), sums.begin());
    while (order.size() < count) {
      const auto at = std::upper_bound(sums.begin(), sums.end(), random.uniform() * sums.back());
      order.push_back(std::min<std::int64_t>(at - sums.begin(), static_cast<std::int64_t>(sums.size()) - 1));
    }
    return order;
  }
  // The largest of u^(1/w) (Efraimidis and Spirakis 2006), by logarithms.
  std::vector<std::pair<double, std::int64_t>> keys;
  for (std::size_t i = 0; i < weights_.size(); ++i) {
    const double u = random.uniform();
    if (weights_[i] > 0) keys.emplace_back(std::log(u) / weights_[i], static_cast<std::int64_t>(i));
  }
  std::sort(keys.begin(), keys.end(), [](const auto& a, const auto& b) { return a > b; });
  for (std::size_t i = 0; i < count; ++i) order.push_back(keys[i].second);
  return order;
}

std::vector<double> balancing_weights(const std::vector<std::int64_t>& classes) {
  std::map<std::int64_t, std::int64_t> counts;
  for (const std::int64_t c : classes) {
    if (c < 0) fail<ValueError>("balancing_weights", "{} is no class", c);
    ++counts[c];
  }
  std::vector<double> weights;
  for (const std::int64_t c : classes) weights.push_back(1 / static_cast<double>(counts.at(c)));
  return weights;
}

}  // namespace duet::data
