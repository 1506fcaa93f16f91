// Storage: the bytes under one or more tensors, and the version that counts their changes.
#pragma once

#include <cstdint>
#include <memory>

#include <duet/core/callable.hpp>

namespace duet {

/// A block of memory with an owner. The version rises with every change, so that a saved tensor can tell that it
/// went stale. Thread-safe to read; writers must not race with readers.
class Storage {
 public:
  /// `bytes` bytes of Duet's own, 64-byte aligned and uninitialised.
  static std::shared_ptr<Storage> make(std::int64_t bytes);
  /// Somebody else's memory, which `owner` keeps alive.
  static std::shared_ptr<Storage> wrap(void* data, std::int64_t bytes, std::shared_ptr<const void> owner, bool writable);

  Storage(void* data, std::int64_t bytes, bool own, bool writable, std::shared_ptr<const void> owner);
  ~Storage();
  Storage(const Storage&) = delete;
  Storage& operator=(const Storage&) = delete;

  void* data() const { return data_; }           ///< the first byte
  std::int64_t bytes() const { return bytes_; }  ///< its size
  void keep_place() const noexcept;              ///< that of its own memory, as core/allocator.hpp says
  bool writable() const { return writable_; }    ///< false: memory that is only to be read

  std::uint64_t version() const { return __atomic_load_n(&version_, __ATOMIC_RELAXED); }  ///< how often it was changed
  void bump_version() { __atomic_fetch_add(&version_, 1, __ATOMIC_RELAXED); }             ///< it was changed

  /// Whether somebody outside may write at any time without a bump of the version: a raw pointer was handed out,
  /// or a mutable view is alive. What was derived from such a storage (a packed weight) must not be cached.
  bool exposed() const { return __atomic_load_n(&exposed_, __ATOMIC_RELAXED) || __atomic_load_n(&writers_, __ATOMIC_SEQ_CST) != 0; }
  void expose() { __atomic_store_n(&exposed_, true, __ATOMIC_RELAXED); }      ///< see exposed()
  void begin_write() { __atomic_fetch_add(&writers_, 1, __ATOMIC_SEQ_CST); }  ///< a mutable view begins
  void end_write() {
    bump_version();
    __atomic_fetch_sub(&writers_, 1, __ATOMIC_SEQ_CST);
  }  ///< it ends

 private:
  void* data_;
  std::int64_t bytes_;
  bool own_, writable_;
  // Atomic by gcc's and clang's builtins: <atomic> would cost whoever includes Duet 8 MB of compiler memory.
  bool exposed_ = false;
  std::int32_t writers_ = 0;
  std::uint64_t version_ = 0;
  std::shared_ptr<const void> owner_;
};

}  // namespace duet
