// Fuzz target: PNG images, as pictures and as labels. The cap on pixels is what bounds memory: deflate alone may
// enlarge a file a thousandfold.
#include <duet/nn/data/png.hpp>

#include "target.hpp"

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  for (const bool stored : {false, true})
    attack(size, [&] {
      touch(duet::data::decode_png({data, size}, "fuzz", {.max_pixels = 1 << 14, .stored_values = stored}));
    });
  return 0;
}
