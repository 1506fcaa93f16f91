// Signal handlers that set a flag.
#include "common/interrupt.hpp"

#include <csignal>

namespace duet::examples {
namespace {

volatile std::sig_atomic_t pending = 0;
struct sigaction before_int, before_term;

extern "C" void note_signal(int) { pending = 1; }

}  // namespace

InterruptGuard::InterruptGuard() {
  pending = 0;
  struct sigaction action {};
  action.sa_handler = note_signal;
  sigemptyset(&action.sa_mask);
  action.sa_flags = SA_RESTART | SA_RESETHAND;  // the second signal finds the default: the end
  sigaction(SIGINT, &action, &before_int);
  sigaction(SIGTERM, &action, &before_term);
}

InterruptGuard::~InterruptGuard() {
  sigaction(SIGINT, &before_int, nullptr);
  sigaction(SIGTERM, &before_term, nullptr);
}

bool InterruptGuard::interrupted() { return pending != 0; }

}  // namespace duet::examples
