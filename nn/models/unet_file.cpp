// The U-Net's weight files: tensors, the numbers of the model in `options`, and what makes it a variant in `variant`,
// a key that plain U-Nets do not have.
#include <nlohmann/json.hpp>

#include <algorithm>

#include <duet/nn/layer.hpp>
#include <duet/nn/models/unet_check.hpp>

namespace duet::nn {
namespace {

using Json = nlohmann::ordered_json;
constexpr const char *architecture = "UNet", *variant_key = "variant";
constexpr std::int64_t most_depth = 16;  // beyond it channel counts and sizes are absurd
constexpr const char* ups[] = {"transpose", "nearest", "bilinear", "pixel_shuffle"};
constexpr const char* norms[] = {"batch", "group", "instance"};

using Numbers = std::vector<std::pair<std::string, std::int64_t>>;
Numbers numbers_of(const UNetOptions& o) {
  return {{"in_channels", o.in_channels},
          {"out_channels", o.out_channels},
          {"base_channels", o.base_channels},
          {"depth", o.depth}};
}

/// The enumerator of a name in a list of them.
template <class Enum, std::size_t N>
Enum enumerator(const std::string& path, const char* key, const std::string& word, const char* const (&names)[N]) {
  for (std::size_t i = 0; i < N; ++i)
    if (word == names[i]) return static_cast<Enum>(i);
  fail<IoError>("load", "'{}': its variant has an unknown {}: {}", path, key, word);
}

/// Takes the variant out of the description's own entries.
void read_variant(const std::string& path, ModelDescription& description, UNetOptions& o) {
  const auto at = std::find_if(description.more.begin(), description.more.end(),
                               [](const auto& entry) { return entry.first == variant_key; });
  if (at == description.more.end()) return;
  try {
    const Json json = Json::parse(at->second);
    for (const auto& [key, value] : json.items()) {
      if (key == "rank")
        o.rank = value.get<std::int64_t>();
      else if (key == "up")
        o.up = enumerator<UNetUpsampling>(path, "up", value.get<std::string>(), ups);
      else if (key == "norm")
        o.norm = enumerator<UNetNormalization>(path, "norm", value.get<std::string>(), norms);
      else if (key == "residual")
        o.residual = value.get<bool>();
      else if (key == "attention")
        o.attention = value.get<bool>();
      else if (key == "dropout")
        o.dropout = value.get<double>();
      else if (key == "deep_supervision")
        o.deep_supervision = value.get<bool>();
      else
        fail<IoError>("load", "'{}': its variant has an entry that a UNet does not know: {}", path, key);
    }
  } catch (const Json::exception& error) {
    fail<IoError>("load", "'{}' describes its variant badly: {}", path, error.what());
  }
  description.more.erase(at);
}

/// A file may claim any size: the widest tensors have to be in it before a model of that size is made.
void check_sizes(const std::string& path, const SafetensorsFile& file, const UNetOptions& o) {
  const auto require = [&](const std::string& name, std::int64_t out, std::int64_t in, std::int64_t kernel) {
    Shape shape{out, in};
    for (std::int64_t axis = 0; axis < o.rank; ++axis) shape.push_back(kernel);
    const Tensor tensor = file.find(name);
    if (!tensor.defined() || tensor.shape() != shape)
      fail<ValueError>("load", "'{}': its options ask for {} {}, the file has {}", path, name, shape,
                       to_string(spec_of(tensor)));
  };
  for (std::int64_t level = 0; level < o.depth; ++level) {
    const std::int64_t in = level == 0 ? o.in_channels : o.base_channels << (level - 1), out = o.base_channels << level;
    require(fmt::format("down.{}.conv1.weight", level), out, in, 3);
    require(fmt::format("down.{}.conv2.weight", level), out, out, 3);
  }
  require("head.weight", o.out_channels, o.base_channels, 1);
}

}  // namespace

void check_unet(const UNetOptions& options) {
  for (const auto& [name, value] : numbers_of(options)) {
    require_at_least(architecture, name.c_str(), value, 1);
    if (value > (std::int64_t{1} << 24)) fail<ValueError>(architecture, "{} {} is impossible", name, value);
  }
  if (options.depth > most_depth)
    fail<ValueError>(architecture, "depth must be at most {}, got {}", most_depth, options.depth);
  if (options.rank != 2 && options.rank != 3)
    fail<ValueError>(architecture, "rank must be 2 or 3, got {}", options.rank);
  if (!(options.dropout >= 0 && options.dropout < 1))
    fail<ValueError>(architecture, "dropout must be in [0, 1), got {}", options.dropout);
  if (options.deep_supervision && options.depth < 3)
    fail<ValueError>(architecture, "deep_supervision needs a depth of at least 3, got {}", options.depth);
}

std::string unet_variant(const UNetOptions& o) {
  const UNetOptions plain;
  Json json = Json::object();
  if (o.rank != plain.rank) json["rank"] = o.rank;
  if (o.up != plain.up) json["up"] = ups[static_cast<std::size_t>(o.up)];
  if (o.norm != plain.norm) json["norm"] = norms[static_cast<std::size_t>(o.norm)];
  if (o.residual) json["residual"] = true;
  if (o.attention) json["attention"] = true;
  if (o.dropout != 0) json["dropout"] = o.dropout;
  if (o.deep_supervision) json["deep_supervision"] = true;
  return json.empty() ? std::string() : json.dump();
}

void UNet::save(const std::string& path, const ModelDescription& description) const {
  ModelDescription whole = description;
  for (const auto& entry : whole.more)
    if (entry.first == variant_key) fail<ValueError>("save", "the metadata key '{}' is the model's own", variant_key);
  if (const std::string variant = unet_variant(options); !variant.empty())
    whole.more.emplace_back(variant_key, variant);
  save_safetensors(path, state_dict(), to_metadata(architecture, numbers_of(options), whole));
}

std::unique_ptr<UNet> UNet::load(const std::string& path, ModelDescription* description) {
  const SafetensorsFile file = load_safetensors(path);
  Numbers numbers = numbers_of({});
  ModelDescription described = from_metadata(path, file.metadata, architecture, numbers);
  UNetOptions options{.in_channels = numbers[0].second,
                      .out_channels = numbers[1].second,
                      .base_channels = numbers[2].second,
                      .depth = numbers[3].second};
  read_variant(path, described, options);
  try {
    check_unet(options);
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
