// Ctrl-C as a question that a loop asks between two steps.
#pragma once

namespace duet::examples {

/// While one lives, SIGINT and SIGTERM are noted instead of ending the program; a second one ends it at once.
class InterruptGuard {
 public:
  InterruptGuard();
  ~InterruptGuard();
  InterruptGuard(const InterruptGuard&) = delete;
  InterruptGuard& operator=(const InterruptGuard&) = delete;
  /// Whether one came.
  static bool interrupted();
};

}  // namespace duet::examples
