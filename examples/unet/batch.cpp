// Names, and errors that wait.
#include "unet/batch.hpp"

#include <filesystem>
#include <map>

#include <duet/core/fail.hpp>

namespace duet::examples {

std::vector<data::ImageFile> gather_images(const char* command, const std::vector<std::string>& inputs) {
  std::vector<data::ImageFile> files;
  for (const std::string& input : inputs) {
    if (std::filesystem::is_directory(input)) {
      const auto listed = data::list_images(input);
      if (listed.empty()) fail<IoError>(command, "{} has no PNG or TIFF files", input);
      files.insert(files.end(), listed.begin(), listed.end());
    } else {
      files.push_back({std::filesystem::path(input).stem().string(), input});
    }
  }
  std::map<std::string, std::string> seen;
  for (const auto& [stem, path] : files) {
    const auto [at, fresh] = seen.emplace(stem, path);
    if (!fresh) fail<ValueError>(command, "{} and {} would both be written as {}.png", at->second, path, stem);
  }
  return files;
}

void Failures::attempt(const std::string& file, FunctionRef<void()> work) {
  try {
    work();
  } catch (const Error& error) {
    const std::string text = error.what();
    list_.push_back(text.find(file) == std::string::npos ? file + ": " + text : text);
  }
}

void Failures::raise(const char* command, std::size_t files) const {
  if (list_.empty()) return;
  std::string text;
  for (const std::string& line : list_) text += (list_.size() == 1 ? " " : "\n  ") + line;
  fail<IoError>(command, "{} of {} image{} failed:{}", list_.size(), files, files == 1 ? "" : "s", text);
}

}  // namespace duet::examples
