// What every fuzz target does with a call: files that are refused are fine, anything else that is thrown is not, and
// every element of what was read is touched, so that a view beyond the file is seen.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include <duet/core/error.hpp>
#include <duet/core/tensor.hpp>

/// The bytes of a file, on the heap, as long as they are: reading one more is seen.
struct File {
  std::shared_ptr<std::uint8_t[]> bytes;
  std::int64_t size;
  File(const std::uint8_t* data, std::size_t count)
      : bytes(new std::uint8_t[count]), size(static_cast<std::int64_t>(count)) {
    if (count > 0) std::memcpy(bytes.get(), data, count);
  }
};

inline void touch(const duet::Tensor& tensor) {
  volatile double total = 0;
  for (const double value : tensor.to_vector()) total = total + value;
}

template <class Body>
int refused_or(Body body) {
  try {
    body();
  } catch (const duet::Error&) {  // a clear refusal: what a hostile file gets
  }
  return 0;
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);
