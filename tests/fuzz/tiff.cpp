// Fuzz target: TIFF images.
#include <duet/nn/data/tiff.hpp>

#include "target.hpp"

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  for (const bool stored : {false, true})
    attack(size, [&] {
      touch(duet::data::decode_tiff({data, size}, "fuzz", {.max_pixels = 1 << 14, .stored_values = stored}));
    });
  return 0;
}
