// Size classes with four steps to the octave (at most a quarter is wasted), one free list per class. The class
// stands in a header in front of each block, one cache line long so that the block stays aligned.
#include <duet/core/allocator.hpp>

#include <algorithm>
#include <cstdlib>
#include <mutex>
#include <vector>

#include <duet/core/fail.hpp>
#include <duet/core/op_in_flight.hpp>

#if defined(__linux__)
#include <sys/mman.h>
#endif

namespace duet {
namespace {

struct Header {
  int size_class;
  std::int64_t bytes;
};
static_assert(sizeof(Header) <= alignment);

constexpr std::int64_t smallest = 64;
constexpr int steps = 4;  // classes to the octave
constexpr int class_count = steps * 48;

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

constexpr std::size_t huge_page = std::size_t{2} << 20;

/// Memory from the system, or null. Kernels walk many planes at once, each on pages of its own: more of 4 KiB than
/// the processor's translation cache holds. So large blocks ask for huge pages, as many as lie inside the block: it
/// takes no more memory than it would.
void* system_memory(std::size_t bytes) {
  const std::size_t unit = bytes < huge_page ? alignment : huge_page;
  void* raw = std::aligned_alloc(unit, (bytes + unit - 1) / unit * unit);
#if defined(__linux__) && defined(MADV_HUGEPAGE)
  // A refusal costs speed alone.
  if (raw != nullptr && bytes >= huge_page)
    static_cast<void>(madvise(raw, bytes / huge_page * huge_page, MADV_HUGEPAGE));
#endif
  return raw;
}

class Cache {
 public:
  void* take(std::int64_t bytes) {
    if (bytes < 0 || bytes > (std::int64_t{1} << 46)) refuse(bytes, "no machine has that much");
    std::int64_t rounded = 0;
    const int index = size_class(bytes, rounded);
    {
      std::lock_guard lock(mutex_);
      std::vector<void*>& list = free_[index];
      if (!list.empty()) {
        void* block = list.back();
        list.pop_back();
        stats_.cached -= rounded;
        count_in(rounded);
        return block;
      }
      if (stats_.limit > 0 && stats_.in_use + stats_.cached + rounded > stats_.limit) {
        drop_cached();
        if (stats_.in_use + rounded > stats_.limit) refuse(bytes, "the limit set is reached");
      }
    }
    void* raw = system_memory(static_cast<std::size_t>(rounded) + alignment);
    if (raw == nullptr) {
      std::lock_guard lock(mutex_);
      drop_cached();
      raw = system_memory(static_cast<std::size_t>(rounded) + alignment);
      if (raw == nullptr) refuse(bytes, "the system gives no more");
    }
    *static_cast<Header*>(raw) = {index, rounded};
    std::lock_guard lock(mutex_);
    ++stats_.system_calls;
    count_in(rounded);
    return static_cast<char*>(raw) + alignment;
  }

  void give_back(void* block) noexcept {
    const Header* header = reinterpret_cast<const Header*>(static_cast<char*>(block) - alignment);
    std::lock_guard lock(mutex_);
    stats_.in_use -= header->bytes;
    --stats_.live_blocks;
    try {
      free_[header->size_class].push_back(block);
      stats_.cached += header->bytes;
    } catch (...) {
      std::free(static_cast<char*>(block) - alignment);
    }
  }

  MemoryStats stats() {
    std::lock_guard lock(mutex_);
    return stats_;
  }
  void reset_peak() {
    std::lock_guard lock(mutex_);
    stats_.peak_in_use = stats_.in_use;
  }
  void set_limit(std::int64_t bytes) {
    std::lock_guard lock(mutex_);
    stats_.limit = bytes;
  }
  void release() {
    std::lock_guard lock(mutex_);
    drop_cached();
  }

 private:
  void count_in(std::int64_t bytes) {
    stats_.in_use += bytes;
    ++stats_.live_blocks;
    stats_.peak_in_use = std::max(stats_.peak_in_use, stats_.in_use);
  }
  void drop_cached() {
    for (std::vector<void*>& list : free_) {
      for (void* block : list) std::free(static_cast<char*>(block) - alignment);
      list.clear();
    }
    stats_.cached = 0;
  }
  [[noreturn]] void refuse(std::int64_t bytes, const char* why) const {
    fail<MemoryError>(op_in_flight(), "cannot allocate {} bytes: {} ({} bytes in use, limit {})", bytes, why,
                      stats_.in_use, stats_.limit == 0 ? std::string("none") : std::to_string(stats_.limit));
  }

  std::mutex mutex_;
  std::vector<void*> free_[class_count];
  MemoryStats stats_;
};

/// Never destroyed: tensors with static storage duration may outlive any order of destructors.
Cache& cache() {
  static Cache* instance = new Cache;
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
void* allocate(std::int64_t bytes) { return cache().take(bytes); }
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
