// The table of ops/kernels/conv_winograd_table.hpp for one instruction set: the schemes' transforms in two
// dimensions, between pixels in rows and tiles in lanes.
#include <duet/ops/kernels/arch/prelude.hpp>

#include <duet/ops/kernels/arch/conv_lanes.hpp>
#include <duet/ops/kernels/arch/winograd_schemes.hpp>
#include <duet/ops/kernels/conv_winograd_table.hpp>

namespace {

using namespace duet::kernels;

constexpr int L = lanes<float>;

/// Every second element of two vectors side by side, from element `start` on.
template <int start>
struct Second {
  static constexpr int at(int i) { return 2 * i + start; }
};

template <int start>
DUET_INLINE F second(const F& a, const F& b) {
  return shuffle<float>(a, b, Second<start>{}, typename MakeIndices<L>::type{});
}

/// Four vectors of pixels side by side become four vectors of every fourth pixel.
DUET_INLINE void split(const F (&pixels)[4], F* columns) {
  const F even0 = second<0>(pixels[0], pixels[1]), even1 = second<0>(pixels[2], pixels[3]);
  const F odd0 = second<1>(pixels[0], pixels[1]), odd1 = second<1>(pixels[2], pixels[3]);
  columns[0] = second<0>(even0, even1);
  columns[1] = second<0>(odd0, odd1);
  columns[2] = second<1>(even0, even1);
  columns[3] = second<1>(odd0, odd1);
}

/// The first `wanted` of what split gives.
template <int wanted>
DUET_INLINE void split_first(const F (&pixels)[4], F* columns) {
  columns[0] = second<0>(second<0>(pixels[0], pixels[1]), second<0>(pixels[2], pixels[3]));
  if constexpr (wanted > 1) columns[1] = second<0>(second<1>(pixels[0], pixels[1]), second<1>(pixels[2], pixels[3]));
}

/// The way back.
DUET_INLINE void join(F (&v)[4]) {
  zip<float, 1, L>(v[0], v[2]);
  zip<float, 1, L>(v[1], v[3]);
  zip<float, 1, L>(v[0], v[1]);
  zip<float, 1, L>(v[2], v[3]);
}

/// The first `count` elements at `from`, zeros in the other lanes; nothing else is read.
DUET_INLINE F load_first(const float* from, std::int64_t count) {
#if defined(DUET_ARCH_AVX512)
  return F(_mm512_maskz_loadu_ps(static_cast<__mmask16>((1u << count) - 1), from));
#elif defined(DUET_ARCH_AVX2)
  const __m256i lane = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
  return F(_mm256_maskload_ps(from, _mm256_cmpgt_epi32(_mm256_set1_epi32(static_cast<int>(count)), lane)));
#else
  alignas(64) float lane[L] = {};
  for (std::int64_t i = 0; i < count && i < L; ++i) lane[i] = from[i];
  return F::load_aligned(lane);
#endif
}

/// `count` pixels at `from`, every `step` elements; up to a vector of them, zeros behind.
template <int step>
DUET_INLINE F load_pixels(const float* from, std::int64_t count) {
  if constexpr (step == 1) {
    return count >= L ? F::load_unaligned(from) : load_first(from, count);
  } else {
    const std::int64_t elements = 2 * count - 1;
    const F low = elements >= L ? F::load_unaligned(from) : load_first(from, elements);
    const std::int64_t rest = elements - L;
    const F high = rest >= L ? F::load_unaligned(from + L) : rest > 0 ? load_first(from + L, rest) : F(0.0f);
    return second<0>(low, high);
  }
}

template <class Scheme, int step>
DUET_INLINE void strip_columns(const WinogradColumns& t, const WinogradStrip& strip) {
  constexpr int points = Scheme::points;
  const float *row[points], *next[points];
  for (int i = 0; i < points; ++i) {
    row[i] = strip.row[i] < 0 ? t.zeros : t.source + strip.row[i];
    next[i] = strip.row[i] < 0 ? t.zeros : row[i] + t.ahead;
  }
  float* to = t.to + strip.to;
  for (std::int64_t x = 0; x < strip.count; x += L) {
    for (int i = 0; i < points; ++i) __builtin_prefetch(next[i] + step * x, 0, 2);
    F d[points];
    if (x + L <= strip.count)
      for (int i = 0; i < points; ++i) d[i] = load_pixels<step>(row[i] + step * x, L);
    else
      for (int i = 0; i < points; ++i) d[i] = load_pixels<step>(row[i] + step * x, strip.count - x);
    Scheme::input(d);
    for (int i = 0; i < points; ++i) d[i].store_unaligned(to + i * t.to_row + x);
  }
}

template <class Scheme>
void columns(const WinogradColumns& t) {
  constexpr int m = Scheme::tile, points = Scheme::points;
  for (std::int64_t s = 0; s < t.strip_count; ++s)
    if (t.step == 1)
      strip_columns<Scheme, 1>(t, t.strips[s]);
    else
      strip_columns<Scheme, 2>(t, t.strips[s]);
  for (int i = 0; i < points; ++i) {
    float* row = t.to + i * t.to_row;
    for (std::int64_t n = 0; n < t.mend_count; ++n) {
      const WinogradMend& mend = t.mends[n];
      __builtin_memcpy(row + mend.first, row + mend.from, m * sizeof(float));
      __builtin_memcpy(row + mend.second, row + mend.from + m, m * sizeof(float));
    }
  }
}

template <class Scheme>
void across(const WinogradAcross& t) {
  constexpr int m = Scheme::tile, points = Scheme::points;
  for (int v = 0; v < t.vectors; ++v) {
    const std::int32_t *first = t.first + v * m, *second = t.second + v * m;
    float* to = t.to + v / t.width * t.to_panel + v % t.width * L;
    for (int i = 0; i < points; ++i, to += points * t.to_point) {
      const float* from = t.from + i * t.from_row;
      F pixels[m], d[points];
      for (int p = 0; p < m; ++p) pixels[p] = F::load_unaligned(from + first[p]);
      split(pixels, d);
      for (int p = 0; p < m; ++p) pixels[p] = F::load_unaligned(from + second[p]);
      split_first<Scheme::taps - 1>(pixels, d + m);
      Scheme::input(d);
      for (int j = 0; j < points; ++j) d[j].store_unaligned(to + j * t.to_point);
    }
  }
}

/// The elements at `from` whose bits are set, zeros in the other lanes; nothing else is read.
DUET_INLINE F load_masked(const float* from, std::uint32_t mask) {
#if defined(DUET_ARCH_AVX512)
  return F(_mm512_maskz_loadu_ps(static_cast<__mmask16>(mask), from));
#elif defined(DUET_ARCH_AVX2)
  const __m256i bit = _mm256_setr_epi32(1, 2, 4, 8, 16, 32, 64, 128);
  const __m256i set = _mm256_and_si256(_mm256_set1_epi32(static_cast<int>(mask)), bit);
  return F(_mm256_maskload_ps(from, _mm256_cmpeq_epi32(set, bit)));
#else
  alignas(64) float lane[L] = {};
  for (int i = 0; i < L; ++i)
    if (mask >> i & 1) lane[i] = from[i];
  return F::load_aligned(lane);
#endif
}

/// One row of the windows of a vector of tiles.
template <class Scheme, int step>
DUET_INLINE void gather_row(const float* source, const std::int64_t* at, const std::uint32_t* mask,
                            F (&d)[Scheme::points]) {
  constexpr int span = step * (Scheme::points - 1) + 1;
#pragma GCC unroll 3
  for (int first = 0; first < span; first += L) {
    F square[L];
    for (int lane = 0; lane < L; ++lane) square[lane] = load_masked(source + at[lane] + first, mask[lane] >> first);
    transpose<float>(square);
    for (int j = 0; j < Scheme::points; ++j)
      if (step * j >= first && step * j < first + L) d[j] = square[step * j - first];
  }
}

/// The second half of a tile's transform, after its rows: its columns, and the points where the products read them.
template <class Scheme, int points>
DUET_INLINE void store_columns(F (&rows)[points][points], float* to, std::int64_t to_point) {
  for (int j = 0; j < points; ++j) {
    F d[points];
    for (int i = 0; i < points; ++i) d[i] = rows[i][j];
    Scheme::input(d);
    for (int i = 0; i < points; ++i) d[i].store_unaligned(to + (i * points + j) * to_point);
  }
}

template <class Scheme, int step>
DUET_INLINE void gather_vector(const WinogradGather& t, int v) {
  constexpr int points = Scheme::points;
  const std::int64_t tiles = std::int64_t{t.vectors} * L;
  float* to = t.to + v / t.width * t.to_panel + v % t.width * L;
  F rows[points][points];
  for (int i = 0; i < points; ++i) {
    gather_row<Scheme, step>(t.source, t.at + i * tiles + v * L, t.mask + i * tiles + v * L, rows[i]);
    Scheme::input(rows[i]);
  }
  store_columns<Scheme>(rows, to, t.to_point);
}

template <class Scheme>
void gather(const WinogradGather& t) {
  for (int v = 0; v < t.vectors; ++v)
    if (t.step == 1)
      gather_vector<Scheme, 1>(t, v);
    else
      gather_vector<Scheme, 2>(t, v);
}

/// A vector of pixels of a row, those of the mask.
template <int step>
DUET_INLINE F load_piece(const float* from, std::uint32_t mask) {
  if constexpr (step == 1)
    return load_masked(from, mask);
  else
    return second<0>(load_masked(from, mask), load_masked(from + L, mask >> L));
}

template <class Scheme, int step>
DUET_INLINE void pieces_vector(const WinogradPieces& t, int v) {
  constexpr int m = Scheme::tile, points = Scheme::points;
  const std::int64_t pieces = std::int64_t{t.vectors} * m;
  float* to = t.to + v / t.width * t.to_panel + v % t.width * L;
  F rows[points][points];
  for (int i = 0; i < points; ++i) {
    const std::int64_t at = i * pieces + v * m;
    F pixels[m];
    for (int p = 0; p < m; ++p) {
      const float* from = t.source + t.at[at + p];
      __builtin_prefetch(from + t.ahead, 0, 2);
      if constexpr (step > 1) __builtin_prefetch(from + t.ahead + L, 0, 2);
      pixels[p] = load_piece<step>(from, t.first[at + p]);
    }
    split(pixels, rows[i]);
    for (int p = 0; p < m; ++p) pixels[p] = load_piece<step>(t.source + t.at[at + p] + m * step, t.second[at + p]);
    split_first<Scheme::taps - 1>(pixels, rows[i] + m);
    Scheme::input(rows[i]);
  }
  store_columns<Scheme>(rows, to, t.to_point);
}

template <class Scheme>
void pieces(const WinogradPieces& t) {
  for (int v = 0; v < t.vectors; ++v)
    if (t.step == 1)
      pieces_vector<Scheme, 1>(t, v);
    else
      pieces_vector<Scheme, 2>(t, v);
}

template <class Scheme>
void output(const WinogradOutput& t) {
  constexpr int m = Scheme::tile, points = Scheme::points;
  const F bias(t.bias);
  for (int v = 0; v < t.vectors; ++v) {
    const float* from = t.from + v / t.width * t.from_panel + v % t.width * L;
    F y[m][points];
    for (int j = 0; j < points; ++j) {
      F column[points];
      for (int i = 0; i < points; ++i) column[i] = F::load_unaligned(from + (i * points + j) * t.from_point);
      Scheme::output(column);
      for (int i = 0; i < m; ++i) y[i][j] = column[i];
    }
    const std::int64_t* piece = t.piece + v * m;
    for (int i = 0; i < m; ++i) {
      Scheme::output(y[i]);
      F pixels[m];
      for (int j = 0; j < m; ++j) pixels[j] = y[i][j] + bias;
      join(pixels);
      for (int p = 0; p < m; ++p) {
        if (piece[p] < 0)
          pixels[p].store_unaligned(t.staged + i * t.staged_row + (v * m + p) * L);
        else if (i < t.rows[v * m + p]) {
          float* to = t.to + piece[p] + i * t.to_row;
          __builtin_prefetch(to + t.ahead, 1, 2);
          if (t.other == nullptr) {
            pixels[p].store_unaligned(to);
            continue;
          }
          __builtin_prefetch(to + t.ahead + L, 1, 2);
          const F other = F::load_unaligned(t.other + i * t.other_row + (v * m + p) * L);
          F even = t.own_first ? pixels[p] : other, odd = t.own_first ? other : pixels[p];
          zip<float, 1, L>(even, odd);
          even.store_unaligned(to);
          odd.store_unaligned(to + L);
        }
      }
    }
  }
}

template <class Scheme>
void filter(const WinogradFilter& t) {
  constexpr int r = Scheme::taps, points = Scheme::points;
  for (std::int64_t n = 0; n < t.filters; ++n) {
    const float* from = t.from + n * t.from_filter;
    float* to = t.to + n * t.to_filter;
    F u[points][points];
    for (int j = 0; j < r; ++j) {
      F column[points];
      for (int i = 0; i < r; ++i) column[i] = F::load_unaligned(from + t.tap[i * r + j]);
      for (int i = r; i < points; ++i) column[i] = F(0.0f);
      Scheme::filter(column);
      for (int i = 0; i < points; ++i) u[i][j] = column[i];
    }
    for (int i = 0; i < points; ++i) {
      for (int j = r; j < points; ++j) u[i][j] = F(0.0f);
      Scheme::filter(u[i]);
      for (int j = 0; j < points; ++j) u[i][j].store_unaligned(to + (i * points + j) * t.to_point);
    }
  }
}

template <class Scheme>
void collect(const WinogradFilter& t) {
  constexpr int r = Scheme::taps, points = Scheme::points;
  for (std::int64_t n = 0; n < t.filters; ++n) {
    const float* from = t.from + n * t.from_filter;
    float* to = t.to + n * t.to_filter;
    F g[r][points];
    for (int j = 0; j < points; ++j) {
      F column[points];
      for (int i = 0; i < points; ++i) column[i] = F::load_unaligned(from + (i * points + j) * t.from_point);
      Scheme::collect(column);
      for (int i = 0; i < r; ++i) g[i][j] = column[i];
    }
    for (int i = 0; i < r; ++i) {
      Scheme::collect(g[i]);
      for (int j = 0; j < r; ++j) g[i][j].store_unaligned(to + t.tap[i * r + j]);
    }
  }
}

template <class Scheme>
void spread(const WinogradSpread& t) {
  constexpr int m = Scheme::tile, points = Scheme::points;
  for (std::int64_t n = 0; n < t.tiles; ++n) {
    const float* from = t.from + n * t.from_tile;
    float* to = t.to + n * t.to_tile;
    F a[points][points];
    for (int j = 0; j < m; ++j) {
      F column[points];
      for (int i = 0; i < m; ++i) column[i] = F::load_unaligned(from + i * t.from_row + j * t.from_column);
      for (int i = m; i < points; ++i) column[i] = F(0.0f);
      Scheme::spread(column);
      for (int i = 0; i < points; ++i) a[i][j] = column[i];
    }
    for (int i = 0; i < points; ++i) {
      for (int j = m; j < points; ++j) a[i][j] = F(0.0f);
      Scheme::spread(a[i]);
      for (int j = 0; j < points; ++j) a[i][j].store_unaligned(to + (i * points + j) * t.to_point);
    }
  }
}

template <class Scheme>
constexpr WinogradScheme scheme() {
  return {Scheme::tile,   Scheme::taps,   columns<Scheme>, across<Scheme>,  gather<Scheme>,
          pieces<Scheme>, output<Scheme>, filter<Scheme>,  collect<Scheme>, spread<Scheme>};
}

}  // namespace

namespace duet::kernels {
constinit const WinogradTable DUET_TABLE(winograd_table) = {scheme<Scheme43>(), scheme<Scheme42>()};
}  // namespace duet::kernels
