// What flags share that is no template.
#include "common/flags.hpp"

#include <filesystem>
#include <fstream>

namespace duet::examples {

void check_run(const RunFlags& flags) {
  need(!flags.out.empty(), "out", "a folder", flags.out);
  need(flags.steps >= 0, "steps", "at least 0", flags.steps);
  need(flags.epochs >= 0, "epochs", "at least 0", flags.epochs);
  need(flags.minutes >= 0 && flags.minutes < 1e7, "minutes", "0 to 10000000", flags.minutes);
  need(flags.threads >= 0 && flags.threads <= 1024, "threads", "0 to 1024", flags.threads);
}

nlohmann::json stored_run(const std::string& folder) {
  for (const char* place : {"unfinished/run.json", "run.json"}) {
    std::ifstream file(std::filesystem::path(folder) / place);
    if (!file) continue;
    nlohmann::json run = nlohmann::json::parse(file, nullptr, false);
    if (!run.is_object() || !run.contains("flags"))
      fail<IoError>("--resume", "{}/{} is not a run's description", folder, place);
    return run;
  }
  fail<IoError>("--resume", "{} holds no run: there is no run.json in it", folder);
}

}  // namespace duet::examples
