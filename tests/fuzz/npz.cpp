// Fuzz target: npz files.
#include <duet/core/npy.hpp>

#include "mutate.hpp"
#include "target.hpp"

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  return attack(size, [&] {
    const File file(data, size);
    for (const auto& [name, tensor] :
         duet::parse_npz("fuzz", file.bytes.get(), file.size, file.bytes, {.max_unpacked = 1 << 16}))
      touch(tensor);
  });
}

#ifdef DUET_MUTATES
/// Members that are stored or unpack get the checksum and, if packed, the size that they should have in the directory.
void repair(std::uint8_t* data, std::size_t size) {
  constexpr std::size_t entry_size = 46, head_size = 30;
  for (std::size_t at = 0; at + entry_size <= size; ++at) {
    std::uint8_t* entry = data + at;
    if (number<4>(entry) != 0x02014b50) continue;
    const std::size_t local = number<4>(entry + 42), packed = number<4>(entry + 20);
    if (local > size || size - local < head_size) continue;
    const std::size_t begin = local + head_size + number<2>(data + local + 26) + number<2>(data + local + 28);
    if (begin > size || size - begin < packed) continue;
    if (number<2>(entry + 10) == 0) {
      put<4>(entry + 16, crc(data + begin, packed));
      continue;
    }
    static std::uint8_t unpacked[1 << 16];
    z_stream stream{};
    if (inflateInit2(&stream, -MAX_WBITS) != Z_OK) continue;
    stream.next_in = data + begin;
    stream.avail_in = static_cast<uInt>(packed);
    stream.next_out = unpacked;
    stream.avail_out = sizeof unpacked;
    if (inflate(&stream, Z_FINISH) == Z_STREAM_END) {
      put<4>(entry + 16, crc(unpacked, stream.total_out));
      put<4>(entry + 24, stream.total_out);
    }
    inflateEnd(&stream);
  }
}
#endif
