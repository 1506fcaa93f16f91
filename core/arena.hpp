// One stretch of addresses, reserved at first and made usable from its beginning as it is needed, from which large
// blocks are cut. Freed neighbours grow together again, so that a training step of any mixture of sizes needs little
// more than its blocks add up to: free lists by size would keep each size's own peak. Internal to core/allocator.cpp,
// which holds a lock around every call.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace duet {

/// Stands in front of every block that the allocator hands out, one cache line long.
struct alignas(64) BlockHeader {
  int size_class = 0;                                ///< of a small block; in_arena for one of the arena's
  bool free = false;                                 ///< in the arena's list
  bool backed = true;                                ///< free, and the system still keeps its pages
  std::int64_t bytes = 0;                            ///< behind this header
  BlockHeader* before = nullptr;                     ///< the neighbour at the lower address
  BlockHeader *next = nullptr, *previous = nullptr;  ///< in the list of free blocks
  const char* op = nullptr;                          ///< which asked for it; to be compared, not read: it may be gone

  static constexpr int in_arena = -1;
  void* memory() { return this + 1; }
};
static_assert(sizeof(BlockHeader) == 64);

class Arena {
 public:
  /// A free block that holds `bytes`, the shortest, and of those the one at the lowest address; null if there is none.
  /// `backed_only`: of those whose pages the system still keeps.
  BlockHeader* find(std::int64_t bytes, bool backed_only) const;
  /// Remembers where the block lies, which outlives a training step (a gradient). In a step's midst it is another hole
  /// that fits best each time, and gradients that wander drive the blocks between them from step to step, now and then
  /// into more memory than before. Back in their old places every step is like the one before.
  void keep_place(const BlockHeader* block) noexcept;
  /// A free block at the oldest place that was remembered for the same op and size; null where none is free.
  BlockHeader* at_kept_place(std::int64_t bytes, const char* op);
  /// Takes a block that find() or at_kept_place() gave out of the list and cuts off what is beyond `bytes`.
  void take(BlockHeader* block, std::int64_t bytes);
  /// A block made of new addresses, and of the free block in front of them if there is one. Null where the system or
  /// the reserved addresses end; then nothing has changed.
  BlockHeader* grow(std::int64_t bytes);
  void give_back(BlockHeader* block) noexcept;
  /// Makes one of free neighbours of which the system has taken some back; it gets the others too.
  void join();
  /// Returns the pages of every free block to the system; their addresses stay.
  void release();

  /// Bytes in free blocks whose pages the system still keeps.
  std::int64_t cached() const { return cached_; }
  /// How much of `bytes` grow() would not have to ask the system for.
  std::int64_t cached_at_end() const { return last_ != nullptr && last_->free && last_->backed ? last_->bytes : 0; }

 private:
  bool reserve();
  bool commit(char* end);
  BlockHeader* after(BlockHeader* block) const;
  void link(BlockHeader* block);
  void unlink(BlockHeader* block);
  BlockHeader* cut_in_front(BlockHeader* block, char* at);

  char *base_ = nullptr, *top_ = nullptr, *committed_ = nullptr, *end_ = nullptr;
  struct Place {
    std::int64_t bytes;
    const char* op;
    char* at;
  };
  std::vector<Place> places_;
  bool failed_ = false;  // no addresses were to be had
  BlockHeader *last_ = nullptr, *free_ = nullptr;
  std::int64_t cached_ = 0;
};

}  // namespace duet
