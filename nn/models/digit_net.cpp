// The classifier, and its weight files.
#include <duet/nn/models/digit_net.hpp>

#include <duet/nn/layer.hpp>
#include <duet/ops/activation.hpp>
#include <duet/ops/dropout.hpp>
#include <duet/ops/pool.hpp>
#include <duet/ops/shape.hpp>

namespace duet::nn {
namespace {

constexpr const char* architecture = "DigitNet";

std::vector<std::pair<std::string, std::int64_t>> numbers_of(const DigitNetOptions& o) {
  return {{"image_size", o.image_size},
          {"channels", o.channels},
          {"classes", o.classes},
          {"width", o.width},
          {"features", o.features}};
}

const DigitNetOptions& checked(const DigitNetOptions& o) {
  for (const auto& [name, value] : numbers_of(o)) {
    require_at_least(architecture, name.c_str(), value, name == "image_size" ? 4 : 1);
    if (value > 65536) fail<ValueError>(architecture, "{} must be at most 65536, got {}", name, value);
  }
  return o;
}

/// Numbers of an image after both pools.
std::int64_t inner(const DigitNetOptions& o) { return 2 * o.width * (o.image_size / 4) * (o.image_size / 4); }

}  // namespace

DigitNet::DigitNet(Module* parent, std::string name, const Options& given)
    : Module(parent, std::move(name)),
      options(checked(given)),
      conv1(this, "conv1", given.channels, given.width, 3, {.padding = 1, .bias = false}),
      bn1(this, "bn1", given.width),
      conv2(this, "conv2", given.width, 2 * given.width, 3, {.padding = 1, .bias = false}),
      bn2(this, "bn2", 2 * given.width),
      hidden(this, "hidden", inner(given), given.features),
      head(this, "head", given.features, given.classes) {}

Tensor DigitNet::features(const Tensor& x) {
  const std::int64_t side = options.image_size;
  if (x.rank() != 4 || x.size(1) != options.channels || x.size(2) != side || x.size(3) != side)
    fail<ShapeError>(architecture, "needs x (N, {}, {}, {}), got {}", options.channels, side, side, x.shape());
  const Tensor half = max_pool2d(relu(bn1(conv1(x))), 2);
  return relu(hidden(flatten(max_pool2d(relu(bn2(conv2(half))), 2), 1)));
}

Tensor DigitNet::forward(const Tensor& x) { return head(dropout(features(x), {.p = 0.25, .training = is_training()})); }

std::string DigitNet::describe() const {
  return fmt::format("image_size={}, channels={}, classes={}, width={}, features={}", options.image_size,
                     options.channels, options.classes, options.width, options.features);
}

void DigitNet::save(const std::string& path, const ModelDescription& description) const {
  save_safetensors(path, state_dict(), to_metadata(architecture, numbers_of(options), description));
}

std::unique_ptr<DigitNet> DigitNet::load(const std::string& path, ModelDescription* description) {
  const SafetensorsFile file = load_safetensors(path);
  auto numbers = numbers_of({});
  const ModelDescription described = read_options(path, file, architecture, numbers);
  const DigitNetOptions options{numbers[0].second, numbers[1].second, numbers[2].second, numbers[3].second,
                                numbers[4].second};
  try {
    checked(options);
  } catch (const ValueError& error) {
    fail<IoError>("load", "'{}' describes an impossible model: {}", path, error.what());
  }
  require_tensor(path, file, "conv1.weight", {options.width, options.channels, 3, 3});
  require_tensor(path, file, "conv2.weight", {2 * options.width, options.width, 3, 3});
  require_tensor(path, file, "hidden.weight", {options.features, inner(options)});
  require_tensor(path, file, "head.weight", {options.classes, options.features});
  auto model = std::make_unique<DigitNet>(options);
  if (file.find("head.weight").dtype() == f64) model->to(f64);
  model->load_state_dict(file.tensors);
  if (description != nullptr) *description = described;
  return model;
}

}  // namespace duet::nn
