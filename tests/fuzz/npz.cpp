// Fuzz target: npz files.
#include <duet/core/npy.hpp>

#include "target.hpp"

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  return attack(size, [&] {
    const File file(data, size);
    for (const auto& [name, tensor] : duet::parse_npz("fuzz", file.bytes.get(), file.size, file.bytes, {.max_unpacked = 1 << 16})) touch(tensor);
  });
}
