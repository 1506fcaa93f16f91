// Fuzz target: npz files.
#include <duet/core/npy.hpp>

#include "target.hpp"

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  return refused_or([&] {
    const File file(data, size);
    for (const auto& [name, tensor] : duet::parse_npz("fuzz", file.bytes.get(), file.size, file.bytes)) touch(tensor);
  });
}
