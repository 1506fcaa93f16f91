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

/// Asks for a row ahead, into the second-level cache: rows lie too far apart for the hardware to foresee, and asked
/// into the first level they come at half the rate (33.6 MB in 2.6 ms, in 1.4 ms into the second). The shorter the
/// rows, the further ahead.
class RowsAhead {
 public:
  explicit RowsAhead(const SoftmaxCall& call) : call_(call), ahead_(2048 / call.n) {
    if (ahead_ < 8) ahead_ = 8;
    if (ahead_ > call.count) ahead_ = call.count;
  }
  /// Of a tensor with the call's strides, for the row `ahead` behind row i; past the last one, the next tile's. Inlined
  /// by order: gcc takes a function that only fetches for one without effect, and drops calls of it.
  template <class T>
  [[gnu::always_inline]] void operator()(const T* first, std::int64_t i) const {
    std::int64_t row = i + ahead_, column = 0;
    if (row >= call_.count) {
      row -= call_.count;
      column = call_.n;
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

/// What a tile gets while columns are summed: nothing, the elements as they are, or the terms of the sum.
enum class Keeps { nothing, elements, terms };

/// How far an element may lie above the reference: e^16 costs a sum no digits and is far from overflow.
constexpr double far_above = 16;

/// Brings strip j to a new reference, after rows [0, done) of the tile.
template <class T, Keeps keeps>
[[gnu::noinline]] void raise(const SoftmaxCall& call, Columns<T>& columns, std::int64_t j, std::int64_t done,
                             Batch<T> reference, Strip<T> s) {
  using B = Batch<T>;
  const B before = s.load(columns.reference + j), by = exponential(before - reference);
  s.store(reference, columns.reference + j);
  s.store(s.load(columns.sum + j) * by, columns.sum + j);
  if (keeps != Keeps::terms) return;
  T* tile = static_cast<T*>(call.tile) + j;
  for (std::int64_t i = 0; i < done; ++i) s.store(s.load(tile + i * call.n) * by, tile + i * call.n);
}

/// Whether an element is so far above the reference that it may become it.
template <class T>
bool any_above(Batch<T> most, Batch<T> reference) {
  return any(most - reference > Batch<T>(static_cast<T>(far_above)));
}

/// A reference that is a number. Terms of a softmax that is infinite are NaN by themselves; a sum alone has to be
/// infinite.
template <class T, Keeps keeps>
Batch<T> finite(Batch<T> wanted) {
  const Batch<T> from_below = greater<T>(Batch<T>(-largest<T>), wanted);
  return keeps == Keeps::terms ? from_below : min(Batch<T>(largest<T>), from_below);
}

/// What take_rows() does where an element lies far above the reference.
template <class T, Keeps keeps>
[[gnu::noinline]] void take_rows_above(const SoftmaxCall& call, Columns<T>& columns, std::int64_t i, std::int64_t rows,
                                       std::int64_t j, Strip<T> s) {
  using B = Batch<T>;
  const T* const x = static_cast<const T*>(call.x) + i * call.inner + j;
  B most = s.load(x), reference = s.load(columns.reference + j);
  for (std::int64_t k = 1; k < rows; ++k) most = greater<T>(most, s.load(x + k * call.inner));
  if (i > 0) {
    reference = select(most - reference > B(static_cast<T>(far_above)), finite<T, keeps>(most), reference);
    raise<T, keeps>(call, columns, j, i, reference, s);
    most = greater<T>(most, s.load(columns.most + j));
  }
  B sum = i > 0 ? s.load(columns.sum + j) : B(T(0));
  for (std::int64_t k = 0; k < rows; ++k) {
    const B value = s.load(x + k * call.inner), term = exponential(value - reference);
    if (keeps == Keeps::terms) s.store(term, static_cast<T*>(call.tile) + (i + k) * call.n + j);
    // e^infinity is more than exponential() knows.
    sum += keeps == Keeps::terms ? term : select(value == B(infinity<T>), value, term);
  }
  s.store(sum, columns.sum + j);
  s.store(most, columns.most + j);
}

/// Takes `rows` rows from row i into strip j.
template <class T, Keeps keeps, int rows>
[[gnu::always_inline]] inline void take_rows(const SoftmaxCall& call, Columns<T>& columns, std::int64_t i,
                                             std::int64_t j, Strip<T> s) {
  using B = Batch<T>;
  const T* const x = static_cast<const T*>(call.x) + i * call.inner + j;
  T* to = keeps == Keeps::nothing ? nullptr : static_cast<T*>(call.tile) + i * call.n + j;
  B most, reference, sum[2] = {B(T(0)), B(T(0))};
  if (i == 0) {
    most = s.load(x);
    for (int k = 1; k < rows; ++k) most = greater<T>(most, s.load(x + k * call.inner));
    reference = finite<T, keeps>(most);
    s.store(reference, columns.reference + j);
  } else {
    most = s.load(columns.most + j);
    reference = s.load(columns.reference + j);
    sum[1] = s.load(columns.sum + j);
  }
  const T* from = x;
  for (int k = 0; k < rows; ++k, from += call.inner, to += call.n) {
    const B value = s.load(from), term = exponential(value - reference);
    if (keeps != Keeps::nothing) s.store(keeps == Keeps::terms ? term : value, to);
    sum[k % 2] += term;
    most = greater<T>(most, value);
  }
  if (any_above<T>(most, reference)) return take_rows_above<T, keeps>(call, columns, i, rows, j, s);
  s.store(sum[0] + sum[1], columns.sum + j);
  s.store(most, columns.most + j);
}

template <class T, Keeps keeps, int rows>
void take_rows_of_all(const SoftmaxCall& call, Columns<T>& columns, std::int64_t i, const RowsAhead& ahead) {
  constexpr Strip<T> whole{lanes<T>};
  std::int64_t j = 0;
  for (; j + lanes<T> <= call.n; j += lanes<T>) {
    if (j * sizeof(T) % 64 == 0) ahead.lines<rows>(static_cast<const T*>(call.x), i, j);
    take_rows<T, keeps, rows>(call, columns, i, j, whole);
  }
  if (j == call.n) return;
  for (int k = 0; k < rows; ++k) take_rows<T, keeps, 1>(call, columns, i + k, j, Strip<T>{call.n - j});
}

/// Writes finished(row of the tile, row's number, first column, strip) for rows [begin, end), which is what `out` gets.
template <class T, class F>
void write_rows(const SoftmaxCall& call, std::int64_t begin, std::int64_t end, F finished) {
  T* out = static_cast<T*>(call.out) + begin * call.inner;
  const T* tile = static_cast<const T*>(call.tile) + begin * call.n;
  for (std::int64_t i = begin; i < end; ++i, out += call.inner, tile += call.n) {
    const bool past = can_stream(out, call.streamed);
    for_strips<T>(call.n, [&](std::int64_t j, Strip<T> s) { s.store(finished(tile + j, i, j, s), out + j, past); });
  }
}

/// Rows [begin, end) of a tile that softmax() left, behind whose last row is what its columns have in common: by what
/// terms are multiplied, or the two parts that logarithms lose.
template <class T>
void finish_rows(const SoftmaxCall& call, std::int64_t begin, std::int64_t end) {
  const T *shared = static_cast<const T*>(call.tile) + call.count * call.n, *second = shared + call.n;
  if (call.log)
    write_rows<T>(call, begin, end, [=](const T* element, std::int64_t, std::int64_t j, Strip<T> s) {
      return s.load(element) - s.load(shared + j) - s.load(second + j);
    });
  else
    write_rows<T>(call, begin, end, [=](const T* term, std::int64_t, std::int64_t j, Strip<T> s) {
      return s.load(term) * s.load(shared + j);
    });
}

template <class T>
void softmax_finish(const SoftmaxCall& call) {
  finish_rows<T>(call, 0, call.count);
  end_stream(call.streamed);
}

/// Sums all columns, and meanwhile writes what the tile before waits for: reading and writing by turns of eight rows
/// takes a quarter less time than a tile at a time.
template <class T, Keeps keeps>
void take_columns(const SoftmaxCall& call, Columns<T>& columns) {
  const RowsAhead ahead(call);
  std::int64_t i = 0;
  const auto take = [&](auto rows) {
    for (; i + rows.value <= call.count; i += rows.value) {
      take_rows_of_all<T, keeps, rows.value>(call, columns, i, ahead);
      if (keeps != Keeps::nothing && call.before != nullptr) finish_rows<T>(*call.before, i, i + rows.value);
    }
  };
  take(std::integral_constant<int, 8>());
  take(std::integral_constant<int, 4>());
  take(std::integral_constant<int, 2>());
  take(std::integral_constant<int, 1>());
}

/// A row; or the sums of columns, whose tile is then ready for softmax_finish(), or for the next call's `before`.
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
  T *const tile = static_cast<T*>(call.tile), *const shared = tile + call.count * call.n;
  T* const second = shared + call.n;
  if (call.log) {
    take_columns<T, Keeps::elements>(call, columns);
    for_strips<T>(call.n, [&](std::int64_t j, Strip<T> s) {
      const B most = s.load(columns.most + j), by = exponential(s.load(columns.reference + j) - most);
      s.store(most, shared + j);
      s.store(log(s.load(columns.sum + j) * by), second + j);
    });
    return;
  }
  take_columns<T, Keeps::terms>(call, columns);
  for_strips<T>(call.n, [&](std::int64_t j, Strip<T> s) {
    s.store((factor != nullptr ? s.load(factor + j) : B(T(1))) / s.load(columns.sum + j), shared + j);
  });
  for (std::int64_t j = 0; call.target != nullptr && j < call.n; ++j)  // in the tile, where it is one element a column
    if (call.target[j] >= 0 && call.target[j] < call.count && less[j] != T(0))
      tile[call.target[j] * call.n + j] -= less[j] / shared[j];
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
  write_rows<T>(call, 0, call.count, [&](const T* gi, std::int64_t i, std::int64_t j, Strip<T> s) {
    return from_sum(s.load(y + i * call.inner + j), s.load(gi), s.load(sum + j));
  });
  end_stream(call.streamed);
}

/// log(sum e^x); -inf where every element is, inf where one is. With targets, less the target's element: added up in
/// this order, so that a small loss of large logits keeps its digits.
template <class T>
void log_sum_exp(const SoftmaxCall& call) {
  using B = Batch<T>;
  const T* x = static_cast<const T*>(call.x);
  T* out = static_cast<T*>(call.out);
  const auto finite_or_zero = [](B most) { return select(abs(most) == B(infinity<T>), B(T(0)), most); };
  const auto write = [&](B sum, B most, std::int64_t j, Strip<T> s) {
    if (call.target == nullptr) return s.store(log(sum) + most, out + j);
    alignas(64) T own[lanes<T>] = {};
    for (std::int64_t k = 0; k < s.count; ++k) {
      const std::int64_t i = call.target[j + k];
      if (i >= 0 && i < call.count) own[k] = x[i * call.inner + j + k];
    }
    s.store(log(sum) + (most - B::load_aligned(own)), out + j);
  };
  if (call.inner == 1) {
    const B most = finite_or_zero(row_max(x, call.count));
    const T sum = row_sum<T>(call.count, [&](std::int64_t i, Strip<T> s) {
      const B value = s.load(x + i);
      return select(value == B(infinity<T>), value, exponential(value - most));
    });
    write(B(sum), most, 0, Strip<T>{1});
    return;
  }
  Columns<T> columns;
  take_columns<T, Keeps::nothing>(call, columns);
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
    {softmax<float>, softmax_finish<float>, softmax_backward<float>, log_sum_exp<float>},
    {softmax<double>, softmax_finish<double>, softmax_backward<double>, log_sum_exp<double>}};
}  // namespace duet::kernels
