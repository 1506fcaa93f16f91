// A small convolutional classifier of digits or other small square images.
#pragma once

#include <memory>
#include <string>

#include <duet/nn/conv.hpp>
#include <duet/nn/linear.hpp>
#include <duet/nn/models/description.hpp>
#include <duet/nn/norm.hpp>

namespace duet::nn {

struct DigitNetOptions {
  std::int64_t image_size = 28;  ///< side, at least 4
  std::int64_t channels = 1;
  std::int64_t classes = 10;
  std::int64_t width = 32;     ///< channels of the first convolution; the second has twice as many
  std::int64_t features = 64;  ///< numbers that the last layer decides by
};

/// x (N, channels, size, size) to logits (N, classes). Twice: convolution 3×3, batch norm, ReLU, maximum of 2×2; then a
/// hidden layer, of which training drops a quarter, and the classes.
class DigitNet : public Module {
 public:
  using Options = DigitNetOptions;
  /// ValueError for an option out of range.
  explicit DigitNet(const Options& given = {}) : DigitNet(nullptr, "", given) {}
  DigitNet(Module* parent, std::string name, const Options& given = {});
  Tensor forward(const Tensor& x) override;
  /// The hidden layer, (N, features): what samples of a generator are judged in.
  Tensor features(const Tensor& x);
  std::string describe() const override;

  /// Writes weights, options and `description` into one safetensors file, whole or not at all.
  void save(const std::string& path, const ModelDescription& description = {}) const;
  /// What save() wrote. IoError for a broken file or another architecture, ValueError for tensors that do not fit.
  static std::unique_ptr<DigitNet> load(const std::string& path, ModelDescription* description = nullptr);

  Options options;
  Conv2d conv1;
  BatchNorm2d bn1;
  Conv2d conv2;
  BatchNorm2d bn2;
  Linear hidden, head;
};

}  // namespace duet::nn
