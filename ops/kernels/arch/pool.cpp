// Row functions of pooling (ops/kernels/pool_table.hpp): plain loops whose selects the compiler turns into vectors.
#include <duet/ops/kernels/arch/prelude.hpp>

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

template <class T>
void max_two_by_two(const T* __restrict upper, const T* __restrict lower, std::int64_t count, T* __restrict y,
                    std::uint8_t* __restrict taps) {
  for (std::int64_t i = 0; i < count; ++i) {
    T best = upper[2 * i];
    TapOf<T> tap = 0;
    const auto meet = [&](T value, TapOf<T> number) {
      const bool take = (value > best) | (value != value);
      best = take ? value : best;
      tap = take ? number : tap;
    };
    meet(upper[2 * i + 1], 1);
    meet(lower[2 * i], 2);
    meet(lower[2 * i + 1], 3);
    y[i] = best;
    taps[i] = static_cast<std::uint8_t>(tap);
  }
}

template <class T>
bool scatter_two_by_two(const T* __restrict y, const std::uint8_t* __restrict taps, std::int64_t count,
                        T* __restrict upper, T* __restrict lower) {
  int all = 0;
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

}  // namespace

namespace duet::kernels {

constinit const PoolTable<float> DUET_TABLE(pool_f32) = {max_tap<float>, max_two_by_two<float>,
                                                         scatter_two_by_two<float>};
constinit const PoolTable<double> DUET_TABLE(pool_f64) = {max_tap<double>, max_two_by_two<double>,
                                                          scatter_two_by_two<double>};

}  // namespace duet::kernels
