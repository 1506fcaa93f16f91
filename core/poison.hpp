// Internal to core/allocator.cpp and core/arena.cpp: tells AddressSanitizer which bytes of the allocator's memory
// nobody may touch, so that it sees what goes over the end of a block, in front of it, or into one that was returned.
// In other builds nothing. Those two files alone are compiled without the sanitizer (cmake/library.cmake): headers lie
// in forbidden bytes.
#pragma once

#include <cstdint>

#ifdef DUET_ASAN
#include <sanitizer/asan_interface.h>
#endif

namespace duet {

inline void forbid([[maybe_unused]] const void* begin, [[maybe_unused]] std::int64_t bytes) {
#ifdef DUET_ASAN
  __asan_poison_memory_region(begin, static_cast<std::size_t>(bytes));
#endif
}

inline void permit([[maybe_unused]] const void* begin, [[maybe_unused]] std::int64_t bytes) {
#ifdef DUET_ASAN
  __asan_unpoison_memory_region(begin, static_cast<std::size_t>(bytes));
#endif
}

}  // namespace duet
