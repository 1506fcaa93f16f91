// duet_conformance DIR…: runs every golden case in these folders (or files) and prints a line for each op, then
// `N passed, N failed`. A file, op, attribute or tensor that it does not know is a failure. Exit code 1 on any.
#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <map>

#include "golden.hpp"

namespace {

namespace fs = std::filesystem;

struct Score {
  int passed = 0;
  std::vector<std::string> failures;
};

/// Runs one case and remembers how it went.
template <class Run>
void attempt(Score& score, const std::string& what, Run run) {
  try {
    run();
    ++score.passed;
  } catch (const std::exception& error) {
    score.failures.push_back(fmt::format("{}: {}", what, error.what()));
  }
}

void run_cases(golden::File& file, std::map<std::string, Score>& scores) {
  const std::string stem = fs::path(file.path()).filename().string();
  for (const golden::Case& one : golden::cases_of(file)) {
    const std::string what = fmt::format("{} case {}{}{} {}", stem, one.id, one.name.empty() ? "" : " ", one.name,
                                         one.attributes.dump());
    attempt(scores[one.op], what, [&] {
      if (golden::is_optimizer(one.op)) return golden::run_optimizer_case(file, one);
      if (golden::is_schedule(one.op)) return golden::run_schedule_case(file, one);
      golden::run_op_case(file, one);
    });
  }
}

void run_file(const fs::path& path, std::map<std::string, Score>& scores) {
  const std::string stem = path.stem().string();
  try {
    if (path.extension() != ".safetensors") throw golden::Mismatch("not a file of golden cases");
    golden::File file(path.string());
    if (file.metadata("cases") != nullptr)
      run_cases(file, scores);
    else
      attempt(scores[stem], path.filename().string(), [&] { golden::run_model_file(file); });
  } catch (const std::exception& error) {
    scores[stem].failures.push_back(fmt::format("{}: {}", path.string(), error.what()));
  }
}

/// Files of the arguments, folders searched to the bottom; descriptions (.md) are not cases.
std::vector<fs::path> collect(int argc, char** argv) {
  std::vector<fs::path> files;
  for (int i = 1; i < argc; ++i) {
    const fs::path given = argv[i];
    if (!fs::is_directory(given)) {
      files.push_back(given);
      continue;
    }
    for (const auto& entry : fs::recursive_directory_iterator(given))
      if (entry.is_regular_file() && entry.path().extension() != ".md") files.push_back(entry.path());
  }
  std::sort(files.begin(), files.end());
  return files;
}

}  // namespace

int main(int argc, char** argv) {
  const std::string first = argc > 1 ? argv[1] : "";
  if (first.empty() || first == "--help") {
    fmt::print("usage: duet_conformance DIR…\n\nRuns the golden cases of folders and files; see tests/golden.\n");
    return first.empty() ? 2 : 0;
  }
  std::map<std::string, Score> scores;
  int passed = 0, failed = 0;
  try {
    for (const fs::path& path : collect(argc, argv)) run_file(path, scores);
  } catch (const fs::filesystem_error& error) {
    scores["files"].failures.push_back(error.what());
  }
  for (const auto& [op, score] : scores) {
    passed += score.passed;
    failed += static_cast<int>(score.failures.size());
    fmt::print("{:<36} {:>4} passed, {} failed\n", op, score.passed, score.failures.size());
    for (const std::string& failure : score.failures) fmt::print("    {}\n", failure);
  }
  fmt::print("{} passed, {} failed\n", passed, failed);
  // No case at all proves nothing.
  return failed > 0 || passed == 0 ? 1 : 0;
}
