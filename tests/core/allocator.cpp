// Where blocks come from: the shortest free one that fits, and shared ones for scratch.
#include <doctest/doctest.h>

#include <cstring>
#include <initializer_list>

#include <duet/core/allocator.hpp>

using namespace duet;

namespace {

constexpr std::int64_t mebibyte = std::int64_t{1} << 20;

/// A block with all of its bytes written, so that an overlap with another would show.
char* filled(std::int64_t bytes, int value) {
  void* const block = allocate(bytes);
  std::memset(block, value, static_cast<std::size_t>(bytes));
  return static_cast<char*>(block);
}

}  // namespace

TEST_CASE("of two free blocks the shorter one is taken, though the longer lies lower") {
  release_cached_memory();
  char* const longer = filled(64 * mebibyte, 1);
  char* const between = filled(mebibyte, 2);
  char* const shorter = filled(33 * mebibyte, 3);
  char* const end = filled(mebibyte, 4);
  REQUIRE(longer < between);
  REQUIRE(between < shorter);
  REQUIRE(shorter < end);
  deallocate(shorter);
  deallocate(longer);
  char* const small = filled(32 * mebibyte, 5);
  CHECK(small == shorter);
  char* const large = filled(64 * mebibyte, 6);
  CHECK(large == longer);
  CHECK(between[mebibyte - 1] == 2);
  CHECK(end[0] == 4);
  for (char* block : {small, large, between, end}) deallocate(block);
}

TEST_CASE("scratch of middling sizes shares blocks, and each has the bytes it asked for") {
  const auto place = [](std::int64_t bytes) {
    const Scratch scratch(bytes);
    std::memset(scratch.as<char>(), 7, static_cast<std::size_t>(bytes));
    return static_cast<const void*>(scratch.as<char>());
  };
  const void* const first = place(300000);
  const std::int64_t asked = memory_stats().system_calls;
  CHECK(place(1000000) == first);
  CHECK(place(mebibyte) == first);
  CHECK(memory_stats().system_calls == asked);
  const void* const second = place(mebibyte + 1);
  CHECK(second != first);
  CHECK(place(2 * mebibyte) == second);
  const void* const third = place(2 * mebibyte + 1);
  CHECK((third != first && third != second));
  CHECK(place(4 * mebibyte - 1) == third);
  CHECK(place(300000) == first);
}
