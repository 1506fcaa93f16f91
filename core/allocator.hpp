// The caching allocator under every tensor and every scratch buffer: 64-byte aligned blocks, kept for reuse when
// freed, so that a training loop stops asking the system after its first steps.
#pragma once

#include <cstddef>
#include <cstdint>

namespace duet {

/// Alignment of every block, in bytes: a cache line, and the widest vector.
inline constexpr std::size_t alignment = 64;

/// Memory of this process that tensors and scratch buffers take, or have taken.
struct MemoryStats {
  std::int64_t in_use = 0;        ///< bytes in live blocks
  std::int64_t peak_in_use = 0;   ///< the most that in_use has been since reset_peak_memory()
  std::int64_t cached = 0;        ///< bytes kept for reuse
  std::int64_t live_blocks = 0;   ///< blocks handed out and not returned
  std::int64_t system_calls = 0;  ///< how often the system was asked for memory
  std::int64_t limit = 0;         ///< bytes that in_use + cached may not pass; 0 means none
};

MemoryStats memory_stats();  ///< of all threads together
void reset_peak_memory();    ///< peak_in_use becomes in_use

/// Bytes that live and cached blocks together may take; 0 lifts the limit. ValueError if negative.
void set_memory_limit(std::int64_t bytes);

/// Gives every cached block back to the system.
void release_cached_memory();

/// A block of at least `bytes` bytes, uninitialised. Throws MemoryError naming the op in flight and the bytes
/// where the limit or the system says no; nothing is lost then, and a smaller request may succeed.
void* allocate(std::int64_t bytes);
void deallocate(void* block) noexcept;  ///< returns a block of allocate(); null is nothing
/// Says that a block of allocate() outlives the step, as a gradient does: the next that the same op asks for in this
/// size lies in the same place if that is free. It changes no result, only what a later step asks of the system.
void keep_place(const void* block) noexcept;

/// Scratch memory for a kernel: a block for the length of a scope.
class Scratch {
 public:
  /// MemoryError as allocate().
  explicit Scratch(std::int64_t bytes);
  ~Scratch() { deallocate(block_); }
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;
  template <class T>
  T* as() const {
    return static_cast<T*>(block_);
  }  ///< the block as elements of T

 private:
  void* block_;
};

}  // namespace duet
