// Softmax in both directions and log-sum-exp, along rows and down columns that lie side by side.
#include "prelude.hpp"

#include "exponential.hpp"
#include "partial.hpp"
#include "stream.hpp"

#include <duet/ops/kernels/softmax_table.hpp>

namespace {

using duet::kernels::softmax_columns;
using duet::kernels::SoftmaxCall;

template <class T>
constexpr T largest = sizeof(T) == 4 ? static_cast<T>(__FLT_MAX__) : static_cast<T>(__DBL_MAX__);
template <class T>
constexpr T infinity = static_cast<T>(__builtin_huge_val());

/// The greater one, or the second where one is NaN.
template <class T>
Batch<T> greater(Batch<T> a, Batch<T> b) {
  return max(a, b);
}
/// Of several, a NaN among them kept.
template <class T>
Batch<T> greatest_kept(Batch<T> a, Batch<T> b) {
  return select(b == b, max(b, a), b);
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

// Rows.

template <class T>
T sum_of_lanes(Batch<T> value) {
  alignas(64) T lane[lanes<T>];
  value.store_aligned(lane);
  T sum = lane[0];
  for (int i = 1; i < lanes<T>; ++i) sum += lane[i];
  return sum;
}

template <class T>
Batch<T> row_max(const T* x, std::int64_t count) {
  Batch<T> most(-infinity<T>);
  for_strips<T>(count, [&](std::int64_t i, Strip<T> s) { most = greatest_kept(most, s.load(x + i)); });
  alignas(64) T lane[lanes<T>];
  most.store_aligned(lane);
  T result = lane[0];
  for (int i = 1; i < lanes<T>; ++i) result = lane[i] != lane[i] || lane[i] > result ? lane[i] : result;
  return Batch<T>(result);
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
  return sum_of_lanes(total) + rest;
}

template <class T>
void softmax_row(const T* x, T* y, std::int64_t count, bool is_log, const T* factor) {
  using B = Batch<T>;
  const B most = row_max(x, count);
  if (is_log) {
    const T sum = row_sum<T>(count, [&](std::int64_t i, Strip<T> s) { return exponential(s.load(x + i) - most); });
    const B shift = log(B(sum));
    for_strips<T>(count, [&](std::int64_t i, Strip<T> s) { s.store(s.load(x + i) - most - shift, y + i); });
    return;
  }
  const T sum = row_sum<T>(count, [&](std::int64_t i, Strip<T> s) {
    const B e = exponential(s.load(x + i) - most);
    s.store(e, y + i);
    return e;
  });
  const B scale((factor != nullptr ? *factor : T(1)) / sum);
  for_strips<T>(count, [&](std::int64_t i, Strip<T> s) { s.store(s.load(y + i) * scale, y + i); });
}

// Columns. Each is read once: terms e^(x - reference) are summed against the greatest of its first few elements, not of
// all, and what was summed is scaled anew in the rare case that a later element is far above that.

/// Asks for a row far ahead, into the second-level cache: rows lie too far apart for the hardware to foresee, and asked
/// into the first level they come at half the rate (33.6 MB in 2.6 ms, in 1.4 ms into the second).
class RowsAhead {
 public:
  explicit RowsAhead(const SoftmaxCall& call) : call_(call), ahead_(2048 / call.n + 1) {}
  /// Of a tensor with the call's strides, for the row `ahead` behind row i; past the last one, the next tile's. Inlined
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
    for (std::int64_t j = 0; j < call_.n; j += 64 / static_cast<std::int64_t>(sizeof(T)))
      __builtin_prefetch(from + j, 0, 2);
  }
  /// The same for one line of `rows` rows from row i, spread over the work on them: asked for at once they would wait
  /// for each other.
  template <int rows, class T>
  [[gnu::always_inline]] void lines(const T* first, std::int64_t i, std::int64_t j) const {
    std::int64_t row = i + ahead_;
    if (row >= call_.count) {
      row -= call_.count;
      j += call_.n;
    }
    const T* from = first + row * call_.inner + j;
    for (int k = 0; k < rows; ++k) __builtin_prefetch(from + k * call_.inner, 0, 2);
  }

 private:
  const SoftmaxCall& call_;
  std::int64_t ahead_;
};

/// What is known of each column: its sum of e^(x - reference), and its greatest element.
template <class T>
struct Columns {
  alignas(64) T reference[softmax_columns], sum[softmax_columns], most[softmax_columns];
};

/// How far an element may lie above the reference: e^16 costs a sum no digits and is far from overflow.
constexpr double far_above = 16;

/// Brings strip j to a new reference, after rows [0, done) of the tile.
template <class T, bool keeps_terms>
[[gnu::noinline]] void raise(const SoftmaxCall& call, Columns<T>& columns, std::int64_t j, std::int64_t done,
                             Batch<T> reference, Strip<T> s) {
  using B = Batch<T>;
  const B before = s.load(columns.reference + j), by = exponential(before - reference);
  s.store(reference, columns.reference + j);
  s.store(s.load(columns.sum + j) * by, columns.sum + j);
  if (!keeps_terms) return;
  T* tile = static_cast<T*>(call.tile) + j;
  for (std::int64_t i = 0; i < done; ++i) s.store(s.load(tile + i * call.n) * by, tile + i * call.n);
}

/// Takes `rows` rows from row i into strip j. The tile gets the terms, or the elements as they are.
template <class T, bool keeps_terms, int rows>
[[gnu::always_inline]] inline void take_rows(const SoftmaxCall& call, Columns<T>& columns, std::int64_t i,
                                             std::int64_t j, Strip<T> s) {
  using B = Batch<T>;
  const T* x = static_cast<const T*>(call.x) + i * call.inner + j;
  T* tile = static_cast<T*>(call.tile) + i * call.n + j;
  B value[rows];
  for (int k = 0; k < rows; ++k) value[k] = s.load(x + k * call.inner);
  B most = value[0];
  for (int k = 1; k < rows; ++k) most = greater<T>(most, value[k]);
  // Terms of a softmax that is infinite are NaN by themselves; a sum alone has to be infinite.
  const auto finite = [](B wanted) {
    const B from_below = greater<T>(B(-largest<T>), wanted);
    return keeps_terms ? from_below : min(B(largest<T>), from_below);
  };
  B reference = i == 0 ? finite(most) : s.load(columns.reference + j);
  const auto above = most - reference > B(static_cast<T>(far_above));
  bool infinite = false;
  if (any(above)) {
    if (i > 0) {
      reference = select(above, finite(most), reference);
      raise<T, keeps_terms>(call, columns, j, i, reference, s);
    }
    infinite = !keeps_terms && any(most - reference > B(static_cast<T>(far_above)));
  }
  B sum[2] = {B(T(0)), B(T(0))};
  for (int k = 0; k < rows; ++k) {
    const B term = exponential(value[k] - reference);
    s.store(keeps_terms ? term : value[k], tile + k * call.n);
    sum[k % 2] += term;
  }
  if (infinite) {  // e^infinity is more than exponential() knows
    sum[0] = sum[1] = B(T(0));
    for (int k = 0; k < rows; ++k)
      sum[k % 2] += select(value[k] == B(infinity<T>), value[k], exponential(value[k] - reference));
  }
  sum[0] += sum[1];
  if (i > 0) {
    sum[0] += s.load(columns.sum + j);
    most = greater<T>(most, s.load(columns.most + j));
  } else {
    s.store(reference, columns.reference + j);
  }
  s.store(sum[0], columns.sum + j);
  s.store(most, columns.most + j);
}

template <class T, bool keeps_terms, int rows>
void take_rows_of_all(const SoftmaxCall& call, Columns<T>& columns, std::int64_t i, const RowsAhead& ahead) {
  constexpr Strip<T> whole{lanes<T>};
  std::int64_t j = 0;
  for (; j + lanes<T> <= call.n; j += lanes<T>) {
    if (j * sizeof(T) % 64 == 0) ahead.lines<rows>(static_cast<const T*>(call.x), i, j);
    take_rows<T, keeps_terms, rows>(call, columns, i, j, whole);
  }
  if (j == call.n) return;
  for (int k = 0; k < rows; ++k) take_rows<T, keeps_terms, 1>(call, columns, i + k, j, Strip<T>{call.n - j});
}

/// Sums all columns; the tile then has terms, or elements.
template <class T, bool keeps_terms>
void take_columns(const SoftmaxCall& call, Columns<T>& columns) {
  const RowsAhead ahead(call);
  std::int64_t i = 0;
  const auto take = [&](auto rows) {
    for (; i + rows.value <= call.count; i += rows.value) {
      take_rows_of_all<T, keeps_terms, rows.value>(call, columns, i, ahead);
    }
  };
  take(std::integral_constant<int, 8>());
  take(std::integral_constant<int, 4>());
  take(std::integral_constant<int, 2>());
  take(std::integral_constant<int, 1>());
}

/// Writes finished(row of the tile, row's number, first column, strip) for all rows, which is what `out` gets.
template <class T, class F>
void write_columns(const SoftmaxCall& call, F finished) {
  T* out = static_cast<T*>(call.out);
  const T* tile = static_cast<const T*>(call.tile);
  for (std::int64_t i = 0; i < call.count; ++i, out += call.inner, tile += call.n) {
    const bool past = can_stream(out, call.streamed);
    for_strips<T>(call.n, [&](std::int64_t j, Strip<T> s) { s.store(finished(tile + j, i, j, s), out + j, past); });
  }
  end_stream(call.streamed);
}

template <class T>
void softmax(const SoftmaxCall& call) {
  using B = Batch<T>;
  const T* less = static_cast<const T*>(call.less);
  const T* factor = static_cast<const T*>(call.factor);
  if (call.inner == 1) {
    T* y = static_cast<T*>(call.out);
    softmax_row(static_cast<const T*>(call.x), y, call.count, call.log, factor);
    if (call.target != nullptr && *call.target >= 0 && *call.target < call.count) y[*call.target] -= *less;
    return;
  }
  Columns<T> columns;
  if (call.log) {
    take_columns<T, false>(call, columns);
    for_strips<T>(call.n, [&](std::int64_t j, Strip<T> s) {
      const B most = s.load(columns.most + j), by = exponential(s.load(columns.reference + j) - most);
      s.store(log(s.load(columns.sum + j) * by), columns.sum + j);
    });
    write_columns<T>(call, [&](const T* element, std::int64_t, std::int64_t j, Strip<T> s) {
      return s.load(element) - s.load(columns.most + j) - s.load(columns.sum + j);
    });
    return;
  }
  take_columns<T, true>(call, columns);
  for_strips<T>(call.n, [&](std::int64_t j, Strip<T> s) {
    s.store((factor != nullptr ? s.load(factor + j) : B(T(1))) / s.load(columns.sum + j), columns.sum + j);
  });
  if (call.target == nullptr) {
    write_columns<T>(call, [&](const T* term, std::int64_t, std::int64_t j, Strip<T> s) {
      return s.load(term) * s.load(columns.sum + j);
    });
    return;
  }
  // The row of each column's target, as a number of the same kind: exact up to 2^24, as many as a tile has rows.
  for (std::int64_t j = 0; j < call.n; ++j) columns.most[j] = static_cast<T>(call.target[j]);
  write_columns<T>(call, [&](const T* term, std::int64_t i, std::int64_t j, Strip<T> s) {
    const B value = s.load(term) * s.load(columns.sum + j);
    return select(s.load(columns.most + j) == B(static_cast<T>(i)), value - s.load(less + j), value);
  });
}

/// From the output y: y (g - sum g y), or g - e^y sum g for the logarithm.
template <class T>
void softmax_backward(const SoftmaxCall& call) {
  using B = Batch<T>;
  const T *y = static_cast<const T*>(call.x), *g = static_cast<const T*>(call.g);
  T* out = static_cast<T*>(call.out);
  // A logarithm that a caller made up may be above 88: exp(), not exponential().
  const auto from_sum = [&](B yi, B gi, B sum) { return call.log ? gi - exp(yi) * sum : yi * (gi - sum); };
  if (call.inner == 1) {
    const T sum = row_sum<T>(call.count, [&](std::int64_t i, Strip<T> s) {
      return call.log ? s.load(g + i) : s.load(g + i) * s.load(y + i);
    });
    for_strips<T>(call.count, [&](std::int64_t i, Strip<T> s) {
      s.store(from_sum(s.load(y + i), s.load(g + i), B(sum)), out + i);
    });
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
  write_columns<T>(call, [&](const T* gi, std::int64_t i, std::int64_t j, Strip<T> s) {
    return from_sum(s.load(y + i * call.inner + j), s.load(gi), s.load(sum + j));
  });
}

/// log(sum e^x); -inf where every element is, inf where one is. With `most`, in two parts, so that a small loss of
/// large logits keeps its digits.
template <class T>
void log_sum_exp(const SoftmaxCall& call) {
  using B = Batch<T>;
  const T* x = static_cast<const T*>(call.x);
  T *out = static_cast<T*>(call.out), *apart = static_cast<T*>(call.most);
  const auto finite_or_zero = [](B most) { return select(abs(most) == B(infinity<T>), B(T(0)), most); };
  // Where the column's elements lie n apart, in the tile or in its one row.
  const auto pick = [&](const T* elements) {
    T* picked = static_cast<T*>(call.picked);
    for (std::int64_t j = 0; call.target != nullptr && j < call.n; ++j) {
      const std::int64_t i = call.target[j];
      picked[j] = i >= 0 && i < call.count ? elements[i * call.n + j] : T(0);
    }
  };
  const auto write = [&](B sum, B most, std::int64_t j, Strip<T> s) {
    s.store(apart == nullptr ? log(sum) + most : log(sum), out + j);
    if (apart != nullptr) s.store(most, apart + j);
  };
  if (call.inner == 1) {
    pick(x);
    const B most = finite_or_zero(row_max(x, call.count));
    const T sum = row_sum<T>(call.count, [&](std::int64_t i, Strip<T> s) {
      const B value = s.load(x + i);
      return select(value == B(infinity<T>), value, exponential(value - most));
    });
    write(B(sum), most, 0, Strip<T>{1});
    return;
  }
  Columns<T> columns;
  take_columns<T, false>(call, columns);
  pick(static_cast<const T*>(call.tile));
  for_strips<T>(call.n, [&](std::int64_t j, Strip<T> s) {
    // The sum of a column with an infinite element is infinite or NaN whatever it is multiplied by.
    const B most = finite_or_zero(s.load(columns.most + j)), reference = s.load(columns.reference + j);
    const B by = exponential(min(B(T(64)), reference - most));
    write(s.load(columns.sum + j) * by, most, j, s);
  });
}

}  // namespace

namespace duet::kernels {
extern const SoftmaxTable DUET_TABLE(softmax_table);
constinit const SoftmaxTable DUET_TABLE(softmax_table) = {
    {softmax<float>, softmax_backward<float>, log_sum_exp<float>},
    {softmax<double>, softmax_backward<double>, log_sum_exp<double>}};
}  // namespace duet::kernels
