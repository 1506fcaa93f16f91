// The net, and its weight files.
#include <duet/nn/models/super_resolution.hpp>

#include <duet/nn/layer.hpp>
#include <duet/ops/activation.hpp>
#include <duet/ops/elementwise.hpp>
#include <duet/ops/resample.hpp>

namespace duet::nn {
namespace {

constexpr const char* architecture = "SuperResolution";

const SuperResolutionOptions& checked(const SuperResolutionOptions& o) {
  require_at_least(architecture, "channels", o.channels, 1);
  if (o.width < 2 || o.width > 65536) fail<ValueError>(architecture, "width must be 2 to 65536, got {}", o.width);
  return o;
}

/// In a file the upsampler counts from 1.
std::vector<std::pair<std::string, std::int64_t>> numbers_of(const SuperResolutionOptions& o) {
  return {{"channels", o.channels},
          {"scale", o.scale},
          {"width", o.width},
          {"upsampler", static_cast<std::int64_t>(o.upsampler) + 1},
          {"smooth_init", o.smooth_init ? 2 : 1}};
}

}  // namespace

SuperResolution::SuperResolution(Module* parent, std::string name, const Options& given)
    : Module(parent, std::move(name)),
      options(checked(given)),
      conv1(this, "conv1", given.channels, given.width, 5, {.padding = 2}),
      conv2(this, "conv2", given.width, given.width / 2, 3, {.padding = 1}),
      up(this, "up", given.width / 2, given.channels, given.upsampler,
         {.scale = given.scale, .smooth_init = given.smooth_init}) {}

Tensor SuperResolution::forward(const Tensor& x) {
  if (x.rank() != 4 || x.size(1) != options.channels)
    fail<ShapeError>(architecture, "needs x (N, {}, H, W), got {}", options.channels, x.shape());
  const Tensor smooth =
      interpolate(x, {.scale_factor = {static_cast<double>(options.scale)}, .mode = InterpolateMode::bicubic});
  return smooth + up(relu(conv2(relu(conv1(x)))));
}

std::string SuperResolution::describe() const {
  return fmt::format("channels={}, scale={}, width={}, upsampler={}", options.channels, options.scale, options.width,
                     nn::name(options.upsampler));
}

void SuperResolution::save(const std::string& path, const ModelDescription& description) const {
  save_safetensors(path, state_dict(), to_metadata(architecture, numbers_of(options), description));
}

std::unique_ptr<SuperResolution> SuperResolution::load(const std::string& path, ModelDescription* description) {
  const SafetensorsFile file = load_safetensors(path);
  auto numbers = numbers_of({});
  const ModelDescription described = read_options(path, file, architecture, numbers);
  if (numbers[3].second > static_cast<std::int64_t>(std::size(all_upsamplers)) || numbers[4].second > 2)
    fail<IoError>("load", "'{}' describes an unknown upsampler: {}, {}", path, numbers[3].second, numbers[4].second);
  const SuperResolutionOptions options{.channels = numbers[0].second,
                                       .scale = numbers[1].second,
                                       .width = numbers[2].second,
                                       .upsampler = all_upsamplers[numbers[3].second - 1],
                                       .smooth_init = numbers[4].second == 2};
  require_tensor(path, file, "conv1.weight", {options.width, options.channels, 5, 5});
  require_tensor(path, file, "conv2.weight", {options.width / 2, options.width, 3, 3});
  std::unique_ptr<SuperResolution> model;
  try {
    model = std::make_unique<SuperResolution>(options);
  } catch (const ValueError& error) {
    fail<IoError>("load", "'{}' describes an impossible model: {}", path, error.what());
  }
  if (file.find("conv1.weight").dtype() == f64) model->to(f64);
  model->load_state_dict(file.tensors);
  if (description != nullptr) *description = described;
  return model;
}

}  // namespace duet::nn
