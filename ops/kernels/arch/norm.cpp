// Row functions of the normalisations (ops/kernels/norm_table.hpp). Sums run in blocks that stay in the first cache:
// lanes within a block, double across blocks, so that an f32 row of any length keeps its digits.
#include <duet/ops/kernels/arch/prelude.hpp>

#include <duet/ops/kernels/arch/stream.hpp>
#include <duet/ops/kernels/norm_table.hpp>

namespace {

using duet::kernels::Affine;
using duet::kernels::GradientMap;

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

/// What a register and the last elements of a row compute alike.
template <class T>
T multiply_add(T a, T b, T c) {
  return a * b + c;
}
template <class T>
Batch<T> multiply_add(const Batch<T>& a, const Batch<T>& b, const Batch<T>& c) {
  return xsimd::fma(a, b, c);
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

/// Numbers of adjacent columns or, behind the last whole register, of one, in double as at the end of a row.
template <class T>
void load(const T* from, Batch<T>& to) {
  to = Batch<T>::load_unaligned(from);
}
template <class T>
void load(const T* from, double& to) {
  to = static_cast<double>(*from);
}
template <class T>
void to_doubles(const Batch<T>& from, double* to) {
  T values[lanes<T>];
  from.store_unaligned(values);
  for (int i = 0; i < lanes<T>; ++i) to[i] = static_cast<double>(values[i]);
}
[[maybe_unused]] void to_doubles(double from, double* to) { *to = from; }

/// `registers` vectors V of adjacent columns.
template <class V, int registers, int width>
struct Tile {
  using Vector = V;
  static constexpr int count = registers, lanes = width;
};

/// Calls body(tile, first column) for all columns, four registers at once where there are as many.
template <class T, class Body>
void for_tiles(std::int64_t count, const Body& body) {
  constexpr int width = lanes<T>;
  std::int64_t i = 0;
  for (; i + 4 * width <= count; i += 4 * width) body(Tile<Batch<T>, 4, width>(), i);
  for (; i + width <= count; i += width) body(Tile<Batch<T>, 1, width>(), i);
  for (; i < count; ++i) body(Tile<double, 1, 1>(), i);
}

template <class T>
void column_moments(const T* x, std::int64_t rows, std::int64_t stride, std::int64_t count, double* mean,
                    double* squares) {
  for_tiles<T>(count, [&](auto tile, std::int64_t first) {
    using V = typename decltype(tile)::Vector;
    constexpr int registers = tile.count, width = tile.lanes;
    V sum[registers], center[registers], square[registers], value;
    for (int k = 0; k < registers; ++k) sum[k] = V(0);
    for (std::int64_t row = 0; row < rows; ++row)
      for (int k = 0; k < registers; ++k) {
        load(x + row * stride + first + k * width, value);
        sum[k] += value;
      }
    // About the rounded mean, as a row's: the sum of the distances mends the rounding.
    for (int k = 0; k < registers; ++k) {
      center[k] = sum[k] / V(static_cast<T>(rows));
      sum[k] = square[k] = V(0);
    }
    for (std::int64_t row = 0; row < rows; ++row)
      for (int k = 0; k < registers; ++k) {
        load(x + row * stride + first + k * width, value);
        const V distance = value - center[k];
        sum[k] += distance;
        square[k] = multiply_add(distance, distance, square[k]);
      }
    for (int k = 0; k < registers; ++k) {
      double distances[width];
      to_doubles(center[k], mean + first + k * width);
      to_doubles(sum[k], distances);
      to_doubles(square[k], squares + first + k * width);
      for (int i = 0; i < width; ++i) {
        const std::int64_t column = first + k * width + i;
        mean[column] += distances[i] / static_cast<double>(rows);
        squares[column] -= distances[i] * distances[i] / static_cast<double>(rows);
      }
    }
  });
}

/// A coefficient of all elements, or one of each: at the element `i`, and the register that begins there.
template <class T>
T one_at(T value, std::int64_t) {
  return value;
}
template <class T>
T one_at(const T* values, std::int64_t i) {
  return values[i];
}
template <class T>
Batch<T> lanes_at(T value, std::int64_t) {
  return Batch<T>(value);
}
template <class T>
Batch<T> lanes_at(const T* values, std::int64_t i) {
  return Batch<T>::load_unaligned(values + i);
}

/// A gradient where relu let something pass, else 0. P: T, or const T* for a relu of each element.
template <class T, class P, bool rectified>
struct Gate {
  explicit Gate(const Affine<P>* relu) : by(rectified ? *relu : Affine<P>()) {}
  Batch<T> operator()(Batch<T> g, Batch<T> x, std::int64_t i) const {
    if constexpr (!rectified) return g;
    const Batch<T> zero(T(0));
    return select(multiply_add(x - lanes_at(by.mean, i), lanes_at(by.scale, i), lanes_at(by.shift, i)) > zero, g, zero);
  }
  template <class One>
  One operator()(One g, One x, std::int64_t i) const {
    if constexpr (!rectified) return g;
    const T distance = static_cast<T>(x) - one_at(by.mean, i);
    return multiply_add(distance, one_at(by.scale, i), one_at(by.shift, i)) > 0 ? g : One(0);
  }
  Affine<P> by;
};

template <class T, class P>
void affine(const T* x, std::int64_t count, const Affine<P>& by, T least, T* out, bool streamed) {
  constexpr int width = lanes<T>;
  const bool past = can_stream(out, streamed);
  const Affine<P> own = by;
  const Batch<T> floor(least);
  std::int64_t i = 0;
  // A NaN stays: max gives its second operand where one is NaN (x86).
  for (; i + width <= count; i += width)
    put(xsimd::max(floor, multiply_add(Batch<T>::load_unaligned(x + i) - lanes_at(own.mean, i), lanes_at(own.scale, i),
                                       lanes_at(own.shift, i))),
        out + i, past);
  for (; i < count; ++i) {
    const T value = multiply_add(x[i] - one_at(own.mean, i), one_at(own.scale, i), one_at(own.shift, i));
    out[i] = value < least ? least : value;
  }
  end_stream(past);
}

template <class T>
void affine_by_element(const T* x, std::int64_t count, T mean, T rest, T scale, const T* weight, const T* bias,
                       T* out) {
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
void sum_gradients(const T* g, const T* x, std::int64_t count, T mean, const Affine<T>* relu, double* sum_g,
                   double* sum_gx, double* sum_x) {
  constexpr int width = lanes<T>;
  const Gate<T, T, rectified> gate(relu);
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
        const Batch<T> gradient = gate(Batch<T>::load_unaligned(g + at), value, at);
        sum[k] += gradient;
        const Batch<T> distance = value - means;
        product[k] = xsimd::fma(gradient, distance, product[k]);
        distances[k] += distance;
      }
    total_g += static_cast<double>(lane_sum(sum[0] + sum[1]));
    total_gx += static_cast<double>(lane_sum(product[0] + product[1]));
    total_x += static_cast<double>(lane_sum(distances[0] + distances[1]));
    for (; i < n; ++i) {
      const double gradient = static_cast<double>(gate(g[begin + i], x[begin + i], begin + i));
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
void gradient_sums(const T* g, const T* x, std::int64_t count, T mean, const Affine<T>* relu, double* sum_g,
                   double* sum_gx, double* sum_x) {
  (relu == nullptr ? sum_gradients<T, false> : sum_gradients<T, true>)(g, x, count, mean, relu, sum_g, sum_gx, sum_x);
}

template <class T, bool rectified>
void sum_gradient_columns(const T* g, const T* x, std::int64_t rows, std::int64_t stride, std::int64_t count,
                          const T* mean, const Affine<const T*>* relu, double* sum_g, double* sum_gx, double* sum_x) {
  const Gate<T, const T*, rectified> gate(relu);
  for_tiles<T>(count, [&](auto tile, std::int64_t first) {
    using V = typename decltype(tile)::Vector;
    constexpr int registers = tile.count, width = tile.lanes;
    V sum[registers], product[registers], distances[registers], center[registers], value, gradient;
    for (int k = 0; k < registers; ++k) {
      sum[k] = product[k] = distances[k] = V(0);
      load(mean + first + k * width, center[k]);
    }
    for (std::int64_t row = 0; row < rows; ++row)
      for (int k = 0; k < registers; ++k) {
        const std::int64_t column = first + k * width, at = row * stride + column;
        load(x + at, value);
        load(g + at, gradient);
        gradient = gate(gradient, value, column);
        const V distance = value - center[k];
        sum[k] += gradient;
        product[k] = multiply_add(gradient, distance, product[k]);
        distances[k] += distance;
      }
    for (int k = 0; k < registers; ++k) {
      const std::int64_t column = first + k * width;
      to_doubles(sum[k], sum_g + column);
      to_doubles(product[k], sum_gx + column);
      to_doubles(distances[k], sum_x + column);
    }
  });
}

template <class T>
void column_gradient_sums(const T* g, const T* x, std::int64_t rows, std::int64_t stride, std::int64_t count,
                          const T* mean, const Affine<const T*>* relu, double* sum_g, double* sum_gx, double* sum_x) {
  (relu == nullptr ? sum_gradient_columns<T, false> : sum_gradient_columns<T, true>)(g, x, rows, stride, count, mean,
                                                                                     relu, sum_g, sum_gx, sum_x);
}

template <class T, class P, bool rectified>
void map_gradient(const T* g, const T* x, std::int64_t count, const GradientMap<P>& by, const Affine<P>* relu, T* out,
                  bool streamed) {
  constexpr int width = lanes<T>;
  const Gate<T, P, rectified> gate(relu);
  const bool past = can_stream(out, streamed);
  const GradientMap<P> own = by;
  std::int64_t i = 0;
  for (; i + width <= count; i += width) {
    const Batch<T> value = Batch<T>::load_unaligned(x + i);
    const Batch<T> linear = multiply_add(value - lanes_at(own.mean, i), lanes_at(own.slope, i), lanes_at(own.shift, i));
    put(multiply_add(gate(Batch<T>::load_unaligned(g + i), value, i), lanes_at(own.scale, i), linear), out + i, past);
  }
  for (; i < count; ++i)
    out[i] = gate(g[i], x[i], i) * one_at(own.scale, i) +
             ((x[i] - one_at(own.mean, i)) * one_at(own.slope, i) + one_at(own.shift, i));
  end_stream(past);
}

template <class T, class P>
void gradient(const T* g, const T* x, std::int64_t count, const GradientMap<P>& by, const Affine<P>* relu, T* out,
              bool streamed) {
  (relu == nullptr ? map_gradient<T, P, false> : map_gradient<T, P, true>)(g, x, count, by, relu, out, streamed);
}

}  // namespace

namespace duet::kernels {

#define DUET_NORM_TABLE(T)                                                                                    \
  {                                                                                                           \
    moments<T>, column_moments<T>, affine<T, T>, affine<T, const T*>, affine_by_element<T>, gradient_sums<T>, \
        column_gradient_sums<T>, gradient<T, T>, gradient<T, const T*>                                        \
  }
constinit const NormTable<float> DUET_TABLE(norm_f32) = DUET_NORM_TABLE(float);
constinit const NormTable<double> DUET_TABLE(norm_f64) = DUET_NORM_TABLE(double);
#undef DUET_NORM_TABLE

}  // namespace duet::kernels
