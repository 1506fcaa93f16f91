// Descriptions as JSON texts in the metadata of a weight file.
#include <duet/nn/models/description.hpp>

#include <algorithm>
#include <cmath>

#include <nlohmann/json.hpp>

#include <duet/core/fail.hpp>

namespace duet::nn {
namespace {

using Json = nlohmann::ordered_json;
constexpr const char *version_key = "description_version", *version = "1";
constexpr const char* own_keys[] = {"architecture", "options", "classes", "normalization", "threshold", version_key};

bool is_own(const std::string& key) {
  return std::find(std::begin(own_keys), std::end(own_keys), key) != std::end(own_keys);
}

/// The text of a key as JSON; IoError if it is missing or no JSON.
Json parsed(const std::string& path, const Metadata& metadata, const char* key) {
  for (const auto& [name, text] : metadata)
    if (name == key) {
      Json json = Json::parse(text, nullptr, false);
      if (json.is_discarded()) fail<IoError>("load", "'{}': its {} are no JSON: {}", path, key, text);
      return json;
    }
  fail<IoError>("load", "'{}' does not describe its model: its metadata has no '{}'", path, key);
}

}  // namespace

Metadata to_metadata(const std::string& architecture, const std::vector<std::pair<std::string, std::int64_t>>& options,
                     const ModelDescription& description) {
  Json numbers = Json::object();
  for (const auto& [name, value] : options) numbers[name] = value;
  Metadata metadata{{"architecture", architecture},
                    {"options", numbers.dump()},
                    {"classes", Json(description.classes).dump()},
                    {"normalization", Json{{"mean", description.mean}, {"deviation", description.deviation}}.dump()},
                    {"threshold", Json(description.threshold).dump()},
                    {version_key, version}};
  for (const auto& entry : description.more) {
    if (is_own(entry.first)) fail<ValueError>("save", "the metadata key '{}' is the model's own", entry.first);
    metadata.push_back(entry);
  }
  return metadata;
}

ModelDescription from_metadata(const std::string& path, const Metadata& metadata, const std::string& architecture,
                               std::vector<std::pair<std::string, std::int64_t>>& options) {
  const auto found =
      std::find_if(metadata.begin(), metadata.end(), [](const auto& entry) { return entry.first == "architecture"; });
  if (found == metadata.end())
    fail<IoError>("load", "'{}' does not describe its model: its metadata has no 'architecture'", path);
  if (found->second != architecture)
    fail<IoError>("load", "'{}' holds a {}, not a {}", path, found->second, architecture);
  for (const auto& [name, text] : metadata)
    if (name == version_key && text != version)
      fail<IoError>("load", "'{}' describes its model in version {}, this Duet reads {}: a newer one wrote the file",
                    path, text, version);
  const Json numbers = parsed(path, metadata, "options");
  for (auto& [name, value] : options) {
    if (!numbers.is_object() || !numbers.contains(name) || !numbers[name].is_number_integer())
      fail<IoError>("load", "'{}': its options have no whole number '{}': {}", path, name, numbers.dump());
    value = numbers[name].get<std::int64_t>();
  }
  if (numbers.size() != options.size())
    fail<IoError>("load", "'{}': its options have entries that a {} does not know: {}", path, architecture,
                  numbers.dump());
  ModelDescription description;
  try {
    description.classes = parsed(path, metadata, "classes").get<std::vector<std::string>>();
    const Json normalization = parsed(path, metadata, "normalization");
    description.mean = normalization.at("mean").get<std::vector<double>>();
    description.deviation = normalization.at("deviation").get<std::vector<double>>();
    description.threshold = parsed(path, metadata, "threshold").get<double>();
  } catch (const Json::exception& error) {
    fail<IoError>("load", "'{}' describes its model badly: {}", path, error.what());
  }
  if (description.mean.size() != description.deviation.size())
    fail<IoError>("load", "'{}': its normalization has {} means and {} deviations", path, description.mean.size(),
                  description.deviation.size());
  for (const auto& entry : metadata)
    if (!is_own(entry.first)) description.more.push_back(entry);
  return description;
}

void require_tensor(const std::string& path, const SafetensorsFile& file, const std::string& name, const Shape& shape) {
  const Tensor tensor = file.find(name);
  if (!tensor.defined() || tensor.shape() != shape)
    fail<IoError>("load", "'{}': its options ask for {} {}, the file has {}", path, name, shape,
                  to_string(spec_of(tensor)));
}

ModelDescription read_options(const std::string& path, const SafetensorsFile& file, const std::string& architecture,
                              std::vector<std::pair<std::string, std::int64_t>>& options) {
  const ModelDescription description = from_metadata(path, file.metadata, architecture, options);
  for (const auto& [name, value] : options)
    if (value < 1 || value > (std::int64_t{1} << 24))
      fail<IoError>("load", "'{}' describes an impossible model: {} is {}", path, name, value);
  return description;
}

}  // namespace duet::nn
