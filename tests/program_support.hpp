// Running a program from a test: its exit status and what it printed.
#pragma once

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <sstream>
#include <string>
#include <vector>

namespace duet::test {

inline std::string content(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

struct Result {
  int status = -1;  // of exit; 128 + signal
  std::string output, errors;
};

/// Runs a program with arguments that blanks part; what it prints goes through files of `folder`.
inline Result run_program(const std::filesystem::path& folder, const std::string& program,
                          const std::string& arguments) {
  std::istringstream words(program + " " + arguments);
  std::vector<std::string> list{std::istream_iterator<std::string>(words), {}};
  std::vector<char*> argv;
  for (std::string& word : list) argv.push_back(word.data());
  argv.push_back(nullptr);
  const std::string out = (folder / "stdout").string(), err = (folder / "stderr").string();
  const pid_t child = ::fork();
  if (child == 0) {
    ::dup2(::open(out.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0644), 1);
    ::dup2(::open(err.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0644), 2);
    ::execv(argv[0], argv.data());
    ::_exit(127);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  return {WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status), content(out), content(err)};
}

/// Every file below a folder with its content.
inline std::map<std::string, std::string> snapshot(const std::filesystem::path& folder) {
  std::map<std::string, std::string> files;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder))
    if (entry.is_regular_file()) files[entry.path().string()] = content(entry.path());
  return files;
}

/// A CSV file without one column (the clock's).
inline std::string without_column(const std::string& csv, int column) {
  std::string text;
  std::istringstream lines(csv);
  for (std::string line; std::getline(lines, line); text += '\n') {
    std::istringstream cells(line);
    int at = 0;
    for (std::string cell; std::getline(cells, cell, ','); ++at)
      if (at != column) text += cell + ",";
  }
  return text;
}

}  // namespace duet::test
