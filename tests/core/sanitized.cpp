// What AddressSanitizer sees of the allocator's blocks, in builds that have it (the preset asan-ubsan): an allocator
// that hands out pieces of larger blocks would hide every access beyond one.
#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define DUET_TEST_ASAN
#endif
#elif defined(__SANITIZE_ADDRESS__)
#define DUET_TEST_ASAN
#endif

#ifdef DUET_TEST_ASAN
#include <doctest/doctest.h>
#include <sanitizer/asan_interface.h>

#include <duet/core/allocator.hpp>
#include <duet/core/tensor.hpp>

using namespace duet;

TEST_CASE("AddressSanitizer sees both ends of every block, and blocks that were returned") {
  // Small ones, one that a size class makes larger, one of the arena, and one beside it.
  for (const std::int64_t bytes : {1, 4, 100, 5000, 1 << 20, (1 << 22) + 12}) {
    CAPTURE(bytes);
    auto* block = static_cast<char*>(allocate(bytes));
    auto* other = static_cast<char*>(allocate(bytes));
    for (char* one : {block, other}) {
      CHECK(__asan_region_is_poisoned(one, static_cast<std::size_t>(bytes)) == nullptr);
      CHECK(__asan_address_is_poisoned(one + bytes));
      CHECK(__asan_address_is_poisoned(one - 1));
    }
    deallocate(block);
    CHECK(__asan_address_is_poisoned(block));
    CHECK(__asan_address_is_poisoned(block + bytes - 1));
    CHECK(!__asan_address_is_poisoned(other));
    deallocate(other);
  }
  const Tensor tensor = Tensor::empty({3, 5});
  CHECK(!__asan_address_is_poisoned(tensor.data<float>() + 14));
  CHECK(__asan_address_is_poisoned(tensor.data<float>() + 15));
}
#endif
