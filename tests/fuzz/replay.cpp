// Runs a fuzz target over files, without libFuzzer: replay FOLDER… calls it on each file, and on each cut in half.
#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "target.hpp"

int main(int argc, char** argv) {
  std::vector<std::filesystem::path> paths;
  for (int i = 1; i < argc; ++i)
    for (const auto& entry : std::filesystem::directory_iterator(argv[i])) paths.push_back(entry.path());
  std::sort(paths.begin(), paths.end());
  std::size_t bytes = 0;
  for (const auto& path : paths) {
    std::ifstream in(path, std::ios::binary);
    const std::vector<char> file{std::istreambuf_iterator<char>(in), {}};
    const auto* data = reinterpret_cast<const std::uint8_t*>(file.data());
    bytes += file.size();
    LLVMFuzzerTestOneInput(data, file.size());
    LLVMFuzzerTestOneInput(data, file.size() / 2);
  }
  std::printf("%zu files of %zu bytes in all: read or refused\n", paths.size(), bytes);
  return paths.empty() ? 1 : 0;  // no file at all shows nothing
}
