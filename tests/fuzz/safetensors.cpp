// Fuzz target: safetensors files.
#include <duet/core/safetensors.hpp>

#include "target.hpp"

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  return attack(size, [&] {
    const File file(data, size);
    for (const auto& [name, tensor] : duet::parse_safetensors("fuzz", file.bytes.get(), file.size, file.bytes).tensors)
      touch(tensor);
  });
}
