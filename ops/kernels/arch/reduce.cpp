// Folding rows and columns. Sums of floats go through blocks whose totals are added in double, so that a sum of
// millions keeps its digits.
#include "prelude.hpp"

#include "exponential.hpp"
#include "partial.hpp"

#include <duet/ops/kernels/reduce_table.hpp>

namespace {

using duet::kernels::ColumnsCall;

template <class V>
constexpr bool is_number = false;
template <>
constexpr bool is_number<float> = true;
template <>
constexpr bool is_number<double> = true;

// How one element is taken, how two results join, and what the empty fold is. max and min keep a NaN: x86 gives the
// second operand where one is NaN.
struct SumFold {
  static constexpr double start = 0;
  template <class V> static V take(V x) { return x; }
  template <class V> static V join(V a, V b) { return a + b; }
};
struct SumSquareFold : SumFold {
  template <class V> static V take(V x) { return x * x; }
};
struct SumAbsFold : SumFold {
  template <class V> static V take(V x) {
    if constexpr (is_number<V>) return x < 0 ? -x : x;
    else return abs(x);
  }
};
struct ProdFold : SumFold {
  static constexpr double start = 1;
  template <class V> static V join(V a, V b) { return a * b; }
};
struct MaxFold : SumFold {
  static constexpr double start = -__builtin_huge_val();
  template <class V> static V join(V a, V b) {
    if constexpr (is_number<V>) return b != b || b > a ? b : a;
    else return select(b == b, max(b, a), b);
  }
};
struct MinFold : SumFold {
  static constexpr double start = __builtin_huge_val();
  template <class V> static V join(V a, V b) {
    if constexpr (is_number<V>) return b != b || b < a ? b : a;
    else return select(b == b, min(b, a), b);
  }
};

template <class T, class F>
T fold_lanes(Batch<T> value) {
  alignas(64) T lane[lanes<T>];
  value.store_aligned(lane);
  T result = lane[0];
  for (int i = 1; i < lanes<T>; ++i) result = F::join(result, lane[i]);
  return result;
}

template <class T, class F>
double fold_row(const T* x, std::int64_t n) {
  using B = Batch<T>;
  constexpr std::int64_t width = lanes<T>, block = 4096;
  double result = F::start;
  while (n > 0) {
    const std::int64_t count = n < block ? n : block;
    std::int64_t i = 0;
    T rest = static_cast<T>(F::start);
    if (count >= 4 * width) {
      B a = F::take(B::load_unaligned(x)), b = F::take(B::load_unaligned(x + width)),
        c = F::take(B::load_unaligned(x + 2 * width)), d = F::take(B::load_unaligned(x + 3 * width));
      for (i = 4 * width; i + 4 * width <= count; i += 4 * width) {
        a = F::join(a, F::take(B::load_unaligned(x + i)));
        b = F::join(b, F::take(B::load_unaligned(x + i + width)));
        c = F::join(c, F::take(B::load_unaligned(x + i + 2 * width)));
        d = F::join(d, F::take(B::load_unaligned(x + i + 3 * width)));
      }
      rest = fold_lanes<T, F>(F::join(F::join(a, b), F::join(c, d)));
    }
    for (; i < count; ++i) rest = F::join(rest, F::take(x[i]));
    result = F::join(result, static_cast<double>(rest));
    x += count;
    n -= count;
  }
  return result;
}

template <class T, class F>
void fold_columns(const ColumnsCall& call) {
  using B = Batch<T>;
  constexpr std::int64_t width = lanes<T>, strip = 512, block = 128;
  alignas(64) T held[strip];
  std::int64_t start = 0;
  if (call.rows <= 16) {  // few rows: their columns stay in registers
    for (; start + 4 * width <= call.n; start += 4 * width) {
      B fold[4] = {B(static_cast<T>(F::start)), B(static_cast<T>(F::start)), B(static_cast<T>(F::start)), B(static_cast<T>(F::start))};
      const T* x = static_cast<const T*>(call.x) + start;
      for (std::int64_t i = 0; i < call.rows; ++i, x += call.stride)
        for (int k = 0; k < 4; ++k) fold[k] = F::join(fold[k], F::take(B::load_unaligned(x + k * width)));
      for (int k = 0; k < 4; ++k) fold[k].store_aligned(held + k * width);
      double* to = call.accumulator + start;
      for (std::int64_t j = 0; j < 4 * width; ++j) to[j] = F::join(to[j], static_cast<double>(held[j]));
    }
  }
  for (std::int64_t j0 = start; j0 < call.n; j0 += strip) {
    const std::int64_t n = call.n - j0 < strip ? call.n - j0 : strip;
    for (std::int64_t i0 = 0; i0 < call.rows; i0 += block) {
      const std::int64_t end = call.rows - i0 < block ? call.rows : i0 + block;
      for (std::int64_t j = 0; j < n; ++j) held[j] = static_cast<T>(F::start);
      for (std::int64_t i = i0; i < end; ++i) {
        const T* x = static_cast<const T*>(call.x) + i * call.stride + j0;
        std::int64_t j = 0;
        for (; j + width <= n; j += width)
          F::join(B::load_aligned(held + j), F::take(B::load_unaligned(x + j))).store_aligned(held + j);
        for (; j < n; ++j) held[j] = F::join(held[j], F::take(x[j]));
      }
      double* to = call.accumulator + j0;
      for (std::int64_t j = 0; j < n; ++j) to[j] = F::join(to[j], static_cast<double>(held[j]));
    }
  }
}

/// The sum of (1 - target) x + log(1 + e^-x). The logarithms of 64 registers are taken at once, of the product of their
/// arguments 1 + e with e = e^-|x| in [0, 1]: less than 2^65. One less than it is carried, or many small e would be lost
/// beside the 1: (1 + p) (1 + e) - 1 = p + (p e + e).
template <class T>
double logits_cross_entropy(const T* x, const T* target, std::int64_t n) {
  using B = Batch<T>;
  constexpr std::int64_t width = lanes<T>, block = 64 * width;
  const B zero(T(0)), one(T(1));
  double total = 0;
  const auto take = [&](B logit, B wanted, B& straight, B& e) {
    straight = fms(one - wanted, logit, min(zero, logit));  // (1 - t) x + max(-x, 0), which may cancel
    e = exponential(-abs(logit));
  };
  std::int64_t begin = 0;
  for (; begin + block <= n; begin += block) {
    B sum[2] = {zero, zero}, grown[2] = {zero, zero};
    for (std::int64_t i = begin; i < begin + block; i += 2 * width)
      for (int k = 0; k < 2; ++k) {
        B straight, e;
        take(B::load_unaligned(x + i + k * width), B::load_unaligned(target + i + k * width), straight, e);
        sum[k] += straight;
        grown[k] += fma(grown[k], e, e);
      }
    const B grown_together = grown[0] + fma(grown[0], grown[1], grown[1]);
    total += static_cast<double>(fold_lanes<T, SumFold>(sum[0] + sum[1] + log1p(grown_together)));
  }
  for (; begin < n; begin += width) {
    const std::int64_t count = n - begin < width ? n - begin : width;
    B straight, e;
    take(load_partial(x + begin, count), load_partial(target + begin, count), straight, e);
    alignas(64) T lane[width];
    (straight + log1p(e)).store_aligned(lane);
    for (std::int64_t k = 0; k < count; ++k) total += static_cast<double>(lane[k]);
  }
  return total;
}

}  // namespace

namespace duet::kernels {
extern const ReduceTable DUET_TABLE(reduce_table);
#define DUET_REDUCE_KERNELS(T)                                                                                  \
  {{fold_row<T, SumFold>, fold_row<T, SumSquareFold>, fold_row<T, SumAbsFold>, fold_row<T, ProdFold>,           \
    fold_row<T, MaxFold>, fold_row<T, MinFold>},                                                                \
   {fold_columns<T, SumFold>, fold_columns<T, SumSquareFold>, fold_columns<T, SumAbsFold>,                      \
    fold_columns<T, ProdFold>, fold_columns<T, MaxFold>, fold_columns<T, MinFold>},                             \
   logits_cross_entropy<T>}
constinit const ReduceTable DUET_TABLE(reduce_table) = {DUET_REDUCE_KERNELS(float), DUET_REDUCE_KERNELS(double)};
#undef DUET_REDUCE_KERNELS
}  // namespace duet::kernels
