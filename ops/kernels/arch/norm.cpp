// Row functions of the normalisations (ops/kernels/norm_table.hpp). Sums run in blocks that stay in the first cache:
// lanes within a block, double across blocks, so that an f32 row of any length keeps its digits.
#include <duet/ops/kernels/arch/prelude.hpp>

#include <duet/ops/kernels/arch/stream.hpp>
#include <duet/ops/kernels/norm_table.hpp>

namespace {

using duet::kernels::Rectified;

constexpr std::int64_t block = 1024;

std::int64_t smaller(std::int64_t a, std::int64_t b) { return a < b ? a : b; }

/// The sum of a register's lanes. (xsimd's own is called hadd or reduce_add, depending on its version.)
template <class T>
T lane_sum(const Batch<T>& batch) {
  T values[lanes<T>];
  batch.store_unaligned(values);
  T total = 0;
  for (int i = 0; i < lanes<T>; ++i) total += values[i];
  return total;
}

/// Sum of one block: four registers of partial sums, then the rest.
template <class T>
T block_sum(const T* x, std::int64_t count) {
  constexpr int width = lanes<T>;
  Batch<T> sum[4] = {Batch<T>(T(0)), Batch<T>(T(0)), Batch<T>(T(0)), Batch<T>(T(0))};
  std::int64_t i = 0;
  for (; i + 4 * width <= count; i += 4 * width)
    for (int k = 0; k < 4; ++k) sum[k] += Batch<T>::load_unaligned(x + i + k * width);
  for (; i + width <= count; i += width) sum[0] += Batch<T>::load_unaligned(x + i);
  T total = lane_sum((sum[0] + sum[1]) + (sum[2] + sum[3]));
  for (; i < count; ++i) total += x[i];
  return total;
}

template <class T>
void moments(const T* x, std::int64_t count, double* mean, double* squares) {
  constexpr int width = lanes<T>;
  double all_mean = 0, all_squares = 0;
  for (std::int64_t begin = 0; begin < count; begin += block) {
    const std::int64_t n = smaller(block, count - begin);
    const T* first = x + begin;
    // About the block's rounded mean: the distances are small, so their sum mends the rounding.
    const T center = block_sum(first, n) / static_cast<T>(n);
    const Batch<T> centers(center);
    Batch<T> sum[2] = {Batch<T>(T(0)), Batch<T>(T(0))}, square[2] = {Batch<T>(T(0)), Batch<T>(T(0))};
    std::int64_t i = 0;
    for (; i + 2 * width <= n; i += 2 * width)
      for (int k = 0; k < 2; ++k) {
        const Batch<T> distance = Batch<T>::load_unaligned(first + i + k * width) - centers;
        sum[k] += distance;
        square[k] = xsimd::fma(distance, distance, square[k]);
      }
    double distance_sum = static_cast<double>(lane_sum(sum[0] + sum[1]));
    double square_sum = static_cast<double>(lane_sum(square[0] + square[1]));
    for (; i < n; ++i) {
      const double distance = static_cast<double>(first[i]) - static_cast<double>(center);
      distance_sum += distance;
      square_sum += distance * distance;
    }
    const double part = static_cast<double>(n);
    const double block_mean = static_cast<double>(center) + distance_sum / part;
    const double block_squares = square_sum - distance_sum * distance_sum / part;
    // Chan, Golub and LeVeque's update.
    const double before = static_cast<double>(begin), total = before + part, step = block_mean - all_mean;
    all_mean += step * part / total;
    all_squares += block_squares + step * step * before * part / total;
  }
  *mean = all_mean;
  *squares = all_squares;
}

/// What both directions compute for the last elements of a row.
template <class T>
T multiply_add(T a, T b, T c) {
  return a * b + c;
}

/// A gradient where relu let something pass, else 0.
template <class T, bool rectified>
struct Gate {
  explicit Gate(const Rectified<T>* relu)
      : mean(rectified ? relu->mean : T(0)), scale(rectified ? relu->scale : T(0)), shift(rectified ? relu->shift : T(0)) {}
  Batch<T> operator()(Batch<T> g, Batch<T> x) const {
    if constexpr (!rectified) return g;
    const Batch<T> zero(T(0));
    return select(xsimd::fma(x - Batch<T>(mean), Batch<T>(scale), Batch<T>(shift)) > zero, g, zero);
  }
  T operator()(T g, T x) const {
    if constexpr (!rectified) return g;
    return multiply_add(x - mean, scale, shift) > 0 ? g : T(0);
  }
  T mean, scale, shift;
};

template <class T>
void affine(const T* x, std::int64_t count, T mean, T scale, T shift, T least, T* out, bool streamed) {
  constexpr int width = lanes<T>;
  const bool past = can_stream(out, streamed);
  const Batch<T> means(mean), scales(scale), shifts(shift), floor(least);
  std::int64_t i = 0;
  // A NaN stays: max gives its second operand where one is NaN (x86).
  for (; i + width <= count; i += width)
    put(xsimd::max(floor, xsimd::fma(Batch<T>::load_unaligned(x + i) - means, scales, shifts)), out + i, past);
  for (; i < count; ++i) {
    const T value = multiply_add(x[i] - mean, scale, shift);
    out[i] = value < least ? least : value;
  }
  end_stream(past);
}

template <class T>
void affine_by_element(const T* x, std::int64_t count, T mean, T rest, T scale, const T* weight, const T* bias, T* out) {
  constexpr int width = lanes<T>;
  const Batch<T> means(mean), rests(rest), scales(scale);
  std::int64_t i = 0;
  for (; i + width <= count; i += width)
    xsimd::fma((Batch<T>::load_unaligned(x + i) - means - rests) * scales, Batch<T>::load_unaligned(weight + i),
               Batch<T>::load_unaligned(bias + i))
        .store_unaligned(out + i);
  for (; i < count; ++i) out[i] = (x[i] - mean - rest) * scale * weight[i] + bias[i];
}

template <class T, bool rectified>
void sum_gradients(const T* g, const T* x, std::int64_t count, T mean, const Rectified<T>* relu, double* sum_g,
                   double* sum_gx, double* sum_x) {
  constexpr int width = lanes<T>;
  const Gate<T, rectified> gate(relu);
  const Batch<T> means(mean);
  double total_g = 0, total_gx = 0, total_x = 0;
  for (std::int64_t begin = 0; begin < count; begin += block) {
    const std::int64_t n = smaller(block, count - begin);
    Batch<T> sum[2] = {Batch<T>(T(0)), Batch<T>(T(0))}, product[2] = {Batch<T>(T(0)), Batch<T>(T(0))};
    Batch<T> distances[2] = {Batch<T>(T(0)), Batch<T>(T(0))};
    std::int64_t i = 0;
    for (; i + 2 * width <= n; i += 2 * width)
      for (int k = 0; k < 2; ++k) {
        const std::int64_t at = begin + i + k * width;
        const Batch<T> value = Batch<T>::load_unaligned(x + at);
        const Batch<T> gradient = gate(Batch<T>::load_unaligned(g + at), value);
        sum[k] += gradient;
        const Batch<T> distance = value - means;
        product[k] = xsimd::fma(gradient, distance, product[k]);
        distances[k] += distance;
      }
    total_g += static_cast<double>(lane_sum(sum[0] + sum[1]));
    total_gx += static_cast<double>(lane_sum(product[0] + product[1]));
    total_x += static_cast<double>(lane_sum(distances[0] + distances[1]));
    for (; i < n; ++i) {
      const double gradient = static_cast<double>(gate(g[begin + i], x[begin + i]));
      const double distance = static_cast<double>(x[begin + i]) - static_cast<double>(mean);
      total_g += gradient;
      total_gx += gradient * distance;
      total_x += distance;
    }
  }
  *sum_g = total_g;
  *sum_gx = total_gx;
  *sum_x = total_x;
}

template <class T>
void gradient_sums(const T* g, const T* x, std::int64_t count, T mean, const Rectified<T>* relu, double* sum_g,
                   double* sum_gx, double* sum_x) {
  (relu == nullptr ? sum_gradients<T, false> : sum_gradients<T, true>)(g, x, count, mean, relu, sum_g, sum_gx, sum_x);
}

template <class T, bool rectified>
void map_gradient(const T* g, const T* x, std::int64_t count, T mean, T scale, T slope, T shift,
                  const Rectified<T>* relu, T* out, bool streamed) {
  constexpr int width = lanes<T>;
  const Gate<T, rectified> gate(relu);
  const bool past = can_stream(out, streamed);
  const Batch<T> means(mean), scales(scale), slopes(slope), shifts(shift);
  std::int64_t i = 0;
  for (; i + width <= count; i += width) {
    const Batch<T> value = Batch<T>::load_unaligned(x + i), linear = xsimd::fma(value - means, slopes, shifts);
    put(xsimd::fma(gate(Batch<T>::load_unaligned(g + i), value), scales, linear), out + i, past);
  }
  for (; i < count; ++i) out[i] = gate(g[i], x[i]) * scale + ((x[i] - mean) * slope + shift);
  end_stream(past);
}

template <class T>
void gradient(const T* g, const T* x, std::int64_t count, T mean, T scale, T slope, T shift, const Rectified<T>* relu,
              T* out, bool streamed) {
  (relu == nullptr ? map_gradient<T, false> : map_gradient<T, true>)(g, x, count, mean, scale, slope, shift, relu, out,
                                                                     streamed);
}

}  // namespace

namespace duet::kernels {

constinit const NormTable<float> DUET_TABLE(norm_f32) = {moments<float>, affine<float>, affine_by_element<float>,
                                                         gradient_sums<float>, gradient<float>};
constinit const NormTable<double> DUET_TABLE(norm_f64) = {moments<double>, affine<double>, affine_by_element<double>,
                                                          gradient_sums<double>, gradient<double>};

}  // namespace duet::kernels
