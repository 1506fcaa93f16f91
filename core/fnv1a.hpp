// Internal: a 64-bit checksum (Fowler, Noll and Vo's 1a) of bytes, texts and tensors. Finds accidents, not attacks.
#pragma once

#include <cstdint>
#include <string>

#include <fmt/format.h>

#include <duet/core/raw.hpp>
#include <duet/core/tensor.hpp>

namespace duet {

class Fnv1a {
 public:
  void add(const void* bytes, std::int64_t count) {
    const auto* at = static_cast<const std::uint8_t*>(bytes);
    for (std::int64_t i = 0; i < count; ++i) state_ = (state_ ^ at[i]) * 0x100000001B3u;
  }
  void add(const std::string& text) { add(text.data(), static_cast<std::int64_t>(text.size()) + 1); }
  void add(const Tensor& tensor) {
    const Tensor dense = raw::contiguous(tensor);
    add(dense.shape().begin(), dense.rank() * 8);
    add(raw::data<std::uint8_t>(dense), dense.bytes());
  }
  std::string text() const { return fmt::format("fnv1a64:{:016x}", state_); }

 private:
  std::uint64_t state_ = 0xCBF29CE484222325u;
};

}  // namespace duet
