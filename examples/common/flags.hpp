// Flags that are said once: a struct with fields(visit), which the command line, run.json, the report and the check of
// --resume walk. visit(name, value, resume, help) is called for each.
#pragma once

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cstdint>
#include <string>
#include <type_traits>
#include <vector>

#include <nlohmann/json.hpp>

#include <duet/core/fail.hpp>

#include "common/resume.hpp"

namespace duet::examples {

/// What every training program can be told.
struct RunFlags {
  std::string out;
  std::int64_t steps = 0, epochs = 0;
  double minutes = 0;
  std::uint64_t seed = 0;
  int threads = 0;
  std::int64_t stop_after = 0;
  bool resume = false, quiet = false;

  template <class Visit>
  void run_fields(Visit&& visit) {
    visit("out", out, Resume::free, "folder for weights, metrics, pictures and the report");
    visit("steps", steps, Resume::budget, "end after so many steps");
    visit("epochs", epochs, Resume::budget, "end after so many epochs");
    visit("minutes", minutes, Resume::budget, "end after so many minutes of training");
    visit("seed", seed, Resume::fixed, "of weights, order and noise");
    visit("threads", threads, Resume::free, "how many threads compute. Default: all cores");
    visit("stop-after", stop_after, Resume::free, "save and end after this step, as Ctrl-C would");
    visit("resume", resume, Resume::free, "go on with the run in --out");
    visit("quiet", quiet, Resume::free, "print the results alone");
  }
};

inline std::string option_name(const char* name) { return fmt::format("--{}", name); }

/// Throws ValueError in the name of the flag unless `good`.
template <class T>
void need(bool good, const char* name, const char* range, const T& value) {
  if (!good) fail<ValueError>(option_name(name), "must be {}, got {}", range, value);
}

/// Ranges of what every training program can be told.
void check_run(const RunFlags& flags);

/// run.json of the run in a folder, of the unfinished one first. IoError if there is none.
nlohmann::json stored_run(const std::string& folder);

template <class Flags>
void add_flags(CLI::App& command, Flags& flags) {
  flags.fields([&](const char* name, auto& value, Resume, const char* help) {
    using T = std::remove_cvref_t<decltype(value)>;
    if constexpr (std::is_same_v<T, bool>)
      command.add_flag(option_name(name), value, help);
    else
      command.add_option(option_name(name), value, help)->capture_default_str();
  });
}

/// Takes from the run in flags.out what the command line leaves open; ValueError for what contradicts it.
template <class Flags>
void take_flags_of_run(Flags& flags, const CLI::App& command) {
  const nlohmann::json stored = stored_run(flags.out).at("flags");
  bool new_budget = false;
  flags.fields([&](const char* name, auto&, Resume kind, const char*) {
    new_budget = new_budget || (kind == Resume::budget && command.count(option_name(name)) > 0);
  });
  flags.fields([&](const char* name, auto& value, Resume kind, const char*) {
    using T = std::remove_cvref_t<decltype(value)>;
    if (kind == Resume::free || (kind == Resume::budget && new_budget)) return;
    if (!stored.contains(name)) return;  // a run of before this flag, with what is its default now
    T of_run;
    try {
      of_run = stored.at(name).template get<T>();
    } catch (const nlohmann::json::exception& error) {
      fail<IoError>("--resume", "the run in {} has no good flag {}: {}", flags.out, name, error.what());
    }
    if (command.count(option_name(name)) > 0 && value != of_run)
      fail<ValueError>("--resume", "the run in {} has --{} {}, not {}", flags.out, name, of_run, value);
    value = of_run;
  });
}

template <class Flags>
nlohmann::json flags_json(Flags flags) {
  nlohmann::json json;
  flags.fields([&](const char* name, auto& value, Resume, const char*) { json[name] = value; });
  return json;
}

/// Rows for Report::table().
template <class Flags>
std::vector<std::vector<std::string>> flags_table(Flags flags) {
  std::vector<std::vector<std::string>> rows{{"flag", "value", "meaning"}};
  flags.fields([&](const char* name, auto& value, Resume, const char* help) {
    rows.push_back({option_name(name), fmt::format("{}", value), help});
  });
  return rows;
}

}  // namespace duet::examples
