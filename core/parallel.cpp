// A small thread pool: workers spin briefly for the next loop, then sleep. One loop runs at a time; whoever
// asks while it is busy works alone, which changes nothing but the time.
#include <duet/core/parallel.hpp>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <cstdlib>
#include <exception>
#include <mutex>
#include <system_error>
#include <thread>
#include <vector>

#include <duet/core/fail.hpp>
#include <duet/core/platform.hpp>

namespace duet {
namespace {

using Body = FunctionRef<void(std::int64_t, std::int64_t)>;

/// One parallel loop. Workers take chunk numbers from `next` until none is left.
struct Loop {
  std::int64_t count, grain, chunks;
  Body body;
  std::atomic<std::int64_t> next{0};
  std::atomic<bool> failed{false};
  std::exception_ptr error{};

  void work() {
    for (;;) {
      const std::int64_t chunk = next.fetch_add(1, std::memory_order_relaxed);
      if (chunk >= chunks) return;
      if (failed.load(std::memory_order_relaxed)) continue;
      try {
        body(chunk * grain, std::min(count, (chunk + 1) * grain));
      } catch (...) {
        if (!failed.exchange(true)) error = std::current_exception();
      }
    }
  }
};

inline void pause() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#else
  std::this_thread::yield();
#endif
}

int default_threads() {
  if (const char* text = std::getenv("DUET_NUM_THREADS")) {
    const long count = std::strtol(text, nullptr, 10);
    if (count >= 1 && count <= 1024) return static_cast<int>(count);
  }
  if (const int cores = available_cores(); cores > 0) return cores;
  return static_cast<int>(std::max(1u, std::thread::hardware_concurrency()));
}

std::atomic<int> requested_threads{0};

/// True on a thread that is inside a loop's chunk: loops started there run on it alone.
thread_local bool inside_loop = false;

class Pool {
 public:
  ~Pool() {
    {
      std::lock_guard lock(mutex_);
      stop_ = true;
    }
    wake_.notify_all();
    for (std::thread& worker : workers_) worker.join();
  }

  void run(Loop& loop, int threads) {
    if (!busy_.try_lock()) return loop.work();
    std::lock_guard busy(busy_, std::adopt_lock);
    grow(threads - 1);
    const int helpers = std::min<int>(threads - 1, static_cast<int>(workers_.size()));
    {
      std::lock_guard lock(mutex_);
      loop_ = &loop;
      seats_ = helpers;
      generation_.fetch_add(1, std::memory_order_release);
    }
    wake_.notify_all();
    inside_loop = true;
    loop.work();
    inside_loop = false;
    // No chunk is left to take. Close the loop to late-comers, then wait for those who are still in a chunk.
    {
      std::lock_guard lock(mutex_);
      loop_ = nullptr;
    }
    while (active_.load(std::memory_order_acquire) != 0) pause();
  }

 private:
  void grow(int count) {
    while (static_cast<int>(workers_.size()) < count) {
      try {
        workers_.emplace_back([this] { serve(); });
      } catch (const std::system_error&) {
        return;  // The system gives no more threads; those that exist do the work.
      }
    }
  }

  void serve() {
    inside_loop = true;
    std::uint64_t seen = 0;
    for (;;) {
      // Loops follow each other within microseconds in a training step: a short spin saves the wake-up.
      for (int spin = 0; spin < 4000 && generation_.load(std::memory_order_acquire) == seen; ++spin) pause();
      Loop* loop = nullptr;
      {
        std::unique_lock lock(mutex_);
        wake_.wait(lock, [&] { return stop_ || generation_.load(std::memory_order_relaxed) != seen; });
        if (stop_) return;
        seen = generation_.load(std::memory_order_relaxed);
        if (loop_ != nullptr && seats_ > 0) {
          --seats_;
          loop = loop_;
          active_.fetch_add(1, std::memory_order_relaxed);
        }
      }
      if (loop != nullptr) {
        loop->work();
        active_.fetch_sub(1, std::memory_order_release);
      }
    }
  }

  std::mutex busy_;   // held by the thread whose loop runs
  std::mutex mutex_;  // guards what follows
  std::condition_variable wake_;
  Loop* loop_ = nullptr;
  int seats_ = 0;
  bool stop_ = false;
  std::atomic<std::uint64_t> generation_{0};
  std::atomic<int> active_{0};
  std::vector<std::thread> workers_;
};

/// The process's pool. A forked child has none of its parent's threads, so it starts over with a new pool; the
/// old one is left behind, because its threads cannot be joined.
std::atomic<Pool*> process_pool{nullptr};
std::mutex pool_creation;

Pool& pool() {
  if (Pool* existing = process_pool.load(std::memory_order_acquire)) return *existing;
  std::lock_guard lock(pool_creation);
  if (Pool* existing = process_pool.load(std::memory_order_acquire)) return *existing;
  static const bool registered = [] {
    on_fork([] { pool_creation.lock(); }, [] { pool_creation.unlock(); },
            [] {
              pool_creation.unlock();
              process_pool.store(nullptr);
            });
    return true;
  }();
  (void)registered;
  Pool* created = new Pool;
  process_pool.store(created, std::memory_order_release);
  static const int at_exit = std::atexit([] { delete process_pool.exchange(nullptr); });
  (void)at_exit;
  return *created;
}

}  // namespace

int num_threads() {
  int count = requested_threads.load(std::memory_order_relaxed);
  if (count == 0) {
    count = default_threads();
    requested_threads.store(count, std::memory_order_relaxed);
  }
  return count;
}

void set_num_threads(int count) {
  if (count < 1 || count > 1024) fail<ValueError>("set_num_threads", "needs 1 to 1024 threads, got {}", count);
  requested_threads.store(count, std::memory_order_relaxed);
}

void parallel_for(std::int64_t count, std::int64_t grain, Body body) {
  if (count <= 0) return;
  grain = std::max<std::int64_t>(grain, 1);
  Loop loop{count, grain, (count + grain - 1) / grain, body};
  const int threads = static_cast<int>(std::min<std::int64_t>(num_threads(), loop.chunks));
  if (threads <= 1 || inside_loop) {
    for (std::int64_t begin = 0; begin < count; begin += grain) body(begin, std::min(count, begin + grain));
    return;
  }
  pool().run(loop, threads);
  if (loop.error) std::rethrow_exception(loop.error);
}

}  // namespace duet
