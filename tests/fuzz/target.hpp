// What every fuzz target does with a call: files that are refused are fine, anything else that is thrown is not, every
// element of what was read is touched, so that a view beyond the file is seen, and under AddressSanitizer the memory
// taken stays within twice the file and a megabyte.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include <duet/core/allocator.hpp>
#include <duet/core/error.hpp>
#include <duet/core/tensor.hpp>

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define DUET_COUNTS_MEMORY
#endif
#elif defined(__SANITIZE_ADDRESS__)
#define DUET_COUNTS_MEMORY
#endif
#ifdef DUET_COUNTS_MEMORY
// Of sanitizer/allocator_interface.h, which g++ does not install although its library has both.
extern "C" int __sanitizer_install_malloc_and_free_hooks(void (*)(const volatile void*, std::size_t),
                                                         void (*)(const volatile void*));
extern "C" std::size_t __sanitizer_get_allocated_size(const volatile void*);
#endif

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

/// The bytes of a file, on the heap, as long as they are: reading one more is seen.
struct File {
  std::shared_ptr<std::uint8_t[]> bytes;
  std::int64_t size;
  File(const std::uint8_t* data, std::size_t count)
      : bytes(new std::uint8_t[count]), size(static_cast<std::int64_t>(count)) {
    if (count > 0) std::memcpy(bytes.get(), data, count);
  }
};

inline void touch(const duet::Tensor& tensor) {
  volatile double total = 0;
  const auto visit = [&](const auto* first) {
    for (std::int64_t i = 0; i < tensor.numel(); ++i) {
      std::int64_t rest = i, at = 0;
      for (int d = tensor.rank() - 1; d >= 0; --d) {
        at += rest % tensor.size(d) * tensor.strides()[d];
        rest /= tensor.size(d);
      }
      total = total + static_cast<double>(first[at]);
    }
  };
  switch (tensor.dtype()) {
    case duet::f32: return visit(tensor.data<float>());
    case duet::f64: return visit(tensor.data<double>());
    case duet::i64: return visit(tensor.data<std::int64_t>());
    default: return visit(tensor.data<std::uint8_t>());
  }
}

/// What malloc has handed out since reset(), at its peak. Counts nothing without AddressSanitizer.
class Memory {
 public:
  static void reset() {
#ifdef DUET_COUNTS_MEMORY
    static const int installed = __sanitizer_install_malloc_and_free_hooks(taken, given_back);
    if (installed == 0) std::abort();
#endif
    duet::release_cached_memory();
    duet::reset_peak_memory();
    live() = peak() = 0;
  }
  static void check(std::size_t file_bytes) {
    const auto most = static_cast<std::int64_t>(2 * file_bytes + (1 << 20));
    const std::int64_t tensors = duet::memory_stats().peak_in_use;
    if (peak() <= most && tensors <= most) return;
    std::fprintf(stderr, "ERROR: a file of %zu bytes took %lld bytes of memory, %lld of them in tensors\n", file_bytes,
                 static_cast<long long>(peak()), static_cast<long long>(tensors));
    std::abort();
  }

 private:
  static std::atomic<std::int64_t>& live() {
    static std::atomic<std::int64_t> value{0};
    return value;
  }
  static std::atomic<std::int64_t>& peak() {
    static std::atomic<std::int64_t> value{0};
    return value;
  }
#ifdef DUET_COUNTS_MEMORY
  static void taken(const volatile void*, std::size_t bytes) {
    const std::int64_t now = live() += static_cast<std::int64_t>(bytes);
    if (now > peak()) peak() = now;
  }
  static void given_back(const volatile void* memory) {
    if (memory != nullptr) live() -= static_cast<std::int64_t>(__sanitizer_get_allocated_size(memory));
  }
#endif
};

/// Runs a reader on a file of `bytes` bytes, which it may refuse.
template <class Body>
int attack(std::size_t bytes, Body body) {
  Memory::reset();
  try {
    body();
  } catch (const duet::Error&) {  // a clear refusal: what a hostile file gets
  }
  Memory::check(bytes);
  return 0;
}
