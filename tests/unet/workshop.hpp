// A folder in which duet_unet runs, and data for it.
#pragma once

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>
#include <iterator>
#include <map>
#include <sstream>

#include <duet/core/raw.hpp>
#include <duet/nn/data/png.hpp>

#include "data/support.hpp"

namespace duet {

namespace fs = std::filesystem;

inline std::string content(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

struct Result {
  int status = -1;  // of exit; 128 + signal
  std::string output, errors;
};

/// Starts the program with its output in files of `folder`.
inline pid_t start(const fs::path& folder, const std::string& arguments) {
  std::istringstream words(DUET_UNET " " + arguments);
  std::vector<std::string> list{std::istream_iterator<std::string>(words), {}};
  std::vector<char*> argv;
  for (std::string& word : list) argv.push_back(word.data());
  argv.push_back(nullptr);
  const std::string out = (folder / "stdout").string(), err = (folder / "stderr").string();
  const pid_t child = ::fork();
  if (child == 0) {
    const auto redirect = [](const std::string& path, int to) {
      ::dup2(::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0644), to);
    };
    redirect(out, 1);
    redirect(err, 2);
    ::execv(argv[0], argv.data());
    ::_exit(127);
  }
  return child;
}

inline Result wait_for(const fs::path& folder, pid_t child) {
  int status = 0;
  ::waitpid(child, &status, 0);
  return {WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status), content(folder / "stdout"),
          content(folder / "stderr")};
}

struct Workshop : TemporaryFolder {
  Result run(const std::string& arguments) const { return wait_for(path, start(path, arguments)); }
  /// The arguments of a run that takes a second.
  std::string train(const std::string& out, const std::string& more, int threads = 1) const {
    return "train --generated 3 --val 1 --base 2 --depth 2 --crop 32 --batch 2 --out " + *this / out + " --threads " +
           std::to_string(threads) + " " + more;
  }
  /// A small data folder with `classes` classes as ids, or 0/255 for two.
  std::string data(const std::string& name, int classes = 2) const {
    const fs::path folder = path / name;
    fs::create_directories(folder / "image");
    fs::create_directories(folder / "label");
    for (int i = 0; i < 3; ++i) {
      Tensor image = Tensor::empty({40, 56 - 8 * i}, {.dtype = u8}),
             label = Tensor::empty(image.shape(), {.dtype = u8});
      for (std::int64_t k = 0; k < image.numel(); ++k) {
        const auto id = k / 8 % classes;
        raw::data<std::uint8_t>(image)[k] = static_cast<std::uint8_t>(60 * id + (k * 7 + i) % 13);
        raw::data<std::uint8_t>(label)[k] = static_cast<std::uint8_t>(classes == 2 ? 255 * id : id);
      }
      const std::string file = std::to_string(i) + ".png";
      data::write_png((folder / "image" / file).string(), image);
      data::write_png((folder / "label" / file).string(), label);
    }
    return folder.string();
  }
  /// Every file below a folder with its content.
  std::map<std::string, std::string> snapshot(const std::string& name) const {
    std::map<std::string, std::string> files;
    for (const auto& entry : fs::recursive_directory_iterator(path / name))
      if (entry.is_regular_file()) files[entry.path().string()] = content(entry.path());
    return files;
  }
};

}  // namespace duet
