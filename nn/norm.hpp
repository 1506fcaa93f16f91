// Normalisation over channels: batch, instance, group. Over trailing dimensions: layer_norm.hpp.
#pragma once

#include <optional>

#include <duet/core/callable.hpp>
#include <duet/nn/module.hpp>

namespace duet::nn {

struct BatchNormOptions {
  double eps = 1e-5;
  std::optional<double> momentum = 0.1;  ///< weight of a batch in the running statistics; none: their plain mean
  bool affine = true;                    ///< learns a weight and a bias
  bool track_running_stats = true;       ///< off: normalises by the batch in evaluation too
  bool relu = false;                     ///< and takes the positive part, which training does in the same pass
};

/// Normalises each channel of x (N, C, S…) by the batch in training and by running statistics in evaluation (Ioffe and
/// Szegedy 2015), and warns (core/warning.hpp) if those were never updated nor loaded. N is the number of dimensions S:
/// BatchNorm1d takes (N, C) too. ShapeError for another rank.
template <int N>
class BatchNorm : public Module {
 public:
  using Options = BatchNormOptions;
  explicit BatchNorm(std::int64_t features, const Options& given = {}) : BatchNorm(nullptr, "", features, given) {}
  BatchNorm(Module* parent, std::string name, std::int64_t features, const Options& given = {});
  Tensor forward(const Tensor& x) override;
  std::string kind() const override;
  std::string describe() const override;

  Options options;
  Parameter weight, bias;
  Buffer running_mean, running_var, num_batches_tracked;
  bool folded = false;  ///< a convolution does its work (nn/fuse.hpp): x goes through as it is, or its positive part
  /// Sums over the processes that share a batch, as an op with a derivative: training normalises by all of it then.
  /// Empty: x is the whole batch. mpi::synchronize_batch_norms() sets it.
  Callable<Tensor(const Tensor&)> total = {};

 private:
  Tensor by_whole_batch(const Tensor& x);
};

extern template class BatchNorm<1>;
extern template class BatchNorm<2>;
extern template class BatchNorm<3>;
using BatchNorm1d = BatchNorm<1>;
using BatchNorm2d = BatchNorm<2>;
using BatchNorm3d = BatchNorm<3>;

struct InstanceNormOptions {
  double eps = 1e-5;
  double momentum = 0.1;             ///< weight of a batch in the running statistics
  bool affine = false;               ///< learns a weight and a bias
  bool track_running_stats = false;  ///< keeps running statistics, and normalises by them in evaluation
};

/// Normalises each channel of each sample by itself (Ulyanov et al. 2016), in training and, without running statistics,
/// in evaluation alike. The running ones move towards the mean over the batch of the samples' means and unbiased
/// variances.
template <int N>
class InstanceNorm : public Module {
 public:
  using Options = InstanceNormOptions;
  explicit InstanceNorm(std::int64_t count, const Options& given = {}) : InstanceNorm(nullptr, "", count, given) {}
  InstanceNorm(Module* parent, std::string name, std::int64_t count, const Options& given = {});
  Tensor forward(const Tensor& x) override;
  std::string kind() const override;
  std::string describe() const override;

  Options options;
  std::int64_t features;
  Parameter weight, bias;
  Buffer running_mean, running_var, num_batches_tracked;
};

extern template class InstanceNorm<1>;
extern template class InstanceNorm<2>;
extern template class InstanceNorm<3>;
using InstanceNorm1d = InstanceNorm<1>;
using InstanceNorm2d = InstanceNorm<2>;
using InstanceNorm3d = InstanceNorm<3>;

struct GroupNormOptions {
  double eps = 1e-5;
  bool affine = true;
};

/// Normalises groups of channels of each sample (Wu and He 2018). ValueError if groups do not divide channels.
class GroupNorm : public Module {
 public:
  using Options = GroupNormOptions;
  GroupNorm(std::int64_t group_count, std::int64_t channel_count, const Options& given = {})
      : GroupNorm(nullptr, "", group_count, channel_count, given) {}
  GroupNorm(Module* parent, std::string name, std::int64_t group_count, std::int64_t channel_count,
            const Options& given = {});
  Tensor forward(const Tensor& x) override;
  std::string describe() const override;

  Options options;
  std::int64_t groups, channels;
  Parameter weight, bias;
};

}  // namespace duet::nn
