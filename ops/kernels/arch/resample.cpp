// Row functions of separable maps (ops/kernels/resample_table.hpp).
#include <duet/ops/kernels/arch/prelude.hpp>

#include <duet/ops/kernels/resample_table.hpp>

namespace {

using duet::kernels::RowMap;
using duet::kernels::RowPattern;

template <class T>
void scale(const T* __restrict x, std::int64_t count, T weight, T* __restrict sum) {
  for (std::int64_t i = 0; i < count; ++i) sum[i] = weight * x[i];
}

template <class T>
void add_scaled(const T* __restrict x, std::int64_t count, T weight, T* __restrict sum) {
  for (std::int64_t i = 0; i < count; ++i) sum[i] += weight * x[i];
}

template <class T>
void gather(const RowMap<T>& map, const T* __restrict x, T* __restrict y) {
  if (map.pattern == RowPattern::pairs) {
    const T weight = map.weights[0];
    for (std::int64_t o = 0; o < map.outputs; ++o) y[o] = weight * x[2 * o] + weight * x[2 * o + 1];
    return;
  }
  if (map.pattern == RowPattern::twice) {
    for (std::int64_t i = 0; i < map.outputs / 2; ++i) y[2 * i] = y[2 * i + 1] = x[i];
    return;
  }
  for (std::int64_t o = 0; o < map.outputs; ++o) {
    const T* from = x + map.begin[o];
    const T* weights = map.weights + map.first[o];
    const std::int64_t taps = map.first[o + 1] - map.first[o];
    T sum = 0;
    for (std::int64_t t = 0; t < taps; ++t) sum += weights[t] * from[t];
    y[o] = sum;
  }
}

template <class T>
void scatter(const RowMap<T>& map, const T* __restrict y, T* __restrict x) {
  if (map.pattern == RowPattern::pairs) {
    const T weight = map.weights[0];
    for (std::int64_t o = 0; o < map.outputs; ++o) {
      x[2 * o] += weight * y[o];
      x[2 * o + 1] += weight * y[o];
    }
    return;
  }
  if (map.pattern == RowPattern::twice) {
    for (std::int64_t i = 0; i < map.outputs / 2; ++i) x[i] += y[2 * i] + y[2 * i + 1];
    return;
  }
  for (std::int64_t o = 0; o < map.outputs; ++o) {
    T* to = x + map.begin[o];
    const T* weights = map.weights + map.first[o];
    const std::int64_t taps = map.first[o + 1] - map.first[o];
    for (std::int64_t t = 0; t < taps; ++t) to[t] += weights[t] * y[o];
  }
}

}  // namespace

namespace duet::kernels {

constinit const ResampleTable<float> DUET_TABLE(resample_f32) = {scale<float>, add_scaled<float>, gather<float>,
                                                                 scatter<float>};
constinit const ResampleTable<double> DUET_TABLE(resample_f64) = {scale<double>, add_scaled<double>, gather<double>,
                                                                  scatter<double>};

}  // namespace duet::kernels
