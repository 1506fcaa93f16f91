// The switch for convolutions with fewer multiplications.
#include <duet/ops/fast_convolutions.hpp>

#include <atomic>
#include <cstdlib>
#include <string>

#include <duet/core/fail.hpp>

namespace duet {
namespace {

std::atomic<int> state{-1};  // unknown until somebody asks: the environment decides

bool from_environment() {
  const char* text = std::getenv("DUET_WINOGRAD");
  const std::string value = text == nullptr ? "" : text;
  if (value.empty() || value == "1") return true;
  if (value == "0") return false;
  fail<ValueError>("DUET_WINOGRAD", "expects 0 or 1, not '{}'", value);
}

}  // namespace

bool fast_convolutions() {
  int current = state.load(std::memory_order_relaxed);
  if (current < 0) {
    current = from_environment();
    state.store(current, std::memory_order_relaxed);
  }
  return current != 0;
}

void set_fast_convolutions(bool allowed) { state.store(allowed, std::memory_order_relaxed); }

}  // namespace duet
