// Stacks of convolutions, one list of widths for both nets.
#include <duet/nn/models/gan.hpp>

#include <duet/nn/activation.hpp>
#include <duet/nn/conv.hpp>
#include <duet/nn/layer.hpp>
#include <duet/nn/norm.hpp>
#include <duet/nn/reparametrize.hpp>
#include <duet/ops/shape.hpp>

namespace duet::nn {
namespace {

constexpr const char* architecture = "GanGenerator";

/// How often the size is halved, and what is left.
struct Levels {
  std::int64_t count, start;
};

Levels levels_of(std::int64_t size) {
  Levels levels{0, size};
  while (levels.start > 7 && levels.start % 2 == 0) {
    levels.start /= 2;
    ++levels.count;
  }
  return levels;
}

void check(const char* model, const GanOptions& o) {
  const Levels levels = levels_of(o.image_size);
  if (o.image_size > 4096 || levels.count < 1 || levels.start < 4 || levels.start > 7)
    fail<ValueError>(model, "image_size must be 4 to 7 doubled once or more (8, 28, 32, 64, ...), got {}",
                     o.image_size);
  for (const auto& [name, value] :
       {std::pair{"channels", o.channels}, {"latent", o.latent}, {"base_channels", o.base_channels}}) {
    require_at_least(model, name, value, 1);
    if (value > 65536) fail<ValueError>(model, "{} must be at most 65536, got {}", name, value);
  }
  if (o.hidden < 0 || o.hidden > 65536) fail<ValueError>(model, "hidden must be 0 to 65536, got {}", o.hidden);
}

/// Channels at the smallest size.
std::int64_t widest(const GanOptions& o) { return o.base_channels << (levels_of(o.image_size).count - 1); }

/// The paper's initial values.
void draw_weights(const Module& model) {
  for (const auto& [name, tensor] : model.named_parameters()) {
    if (tensor.rank() > 1)
      init::normal_(tensor, 0, 0.02);
    else if (name.ends_with("weight"))
      init::normal_(tensor, 1, 0.02);
  }
}

std::string text_of(const GanOptions& o) {
  return fmt::format("image_size={}, channels={}, latent={}, base_channels={}{}", o.image_size, o.channels, o.latent,
                     o.base_channels, o.hidden > 0 ? fmt::format(", hidden={}", o.hidden) : std::string());
}

/// What a weight file says; no word of a layer that is not there.
std::vector<std::pair<std::string, std::int64_t>> numbers_of(const GanOptions& o) {
  std::vector<std::pair<std::string, std::int64_t>> numbers{
      {"image_size", o.image_size}, {"channels", o.channels}, {"latent", o.latent}, {"base_channels", o.base_channels}};
  if (o.hidden > 0) numbers.emplace_back("hidden", o.hidden);
  return numbers;
}

}  // namespace

GanGenerator::GanGenerator(Module* parent, const std::string& name, const Options& given)
    : Sequential(parent, name), options((check(architecture, given), given)) {
  const Levels levels = levels_of(options.image_size);
  std::int64_t width = widest(options);
  if (options.hidden > 0) {
    add(ConvTranspose2d{options.latent, options.hidden, 1, {.bias = false}});
    add(BatchNorm2d{options.hidden});
    add(ReLU{});
  }
  add(ConvTranspose2d{options.hidden > 0 ? options.hidden : options.latent, width, levels.start, {.bias = false}});
  for (std::int64_t level = 0; level < levels.count; ++level) {
    add(BatchNorm2d{width});
    add(ReLU{});
    const std::int64_t next = level + 1 == levels.count ? options.channels : width / 2;
    add(ConvTranspose2d{width, next, 4, {.stride = 2, .padding = 1, .bias = false}});
    width = next;
  }
  add(Tanh{});
  draw_weights(*this);
}

Tensor GanGenerator::forward(const Tensor& z) {
  const bool vector = z.rank() == 2 || (z.rank() == 4 && z.size(2) == 1 && z.size(3) == 1);
  if (!vector || z.size(1) != options.latent)
    fail<ShapeError>(architecture, "needs z (N, {0}) or (N, {0}, 1, 1), got {1}", options.latent, z.shape());
  return Sequential::forward(reshape(z, {z.size(0), options.latent, 1, 1}));
}

std::string GanGenerator::describe() const { return text_of(options); }

Tensor GanGenerator::noise(std::int64_t count, Generator& generator) const {
  return randn({count, options.latent}, {.dtype = parameters()[0].dtype()}, generator);
}

void GanGenerator::save(const std::string& path, const ModelDescription& description) const {
  save(path, state_dict(), description);
}

void GanGenerator::save(const std::string& path, const NamedTensors& state, const ModelDescription& description) const {
  save_safetensors(path, state, to_metadata(architecture, numbers_of(options), description));
}

std::unique_ptr<GanGenerator> GanGenerator::load(const std::string& path, ModelDescription* description) {
  const SafetensorsFile file = load_safetensors(path);
  const auto said = file.find_metadata("options");
  auto numbers = numbers_of({.hidden = said && said->find("\"hidden\"") != std::string::npos});
  const ModelDescription described = read_options(path, file, architecture, numbers);
  const GanOptions options{numbers[0].second, numbers[1].second, numbers[2].second, numbers[3].second,
                           numbers.size() > 4 ? numbers[4].second : 0};
  try {
    check(architecture, options);
  } catch (const ValueError& error) {
    fail<IoError>("load", "'{}' describes an impossible model: {}", path, error.what());
  }
  const Levels levels = levels_of(options.image_size);
  const std::int64_t width = widest(options);
  const std::int64_t first = options.hidden > 0 ? 3 : 0, inputs = options.hidden > 0 ? options.hidden : options.latent;
  const auto weight = [](std::int64_t layer) { return fmt::format("{}.weight", layer); };
  if (options.hidden > 0) require_tensor(path, file, weight(0), {options.latent, options.hidden, 1, 1});
  require_tensor(path, file, weight(first), {inputs, width, levels.start, levels.start});
  // Each step halves what it joins, so that those between are smaller.
  require_tensor(path, file, weight(first + 3), {width, levels.count == 1 ? options.channels : width / 2, 4, 4});
  require_tensor(path, file, weight(first + 3 * levels.count), {options.base_channels, options.channels, 4, 4});
  auto model = std::make_unique<GanGenerator>(options);
  if (file.find("0.weight").dtype() == f64) model->to(f64);
  model->load_state_dict(file.tensors);
  if (description != nullptr) *description = described;
  return model;
}

GanDiscriminator::GanDiscriminator(Module* parent, const std::string& name, const Options& given, GanNorm norm)
    : Sequential(parent, name), options((check("GanDiscriminator", given), given)) {
  const auto convolve = [&](std::int64_t in, std::int64_t out, std::int64_t kernel, const Conv2dOptions& how) {
    if (norm == GanNorm::spectral)
      add(SpectralNorm<Conv2d>{in, out, kernel, how});
    else
      add(Conv2d{in, out, kernel, how});
  };
  const Levels levels = levels_of(options.image_size);
  std::int64_t width = options.channels;
  for (std::int64_t level = 0; level < levels.count; ++level) {
    const std::int64_t next = options.base_channels << level;
    convolve(width, next, 4, {.stride = 2, .padding = 1, .bias = false});
    if (norm == GanNorm::batch && level > 0) add(BatchNorm2d{next});
    add(LeakyReLU{0.2});
    width = next;
  }
  if (options.hidden > 0) {
    convolve(width, options.hidden, levels.start, {.bias = false});
    if (norm == GanNorm::batch) add(BatchNorm2d{options.hidden});
    add(LeakyReLU{0.2});
  }
  convolve(options.hidden > 0 ? options.hidden : width, 1, options.hidden > 0 ? 1 : levels.start, {.bias = false});
  if (norm == GanNorm::batch) draw_weights(*this);
}

Tensor GanDiscriminator::forward(const Tensor& x) {
  const std::int64_t side = options.image_size;
  if (x.rank() != 4 || x.size(1) != options.channels || x.size(2) != side || x.size(3) != side)
    fail<ShapeError>("GanDiscriminator", "needs x (N, {}, {}, {}), got {}", options.channels, side, side, x.shape());
  return Sequential::forward(x);
}

std::string GanDiscriminator::describe() const { return text_of(options); }

}  // namespace duet::nn
