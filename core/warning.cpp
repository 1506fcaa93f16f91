// One handler, and the names of those who have warned.
#include <duet/core/warning.hpp>

#include <cstdio>
#include <mutex>
#include <set>
#include <utility>

namespace duet {
namespace {

struct Warnings {
  std::mutex mutex;  // guards what follows
  WarningHandler handler = [](const std::string& text) { std::fprintf(stderr, "%s\n", text.c_str()); };
  std::set<std::string> said;
};

/// Never destroyed, as what warns may outlive any order of destructors.
Warnings& warnings() {
  static Warnings* const instance = new Warnings;
  return *instance;
}

}  // namespace

WarningHandler set_warning_handler(WarningHandler handler) {
  Warnings& all = warnings();
  const std::lock_guard lock(all.mutex);
  all.said.clear();
  return std::exchange(all.handler, std::move(handler));
}

void warn_once(const char* op, const std::string& text) {
  Warnings& all = warnings();
  WarningHandler handler;
  {
    const std::lock_guard lock(all.mutex);
    if (!all.said.insert(op).second) return;
    handler = all.handler;
  }
  // "[" + std::string(op) makes g++ 12 warn of copies that overlap (-Wrestrict).
  if (handler) handler(std::string("[").append(op).append("] ").append(text));
}

}  // namespace duet
