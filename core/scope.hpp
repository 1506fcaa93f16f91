// Where in a model a thread is: modules enter themselves here while their forward runs, so that what is recorded
// meanwhile (errors, anomaly mode, profiles) can say whose it is.
#pragma once

#include <string>

namespace duet {

/// The path of the innermost scope of this thread, for example "down.0.conv1"; empty outside any.
std::string scope_path();

/// Enters a scope for the length of a C++ scope. `path(object)` is called only when somebody asks.
class ScopeGuard {
 public:
  ScopeGuard(const void* object, std::string (*path)(const void*));
  ~ScopeGuard();
  ScopeGuard(const ScopeGuard&) = delete;
  ScopeGuard& operator=(const ScopeGuard&) = delete;

 private:
  friend std::string scope_path();
  const void* object_;
  std::string (*path_)(const void*);
  const ScopeGuard* outer_;
};

}  // namespace duet
