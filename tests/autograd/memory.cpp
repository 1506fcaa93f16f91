// What the tape costs in memory: a chain of a million ops, and ten thousand steps of training.
#include <doctest/doctest.h>

#include <malloc.h>

#include <cstdio>
#include <string>

#include <duet/autograd/backward.hpp>
#include <duet/core/allocator.hpp>
#include <duet/core/factory.hpp>
#include <duet/core/tape.hpp>
#include <duet/ops/elementwise.hpp>
#include <duet/ops/reduce.hpp>

#include "support.hpp"

using namespace duet;

namespace {

/// Bytes that malloc has handed out; 0 where a sanitizer stands in for it.
std::int64_t heap_bytes() { return static_cast<std::int64_t>(mallinfo2().uordblks); }

/// Pages of this process that are in memory.
std::int64_t resident_pages() {
  std::FILE* file = std::fopen("/proc/self/statm", "r");
  if (file == nullptr) return 0;
  long total = 0, resident = 0;
  const int read = std::fscanf(file, "%ld %ld", &total, &resident);
  std::fclose(file);
  return read == 2 ? resident : 0;
}

}  // namespace

TEST_CASE("a million ops are recorded, differentiated and freed on a flat stack") {
  constexpr std::int64_t count = 1000000;
  const Tensor x = ones({1}, {.requires_grad = true});
  const std::int64_t before = heap_bytes(), blocks = memory_stats().live_blocks;
  double per_node = 0;
  {
    Tensor y = x;
    for (std::int64_t i = 0; i < count; ++i) y = -y;
    per_node = static_cast<double>(heap_bytes() - before) / count;
    CHECK(memory_stats().live_blocks <= blocks + 2);  // neg keeps no tensor
    y.backward();
  }
  CHECK(x.grad().item() == 1);
  MESSAGE("bytes a node: ", per_node);
  if (before > 0) CHECK(per_node < 520);
  CHECK(memory_stats().live_blocks == blocks + 1);  // the gradient
  if (before > 0) CHECK(heap_bytes() - before < 100000);
}

TEST_CASE("backward frees what the nodes kept as it passes them") {
  constexpr std::int64_t n = 1 << 14;
  const Tensor x = leaf({n}, 1, f32), w = normal({n}, 2, f32);
  Tensor y = x;
  for (int i = 0; i < 20; ++i) y = y * w;
  const std::int64_t kept = memory_stats().in_use;
  const Tensor loss = sum(y);
  y = Tensor();
  reset_peak_memory();
  loss.backward();
  CHECK(memory_stats().peak_in_use < kept + 8 * n * 4);
}

TEST_CASE("ten thousand steps leave memory where step 100 had it") {
  Tensor w = leaf({16, 16}, 1, f32), b = leaf({16}, 2, f32);
  std::int64_t blocks = 0, in_use = 0, pages = 0;
  const auto step = [&](int k) {
    const Tensor x = normal({16, 16}, static_cast<std::uint64_t>(k), f32);
    const Tensor loss = sum((x * w + b) * (x * w + b));
    loss.backward();
    for (Tensor* parameter : {&w, &b}) {
      const NoGradGuard no_grad;
      *parameter = (*parameter - parameter->grad() * 1e-4).detach().set_requires_grad();
    }
  };
  for (int k = 0; k < 10000; ++k) {
    step(k);
    if (k != 100) continue;
    blocks = memory_stats().live_blocks;
    in_use = memory_stats().in_use;
    pages = resident_pages();
  }
  CHECK(memory_stats().live_blocks == blocks);
  CHECK(memory_stats().in_use == in_use);
  // This process has but a few MB, so that the 1 % is told from a handful of pages that the system rounds up to. A
  // sanitizer's malloc keeps what was freed for a while: there blocks and bytes must do.
  if (heap_bytes() > 0) CHECK(static_cast<double>(resident_pages()) <= 1.01 * static_cast<double>(pages) + 64);
}
