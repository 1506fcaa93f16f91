// Folders by std::filesystem, its errors as IoError.
#include "common/run_folder.hpp"

#include <duet/core/fail.hpp>
#include <duet/core/platform.hpp>

#include <filesystem>

namespace duet::examples {
namespace {

namespace fs = std::filesystem;

/// Runs what may throw std::filesystem's errors.
template <class Body>
void checked(const std::string& folder, Body body) {
  try {
    body();
  } catch (const fs::filesystem_error& error) {
    fail<IoError>("run folder", "cannot write to {}: {}", folder, error.code().message());
  }
}

}  // namespace

RunFolder RunFolder::start(const std::string& folder) {
  const fs::path unfinished = fs::path(folder) / "unfinished";
  checked(folder, [&] {
    fs::remove_all(unfinished);
    fs::create_directories(unfinished);
  });
  return RunFolder(folder);
}

RunFolder RunFolder::resume(const std::string& folder, const std::string& file) {
  const fs::path whole(folder), unfinished = whole / "unfinished";
  if (fs::exists(unfinished / file)) return RunFolder(folder);
  if (!fs::exists(whole / file)) fail<IoError>("resume", "{} holds no run: there is no {} in it", folder, file);
  checked(folder, [&] {
    fs::remove_all(unfinished);
    fs::create_directories(unfinished);
    for (const fs::directory_entry& entry : fs::directory_iterator(whole))
      if (entry.is_regular_file()) fs::copy(entry.path(), unfinished / entry.path().filename());
  });
  return RunFolder(folder);
}

std::string RunFolder::path(const std::string& name) const {
  const fs::path path = fs::path(folder_) / "unfinished" / name;
  checked(folder_, [&] { fs::create_directories(path.parent_path()); });
  return path.string();
}

std::string RunFolder::published(const std::string& name) const { return (fs::path(folder_) / name).string(); }

void RunFolder::write(const std::string& name, const std::string& text) const {
  AtomicFile file("run folder", path(name));
  file.write(text.data(), static_cast<std::int64_t>(text.size()));
  file.commit();
}

void RunFolder::publish() {
  const fs::path whole(folder_), unfinished = whole / "unfinished";
  checked(folder_, [&] {
    for (const fs::directory_entry& entry : fs::directory_iterator(unfinished)) {
      const fs::path target = whole / entry.path().filename();
      if (entry.is_directory()) fs::remove_all(target);
      fs::rename(entry.path(), target);
    }
    fs::remove_all(unfinished);
  });
}

}  // namespace duet::examples
