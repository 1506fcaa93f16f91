// POSIX: mmap, open, fsync, rename, pthread_atfork; Linux's madvise and sched_getaffinity; names after the C++ ABI that
// g++ and clang++ share.
#include <duet/core/platform.hpp>

#include <cxxabi.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#if __has_include(<execinfo.h>) && __has_include(<dlfcn.h>)
#include <dlfcn.h>
#include <execinfo.h>
#define DUET_HAS_STACKS 1
#endif

#include <duet/core/fail.hpp>

namespace duet {
namespace {

[[noreturn]] void fail_system(const char* op, const char* what, const std::string& path, int error) {
  fail<IoError>(op, "cannot {} '{}': {}", what, path, std::strerror(error));
}

/// Closes a descriptor at the end of a scope.
struct Descriptor {
  int number;
  ~Descriptor() {
    if (number >= 0) ::close(number);
  }
};

std::string folder_of(const std::string& path) {
  const auto slash = path.rfind('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

/// Brings the names in a folder to the disk. Some file systems refuse; the file is in place then all the same.
void sync_folder_of(const std::string& path) {
  const Descriptor folder{::open(folder_of(path).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
  if (folder.number >= 0) ::fsync(folder.number);
}

}  // namespace

void* reserve_addresses(std::int64_t bytes) {
  void* address = ::mmap(nullptr, static_cast<std::size_t>(bytes), PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (address == MAP_FAILED) return nullptr;
#ifdef MADV_HUGEPAGE
  ::madvise(address, static_cast<std::size_t>(bytes), MADV_HUGEPAGE);  // a hint: a refusal changes nothing
#endif
  return address;
}

bool commit_addresses(void* begin, std::int64_t bytes) {
  return ::mprotect(begin, static_cast<std::size_t>(bytes), PROT_READ | PROT_WRITE) == 0;
}

void release_pages(void* begin, std::int64_t bytes) {
  const auto page = static_cast<std::uintptr_t>(::sysconf(_SC_PAGESIZE));
  const auto address = reinterpret_cast<std::uintptr_t>(begin);
  const std::uintptr_t first = (address + page - 1) / page * page;
  const std::uintptr_t last = (address + static_cast<std::uintptr_t>(bytes)) / page * page;
  if (last > first) ::madvise(static_cast<std::byte*>(begin) + (first - address), last - first, MADV_DONTNEED);
}

std::int64_t physical_memory() { return std::int64_t{::sysconf(_SC_PHYS_PAGES)} * ::sysconf(_SC_PAGESIZE); }

std::shared_ptr<MappedFile> MappedFile::open(const char* op, const std::string& path) {
  // O_NONBLOCK: opening a pipe must not wait for a writer; it is refused below.
  const Descriptor file{::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)};
  if (file.number < 0) fail_system(op, "open", path, errno);
  struct stat info {};
  if (::fstat(file.number, &info) != 0) fail_system(op, "read", path, errno);
  if (!S_ISREG(info.st_mode)) fail<IoError>(op, "'{}' is not a file", path);
  const std::int64_t size = info.st_size;
  std::byte* data = nullptr;
  if (size > 0) {
    void* mapped = ::mmap(nullptr, static_cast<std::size_t>(size), PROT_READ | PROT_WRITE, MAP_PRIVATE, file.number, 0);
    if (mapped == MAP_FAILED) fail_system(op, "map", path, errno);
    data = static_cast<std::byte*>(mapped);
  }
  return std::shared_ptr<MappedFile>(new MappedFile(data, size));
}

MappedFile::~MappedFile() {
  if (data_ != nullptr) ::munmap(data_, static_cast<std::size_t>(size_));
}

AtomicFile::AtomicFile(const char* op, std::string path) : op_(op), path_(std::move(path)) {
  static std::atomic<unsigned> counter{0};
  temporary_ = fmt::format("{}.{}.{}.tmp", path_, ::getpid(), counter.fetch_add(1));
  file_ = ::open(temporary_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
  if (file_ < 0) fail_system(op_, "write", path_, errno);
}

AtomicFile::~AtomicFile() {
  if (file_ < 0) return;
  ::close(file_);
  ::unlink(temporary_.c_str());
}

void AtomicFile::write(const void* data, std::int64_t bytes) {
  const auto* from = static_cast<const char*>(data);
  while (bytes > 0) {
    const auto written = ::write(file_, from, static_cast<std::size_t>(bytes));
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) fail_system(op_, "write", path_, errno);
    from += written;
    bytes -= written;
  }
}

void AtomicFile::commit() {
  if (::fsync(file_) != 0) fail_system(op_, "write", path_, errno);
  if (::rename(temporary_.c_str(), path_.c_str()) != 0) fail_system(op_, "write", path_, errno);
  ::close(file_);
  file_ = -1;
  sync_folder_of(path_);
}

void keep_previous_file(const char* op, const std::string& path, const std::string& previous) {
  if (!file_exists(path)) return;
  if (::unlink(previous.c_str()) != 0 && errno != ENOENT) fail_system(op, "replace", previous, errno);
  if (::link(path.c_str(), previous.c_str()) == 0) return;
  // A file system without links: a rename keeps the content, under the other name.
  rename_file(op, path, previous);
}

void rename_file(const char* op, const std::string& from, const std::string& to) {
  if (::rename(from.c_str(), to.c_str()) != 0) fail_system(op, "rename", from, errno);
  sync_folder_of(to);
}

bool file_exists(const std::string& path) { return ::access(path.c_str(), F_OK) == 0; }

int available_cores() {
  cpu_set_t set;
  return ::sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 0;
}

void on_fork(void (*before)(), void (*in_parent)(), void (*in_child)()) {
  ::pthread_atfork(before, in_parent, in_child);
}

std::string readable_name(const char* name) {
  int status = 1;
  char* text = abi::__cxa_demangle(name, nullptr, nullptr, &status);
  std::string readable = status == 0 ? text : name;
  std::free(text);
  return readable;
}

std::vector<void*> call_stack() {
#ifdef DUET_HAS_STACKS
  void* frames[65];
  const int count = ::backtrace(frames, 65);
  return std::vector<void*>(frames + 1, frames + std::max(count, 1));  // without this function
#else
  return {};
#endif
}

std::string describe_address(void* address) {
#ifdef DUET_HAS_STACKS
  Dl_info info;
  if (::dladdr(address, &info) != 0) {
    if (info.dli_sname != nullptr) return readable_name(info.dli_sname);
    return fmt::format("{} +{:#x}", info.dli_fname,
                       reinterpret_cast<std::uintptr_t>(address) - reinterpret_cast<std::uintptr_t>(info.dli_fbase));
  }
#endif
  return fmt::format("{}", address);
}

}  // namespace duet
