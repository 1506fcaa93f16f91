// What the tests of the data layer share: a folder that goes away, the message of an error, and
// what to do without libpng or libtiff.
#pragma once

#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <string>

#include <duet/nn/data/png.hpp>
#include <duet/nn/data/tiff.hpp>

/// At the start of a doctest case: it says that it is left out, and ends, where Duet was built without a library.
#define NEEDS_PNG()                                                    \
  if (!duet::data::has_png()) {                                        \
    MESSAGE("skipped: this build has no libpng (Debian: libpng-dev)"); \
    return;                                                            \
  }
#define NEEDS_TIFF()                                                     \
  if (!duet::data::has_tiff()) {                                         \
    MESSAGE("skipped: this build has no libtiff (Debian: libtiff-dev)"); \
    return;                                                              \
  }

namespace duet {

struct TemporaryFolder {
  std::filesystem::path path;
  TemporaryFolder() {
    static std::atomic<int> counter{0};
    path = std::filesystem::temp_directory_path() /
           ("duet_data_" + std::to_string(::getpid()) + "_" + std::to_string(counter.fetch_add(1)));
    std::filesystem::create_directories(path);
  }
  ~TemporaryFolder() { std::filesystem::remove_all(path); }
  std::string operator/(const std::string& name) const { return (path / name).string(); }
};

/// The message of the E that `call` throws; says so if it throws nothing, and lets other errors through.
template <class E, class Call>
std::string message_of(Call call) {
  try {
    call();
  } catch (const E& error) {
    return error.what();
  }
  return "nothing was thrown";
}

inline bool contains(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

}  // namespace duet
