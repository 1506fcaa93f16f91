// Lanes along the pixels of a row, for convolutions with too few channels on one side to fill a panel: a few output
// channels by a few vectors of pixels in registers, weights broadcast.
#pragma once

#include <duet/ops/kernels/arch/conv_grid.hpp>
#include <duet/ops/kernels/arch/conv_lanes.hpp>
#include <duet/ops/kernels/arch/prelude.hpp>
#include <duet/ops/kernels/conv_table.hpp>

namespace {

using duet::kernels::RowDots;
using duet::kernels::RowProduct;
using duet::kernels::RowZip;

/// Output channels that are computed together: with two vectors of pixels each, their sums and what a term needs
/// besides fill the registers.
#if defined(DUET_ARCH_AVX512) || defined(__aarch64__)
constexpr int row_outputs = 8;
#elif defined(DUET_ARCH_AVX2)
constexpr int row_outputs = 6;
#else
constexpr int row_outputs = 4;
#endif

/// What of the last vector of a row exists in the source: all that is read, or only as many pixels as are stored.
enum class Behind { readable, missing };

/// The elements of two vectors in turn, the first `count` of them.
template <class T>
inline __attribute__((always_inline)) void store_interleaved(Batch<T> even, Batch<T> odd, T* to, std::int64_t count) {
  constexpr int L = lanes<T>;
  zip<T, 1, L>(even, odd);
  if (count >= L)
    even.store_unaligned(to);
  else
    store_some<T>(even, to, count);
  if (count >= 2 * L)
    odd.store_unaligned(to + L);
  else if (count > L)
    store_some<T>(odd, to + L, count - L);
}

/// Adds `terms` terms to every `step`-th output from `first` on, and moves on behind them.
template <int first, int step, class T, int outputs, int vectors, Behind behind>
inline __attribute__((always_inline)) void add_terms(Batch<T> (&sum)[outputs][vectors], const T* source,
                                                     const std::int32_t*& offset, const T*& weights, std::int64_t terms,
                                                     std::int64_t valid) {
  using V = Batch<T>;
  constexpr int L = lanes<T>, used = outputs / step;
  for (const std::int32_t* const end = offset + terms; offset != end; ++offset, weights += used) {
    const T* from = source + *offset;
    if constexpr (behind == Behind::missing) {
      const V pixels = load_some<T>(from, valid);
      for (int o = 0; o < used; ++o)
        sum[first + o * step][0] = xsimd::fma(V(weights[o]), pixels, sum[first + o * step][0]);
    } else if constexpr (used < vectors) {  // keep the fewer of the two in registers
      V weight[used];
      for (int o = 0; o < used; ++o) weight[o] = V(weights[o]);
      for (int v = 0; v < vectors; ++v) {
        const V pixels = V::load_unaligned(from + v * L);
        for (int o = 0; o < used; ++o)
          sum[first + o * step][v] = xsimd::fma(weight[o], pixels, sum[first + o * step][v]);
      }
    } else {
      V pixels[vectors];
      for (int v = 0; v < vectors; ++v) pixels[v] = V::load_unaligned(from + v * L);
      for (int o = 0; o < used; ++o) {
        const V weight(weights[o]);
        for (int v = 0; v < vectors; ++v)
          sum[first + o * step][v] = xsimd::fma(weight, pixels[v], sum[first + o * step][v]);
      }
    }
  }
}

/// `outputs` by `vectors` sums of one row. `valid` pixels of the last vector are stored.
template <class T, int outputs, int vectors, bool partial, Behind behind = Behind::readable>
inline __attribute__((always_inline)) void row_tile(const RowProduct<T>& p, const T* source, T* to,
                                                    std::int64_t valid) {
  using V = Batch<T>;
  constexpr int L = lanes<T>;
  // Without branches here and one way each below: where ways meet, gcc passes the sums through memory.
  constexpr T none[outputs] = {};
  const T* const bias = p.bias && !p.accumulate ? p.bias : none;
  const int shift = p.interleaved ? 1 : 0;
  V sum[outputs][vectors];
  for (int o = 0; o < outputs; ++o)
    for (int v = 0; v < vectors; ++v) sum[o][v] = V(bias[o >> shift]);
  const std::int32_t* offset = p.offset;
  const T* weights = p.weights;
  add_terms<0, 1, T, outputs, vectors, behind>(sum, source, offset, weights, p.terms, valid);
  if constexpr (outputs % 2 == 0)
    if (p.interleaved) {
      add_terms<0, 2, T, outputs, vectors, behind>(sum, source, offset, weights, p.alone[0], valid);
      add_terms<1, 2, T, outputs, vectors, behind>(sum, source, offset, weights, p.alone[1], valid);
      for (int o = 0; o < outputs; o += 2)
        for (int v = 0; v < vectors; ++v)
          store_interleaved<T>(sum[o][v], sum[o + 1][v], to + o / 2 * p.to_output + 2 * v * L,
                               2 * (partial ? valid : L));
      return;
    }
  const auto store = [&](const V& value, T* place) {
    if (partial)
      store_some<T>(value, place, valid);
    else
      value.store_unaligned(place);
  };
  if (p.accumulate) {
    for (int o = 0; o < outputs; ++o)
      for (int v = 0; v < vectors; ++v) {
        T* const place = to + o * p.to_output + v * L;
        store(sum[o][v] + (partial ? load_some<T>(place, valid) : V::load_unaligned(place)), place);
      }
    return;
  }
  for (int o = 0; o < outputs; ++o)
    for (int v = 0; v < vectors; ++v) store(sum[o][v], to + o * p.to_output + v * L);
}

template <class T, int outputs>
void rows_of(const RowProduct<T>& p) {
  constexpr int L = lanes<T>;
  constexpr int vectors = outputs == 1 ? 8 : outputs <= 3 ? 4 : outputs == 4 ? 3 : 2;
  const std::int64_t step = p.interleaved ? 2 : 1;  // elements of the output from one pixel to the next
  for (std::int64_t row = 0; row < p.rows; ++row) {
    const T* source = p.source + row * p.source_row;
    T* to = p.to + row * p.to_row;
    std::int64_t i = 0;
    if (p.ahead != nullptr) fetch_some(*p.ahead);
    for (; i + vectors * L <= p.count; i += vectors * L)
      row_tile<T, outputs, vectors, false>(p, source + i, to + i * step, L);
    if (vectors > 4 && i + 4 * L <= p.count) {
      row_tile<T, outputs, 4, false>(p, source + i, to + i * step, L);
      i += 4 * L;
    }
    if (vectors > 2 && i + 2 * L <= p.count) {
      row_tile<T, outputs, 2, false>(p, source + i, to + i * step, L);
      i += 2 * L;
    }
    for (; i + L <= p.count; i += L) row_tile<T, outputs, 1, false>(p, source + i, to + i * step, L);
    if (i == p.count) continue;
    if (p.may_overread)
      row_tile<T, outputs, 1, true>(p, source + i, to + i * step, p.count - i);
    else
      row_tile<T, outputs, 1, true, Behind::missing>(p, source + i, to + i * step, p.count - i);
  }
}

template <class T, int outputs>
void some_rows(const RowProduct<T>& p) {
  if (p.outputs == outputs)
    rows_of<T, outputs>(p);
  else if constexpr (outputs > 1)
    some_rows<T, outputs - 1>(p);
}

template <class T>
void rows(const RowProduct<T>& p) {
  if (p.outputs == 1 && (p.may_overread || p.bare) && all_grids(p.offset, p.terms, p.source_row)) return grid(p);
  some_rows<T, row_outputs>(p);
}

template <class T>
void interleave(const RowZip<T>& p) {
  for (std::int64_t i = 0; 2 * i < p.count; i += lanes<T>)
    store_interleaved<T>(Batch<T>::load_unaligned(p.even + i), Batch<T>::load_unaligned(p.odd + i), p.to + 2 * i,
                         p.count - 2 * i);
}

template <class T>
inline __attribute__((always_inline)) T sum_of(const Batch<T>& value) {
  T values[lanes<T>], sum = 0;
  value.store_unaligned(values);
  for (int i = 0; i < lanes<T>; ++i) sum += values[i];
  return sum;
}

/// The dot products of `terms` shifted rows with the same rows of lanes.
template <class T, int terms>
void dots_of(const RowDots<T>& p, const std::int32_t* offset, T* to) {
  using V = Batch<T>;
  constexpr int L = lanes<T>;
  V sum[terms];
  T rest[terms];
  for (int t = 0; t < terms; ++t) {
    sum[t] = V(T(0));
    rest[t] = T(0);
  }
  for (std::int64_t row = 0; row < p.rows; ++row) {
    const T* a = p.lanes + row * p.lanes_row;
    if (p.ahead != nullptr) fetch_some(*p.ahead);
    const T* b[terms];
    for (int t = 0; t < terms; ++t) b[t] = p.source + row * p.source_row + offset[t];
    std::int64_t i = 0;
    for (; i + L <= p.count; i += L) {
      const V value = V::load_unaligned(a + i);
      for (int t = 0; t < terms; ++t) sum[t] = xsimd::fma(value, V::load_unaligned(b[t] + i), sum[t]);
    }
    for (; i < p.count; ++i)
      for (int t = 0; t < terms; ++t) rest[t] += a[i] * b[t][i];
  }
  for (int t = 0; t < terms; ++t) to[t] += sum_of<T>(sum[t]) + rest[t];
}

constexpr int most_dots = 9;  // sums that fit the registers; a 3x3 kernel's

/// `count` terms at once, count <= terms.
template <class T, int terms>
void some_dots(const RowDots<T>& p, std::int64_t first, std::int64_t count) {
  if (count == terms)
    dots_of<T, terms>(p, p.offset + first, p.to + first);
  else if constexpr (terms > 1)
    some_dots<T, terms - 1>(p, first, count);
}

template <class T>
void dots(const RowDots<T>& p) {
  if (all_grids(p.offset, p.terms, p.source_row) && p.offset[0] < p.offset[1]) {
    for (std::int64_t first = 0; first < p.terms; first += grid_taps) grid_dots(p, first);
    return;
  }
  const std::int64_t rounds = (p.terms + most_dots - 1) / most_dots;
  for (std::int64_t i = 0; i < rounds; ++i) {
    const std::int64_t first = p.terms * i / rounds, last = p.terms * (i + 1) / rounds;
    some_dots<T, most_dots>(p, first, last - first);
  }
}

}  // namespace
