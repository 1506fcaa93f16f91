// Row functions of pooling (ops/kernels/pool_table.hpp): plain loops whose selects the compiler turns into vectors.
#include <duet/ops/kernels/arch/prelude.hpp>

#include <duet/ops/kernels/arch/stream.hpp>

#include <duet/ops/kernels/pool_table.hpp>

namespace {

using duet::kernels::TapOf;

/// `fixed` is the stride where it is known while compiling; 0 otherwise.
template <int fixed, class T>
void max_row(const T* __restrict x, std::int64_t given, std::int64_t count, TapOf<T> tap, T* __restrict y,
             TapOf<T>* __restrict taps) {
  const std::int64_t stride = fixed != 0 ? fixed : given;
  for (std::int64_t i = 0; i < count; ++i) {
    const T value = x[i * stride];
    const bool take = (value > y[i]) | (value != value) | (taps[i] < 0);
    y[i] = take ? value : y[i];
    taps[i] = take ? tap : taps[i];
  }
}

template <class T>
void max_tap(const T* x, std::int64_t stride, std::int64_t count, TapOf<T> tap, T* y, TapOf<T>* taps) {
  if (stride == 1)
    max_row<1>(x, stride, count, tap, y, taps);
  else if (stride == 2)
    max_row<2>(x, stride, count, tap, y, taps);
  else
    max_row<0>(x, stride, count, tap, y, taps);
}

/// Two neighbours of a row as one integer, the first in its lower half: windows side by side then are vectors of such
/// integers, and taking them apart and putting them together is shifting, not shuffling.
template <class T>
struct PairOf;
#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
template <>
struct PairOf<float> {
  typedef std::uint64_t Word __attribute__((may_alias, aligned(alignof(float))));
};
#endif

/// Whether a value takes the place of the best so far: a NaN always does.
template <class T>
bool beats(T value, T best) {
  return (value > best) | (value != value);
}

template <class T>
void max_two_by_two(const T* __restrict upper, const T* __restrict lower, std::int64_t count, T* __restrict y,
                    std::uint8_t* __restrict taps) {
  constexpr std::int64_t block = 64;
  alignas(64) TapOf<T> held[block];
  for (std::int64_t begin = 0; begin < count; begin += block) {
    const std::int64_t n = count - begin < block ? count - begin : block;
    const T *a = upper + 2 * begin, *b = lower + 2 * begin;
    T* to = y + begin;
    // Two rows by turns hide the next ones from the hardware.
    constexpr std::int64_t line = 64 / sizeof(T), ahead = 8192 / sizeof(T);
    for (std::int64_t i = 0; i < 2 * n; i += line) {
      __builtin_prefetch(a + ahead + i, 0, 2);
      __builtin_prefetch(b + ahead + i, 0, 2);
    }
    for (std::int64_t i = 0; i < n; ++i) {
      const T first = a[2 * i], second = a[2 * i + 1], third = b[2 * i], fourth = b[2 * i + 1];
      const bool take2 = beats(second, first);
      const T best2 = take2 ? second : first;
      const TapOf<T> tap2 = take2 ? 1 : 0;
      const bool take3 = beats(third, best2);
      const T best3 = take3 ? third : best2;
      const TapOf<T> tap3 = take3 ? 2 : tap2;
      const bool take4 = beats(fourth, best3);
      to[i] = take4 ? fourth : best3;
      held[i] = take4 ? 3 : tap3;
    }
    // Narrowed in a loop of its own: in one with the above it would keep the compiler from full vectors.
    for (std::int64_t i = 0; i < n; ++i) taps[begin + i] = static_cast<std::uint8_t>(held[i]);
  }
}

/// One row of windows to its two rows; whether all taps are of the window.
template <class T>
bool scatter_row(const T* __restrict y, const std::uint8_t* __restrict taps, std::int64_t count, T* __restrict upper,
                 T* __restrict lower) {
  unsigned all = 0;
  if constexpr (requires { typename PairOf<T>::Word; }) {
    using Word = typename PairOf<T>::Word;
    constexpr int half = 8 * sizeof(T);
    typedef std::uint32_t Bits __attribute__((may_alias));
    const Bits* __restrict values = reinterpret_cast<const Bits*>(y);
    Word* __restrict to_upper = reinterpret_cast<Word*>(upper);
    Word* __restrict to_lower = reinterpret_cast<Word*>(lower);
    for (std::int64_t i = 0; i < count; ++i) {
      const std::uint64_t tap = taps[i], value = values[i], placed = value << (half * (tap & 1));
      to_upper[i] = tap < 2 ? placed : 0;
      to_lower[i] = tap < 2 ? 0 : placed;
    }
    for (std::int64_t i = 0; i < count; ++i) all |= taps[i];
    return all < 4;
  }
  for (std::int64_t i = 0; i < count; ++i) {
    const TapOf<T> tap = taps[i];
    const T value = y[i];
    upper[2 * i] = tap == 0 ? value : T(0);
    upper[2 * i + 1] = tap == 1 ? value : T(0);
    lower[2 * i] = tap == 2 ? value : T(0);
    lower[2 * i + 1] = tap == 3 ? value : T(0);
    all |= taps[i];
  }
  return all < 4;
}

/// The same by way of a buffer, from which the rows, which lie on whole registers, go past the caches.
template <class T>
bool stream_row(const T* y, const std::uint8_t* taps, std::int64_t count, T* upper, T* lower) {
  constexpr std::int64_t block = 64;
  alignas(64) T held[2][2 * block];
  bool good = true;
  for (std::int64_t begin = 0; begin < count; begin += block) {
    const std::int64_t n = count - begin < block ? count - begin : block;
    good = scatter_row(y + begin, taps + begin, n, held[0], held[1]) && good;
    T* const to[2] = {upper + 2 * begin, lower + 2 * begin};
    for (int row = 0; row < 2; ++row) {
      std::int64_t i = 0;
      for (; i + lanes<T> <= 2 * n; i += lanes<T>) stream(to[row] + i, Batch<T>::load_aligned(held[row] + i));
      for (; i < 2 * n; ++i) to[row][i] = held[row][i];
    }
  }
  return good;
}

template <class T>
bool scatter_two_by_two(const duet::kernels::ScatterCall<T>& call) {
  bool good = true;
  for (std::int64_t j = 0; j < call.rows; ++j) {
    const T* y = call.y + j * call.count;
    const std::uint8_t* taps = call.taps + j * call.count;
    T *upper = call.x + 2 * j * call.width, *lower = upper + call.width;
    if (can_stream(upper, call.streamed) && can_stream(lower, call.streamed))
      good = stream_row(y, taps, call.count, upper, lower) && good;
    else
      good = scatter_row(y, taps, call.count, upper, lower) && good;
    for (std::int64_t i = 2 * call.count; i < call.width; ++i) upper[i] = lower[i] = T(0);
  }
  end_stream(call.streamed);
  return good;
}

}  // namespace

namespace duet::kernels {

constinit const PoolTable<float> DUET_TABLE(pool_f32) = {max_tap<float>, max_two_by_two<float>,
                                                         scatter_two_by_two<float>};
constinit const PoolTable<double> DUET_TABLE(pool_f64) = {max_tap<double>, max_two_by_two<double>,
                                                          scatter_two_by_two<double>};

}  // namespace duet::kernels
