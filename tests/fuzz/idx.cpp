// Fuzz target: IDX files, plain and gzip. The reader takes a path, so the bytes stand in a file in memory.
#include <sys/mman.h>
#include <unistd.h>

#include <duet/nn/data/idx.hpp>

#include "target.hpp"

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const int file = memfd_create("fuzz", 0);
  static const std::string path = "/proc/self/fd/" + std::to_string(file);
  if (ftruncate(file, 0) != 0 || pwrite(file, data, size, 0) != static_cast<ssize_t>(size)) return 0;
  return attack(size, [&] { touch(duet::data::read_idx(path, {.max_bytes = 1 << 16})); });
}
