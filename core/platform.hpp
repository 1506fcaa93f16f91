// What Duet asks of the operating system: addresses for the allocator, files mapped into memory, files that appear
// whole or not at all, cores and forks, names of types and of callers. Everything that would need another
// implementation on another system stands here (a test looks for it elsewhere).
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace duet {

/// `bytes` of addresses without memory behind them, of which touching any is an error; null if there are not so many.
/// Where the system has huge pages it is told that they are welcome.
void* reserve_addresses(std::int64_t bytes);
/// Makes reserved addresses usable: zeros, whose pages come when they are touched. False where the system refuses.
bool commit_addresses(void* begin, std::int64_t bytes);
/// Gives the whole pages among usable addresses back; they stay usable, with undefined content.
void release_pages(void* begin, std::int64_t bytes);
/// Bytes of memory that the machine has.
std::int64_t physical_memory();

/// A file's bytes. The mapping is private: writing to it changes this process's copy and never the file.
class MappedFile {
 public:
  /// Maps `path`, read on demand. Throws IoError in the name of `op` if it is missing, unreadable or not a file.
  static std::shared_ptr<MappedFile> open(const char* op, const std::string& path);
  ~MappedFile();
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;

  std::byte* data() const { return data_; }  ///< the first byte
  std::int64_t size() const { return size_; }

 private:
  MappedFile(std::byte* data, std::int64_t size) : data_(data), size_(size) {}
  std::byte* data_;
  std::int64_t size_;
};

/// Writes a file under a temporary name in the same folder; commit() puts it in place. Whatever goes wrong before
/// that, a file that was there stays as it was, and the temporary one is removed.
class AtomicFile {
 public:
  /// Throws IoError in the name of `op`, here and below, with the path and the system's reason.
  AtomicFile(const char* op, std::string path);
  ~AtomicFile();
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;

  void write(const void* data, std::int64_t bytes);  ///< appends
  /// Brings the content to the disk (fsync), then renames, then brings the folder to the disk.
  void commit();

 private:
  const char* op_;
  std::string path_, temporary_;
  int file_ = -1;
};

/// Gives the file at `path`, if there is one, the second name `previous`, replacing what had that; `path` stays until
/// it is replaced itself, so that at every moment one of the two is whole. IoError in the name of `op`.
void keep_previous_file(const char* op, const std::string& path, const std::string& previous);

/// Renames a file, replacing what has the new name, and brings the folder to the disk; IoError in the name of `op`.
void rename_file(const char* op, const std::string& from, const std::string& to);

/// Whether something has this name.
bool file_exists(const std::string& path);

/// How many cores this process may run on; 0 where the system does not say.
int available_cores();

/// Calls `before` ahead of every fork() of this process, then the others on either side. They stay for good.
void on_fork(void (*before)(), void (*in_parent)(), void (*in_child)());

/// A type's name as std::type_info gives it, as it stands in a source.
std::string readable_name(const char* name);

/// Where the callers of this function return to, the nearest first, at most 64; empty where the system does not say.
std::vector<void*> call_stack();
/// The function that an address lies in, or "FILE +0x…" (which addr2line -Cfe FILE 0x… reads) if that has no name.
std::string describe_address(void* address);

}  // namespace duet
