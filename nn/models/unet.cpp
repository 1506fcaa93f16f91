// The U-Net's forward, and its weight files.
#include <duet/nn/models/unet.hpp>

#include <duet/nn/layer.hpp>
#include <duet/ops/activation.hpp>
#include <duet/ops/pool.hpp>
#include <duet/ops/shape.hpp>

namespace duet::nn {
namespace {

constexpr const char* architecture = "UNet";
constexpr std::int64_t most_depth = 16;  // beyond it channel counts and sizes are absurd

/// Channels of a level.
std::int64_t width_of(const UNetOptions& options, std::int64_t level) { return options.base_channels << level; }

using Numbers = std::vector<std::pair<std::string, std::int64_t>>;
Numbers numbers_of(const UNetOptions& o) {
  return {{"in_channels", o.in_channels}, {"out_channels", o.out_channels}, {"base_channels", o.base_channels}, {"depth", o.depth}};
}

void check(const UNetOptions& options) {
  for (const auto& [name, value] : numbers_of(options)) {
    require_at_least(architecture, name.c_str(), value, 1);
    if (value > (std::int64_t{1} << 24)) fail<ValueError>(architecture, "{} {} is impossible", name, value);
  }
  if (options.depth > most_depth) fail<ValueError>(architecture, "depth must be at most {}, got {}", most_depth, options.depth);
}

/// A file may claim any size: the widest tensors have to be in it before a model of that size is made.
void check_sizes(const std::string& path, const SafetensorsFile& file, const UNetOptions& o) {
  const auto require = [&](const std::string& name, const Shape& shape) {
    const Tensor tensor = file.find(name);
    if (!tensor.defined() || tensor.shape() != shape)
      fail<ValueError>("load", "'{}': its options ask for {} {}, the file has {}", path, name, shape, to_string(spec_of(tensor)));
  };
  for (std::int64_t level = 0; level < o.depth; ++level) {
    const std::int64_t in = level == 0 ? o.in_channels : width_of(o, level - 1), out = width_of(o, level);
    require(fmt::format("down.{}.conv1.weight", level), {out, in, 3, 3});
    require(fmt::format("down.{}.conv2.weight", level), {out, out, 3, 3});
  }
  require("head.weight", {o.out_channels, o.base_channels, 1, 1});
}

}  // namespace

UNetBlock::UNetBlock(std::int64_t in_channels, std::int64_t out_channels)
    : conv1(this, "conv1", in_channels, out_channels, 3, {.padding = 1, .bias = false}),
      bn1(this, "bn1", out_channels),
      conv2(this, "conv2", out_channels, out_channels, 3, {.padding = 1, .bias = false}),
      bn2(this, "bn2", out_channels) {}

Tensor UNetBlock::forward(const Tensor& x) { return relu(bn2(conv2(relu(bn1(conv1(x)))))); }

UNetUp::UNetUp(std::int64_t channels)
    : UNetBlock(2 * channels, channels), upconv(this, "upconv", 2 * channels, channels, 2, {.stride = 2}) {}

Tensor UNetUp::forward(const Tensor& x, const Tensor& skip) {
  return UNetBlock::forward(cat({skip, upconv(x, {skip.size(2), skip.size(3)})}, 1));
}

UNet::UNet(Module* parent, std::string name, const Options& given)
    : Module(parent, std::move(name)),
      options((check(given), given)),
      head(this, "head", given.base_channels, given.out_channels, 1) {
  for (std::int64_t level = 0; level < options.depth; ++level)
    down.add(level == 0 ? options.in_channels : width_of(options, level - 1), width_of(options, level));
  for (std::int64_t level = options.depth - 2; level >= 0; --level) up.add(width_of(options, level));
}

Tensor UNet::forward(const Tensor& x) {
  const std::int64_t least = std::int64_t{1} << (options.depth - 1);
  if (x.rank() != 4 || x.size(1) != options.in_channels || x.size(2) < least || x.size(3) < least)
    fail<ShapeError>(architecture, "with {} levels needs x (N, {}, H, W) with H and W of at least {}, got {}", options.depth,
                     options.in_channels, least, x.shape());
  Tensors skips;
  Tensor value = x;
  for (std::size_t level = 0; level < down.size(); ++level) {
    value = down[level](value);
    if (level + 1 == down.size()) break;
    skips.push_back(value);
    value = max_pool2d(value, 2);
  }
  for (UNetUp& step : up) {
    value = step(value, skips.back());
    skips.pop_back();
  }
  return head(value);
}

std::string UNet::describe() const {
  return fmt::format("in_channels={}, out_channels={}, base_channels={}, depth={}", options.in_channels,
                     options.out_channels, options.base_channels, options.depth);
}

void UNet::save(const std::string& path, const ModelDescription& description) const {
  save_safetensors(path, state_dict(), to_metadata(architecture, numbers_of(options), description));
}

std::unique_ptr<UNet> UNet::load(const std::string& path, ModelDescription* description) {
  const SafetensorsFile file = load_safetensors(path);
  Numbers numbers = numbers_of({});
  const ModelDescription described = from_metadata(path, file.metadata, architecture, numbers);
  const UNetOptions options{numbers[0].second, numbers[1].second, numbers[2].second, numbers[3].second};
  try {
    check(options);
  } catch (const ValueError& error) {
    fail<IoError>("load", "'{}' describes an impossible model: {}", path, error.what());
  }
  check_sizes(path, file, options);
  auto model = std::make_unique<UNet>(options);
  if (file.find("head.weight").dtype() == f64) model->to(f64);
  model->load_state_dict(file.tensors);
  if (description != nullptr) *description = described;
  return model;
}

}  // namespace duet::nn
