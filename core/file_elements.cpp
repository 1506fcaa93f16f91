// One loop converts them all; what needs no conversion is not touched.
#include <duet/core/file_elements.hpp>

#include <algorithm>
#include <atomic>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <type_traits>

#include <duet/core/fail.hpp>
#include <duet/core/parallel.hpp>
#include <duet/core/raw.hpp>

static_assert(std::endian::native == std::endian::little, "array files are read as little-endian ones");

namespace duet {
namespace {

struct Half {
  std::uint16_t bits;
};
struct Brain {
  std::uint16_t bits;
};

float widen(Half half) {
  const std::uint32_t sign = static_cast<std::uint32_t>(half.bits & 0x8000u) << 16;
  const std::uint32_t exponent = (half.bits >> 10) & 0x1fu, fraction = half.bits & 0x3ffu;
  if (exponent == 0)
    return std::copysign(static_cast<float>(fraction) * 0x1p-24f, std::bit_cast<float>(sign | 0x3f800000u));
  const std::uint32_t wide = exponent == 31 ? 255u : exponent + 112u;
  return std::bit_cast<float>(sign | wide << 23 | fraction << 13);
}
float widen(Brain brain) { return std::bit_cast<float>(static_cast<std::uint32_t>(brain.bits) << 16); }
template <class T>
T widen(T value) {
  return value;
}

/// An element at any address, its bytes turned around where `swapped`.
template <class From>
From element(const std::byte* at, bool swapped) {
  std::byte bytes[sizeof(From)];
  std::memcpy(bytes, at, sizeof bytes);
  if (swapped) std::reverse(bytes, bytes + sizeof bytes);
  return std::bit_cast<From>(bytes);
}

template <class To, class From>
Tensor converted(const FileElements& from, const Shape& shape, std::atomic<bool>& too_large) {
  Tensor tensor = Tensor::empty(shape, {.dtype = dtype_of<To>});
  To* out = raw::data<To>(tensor);
  parallel_for(tensor.numel(), 1 << 16, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) {
      const auto value = widen(element<From>(from.data + i * static_cast<std::int64_t>(sizeof(From)), from.swapped));
      if constexpr (std::is_same_v<From, std::uint64_t>)
        if (value > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max())) too_large = true;
      out[i] = static_cast<To>(value);  // NOLINT(bugprone-signed-char-misuse): an int8 of a file is a number
    }
  });
  return tensor;
}

template <class T>
Tensor viewed(const FileElements& from, const Shape& shape, std::atomic<bool>& too_large) {
  // No format promises alignment.
  if (from.swapped || shape.numel() == 0 || reinterpret_cast<std::uintptr_t>(from.data) % alignof(T) != 0)
    return converted<T, T>(from, shape, too_large);
  return Tensor::wrap(reinterpret_cast<T*>(from.data), shape, contiguous_strides(shape), from.owner);
}

Tensor read(const FileElements& from, const Shape& shape, std::atomic<bool>& too_large) {
  switch (from.type) {
    case FileType::float16:
      return converted<float, Half>(from, shape, too_large);
    case FileType::bfloat16:
      return converted<float, Brain>(from, shape, too_large);
    case FileType::float32:
      return viewed<float>(from, shape, too_large);
    case FileType::float64:
      return viewed<double>(from, shape, too_large);
    case FileType::int64:
      return viewed<std::int64_t>(from, shape, too_large);
    case FileType::boolean:
    case FileType::uint8:
      return viewed<std::uint8_t>(from, shape, too_large);
    case FileType::int8:
      return converted<std::int64_t, std::int8_t>(from, shape, too_large);
    case FileType::int16:
      return converted<std::int64_t, std::int16_t>(from, shape, too_large);
    case FileType::int32:
      return converted<std::int64_t, std::int32_t>(from, shape, too_large);
    case FileType::uint16:
      return converted<std::int64_t, std::uint16_t>(from, shape, too_large);
    case FileType::uint32:
      return converted<std::int64_t, std::uint32_t>(from, shape, too_large);
    default:
      return converted<std::int64_t, std::uint64_t>(from, shape, too_large);
  }
}

}  // namespace

std::int64_t file_item_size(FileType type) {
  switch (type) {
    case FileType::boolean:
    case FileType::uint8:
    case FileType::int8:
      return 1;
    case FileType::float16:
    case FileType::bfloat16:
    case FileType::int16:
    case FileType::uint16:
      return 2;
    case FileType::float32:
    case FileType::int32:
    case FileType::uint32:
      return 4;
    default:
      return 8;
  }
}

bool file_bytes(FileType type, const Shape& shape, std::int64_t& bytes) {
  std::int64_t product = file_item_size(type);
  bool empty = false;
  for (const std::int64_t size : shape) {
    empty = empty || size == 0;
    if (__builtin_mul_overflow(product, size == 0 ? 1 : size, &product)) return false;
  }
  bytes = empty ? 0 : product;
  return true;
}

Tensor tensor_from_file(const char* op, const std::string& file, const std::string& name, const FileElements& from) {
  Shape stored = from.shape;
  if (from.column_major) std::reverse(stored.begin(), stored.end());
  std::atomic<bool> too_large{false};
  const Tensor tensor = read(from, stored, too_large);
  if (too_large) fail<IoError>(op, "'{}': array '{}' has an unsigned number that i64 does not hold", file, name);
  if (!from.column_major) return tensor;
  Shape strides = contiguous_strides(stored);
  std::reverse(strides.begin(), strides.end());
  return raw::view(tensor, from.shape, strides);
}

}  // namespace duet
