// Kernels of 3 x 3 taps over the rows of a plane, towards or from a single channel: depthwise convolutions, and
// first and last layers. What is read of a row serves the three rows of the output that need it, and the nine weights
// (or sums) stay in registers.
#pragma once

#include <duet/ops/kernels/arch/conv_copy.hpp>
#include <duet/ops/kernels/arch/prelude.hpp>
#include <duet/ops/kernels/conv_table.hpp>

namespace {

using duet::kernels::RowDots;
using duet::kernels::RowProduct;

constexpr int grid_taps = 9;

/// 1 if nine offsets are a 3 x 3 grid in reading order on rows `row` apart, -1 if in the opposite order, 0 if none.
inline int grid_order(const std::int32_t* offset, std::int64_t row) {
  int order[2] = {1, -1};
  for (int& sign : order)
    for (int t = 0; t < grid_taps; ++t)
      if (offset[t] - offset[0] != sign * (t / 3 * row + t % 3)) sign = 0;
  return order[0] != 0 ? 1 : order[1];
}

/// Whether all of a list of offsets are such grids, one after the other.
inline bool all_grids(const std::int32_t* offset, std::int64_t terms, std::int64_t row) {
  if (terms == 0 || terms % grid_taps != 0) return false;
  for (std::int64_t t = 0; t < terms; t += grid_taps)
    if (grid_order(offset + t, row) == 0) return false;
  return true;
}

/// The first `count` lanes, fewer than all or all; nothing else is read or written.
template <class T>
inline __attribute__((always_inline)) void store_some(const Batch<T>& value, T* to, std::int64_t count) {
#if defined(DUET_ARCH_AVX512)
  if constexpr (sizeof(T) == 4)
    _mm512_mask_storeu_ps(to, static_cast<__mmask16>((1u << count) - 1), value);
  else
    _mm512_mask_storeu_pd(to, static_cast<__mmask8>((1u << count) - 1), value);
#else
  T values[lanes<T>];
  value.store_unaligned(values);
  for (std::int64_t i = 0; i < count; ++i) to[i] = values[i];
#endif
}

template <class T>
inline __attribute__((always_inline)) Batch<T> load_some(const T* from, std::int64_t count) {
#if defined(DUET_ARCH_AVX512)
  if constexpr (sizeof(T) == 4)
    return Batch<T>(_mm512_maskz_loadu_ps(static_cast<__mmask16>((1u << count) - 1), from));
  else
    return Batch<T>(_mm512_maskz_loadu_pd(static_cast<__mmask8>((1u << count) - 1), from));
#else
  T values[lanes<T>] = {};
  for (std::int64_t i = 0; i < count; ++i) values[i] = from[i];
  return Batch<T>::load_unaligned(values);
#endif
}

/// All bits set, but none in one lane (or in no lane at all, for -1).
template <class T>
inline Batch<T> all_but(std::int64_t lane) {
  T values[lanes<T>];
  __builtin_memset(values, 0xff, sizeof values);
  if (lane >= 0) values[lane] = T(0);
  return Batch<T>::load_unaligned(values);
}

#if defined(DUET_ARCH_AVX512)
/// All elements of `low` but the first, then the first of `high`.
inline __attribute__((always_inline)) Batch<float> second_on(const Batch<float>& low, const Batch<float>& high) {
  return _mm512_castsi512_ps(_mm512_alignr_epi32(_mm512_castps_si512(high), _mm512_castps_si512(low), 1));
}
inline __attribute__((always_inline)) Batch<double> second_on(const Batch<double>& low, const Batch<double>& high) {
  return _mm512_castsi512_pd(_mm512_alignr_epi64(_mm512_castpd_si512(high), _mm512_castpd_si512(low), 1));
}
#endif

/// What is read left and right of the rows: in a bare plane the neighbouring rows' elements, to be masked.
template <class T>
struct Edges {
  Batch<T> left, right;
};

/// The strip of `vectors` from column `at` on, of which `valid` pixels of the last vector belong to the rows.
template <class T, int vectors>
inline Edges<T> edges_of(bool bare, std::int64_t at, std::int64_t valid, std::int64_t count) {
  const bool last = at + (vectors - 1) * lanes<T> + valid == count;
  return {all_but<T>(bare && at == 0 ? 0 : -1), all_but<T>(bare && last ? valid - 1 : -1)};
}

/// The three vectors that a tap row reads for vector v of a strip. Two of three would lie across two cache lines: such
/// loads take longer than the multiply-adds that wait for them. Half of them are therefore put together from the two
/// others' lines in registers; all of them, and the shuffles take as long.
template <class T, int vectors>
inline __attribute__((always_inline)) Batch<T> pixels_at(const T* from, int j, int v, const Edges<T>& edges) {
#if defined(DUET_ARCH_AVX512)
  if (j == 2 && v + 1 < vectors)
    return second_on(Batch<T>::load_unaligned(from + 1 + v * lanes<T>),
                     Batch<T>::load_unaligned(from + 1 + (v + 1) * lanes<T>));
#endif
  const Batch<T> pixels = Batch<T>::load_unaligned(from + j + v * lanes<T>);
  if (j == 0 && v == 0) return pixels & edges.left;
  if (j == 2 && v == vectors - 1) return pixels & edges.right;
  return pixels;
}

/// What to ask for during the strips of p, or null: rows that one strip holds are read in the order of memory, where
/// the processor looks ahead by itself, and asking costs as much as a tenth of the products.
template <class T, int vectors, class Task>
inline Ahead* ahead_of_strips(const Task& p) {
  const bool in_order = p.bare && (p.count == vectors * lanes<T> || p.count == 2 * lanes<T> || p.count == lanes<T>);
  return in_order ? nullptr : p.ahead;
}

/// One grid over a strip: down the rows, each source row serves the three rows of sums under way.
template <class T, int vectors, bool partial>
inline __attribute__((always_inline)) void grid_strip(const RowProduct<T>& p, Ahead* ahead, std::int64_t term,
                                                      std::int64_t at, std::int64_t valid) {
  using V = Batch<T>;
  constexpr int L = lanes<T>;
  const Edges<T> edges = edges_of<T, vectors>(p.bare, at, valid, p.count);
  const std::int32_t* offset = p.offset + term;
  const bool forward = offset[0] < offset[grid_taps - 1];
  const T* from = p.source + (forward ? offset[0] : offset[grid_taps - 1]) + at;
  V weight[grid_taps];
  for (int t = 0; t < grid_taps; ++t) weight[t] = V(p.weights[term + (forward ? t : grid_taps - 1 - t)]);
  const bool accumulate = p.accumulate || term > 0;
  const V start(!accumulate && p.bias ? p.bias[0] : T(0));
  V above[vectors], here[vectors], below[vectors];
  for (int v = 0; v < vectors; ++v) above[v] = here[v] = start;
  T* to = p.to + at - 2 * p.to_row;
  for (std::int64_t i = 0; i < p.rows + 2; ++i, from += p.source_row, to += p.to_row) {
    if (ahead != nullptr) fetch_some(*ahead);
    for (int v = 0; v < vectors; ++v) below[v] = start;
    if (!(i == 0 && p.first_missing) && !(i == p.rows + 1 && p.last_missing)) {
#pragma GCC unroll 3
      for (int j = 0; j < 3; ++j)
#pragma GCC unroll 4
        for (int v = 0; v < vectors; ++v) {
          const V pixels = pixels_at<T, vectors>(from, j, v, edges);
          above[v] = xsimd::fma(weight[6 + j], pixels, above[v]);
          here[v] = xsimd::fma(weight[3 + j], pixels, here[v]);
          below[v] = xsimd::fma(weight[j], pixels, below[v]);
        }
    }
    if (i >= 2)
      for (int v = 0; v < vectors; ++v) {
        // Stores wait for their lines one at a time: ask early.
        __builtin_prefetch(to + 6 * p.to_row + v * L, 1);
        if (partial)
          store_some<T>(accumulate ? above[v] + load_some<T>(to, valid) : above[v], to, valid);
        else if (accumulate)
          (above[v] + V::load_unaligned(to + v * L)).store_unaligned(to + v * L);
        else
          above[v].store_unaligned(to + v * L);
      }
    for (int v = 0; v < vectors; ++v) {
      above[v] = here[v];
      here[v] = below[v];
    }
  }
}

/// One output, all its terms grids.
template <class T>
void grid(const RowProduct<T>& p) {
#if defined(DUET_ARCH_AVX512) || defined(__aarch64__)
  constexpr int L = lanes<T>, vectors = 4;
#else
  constexpr int L = lanes<T>, vectors = 2;
#endif
  Ahead* const ahead = ahead_of_strips<T, vectors>(p);
  for (std::int64_t term = 0; term < p.terms; term += grid_taps) {
    std::int64_t at = 0;
    for (; at + vectors * L <= p.count; at += vectors * L) grid_strip<T, vectors, false>(p, ahead, term, at, L);
    if constexpr (vectors > 2)
      for (; at + 2 * L <= p.count; at += 2 * L) grid_strip<T, 2, false>(p, ahead, term, at, L);
    for (; at + L <= p.count; at += L) grid_strip<T, 1, false>(p, ahead, term, at, L);
    if (at < p.count) grid_strip<T, 1, true>(p, ahead, term, at, p.count - at);
  }
}

/// Nine dot products over a strip: each source row with three rows of lanes.
template <class T, int vectors, bool partial>
inline __attribute__((always_inline)) void dots_strip(const RowDots<T>& p, Ahead* ahead, std::int64_t first,
                                                      std::int64_t at, std::int64_t valid,
                                                      Batch<T> (&sums)[grid_taps]) {
  using V = Batch<T>;
  constexpr int L = lanes<T>;
  const Edges<T> edges = edges_of<T, vectors>(p.bare, at, valid, p.count);
  const T* from = p.source + p.offset[first] + at;
  const T* lane = p.lanes + at;
  V sum[grid_taps], above[vectors], here[vectors], below[vectors];
  for (int t = 0; t < grid_taps; ++t) sum[t] = sums[t];
  for (int v = 0; v < vectors; ++v) above[v] = here[v] = V(T(0));
  for (std::int64_t i = 0; i < p.rows + 2; ++i, from += p.source_row, lane += p.lanes_row) {
    if (ahead != nullptr) fetch_some(*ahead);
    for (int v = 0; v < vectors; ++v) below[v] = V(T(0));
    if (i < p.rows)
      for (int v = 0; v < vectors; ++v)
        below[v] = partial ? load_some<T>(lane, valid) : V::load_unaligned(lane + v * L);
    if (!(i == 0 && p.first_missing) && !(i == p.rows + 1 && p.last_missing)) {
#pragma GCC unroll 4
      for (int v = 0; v < vectors; ++v)
#pragma GCC unroll 3
        for (int j = 0; j < 3; ++j) {
          V pixels;
          if (partial) {
            // Behind the row may stand numbers that are not finite: no product with a lane's zero removes those.
            pixels = load_some<T>(from + j, valid);
            if (j != 1) pixels = pixels & (j == 0 ? edges.left : edges.right);
          } else {
            pixels = pixels_at<T, vectors>(from, j, v, edges);
          }
          sum[j] = xsimd::fma(below[v], pixels, sum[j]);
          sum[3 + j] = xsimd::fma(here[v], pixels, sum[3 + j]);
          sum[6 + j] = xsimd::fma(above[v], pixels, sum[6 + j]);
        }
    }
    for (int v = 0; v < vectors; ++v) {
      above[v] = here[v];
      here[v] = below[v];
    }
  }
  for (int t = 0; t < grid_taps; ++t) sums[t] = sum[t];
}

/// The terms from `first` on, a grid in reading order.
template <class T>
void grid_dots(const RowDots<T>& p, std::int64_t first) {
#if defined(DUET_ARCH_AVX512) || defined(__aarch64__)
  constexpr int L = lanes<T>, vectors = 4;
#else
  constexpr int L = lanes<T>, vectors = 1;
#endif
  Batch<T> sum[grid_taps];
  for (int t = 0; t < grid_taps; ++t) sum[t] = Batch<T>(T(0));
  Ahead* const ahead = ahead_of_strips<T, vectors>(p);
  std::int64_t at = 0;
  for (; at + vectors * L <= p.count; at += vectors * L) dots_strip<T, vectors, false>(p, ahead, first, at, L, sum);
  if constexpr (vectors > 2)
    for (; at + 2 * L <= p.count; at += 2 * L) dots_strip<T, 2, false>(p, ahead, first, at, L, sum);
  if constexpr (vectors > 1)
    for (; at + L <= p.count; at += L) dots_strip<T, 1, false>(p, ahead, first, at, L, sum);
  if (at < p.count) dots_strip<T, 1, true>(p, ahead, first, at, p.count - at, sum);
  for (int t = 0; t < grid_taps; ++t) {
    T values[lanes<T>], total = T(0);
    sum[t].store_unaligned(values);
    for (int i = 0; i < lanes<T>; ++i) total += values[i];
    p.to[first + t] += total;
  }
}

}  // namespace
