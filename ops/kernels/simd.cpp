// Chooses the instruction set, once.
#include <duet/ops/kernels/simd.hpp>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <string>
#include <vector>

#include <duet/core/fail.hpp>

namespace duet::kernels {
namespace {

std::vector<Simd> detect() {
  std::vector<Simd> found{Simd::baseline};
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) {
    found.push_back(Simd::avx2);
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512cd") &&
        __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512bw"))
      found.push_back(Simd::avx512);
  }
#endif
  return found;
}

std::atomic<int> active{-1};

std::string available_names() {
  std::string names;
  for (Simd simd : available_simd()) names += std::string(names.empty() ? "" : ", ") + name(simd);
  return names;
}

Simd from_environment() {
  const char* text = std::getenv("DUET_SIMD");
  if (text == nullptr || *text == '\0') return available_simd().back();
  for (Simd simd : available_simd())
    if (std::string(name(simd)) == text) return simd;
  fail<ValueError>("DUET_SIMD", "'{}' is not available here, which has {}", text, available_names());
}

}  // namespace

const char* name(Simd simd) {
  return simd == Simd::avx512 ? "avx512" : simd == Simd::avx2 ? "avx2" : "baseline";
}

std::span<const Simd> available_simd() {
  static const std::vector<Simd> found = detect();
  return found;
}

Simd active_simd() {
  int current = active.load(std::memory_order_relaxed);
  if (current < 0) {
    current = static_cast<int>(from_environment());
    active.store(current, std::memory_order_relaxed);
  }
  return static_cast<Simd>(current);
}

void set_active_simd(Simd simd) {
  const auto found = available_simd();
  if (std::find(found.begin(), found.end(), simd) == found.end())
    fail<ValueError>("set_active_simd", "{} is not available here, which has {}", name(simd), available_names());
  active.store(static_cast<int>(simd), std::memory_order_relaxed);
}

}  // namespace duet::kernels
