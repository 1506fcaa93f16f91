// For formats with checksums: of the files that libFuzzer makes up, three in four have their checksums repaired, as
// hardly one would come past the first of them otherwise. A target says how in repair(). Only where libFuzzer is
// linked.
#pragma once

#ifdef DUET_MUTATES

#include <zlib.h>

#include <cstddef>
#include <cstdint>

void repair(std::uint8_t* data, std::size_t size);

extern "C" std::size_t LLVMFuzzerMutate(std::uint8_t* data, std::size_t size, std::size_t max_size);

extern "C" std::size_t LLVMFuzzerCustomMutator(std::uint8_t* data, std::size_t size, std::size_t max_size,
                                               unsigned seed) {
  size = LLVMFuzzerMutate(data, size, max_size);
  if (seed % 4 != 0) repair(data, size);
  return size;
}

/// A number of `count` bytes, the least first unless `big`.
template <int count, bool big = false>
std::size_t number(const std::uint8_t* at) {
  std::size_t value = 0;
  for (int i = 0; i < count; ++i) value |= static_cast<std::size_t>(at[i]) << 8 * (big ? count - 1 - i : i);
  return value;
}
template <int count, bool big = false>
void put(std::uint8_t* at, std::size_t value) {
  for (int i = 0; i < count; ++i) at[i] = static_cast<std::uint8_t>(value >> 8 * (big ? count - 1 - i : i));
}

inline std::size_t crc(const std::uint8_t* data, std::size_t size) { return crc32(0, data, static_cast<uInt>(size)); }

#endif
