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

}  // namespace

namespace duet::kernels {

constinit const PoolTable<float> DUET_TABLE(pool_f32) = {max_tap<float>};
constinit const PoolTable<double> DUET_TABLE(pool_f64) = {max_tap<double>};

}  // namespace duet::kernels
