// Where blocks lie: what was said to outlive a step comes back to its place, and each thread finds scratch memory.
#include <doctest/doctest.h>

#include <cstring>

#include <duet/core/allocator.hpp>
#include <duet/core/op_in_flight.hpp>
#include <duet/core/parallel.hpp>

using namespace duet;

namespace {

constexpr std::int64_t large = std::int64_t{40} << 20;  // from the arena, more than any other test leaves there

void* allocate_for(const char* op, std::int64_t bytes) {
  const OpInFlight in_flight(op);
  return allocate(bytes);
}

}  // namespace

TEST_CASE("a block whose place is kept comes back to it, whatever else would fit") {
  static const char op[] = "weight gradient", other[] = "activation";
  void* const front = allocate_for(other, large);
  void* const wall = allocate_for(other, large);
  void* const kept = allocate_for(op, large);
  void* const behind = allocate_for(other, large);
  keep_place(kept);
  SUBCASE("two holes fit alike: other ops get the lower one") {
    deallocate(front);
    deallocate(kept);
    void* const again = allocate_for(op, large);
    void* const rest = allocate_for(other, large);
    CHECK(again == kept);
    CHECK(rest == front);
    deallocate(again);
    deallocate(rest);
    deallocate(wall);
  }
  SUBCASE("another size or another op has no place there") {
    deallocate(front);
    deallocate(kept);
    void* const shorter = allocate_for(op, large - 4096);
    CHECK(shorter == front);
    deallocate(shorter);
    void* const stranger = allocate_for(other, large);
    CHECK(stranger == front);
    deallocate(stranger);
    deallocate(wall);
  }
  SUBCASE("it is cut out of the midst of a longer block, and what is in front stays usable") {
    deallocate(front);
    deallocate(wall);
    deallocate(kept);
    const MemoryStats before = memory_stats();
    void* const again = allocate_for(op, large);
    CHECK(again == kept);
    void* const pair = allocate_for(other, 2 * large);  // both others, joined
    CHECK(pair == front);
    std::memset(pair, 1, static_cast<std::size_t>(2 * large));
    CHECK(memory_stats().in_use - before.in_use - 3 * large <= 4096);  // a rest too short for a block
    CHECK(memory_stats().system_calls == before.system_calls);
    deallocate(again);
    deallocate(pair);
    CHECK(memory_stats().cached == before.cached);
  }
  SUBCASE("where it is taken, the next best does") {
    deallocate(front);
    void* const again = allocate_for(op, large);
    CHECK(again == front);
    deallocate(again);
    deallocate(kept);
    deallocate(wall);
  }
  deallocate(behind);
}

TEST_CASE("scratch memory of one size is there for every thread once one of them has asked") {
  const int before = num_threads();
  set_num_threads(4);
  for (const std::int64_t bytes : {std::int64_t{200000}, std::int64_t{900000}}) {
    release_cached_memory();  // of what other cases left, made for fewer threads
    { const Scratch first(bytes); }
    const std::int64_t asked = memory_stats().system_calls;
    {
      const Scratch a(bytes), b(bytes), c(bytes), d(bytes);
      CHECK(memory_stats().system_calls == asked);
    }
    // A tensor's block is not one of them: in its next step it would be missing.
    void* const tensor = allocate(bytes);
    const std::int64_t with_tensor = memory_stats().system_calls;
    {
      const Scratch a(bytes), b(bytes), c(bytes), d(bytes);
      CHECK(memory_stats().system_calls == with_tensor);
    }
    deallocate(tensor);
  }
  set_num_threads(before);
}
