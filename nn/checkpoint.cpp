// One safetensors file: tensors under "name/", numbers and texts as metadata.
#include <duet/nn/checkpoint.hpp>

#include <algorithm>
#include <charconv>
#include <cstring>

#include <duet/core/fail.hpp>
#include <duet/core/fnv1a.hpp>
#include <duet/core/platform.hpp>
#include <duet/core/raw.hpp>

namespace duet::nn {
namespace {

constexpr const char* op = "checkpoint";
constexpr const char* format_key = "duet.checkpoint";
constexpr const char* names_key = "duet.checkpoint.names";
constexpr const char* checksum_key = "duet.checkpoint.fnv1a64";

/// A checksum of everything in a checkpoint, in order: it finds what a disk or a copy changed, not what a person did.
std::string checksum(const std::string& names, const Metadata& texts, const NamedTensors& tensors) {
  Fnv1a hash;
  hash.add(names);
  for (const auto& [key, text] : texts) {
    hash.add(key);
    hash.add(text);
  }
  for (const auto& [name, tensor] : tensors) {
    hash.add(name);
    hash.add(tensor);
  }
  return hash.text();
}

}  // namespace

bool Checkpoint::has(const std::string& name) const {
  return std::find(names_.begin(), names_.end(), name) != names_.end() ||
         std::any_of(texts_.begin(), texts_.end(), [&](const auto& entry) { return entry.first == name; });
}

void Checkpoint::put(const std::string& name, const NamedTensors& state) {
  if (name.empty() || name.find_first_of("/\n") != std::string::npos || name.starts_with("duet.checkpoint"))
    fail<ValueError>(op, "'{}' cannot be a name here", name);
  if (has(name)) fail<ValueError>(op, "the name '{}' is given twice", name);
  names_.push_back(name);
  for (const auto& [key, tensor] : state) tensors_.emplace_back(name + "/" + key, tensor);
}

void Checkpoint::keep(const std::string& name, const Generator& generator) {
  const std::uint64_t values[] = {generator.seed(), generator.position()};
  Tensor state = Tensor::empty({2}, {.dtype = i64});
  std::memcpy(raw::data<std::int64_t>(state), values, sizeof values);
  put(name, {{"state", state}});
}

void Checkpoint::set(const std::string& name, std::int64_t number) { set_text(name, std::to_string(number)); }

void Checkpoint::set_text(const std::string& name, const std::string& text) {
  if (name.starts_with("duet.checkpoint")) fail<ValueError>(op, "'{}' cannot be a name here", name);
  if (has(name)) fail<ValueError>(op, "the name '{}' is given twice", name);
  texts_.emplace_back(name, text);
}

void Checkpoint::save(const std::string& path) const {
  Metadata metadata{{format_key, "1"}};
  std::string names;
  for (const std::string& name : names_) names += name + "\n";
  metadata.emplace_back(names_key, names);
  metadata.emplace_back(checksum_key, checksum(names, texts_, tensors_));
  metadata.insert(metadata.end(), texts_.begin(), texts_.end());
  const std::string fresh = path + ".new";
  save_safetensors(fresh, tensors_, metadata);
  keep_previous_file(op, path, path + ".previous");
  rename_file(op, fresh, path);
}

Checkpoint Checkpoint::load(const std::string& path) {
  SafetensorsFile file = load_safetensors(path);
  const std::string *format = file.find_metadata(format_key), *names = file.find_metadata(names_key);
  const std::string* sum = file.find_metadata(checksum_key);
  if (format == nullptr || names == nullptr)
    fail<IoError>(op, "'{}' is no checkpoint: it lacks '{}'", path, format_key);
  if (*format != "1") fail<IoError>(op, "'{}' is a checkpoint of format {}, this Duet reads 1: a newer one wrote the file", path, *format);
  Checkpoint checkpoint;
  checkpoint.source_ = path;
  for (std::size_t at = 0; at < names->size();) {
    const std::size_t end = std::min(names->find('\n', at), names->size());
    checkpoint.names_.push_back(names->substr(at, end - at));
    at = end + 1;
  }
  for (auto& entry : file.metadata)
    if (!entry.first.starts_with("duet.checkpoint")) checkpoint.texts_.push_back(std::move(entry));
  checkpoint.tensors_ = std::move(file.tensors);
  const std::string found = checksum(*names, checkpoint.texts_, checkpoint.tensors_);
  if (sum == nullptr || *sum != found)
    fail<IoError>(op, "'{}' is damaged: its checksum is {}, of what is in it {}", path,
                  sum == nullptr ? "missing" : *sum, found);
  return checkpoint;
}

Checkpoint Checkpoint::load_latest(const std::string& path) {
  try {
    return load(path);
  } catch (const IoError& error) {
    const std::string previous = path + ".previous";
    if (!file_exists(previous)) throw;
    try {
      return load(previous);
    } catch (const IoError& other) {
      fail<IoError>(op, "neither '{}' nor the one before it can be read: {}; {}", path, error.what(), other.what());
    }
  }
}

NamedTensors Checkpoint::state(const std::string& name) const {
  if (std::find(names_.begin(), names_.end(), name) == names_.end())
    fail<ValueError>(op, "'{}' has no state '{}', only: {}", source_, name, fmt::join(names_, ", "));
  NamedTensors state;
  const std::string prefix = name + "/";
  for (const auto& [key, tensor] : tensors_)
    if (key.starts_with(prefix)) state.emplace_back(key.substr(prefix.size()), tensor);
  return state;
}

void Checkpoint::restore(const std::string& name, Generator& generator) const {
  const NamedTensors found = state(name);
  if (found.size() != 1 || found[0].second.dtype() != i64 || found[0].second.shape() != Shape{2})
    fail<ValueError>(op, "'{}' in '{}' is no state of random numbers", name, source_);
  std::uint64_t values[2];
  std::memcpy(values, raw::data<std::int64_t>(found[0].second), sizeof values);
  generator.set_state(values[0], values[1]);
}

const std::string& Checkpoint::text(const std::string& name) const {
  for (const auto& [key, value] : texts_)
    if (key == name) return value;
  fail<ValueError>(op, "'{}' has no text or number '{}'", source_, name);
}

std::int64_t Checkpoint::number(const std::string& name) const {
  const std::string& digits = text(name);
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
  if (error != std::errc() || end != digits.data() + digits.size())
    fail<ValueError>(op, "'{}' in '{}' is '{}', which is no number", name, source_, digits);
  return value;
}

}  // namespace duet::nn
