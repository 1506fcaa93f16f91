// Between channels side by side (panels and sums of the register tile) and channels as planes (tensors): blocks of
// a vector by a vector, transposed in registers.
#pragma once

#include <duet/ops/kernels/arch/prelude.hpp>
#include <duet/ops/kernels/conv_table.hpp>

namespace {

using duet::kernels::LanePack;
using duet::kernels::LaneUnpack;

template <int... values>
struct Indices {};
template <int n, int... rest>
struct MakeIndices : MakeIndices<n - 1, n - 1, rest...> {};
template <int... values>
struct MakeIndices<0, values...> {
  using type = Indices<values...>;
};

/// A shuffle of two vectors: element i of the result is element index(i) of a followed by b.
template <class T, class Index, int... i>
inline __attribute__((always_inline)) Batch<T> shuffle(const Batch<T>& a, const Batch<T>& b, Index, Indices<i...>) {
  return Batch<T>(typename Batch<T>::register_type(__builtin_shufflevector(a.data, b.data, Index::at(i)...)));
}

/// Takes, of every run of 2 * size elements, the first (half 0) or the second half (half 1), alternately from a and
/// from b, within blocks of `block` elements.
template <int lanes, int size, int half, int block>
struct Interleave {
  static constexpr int at(int i) {
    const int base = i / block * block, in_block = i % block;
    const int run = in_block / size, in_run = in_block % size;
    return (run % 2) * lanes + base + half * (block / 2) + run / 2 * size + in_run;
  }
};

template <class T, int size, int block>
inline __attribute__((always_inline)) void zip(Batch<T>& a, Batch<T>& b) {
  using All = typename MakeIndices<lanes<T>>::type;
  const Batch<T> low = shuffle<T>(a, b, Interleave<lanes<T>, size, 0, block>{}, All{});
  const Batch<T> high = shuffle<T>(a, b, Interleave<lanes<T>, size, 1, block>{}, All{});
  a = low;
  b = high;
}

/// Transposes a square of lanes<T> vectors: perfect shuffles within 128 bits first, where they are cheap, then of
/// whole 128-bit blocks.
template <class T>
inline __attribute__((always_inline)) void transpose(Batch<T> (&rows)[lanes<T>]) {
  constexpr int L = lanes<T>, block = static_cast<int>(16 / sizeof(T)), blocks = L / block;
  Batch<T> next[L];
  for (int round = 1; round < block; round *= 2) {
    for (int group = 0; group < blocks; ++group)
      for (int i = 0; i < block / 2; ++i) {
        Batch<T> a = rows[group * block + i], b = rows[group * block + i + block / 2];
        zip<T, 1, block>(a, b);
        next[group * block + 2 * i] = a;
        next[group * block + 2 * i + 1] = b;
      }
    for (int i = 0; i < L; ++i) rows[i] = next[i];
  }
  for (int round = 1; round < blocks; round *= 2) {
    for (int group = 0; group < blocks / 2; ++group)
      for (int i = 0; i < block; ++i) {
        Batch<T> a = rows[group * block + i], b = rows[(group + blocks / 2) * block + i];
        zip<T, block, L>(a, b);
        next[2 * group * block + i] = a;
        next[(2 * group + 1) * block + i] = b;
      }
    for (int i = 0; i < L; ++i) rows[i] = next[i];
  }
}

template <class T>
void pack_scalar(const LanePack<T>& p, std::int64_t begin, std::int64_t end, int first_lane, int last_lane) {
  for (std::int64_t i = begin; i < end; ++i) {
    T* to = p.to + (p.destination ? p.destination[i] : i * p.to_stride);
    const T* from = p.from + i * p.step;
    for (int lane = first_lane; lane < last_lane; ++lane) to[lane] = lane < p.lanes ? from[lane * p.lane_stride] : T(0);
  }
}

/// Lanes that are neighbours already.
template <class T>
void pack_neighbours(const LanePack<T>& p) {
  constexpr int L = lanes<T>;
  const int whole = p.lanes / L * L;
  for (std::int64_t i = 0; i < p.count; ++i) {
    T* to = p.to + (p.destination ? p.destination[i] : i * p.to_stride);
    const T* from = p.from + i * p.step;
    int lane = 0;
    for (; lane < whole; lane += L) Batch<T>::load_unaligned(from + lane).store_unaligned(to + lane);
    for (; lane < p.lanes; ++lane) to[lane] = from[lane];
    for (; lane < p.width; ++lane) to[lane] = T(0);
  }
}

template <class T>
void pack(const LanePack<T>& p) {
  constexpr int L = lanes<T>;
  if (p.lane_stride == 1) return pack_neighbours(p);
  // As many lanes at a time as fill a cache line of a destination, and no more: planes often lie a power of two apart,
  // where their lines displace each other in the first-level cache.
  constexpr int line = L * sizeof(T) >= 64 ? L : static_cast<int>(64 / sizeof(T));
  const std::int64_t whole = p.step == 1 ? p.count / L * L : 0;
  const int full = p.lanes / L * L;
  for (int first = 0; first < full; first += line) {
    const int last = first + line < full ? first + line : full;
    for (std::int64_t i = 0; i < whole; i += L)
      for (int lane = first; lane < last; lane += L) {
        const T* from = p.from + lane * p.lane_stride + i;
        Batch<T> rows[L];
        for (int r = 0; r < L; ++r) rows[r] = Batch<T>::load_unaligned(from + r * p.lane_stride);
        if (p.ahead != 0)
          for (int r = 0; r < L; ++r) __builtin_prefetch(from + r * p.lane_stride + p.ahead, 0, 2);
        transpose<T>(rows);
        for (int r = 0; r < L; ++r)
          rows[r].store_unaligned(p.to + lane + (p.destination ? p.destination[i + r] : (i + r) * p.to_stride));
      }
  }
  if (full < p.width) pack_scalar(p, 0, whole, full, p.width);
  pack_scalar(p, whole, p.count, 0, p.width);
}

template <class T>
inline const T* sums_at(const LaneUnpack<T>& p, std::int64_t phase, std::int64_t i) {
  return p.sums[phase] + (p.row ? p.row[i] : i * p.sums_stride);
}

template <class T>
void unpack_scalar(const LaneUnpack<T>& p, std::int64_t begin, int first_lane, int last_lane) {
  for (int lane = first_lane; lane < last_lane; ++lane) {
    const T bias = p.bias ? p.bias[lane] : T(0);
    T* to = p.to + lane * p.lane_stride;
    for (std::int64_t f = 0; f < p.phases; ++f)
      for (std::int64_t i = begin; i * p.phases + f < p.count; ++i)
        to[i * p.phases + f] = sums_at(p, f, i)[lane] + bias;
  }
}

/// Loads `lanes` columns of the sums as a square, adds the bias and transposes.
template <class T>
inline __attribute__((always_inline)) void load_square(const LaneUnpack<T>& p, std::int64_t phase, std::int64_t i,
                                                       int lane, const Batch<T>& bias, Batch<T> (&rows)[lanes<T>]) {
  if (p.row) {
    for (int r = 0; r < lanes<T>; ++r) rows[r] = Batch<T>::load_unaligned(sums_at(p, phase, i + r) + lane) + bias;
  } else {
    const T* from = p.sums[phase] + i * p.sums_stride + lane;
    for (int r = 0; r < lanes<T>; ++r) rows[r] = Batch<T>::load_unaligned(from + r * p.sums_stride) + bias;
  }
  transpose<T>(rows);
}

template <class T>
void unpack(const LaneUnpack<T>& p) {
  constexpr int L = lanes<T>;
  for (int lane = 0; lane < p.lanes; lane += L) {
    const int here = p.lanes - lane < L ? p.lanes - lane : L;
    T values[L] = {};
    if (p.bias)
      for (int r = 0; r < here; ++r) values[r] = p.bias[lane + r];
    const Batch<T> bias = Batch<T>::load_unaligned(values);
    std::int64_t i = 0;
    if (p.phases == 1) {
      for (; i + L <= p.count; i += L) {
        Batch<T> rows[L];
        load_square<T>(p, 0, i, lane, bias, rows);
        T* to = p.to + lane * p.lane_stride + i;
        if (here == L)
          for (int r = 0; r < L; ++r) rows[r].store_unaligned(to + r * p.lane_stride);
        else
          for (int r = 0; r < here; ++r) rows[r].store_unaligned(to + r * p.lane_stride);
      }
    } else if (p.phases == 2) {
      for (; 2 * (i + L) <= p.count; i += L) {
        Batch<T> even[L], odd[L];
        load_square<T>(p, 0, i, lane, bias, even);
        load_square<T>(p, 1, i, lane, bias, odd);
        T* to = p.to + lane * p.lane_stride + 2 * i;
        for (int r = 0; r < here; ++r, to += p.lane_stride) {
          zip<T, 1, L>(even[r], odd[r]);
          even[r].store_unaligned(to);
          odd[r].store_unaligned(to + L);
        }
      }
    }
    unpack_scalar(p, i, lane, lane + here);
  }
}

}  // namespace
