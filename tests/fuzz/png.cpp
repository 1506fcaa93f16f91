// Fuzz target: PNG images, as pictures and as labels. The cap on pixels is what bounds memory: deflate alone may
// enlarge a file a thousandfold.
#include <duet/nn/data/png.hpp>

#include "mutate.hpp"
#include "target.hpp"

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  for (const bool stored : {false, true})
    attack(size, [&] {
      touch(duet::data::decode_png({data, size}, "fuzz", {.max_pixels = 1 << 14, .stored_values = stored}));
    });
  return 0;
}

#ifdef DUET_MUTATES
/// The chunks of a file get the checksums that they should have.
void repair(std::uint8_t* data, std::size_t size) {
  for (std::size_t at = 8; at + 12 <= size;) {
    const std::size_t length = number<4, true>(data + at);
    if (length > size - at - 12) return;
    put<4, true>(data + at + 8 + length, crc(data + at + 4, length + 4));
    at += length + 12;
  }
}
#endif
