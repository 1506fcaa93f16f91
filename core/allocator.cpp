// Small blocks come in size classes with four steps to the octave (at most a quarter is wasted) and one free list per
// class; large ones are cut from the arena. What a block is stands in a header in front of it, one cache line long so
// that the block stays aligned.
#include <duet/core/allocator.hpp>

#include <algorithm>
#include <bit>
#include <cstdlib>
#include <mutex>
#include <new>
#include <vector>

#include <duet/core/arena.hpp>
#include <duet/core/fail.hpp>
#include <duet/core/op_in_flight.hpp>
#include <duet/core/parallel.hpp>
#include <duet/core/platform.hpp>
#include <duet/core/poison.hpp>

namespace duet {
namespace {

static_assert(sizeof(BlockHeader) == alignment);

constexpr std::int64_t smallest = 64;
constexpr int steps = 4;  // classes to the octave
constexpr int class_count = steps * 48;
// From here on blocks come from the arena. Scratch memory does so later: workers ask for it at times that differ from
// step to step, which would cut the arena differently each time.
constexpr std::int64_t large_block = 1 << 18, large_scratch = 1 << 22;
// Scratch between the two has one of three sizes, 1, 2 and 4 MB, or the layers of a U-Net, each with its own, would
// keep 30 MB of it. What of a block is never touched costs addresses, no memory.
constexpr std::int64_t middling_scratch = 1 << 20;

/// The smallest class whose blocks hold `bytes`, and what they hold.
int size_class(std::int64_t bytes, std::int64_t& rounded) {
  const std::int64_t units = (std::max<std::int64_t>(bytes, 1) + smallest - 1) / smallest;
  if (units <= steps) {
    rounded = units * smallest;
    return static_cast<int>(units - 1);
  }
  int octave = 63 - __builtin_clzll(static_cast<unsigned long long>(units - 1));  // 2^octave <= units-1
  const std::int64_t step = std::int64_t{1} << (octave - 2);
  const std::int64_t base = std::int64_t{1} << octave;
  const std::int64_t k = (units - base + step - 1) / step;  // 1..4
  rounded = (base + k * step) * smallest;
  return steps + (octave - 2) * steps + static_cast<int>(k) - 1;
}

class Cache {
 public:
  void* take(std::int64_t bytes) {
    check(bytes);
    void* const memory = bytes >= large_block ? take_large(bytes) : nullptr;
    return memory != nullptr ? memory : take_small(bytes, bytes, 0, 1);
  }

  void* take_scratch(std::int64_t bytes) {
    check(bytes);
    if (bytes >= large_scratch)
      if (void* memory = take_large(bytes)) return memory;
    std::int64_t room = bytes;
    if (bytes >= large_block && bytes <= large_scratch)
      room = std::max(middling_scratch, static_cast<std::int64_t>(std::bit_ceil(static_cast<std::uint64_t>(bytes))));
    // How many threads want such a block at once differs from step to step: each shall find one, and where blocks are
    // small the others of a kernel that are as long. So scratch has lists of its own: from a tensor's it would take
    // what the tensor wants in another step.
    const int copies = room < large_block ? 4 * num_threads() : room <= large_scratch ? num_threads() : 1;
    return take_small(bytes, room, class_count, copies);
  }

  void give_back(void* memory) noexcept {
    BlockHeader* const header = static_cast<BlockHeader*>(memory) - 1;
    std::lock_guard lock(mutex_);
    in_use_ -= header->bytes;
    --stats_.live_blocks;
    forbid(memory, header->bytes);
    if (header->size_class == BlockHeader::in_arena) return arena_.give_back(header);
    keep(header);
  }

  void keep_place(const void* memory) noexcept {
    const BlockHeader* const header = static_cast<const BlockHeader*>(memory) - 1;
    std::lock_guard lock(mutex_);
    if (header->size_class == BlockHeader::in_arena) arena_.keep_place(header);
  }

  MemoryStats stats() {
    std::lock_guard lock(mutex_);
    MemoryStats stats = stats_;
    stats.in_use = in_use_;
    stats.cached = cached();
    return stats;
  }
  void reset_peak() {
    std::lock_guard lock(mutex_);
    stats_.peak_in_use = in_use_;
  }
  void set_limit(std::int64_t bytes) {
    std::lock_guard lock(mutex_);
    stats_.limit = bytes;
  }
  void release() {
    std::lock_guard lock(mutex_);
    drop_cached();
  }
  void lock() { mutex_.lock(); }
  void unlock() { mutex_.unlock(); }

 private:
  void check(std::int64_t bytes) const {
    if (bytes < 0 || bytes > (std::int64_t{1} << 46)) refuse(bytes, "no machine has that much");
  }

  /// A block with room for `room` bytes, of which `bytes` were asked for, from the lists that begin at `first`. Where
  /// there is none, `copies` are made, of which the others wait: what is never touched costs addresses, no memory.
  void* take_small(std::int64_t bytes, std::int64_t room, int first, int copies) {
    std::int64_t rounded = 0;
    const int index = first + size_class(room, rounded);
    {
      std::lock_guard lock(mutex_);
      std::vector<BlockHeader*>& list = free_[index];
      if (!list.empty()) {
        BlockHeader* const block = list.back();
        list.pop_back();
        cached_ -= rounded;
        return hand_out(block, bytes);
      }
      make_room(bytes, rounded, rounded);
      if (stats_.limit != 0) copies = 1;
    }
    void* raw = new_block(rounded);
    std::lock_guard lock(mutex_);
    if (raw == nullptr) {
      drop_cached();
      raw = new_block(rounded);
      if (raw == nullptr) refuse(bytes, "the system gives no more");
    }
    BlockHeader* const block = make_header(raw, index, rounded);
    for (; copies > 1; --copies) {
      void* const other = new_block(rounded);
      if (other == nullptr) break;
      keep(make_header(other, index, rounded));
    }
    return hand_out(block, bytes);
  }

  static void* new_block(std::int64_t rounded) {
    return std::aligned_alloc(alignment, static_cast<std::size_t>(rounded) + sizeof(BlockHeader));
  }
  BlockHeader* make_header(void* raw, int index, std::int64_t rounded) {
    ++stats_.system_calls;
    forbid(raw, rounded + static_cast<std::int64_t>(sizeof(BlockHeader)));
    return new (raw) BlockHeader{.size_class = index, .bytes = rounded};
  }
  /// Puts a small block, to which nobody points, into its list.
  void keep(BlockHeader* header) noexcept try {
    free_[header->size_class].push_back(header);
    cached_ += header->bytes;
  } catch (...) {
    std::free(header);
  }

  /// Null where the arena has no room, which the system's own allocator may have.
  void* take_large(std::int64_t bytes) {
    const std::int64_t rounded = (bytes + smallest - 1) / smallest * smallest;
    std::lock_guard lock(mutex_);
    BlockHeader* kept = arena_.at_kept_place(rounded, op_in_flight());
    if (kept == nullptr) kept = arena_.find(rounded, true);
    if (kept != nullptr) {
      arena_.take(kept, rounded);
      return hand_out(kept, bytes);
    }
    make_room(bytes, rounded, rounded - std::min(rounded, arena_.cached_at_end()));
    BlockHeader* block = arena_.find(rounded, false);
    if (block == nullptr) {
      arena_.join();
      block = arena_.find(rounded, false);
    }
    if (block != nullptr)
      arena_.take(block, rounded);
    else
      block = arena_.grow(rounded);
    if (block == nullptr) return nullptr;
    ++stats_.system_calls;
    return hand_out(block, bytes);
  }

  /// Sees to it that a block of `rounded` bytes, for which the system has to give `more`, stays within the limit, or
  /// refuses the `bytes` that were asked for.
  void make_room(std::int64_t bytes, std::int64_t rounded, std::int64_t more) {
    if (stats_.limit == 0 || in_use_ + cached() + more <= stats_.limit) return;
    drop_cached();
    if (in_use_ + rounded > stats_.limit) refuse(bytes, "the limit set is reached");
  }
  /// A free block, of which `bytes` were asked for.
  void* hand_out(BlockHeader* block, std::int64_t bytes) {
    block->op = op_in_flight();
    in_use_ += block->bytes;
    ++stats_.live_blocks;
    stats_.peak_in_use = std::max(stats_.peak_in_use, in_use_);
    permit(block->memory(), bytes);
    return block->memory();
  }
  std::int64_t cached() const { return cached_ + arena_.cached(); }
  void drop_cached() {
    for (std::vector<BlockHeader*>& list : free_) {
      for (BlockHeader* block : list) std::free(block);
      list.clear();
    }
    cached_ = 0;
    arena_.release();
  }
  [[noreturn]] void refuse(std::int64_t bytes, const char* why) const {
    fail<MemoryError>(op_in_flight(), "cannot allocate {} bytes: {} ({} bytes in use, limit {})", bytes, why, in_use_,
                      stats_.limit == 0 ? std::string("none") : std::to_string(stats_.limit));
  }

  std::mutex mutex_;
  std::vector<BlockHeader*> free_[2 * class_count];  // of tensors, of scratch memory
  Arena arena_;
  std::int64_t in_use_ = 0, cached_ = 0;  // cached_: of the size classes
  MemoryStats stats_;
};

Cache& cache();

/// A thread that is inside while another forks would leave the child a lock that nobody opens.
Cache* make_cache() {
  on_fork([] { cache().lock(); }, [] { cache().unlock(); }, [] { cache().unlock(); });
  return new Cache;
}

/// Never destroyed: tensors with static storage duration may outlive any order of destructors.
Cache& cache() {
  static Cache* instance = make_cache();
  return *instance;
}

}  // namespace

MemoryStats memory_stats() { return cache().stats(); }
void reset_peak_memory() { cache().reset_peak(); }
void set_memory_limit(std::int64_t bytes) {
  if (bytes < 0) fail<ValueError>("set_memory_limit", "needs a number of bytes >= 0, got {}", bytes);
  cache().set_limit(bytes);
}
void release_cached_memory() { cache().release(); }
void keep_place(const void* block) noexcept { cache().keep_place(block); }
void* allocate(std::int64_t bytes) { return cache().take(bytes); }
Scratch::Scratch(std::int64_t bytes) : block_(cache().take_scratch(bytes)) {}
void deallocate(void* block) noexcept {
  if (block != nullptr) cache().give_back(block);
}

namespace {
thread_local const char* current_op = "allocate";
}
const char* op_in_flight() { return current_op; }
OpInFlight::OpInFlight(const char* op) : before_(current_op) { current_op = op; }
OpInFlight::~OpInFlight() { current_op = before_; }

}  // namespace duet
