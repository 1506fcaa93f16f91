// Fuzz target: npy files.
#include <duet/core/npy.hpp>

#include "target.hpp"

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  return attack(size, [&] {
    const File file(data, size);
    touch(duet::parse_npy("fuzz", file.bytes.get(), file.size, file.bytes));
  });
}
