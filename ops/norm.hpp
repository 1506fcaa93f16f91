// Normalisations. x is (N, C, S...), S being any number of dimensions, none included, unless said otherwise; results
// have x's shape. All tensors are of one dtype, f32 or f64 (DtypeError); ShapeError for sizes that do not fit.
#pragma once

#include <duet/core/options.hpp>
#include <duet/core/tensor.hpp>

namespace duet {

struct BatchNormOptions {
  bool training = false;  ///< normalise by the batch's own statistics, else by the running ones
  double momentum = 0.1;  ///< weight of the batch in the new running statistics
  double eps = 1e-5;      ///< added to the variance
  void fields(FieldVisitor& visitor) {
    visitor.field("training", training);
    visitor.field("momentum", momentum);
    visitor.field("eps", eps);
  }
};

/// The two of BatchNormOptions that training has.
struct BatchNormReluOptions {
  double momentum = 0.1;
  double eps = 1e-5;
  void fields(FieldVisitor& visitor) {
    visitor.field("momentum", momentum);
    visitor.field("eps", eps);
  }
};

struct GroupNormOptions {
  std::int64_t num_groups = 1;
  double eps = 1e-5;
  void fields(FieldVisitor& visitor) {
    visitor.field("num_groups", num_groups);
    visitor.field("eps", eps);
  }
};

struct InstanceNormOptions {
  double eps = 1e-5;
  void fields(FieldVisitor& visitor) { visitor.field("eps", eps); }
};

struct LayerNormOptions {
  Shape normalized_shape = {};  ///< the trailing dimensions of x that are normalised together
  double eps = 1e-5;
  void fields(FieldVisitor& visitor) {
    visitor.field("normalized_shape", normalized_shape);
    visitor.field("eps", eps);
  }
};

/// Which elements of x (N, C, S...) share statistics: with num_groups 0 those of a channel across the batch; else those
/// of a sample in one of that many equal groups of channels.
struct NormalizeOptions {
  std::int64_t num_groups = 0;
  double eps = 1e-5;
  void fields(FieldVisitor& visitor) {
    visitor.field("num_groups", num_groups);
    visitor.field("eps", eps);
  }
};

/// What a batch norm gives back.
struct BatchNormResult {
  Tensor y;
  Tensor running_mean, running_var;  ///< the new ones in training, the given ones otherwise; no gradient flows
};

/// y = (x - mean) / sqrt(var + eps) · weight + bias for every channel (Ioffe and Szegedy 2015). In training, mean and
/// var are those of the batch (biased), and the running ones move by `momentum` towards them (var unbiased). weight,
/// bias (C,) may be undefined; the running statistics (C,) may be so in training. Throws ShapeError for sizes that do
/// not fit, ValueError where training meets a single value per channel or eval no statistics.
BatchNormResult batch_norm(const Tensor& x, const Tensor& running_mean, const Tensor& running_var,
                           const Tensor& weight = {}, const Tensor& bias = {}, const BatchNormOptions& options = {});

/// relu(batch_norm(...).y) in training, in three passes over the activation instead of five, and five instead of eight
/// on the way back, which takes the sign of y from x. Throws what batch_norm throws.
BatchNormResult batch_norm_relu(const Tensor& x, const Tensor& running_mean, const Tensor& running_var,
                                const Tensor& weight = {}, const Tensor& bias = {},
                                const BatchNormReluOptions& options = {});

/// What batch_norm does, each sample's groups of channels by themselves (Wu and He 2018). weight, bias (C,) may be
/// undefined. ValueError if num_groups does not divide C or a group has a single value.
Tensor group_norm(const Tensor& x, const Tensor& weight, const Tensor& bias, const GroupNormOptions& options);

/// The same, each channel of each sample by itself (Ulyanov et al. 2016). x (N, C, S...) with at least one S.
Tensor instance_norm(const Tensor& x, const Tensor& weight = {}, const Tensor& bias = {},
                     const InstanceNormOptions& options = {});

/// Each (x - mean) / sqrt(var + eps) · weight + bias over the trailing dimensions (Ba et al. 2016). weight, bias of
/// normalized_shape may be undefined. ShapeError if x does not end in normalized_shape.
Tensor layer_norm(const Tensor& x, const Tensor& weight, const Tensor& bias, const LayerNormOptions& options);

/// x / sqrt(mean(x²) + eps) · weight over the trailing dimensions (Zhang and Sennrich 2019). weight may be undefined.
Tensor rms_norm(const Tensor& x, const Tensor& weight, const LayerNormOptions& options);

/// Mean and 1 / sqrt(var + eps) of each group: (C,) with num_groups 0, else (N, num_groups).
struct NormalizeStatistics {
  Tensor mean, inverse_deviation;
};
NormalizeStatistics normalize_statistics(const Tensor& x, const NormalizeOptions& options = {});  ///< of x (N, C, S...)

/// Gradients of a normalisation by x, weight and bias.
struct NormalizeGradients {
  Tensor x, weight, bias;
};
/// The gradients of <g, normalised x · weight + bias>. weight may be undefined (ones). mean and inverse_deviation are
/// what normalize_statistics() gives, or undefined: they save computing it again, and derivatives treat them as
/// functions of x. With `shift` (C,), for num_groups 0, a relu follows: g counts only where (x - mean) ·
/// inverse_deviation · weight + shift is above 0.
NormalizeGradients normalize_backward(const Tensor& g, const Tensor& x, const Tensor& weight, const Tensor& mean,
                                      const Tensor& inverse_deviation, const NormalizeOptions& options,
                                      const Tensor& shift = {});

}  // namespace duet
