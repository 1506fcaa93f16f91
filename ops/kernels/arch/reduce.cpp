// Folding rows and columns, and softmax in both directions. Sums of floats go through blocks whose totals are added
// in double, so that a sum of millions keeps its digits.
#include "prelude.hpp"

#include "partial.hpp"

#include "stream.hpp"

#include <duet/ops/kernels/reduce_table.hpp>

namespace {

using duet::kernels::ColumnsCall;
using duet::kernels::SoftmaxCall;
using duet::kernels::softmax_columns;

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

/// Columns j … j + lanes of a softmax call: loads and stores that stop at the last column.
template <class T>
struct Strip {
  std::int64_t count;  // columns of this strip, at most the lanes
  Batch<T> load(const T* from) const {
    return count == lanes<T> ? Batch<T>::load_unaligned(from) : load_partial(from, count);
  }
  void store(Batch<T> value, T* to, bool past = false) const {
    if (count == lanes<T>)
      put(value, to, past);
    else
      store_partial(value, to, count);
  }
};

/// Calls body(first column, strip) for every strip of columns.
template <class T, class Body>
void for_strips(std::int64_t n, Body body) {
  for (std::int64_t j = 0; j < n; j += lanes<T>) body(j, Strip<T>{n - j < lanes<T> ? n - j : lanes<T>});
}

/// Calls body(first element, strip) along a row.
template <class T>
Batch<T> row_max(const T* x, std::int64_t count) {
  Batch<T> most(static_cast<T>(MaxFold::start));
  for_strips<T>(count, [&](std::int64_t i, Strip<T> s) { most = MaxFold::join(most, s.load(x + i)); });
  return Batch<T>(fold_lanes<T, MaxFold>(most));
}

/// The sum over a row of f(first element, strip), whose lanes beyond the row do not count.
template <class T, class F>
T row_sum(std::int64_t count, F f) {
  Batch<T> total(T(0));
  T rest = 0;
  for_strips<T>(count, [&](std::int64_t i, Strip<T> s) {
    const Batch<T> value = f(i, s);
    if (s.count == lanes<T>) {
      total += value;
      return;
    }
    alignas(64) T lane[lanes<T>];
    value.store_aligned(lane);
    for (std::int64_t l = 0; l < s.count; ++l) rest += lane[l];
  });
  return fold_lanes<T, SumFold>(total) + rest;
}

template <class T>
void softmax_row(const T* x, T* y, std::int64_t count, bool is_log, const T* factor) {
  using B = Batch<T>;
  const B most = row_max(x, count);
  if (is_log) {
    const T sum = row_sum<T>(count, [&](std::int64_t i, Strip<T> s) { return exp(s.load(x + i) - most); });
    const B shift = log(B(sum));
    for_strips<T>(count, [&](std::int64_t i, Strip<T> s) { s.store(s.load(x + i) - most - shift, y + i); });
    return;
  }
  const T sum = row_sum<T>(count, [&](std::int64_t i, Strip<T> s) {
    const B e = exp(s.load(x + i) - most);
    s.store(e, y + i);
    return e;
  });
  const B scale((factor != nullptr ? *factor : T(1)) / sum);
  for_strips<T>(count, [&](std::int64_t i, Strip<T> s) { s.store(s.load(y + i) * scale, y + i); });
}

/// Asks for a row far ahead, into the second-level cache: rows lie too far apart for the hardware to foresee, and asked
/// into the first level they come at half the rate (33.6 MB in 2.6 ms, in 1.4 ms into the second).
class RowsAhead {
 public:
  explicit RowsAhead(const SoftmaxCall& call) : call_(call), ahead_(2048 / call.n + 1) {}
  /// Of a tensor with the call's strides, for the row `ahead` behind row i; past the last one, the next strip's. Inlined
  /// by order: gcc takes a function that only fetches for one without effect, and drops calls of it.
  template <class T>
  [[gnu::always_inline]] void operator()(const T* first, std::int64_t i) const {
    std::int64_t row = i + ahead_, column = 0;
    if (row >= call_.count) {
      row -= call_.count;
      column = call_.n;
      if (row >= call_.count) return;
    }
    const T* from = first + row * call_.inner + column;
    for (std::int64_t j = 0; j < call_.n; j += 64 / static_cast<std::int64_t>(sizeof(T))) __builtin_prefetch(from + j, 0, 2);
  }

 private:
  const SoftmaxCall& call_;
  std::int64_t ahead_;
};

/// Copies the columns of a call into its tile, rows n apart, and finds the greatest of each.
template <class T>
void load_tile(const SoftmaxCall& call, T* most) {
  const T* x = static_cast<const T*>(call.x);
  T* tile = static_cast<T*>(call.tile);
  for (std::int64_t j = 0; j < call.n; ++j) most[j] = static_cast<T>(MaxFold::start);
  const RowsAhead ahead(call);
  for (std::int64_t i = 0; i < call.count; ++i, tile += call.n) {
    ahead(x, i);
    for_strips<T>(call.n, [&](std::int64_t j, Strip<T> s) {
      const Batch<T> value = s.load(x + i * call.inner + j);
      s.store(value, tile + j);
      s.store(MaxFold::join(s.load(most + j), value), most + j);
    });
  }
}

/// sum[j] = the sum of e^(x - most) of each column, of which the tile keeps the terms where `keep`.
template <class T>
void exponentials(const SoftmaxCall& call, const T* most, T* sum, bool keep) {
  T* tile = static_cast<T*>(call.tile);
  for (std::int64_t j = 0; j < call.n; ++j) sum[j] = 0;
  for (std::int64_t i = 0; i < call.count; ++i, tile += call.n)
    for_strips<T>(call.n, [&](std::int64_t j, Strip<T> s) {
      const Batch<T> e = exp(s.load(tile + j) - s.load(most + j));
      s.store(s.load(sum + j) + e, sum + j);
      if (keep) s.store(e, tile + j);
    });
}

template <class T>
void softmax(const SoftmaxCall& call) {
  using B = Batch<T>;
  T* y = static_cast<T*>(call.out);
  const T* less = static_cast<const T*>(call.less);
  const auto is_element = [&](std::int64_t i) { return i >= 0 && i < call.count; };
  if (call.inner == 1) {
    softmax_row(static_cast<const T*>(call.x), y, call.count, call.log, static_cast<const T*>(call.factor));
    if (call.target != nullptr && is_element(*call.target)) y[*call.target] -= *less;
    return;
  }
  alignas(64) T most[softmax_columns], sum[softmax_columns];
  load_tile(call, most);
  exponentials(call, most, sum, !call.log);
  const T* factor = static_cast<const T*>(call.factor);
  for_strips<T>(call.n, [&](std::int64_t j, Strip<T> s) {
    const B total = s.load(sum + j), numerator = factor != nullptr ? s.load(factor + j) : B(T(1));
    s.store(call.log ? log(total) : numerator / total, sum + j);
  });
  T* tile = static_cast<T*>(call.tile);
  const auto finished = [&](const T* row, std::int64_t j, Strip<T> s) {
    const B value = s.load(row + j), by = s.load(sum + j);
    return call.log ? value - s.load(most + j) - by : value * by;
  };
  const bool mended = call.target != nullptr;
  if (mended) {
    for (std::int64_t i = 0; i < call.count; ++i) {
      T* row = tile + i * call.n;
      for_strips<T>(call.n, [&](std::int64_t j, Strip<T> s) { s.store(finished(row, j, s), row + j); });
    }
    for (std::int64_t j = 0; j < call.n; ++j)
      if (is_element(call.target[j])) tile[call.target[j] * call.n + j] -= less[j];
  }
  for (std::int64_t i = 0; i < call.count; ++i, y += call.inner, tile += call.n) {
    const bool past = can_stream(y, call.streamed);
    for_strips<T>(call.n, [&](std::int64_t j, Strip<T> s) {
      s.store(mended ? s.load(tile + j) : finished(tile, j, s), y + j, past);
    });
  }
  end_stream(call.streamed);
}

/// From the output y: y (g - sum g y), or g - e^y sum g for the logarithm.
template <class T>
void softmax_backward(const SoftmaxCall& call) {
  using B = Batch<T>;
  const T *y = static_cast<const T*>(call.x), *g = static_cast<const T*>(call.g);
  T* out = static_cast<T*>(call.out);
  const auto from_sum = [&](B yi, B gi, B sum) { return call.log ? gi - exp(yi) * sum : yi * (gi - sum); };
  if (call.inner == 1) {
    const T sum = row_sum<T>(call.count, [&](std::int64_t i, Strip<T> s) {
      return call.log ? s.load(g + i) : s.load(g + i) * s.load(y + i);
    });
    for_strips<T>(call.count, [&](std::int64_t i, Strip<T> s) { s.store(from_sum(s.load(y + i), s.load(g + i), B(sum)), out + i); });
    return;
  }
  // Two passes over rows; the tile keeps g for the second one.
  alignas(64) T sum[softmax_columns];
  for (std::int64_t j = 0; j < call.n; ++j) sum[j] = 0;
  T* tile = static_cast<T*>(call.tile);
  const RowsAhead ahead(call);
  for (std::int64_t i = 0; i < call.count; ++i) {
    ahead(g, i);
    ahead(y, i);
    for_strips<T>(call.n, [&](std::int64_t j, Strip<T> s) {
      const B gi = s.load(g + i * call.inner + j);
      s.store(gi, tile + i * call.n + j);
      s.store(s.load(sum + j) + (call.log ? gi : gi * s.load(y + i * call.inner + j)), sum + j);
    });
  }
  for (std::int64_t i = 0; i < call.count; ++i) {
    const bool past = can_stream(out + i * call.inner, call.streamed);
    for_strips<T>(call.n, [&](std::int64_t j, Strip<T> s) {
      const std::int64_t at = i * call.inner + j;
      s.store(from_sum(s.load(y + at), s.load(tile + i * call.n + j), s.load(sum + j)), out + at, past);
    });
  }
  end_stream(call.streamed);
}

/// log(sum e^x); -inf where every element is, inf where one is. With `most`, in two parts, so that a small loss of large
/// logits keeps its digits.
template <class T>
void log_sum_exp(const SoftmaxCall& call) {
  using B = Batch<T>;
  const T* x = static_cast<const T*>(call.x);
  T *out = static_cast<T*>(call.out), *apart = static_cast<T*>(call.most);
  const auto finite_or_zero = [](B most) { return select(abs(most) == B(static_cast<T>(MinFold::start)), B(T(0)), most); };
  // Where the column's elements lie n apart, in the tile or in its one row.
  const auto pick = [&](const T* elements) {
    T* picked = static_cast<T*>(call.picked);
    for (std::int64_t j = 0; call.target != nullptr && j < call.n; ++j) {
      const std::int64_t i = call.target[j];
      picked[j] = i >= 0 && i < call.count ? elements[i * call.n + j] : T(0);
    }
  };
  if (call.inner == 1) {
    pick(x);
    const B most = finite_or_zero(row_max(x, call.count));
    const T sum = row_sum<T>(call.count, [&](std::int64_t i, Strip<T> s) { return exp(s.load(x + i) - most); });
    store_partial(apart == nullptr ? log(B(sum)) + most : log(B(sum)), out, 1);
    if (apart != nullptr) store_partial(most, apart, 1);
    return;
  }
  alignas(64) T most[softmax_columns], sum[softmax_columns];
  load_tile(call, most);
  pick(static_cast<const T*>(call.tile));
  for_strips<T>(call.n, [&](std::int64_t j, Strip<T> s) { s.store(finite_or_zero(s.load(most + j)), most + j); });
  exponentials(call, most, sum, false);
  for_strips<T>(call.n, [&](std::int64_t j, Strip<T> s) {
    const B total = log(s.load(sum + j));
    s.store(apart == nullptr ? total + s.load(most + j) : total, out + j);
    if (apart != nullptr) s.store(s.load(most + j), apart + j);
  });
}

}  // namespace

namespace duet::kernels {
extern const ReduceTable DUET_TABLE(reduce_table);
#define DUET_REDUCE_KERNELS(T)                                                                                  \
  {{fold_row<T, SumFold>, fold_row<T, SumSquareFold>, fold_row<T, SumAbsFold>, fold_row<T, ProdFold>,           \
    fold_row<T, MaxFold>, fold_row<T, MinFold>},                                                                \
   {fold_columns<T, SumFold>, fold_columns<T, SumSquareFold>, fold_columns<T, SumAbsFold>,                      \
    fold_columns<T, ProdFold>, fold_columns<T, MaxFold>, fold_columns<T, MinFold>},                             \
   softmax<T>,                                                                                                  \
   softmax_backward<T>,                                                                                         \
   log_sum_exp<T>}
constinit const ReduceTable DUET_TABLE(reduce_table) = {DUET_REDUCE_KERNELS(float), DUET_REDUCE_KERNELS(double)};
#undef DUET_REDUCE_KERNELS
}  // namespace duet::kernels
