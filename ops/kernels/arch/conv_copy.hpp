// Bringing a source near: rows copied between margins of zeros, and lines asked for while there is arithmetic to
// hide the wait.
#pragma once

#include <duet/ops/kernels/arch/prelude.hpp>
#include <duet/ops/kernels/conv_table.hpp>

namespace {

using duet::kernels::Ahead;
using duet::kernels::RowCopy;

/// Asks for the next few lines of what will be read after this.
inline __attribute__((always_inline)) void fetch_some(Ahead& a) {
  for (std::int64_t i = 0; i < a.at_once && a.runs > 0; ++i) {
    __builtin_prefetch(a.at, 0, 2);
    a.at += 64;
    if (a.at < a.end) continue;
    if (--a.runs > 0) {
      a.end += a.stride;
      a.at = a.end - a.bytes;
    } else if (a.then != nullptr) {
      a = Ahead(*a.then);
    }
  }
}

template <class T>
inline __attribute__((always_inline)) void clear(T* to, std::int64_t count) {
  constexpr int L = lanes<T>;
  std::int64_t i = 0;
  for (; i + L <= count; i += L) Batch<T>(T(0)).store_unaligned(to + i);
  for (volatile T* rest = to; i < count; ++i) rest[i] = T(0);  // or gcc calls memset for a single element
}

/// The last vector overlaps the one before: no single elements unless a row is shorter than a vector.
template <class T>
inline __attribute__((always_inline)) void copy(T* to, const T* from, std::int64_t count) {
  constexpr int L = lanes<T>;
  if (count < L) {
    for (std::int64_t i = 0; i < count; ++i) to[i] = from[i];
    return;
  }
  std::int64_t i = 0;
  for (; i + L <= count; i += L) Batch<T>::load_unaligned(from + i).store_unaligned(to + i);
  if (i < count) Batch<T>::load_unaligned(from + count - L).store_unaligned(to + count - L);
}

template <class T>
void copy_rows(const RowCopy<T>& p) {
  constexpr std::int64_t line = static_cast<std::int64_t>(64 / sizeof(T));
  for (std::int64_t plane = 0; plane < p.planes; ++plane) {
    const T* from = p.from + plane * p.from_plane;
    T* to = p.to + plane * p.to_plane;
    // Planes are far apart, where the processor does not look ahead by itself.
    const std::int64_t next = plane + 1 < p.planes ? p.from_plane : 0;
    for (std::int64_t row = 0; row < p.rows; ++row, from += p.from_row, to += p.to_row) {
      if (next != 0)
        for (std::int64_t i = 0; i < p.count; i += line) __builtin_prefetch(from + next + i);
      clear(to, p.before);
      copy(to + p.before, from, p.count);
      clear(to + p.before + p.count, p.after);
    }
  }
}

}  // namespace
