// The element types of a tensor. f32 is the default; f64 is what gradient checks run in; i64 carries
// labels and indices, u8 masks and images.
#pragma once

#include <cstddef>
#include <cstdint>

namespace duet {

enum class Dtype : std::uint8_t { f32, f64, i64, u8 };

inline constexpr Dtype f32 = Dtype::f32;
inline constexpr Dtype f64 = Dtype::f64;
inline constexpr Dtype i64 = Dtype::i64;
inline constexpr Dtype u8 = Dtype::u8;

/// Bytes of one element.
constexpr std::size_t item_size(Dtype dtype) {
  return dtype == f64 || dtype == i64 ? 8 : dtype == f32 ? 4 : 1;
}

/// "f32", "f64", "i64" or "u8".
constexpr const char* name(Dtype dtype) {
  return dtype == f32 ? "f32" : dtype == f64 ? "f64" : dtype == i64 ? "i64" : "u8";
}

/// Whether gradients exist for this type.
constexpr bool is_floating(Dtype dtype) { return dtype == f32 || dtype == f64; }

template <class T>
struct DtypeOf;
template <>
struct DtypeOf<float> {
  static constexpr Dtype value = f32;
};
template <>
struct DtypeOf<double> {
  static constexpr Dtype value = f64;
};
template <>
struct DtypeOf<std::int64_t> {
  static constexpr Dtype value = i64;
};
template <>
struct DtypeOf<std::uint8_t> {
  static constexpr Dtype value = u8;
};

/// The Dtype that stores elements of C++ type T.
template <class T>
inline constexpr Dtype dtype_of = DtypeOf<T>::value;

}  // namespace duet
