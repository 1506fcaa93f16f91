// The matrix product on the register tile of the convolutions: lanes run along a row of c, a tile's columns are rows
// of a, and the panels are strips of b, packed. Where c has so few rows that packing b would cost more than it
// saves, b is read in place.
#include <duet/ops/kernels/matmul.hpp>

#include <algorithm>
#include <cstring>

#include <duet/core/allocator.hpp>
#include <duet/core/parallel.hpp>
#include <duet/ops/kernels/conv_channels.hpp>

namespace duet::kernels {
namespace {

constexpr Index row_block = 96;               // rows of a per item: with a step of k, they stay in the second-level cache
constexpr Index packed_bytes = 4 << 20;       // of b at a time
constexpr Index wanted_items = 16;
constexpr Index serial_products = 1 << 17;    // below this, threads cost more than they save
constexpr Index few_rows = 128;               // of c: then packing b costs more than reading it a few times as it is
constexpr Index long_sum = 8192;              // k from which a small c is worth splitting k

template <class T>
struct Matrix {
  const T* at;
  Index stride;
  bool transposed;
  const T* element(Index row, Index column) const { return at + (transposed ? column * stride + row : row * stride + column); }
};

template <class T>
class Product {
 public:
  Product(Index m, Index n, Index k, Matrix<T> a, Matrix<T> b, T* c, Index ldc, bool accumulate)
      : m_(m), n_(n), k_(k), a_(a), b_(b), c_(c), ldc_(ldc), accumulate_(accumulate), kernels_(conv_kernels<T>()) {
    step_ = panel_bytes / static_cast<Index>(sizeof(T)) / (2 * kernels_.lanes);
    step_ = divide_up(k, divide_up(k, step_));
    strip_ = std::max<Index>(packed_bytes / static_cast<Index>(sizeof(T)) / step_ / (2 * kernels_.lanes), 1) * 2 * kernels_.lanes;
    // Rows at the same place modulo a page fall into the same sets of the caches.
    pack_a_ = a.transposed || !spread_over_sets(a.stride);
    b_in_place_ = !b.transposed && m <= few_rows && spread_over_sets(b.stride);
  }

  void run() {
    const Scratch packed(step_ * (std::min(strip_, n_) + 2 * kernels_.lanes) * static_cast<Index>(sizeof(T)));
    for (Index column = 0; column < n_; column += strip_) {
      const auto panels = cut_panels(std::min(strip_, n_ - column), kernels_.lanes);
      for (Index step = 0; step < k_; step += step_) {
        pack_b(panels, column, step, packed.as<T>());
        multiply(panels, column, step, packed.as<T>());
      }
    }
  }

 private:
  static bool spread_over_sets(Index stride) { return stride * static_cast<Index>(sizeof(T)) % 4096 != 0; }
  Index depth(Index step) const { return std::min(step_, k_ - step); }
  bool in_place(const Panel& panel) const { return b_in_place_ && panel.lanes == panel.width; }
  Index all_in_one() const { return m_ * n_ * k_ < serial_products ? 1 << 30 : 1; }

  void pack_b(const std::vector<Panel>& panels, Index column, Index step, T* packed) const {
    parallel_for(static_cast<Index>(panels.size()), all_in_one() > 1 ? all_in_one() : 4, [&](Index begin, Index end) {
      const int width = panels.front().width;
      if (in_place(panels[end - 1])) return;
      if (!b_.transposed && panels[end - 1].lanes == width) {
        // Several panels at a time: longer stretches of each row.
        for (Index p = 0; p < depth(step); ++p) {
          const T* from = b_.element(step + p, column + panels[begin].begin);
          for (Index i = begin; i < end; ++i, from += width)
            std::memcpy(packed + panels[i].begin * step_ + p * width, from, static_cast<std::size_t>(width) * sizeof(T));
        }
        return;
      }
      for (Index i = begin; i < end; ++i) {
        LanePack<T> task{};
        task.from = b_.element(step, column + panels[i].begin);
        task.lane_stride = b_.transposed ? b_.stride : 1;
        task.step = b_.transposed ? 1 : b_.stride;
        task.to = packed + panels[i].begin * step_;
        task.to_stride = panels[i].width;
        task.count = depth(step);
        task.lanes = panels[i].lanes;
        task.width = panels[i].width;
        kernels_.pack(task);
      }
    });
  }

  void multiply(const std::vector<Panel>& panels, Index column, Index step, const T* packed) const {
    // Few rows an item where that makes enough items; only then also parts of the columns, which copy a again.
    const Index tiles = divide_up(m_, kernels_.tile);
    const Index rows = std::clamp<Index>(divide_up(tiles, wanted_items), 4, row_block / kernels_.tile) * kernels_.tile;
    const Index row_blocks = divide_up(m_, rows);
    const Index parts = std::clamp<Index>(wanted_items / row_blocks, 1, static_cast<Index>(panels.size()));
    parallel_for(row_blocks * parts, all_in_one(), [&](Index begin, Index end) {
      // Room for a block of a, and for the sums of a panel that is not full.
      const Index stride = a_.transposed ? rows + 16 : depth(step) + 16;
      const Index block = pack_a_ ? stride * (a_.transposed ? depth(step) : rows) : 0;
      const Scratch scratch((block + rows * 2 * kernels_.lanes) * static_cast<Index>(sizeof(T)));
      for (Index i = begin; i < end; ++i) {
        const Index row = i / parts * rows;
        const Slice some = slice(static_cast<Index>(panels.size()), parts, i % parts);
        multiply_block(panels, some, {row, std::min(m_, row + rows)}, column, step, packed, scratch.as<T>(), stride,
                       scratch.as<T>() + block);
      }
    });
  }

  void multiply_block(const std::vector<Panel>& panels, Slice some, Slice rows, Index column, Index step, const T* packed,
                      T* block, Index stride, T* spare) const {
    std::int32_t row_offset[1024], column_offset[row_block];
    PanelProduct<T> task{};
    task.source = a_.element(rows.begin, step);
    if (pack_a_) {
      const Index lines = a_.transposed ? depth(step) : rows.size(), length = a_.transposed ? rows.size() : depth(step);
      for (Index i = 0; i < lines; ++i)
        std::memcpy(block + i * stride, task.source + i * a_.stride, static_cast<std::size_t>(length) * sizeof(T));
      task.source = block;
    } else {
      stride = a_.stride;
    }
    const bool far = !pack_a_ && stride * rows.size() >= INT32_MAX;  // offsets are 32 bits
    const Index at_once = far ? 1 : rows.size();
    for (Index p = 0; p < depth(step); ++p) row_offset[p] = static_cast<std::int32_t>(a_.transposed ? p * stride : p);
    for (Index j = 0; j < at_once; ++j) column_offset[j] = static_cast<std::int32_t>(a_.transposed ? j : j * stride);
    task.row_offset = row_offset;
    task.column_offset = column_offset;
    task.rows = static_cast<std::int32_t>(depth(step));
    task.accumulate = accumulate_ || step > 0;
    const T* source = task.source;
    for (Index i = some.begin; i < some.end; ++i)
      for (Index row = rows.begin; row < rows.end; row += at_once) {
        task.source = source + (row - rows.begin) * stride;
        task.columns = at_once;
        task.panel = packed + panels[i].begin * step_;
        task.panel_stride = 0;
        if (in_place(panels[i])) {
          task.panel = b_.element(step, column + panels[i].begin);
          task.panel_stride = b_.stride;
        }
        multiply_panel(task, panels[i], c_ + row * ldc_ + column + panels[i].begin, spare);
      }
  }

  /// A panel that is not full takes its sums through `spare`: lanes without a column must not be written.
  void multiply_panel(PanelProduct<T>& task, const Panel& panel, T* c, T* spare) const {
    const bool full = panel.lanes == panel.width;
    task.sums = full ? c : spare;
    task.sums_stride = full ? ldc_ : panel.width;
    const auto bytes = static_cast<std::size_t>(panel.lanes) * sizeof(T);
    if (!full && task.accumulate)
      for (Index j = 0; j < task.columns; ++j) {
        std::memset(spare + j * panel.width, 0, static_cast<std::size_t>(panel.width) * sizeof(T));
        std::memcpy(spare + j * panel.width, c + j * ldc_, bytes);
      }
    kernels_.product[panel.vectors - 1](task);
    if (!full)
      for (Index j = 0; j < task.columns; ++j) std::memcpy(c + j * ldc_, spare + j * panel.width, bytes);
  }

  Index m_, n_, k_;
  Matrix<T> a_, b_;
  T* c_;
  Index ldc_;
  bool accumulate_;
  const ConvKernels<T>& kernels_;
  Index step_, strip_;
  bool pack_a_, b_in_place_;
};

/// A few rows of c with b as it is: rows of b scaled and added, some at a time so that c stays near.
template <class T>
void multiply_few_rows(Index m, Index n, Index k, Matrix<T> a, Matrix<T> b, T* c, Index ldc, bool accumulate) {
  const auto& kernels = conv_kernels<T>();
  const Index step = std::clamp<Index>(INT32_MAX / std::max<Index>(b.stride, 1), 1, 64);
  const Index grain = m * n * k < serial_products ? n : std::max<Index>(256, divide_up(divide_up(n, wanted_items), 64) * 64);
  parallel_for(n, grain, [&](Index begin, Index end) {
    T weights[64 * 4];
    std::int32_t offset[64];
    for (Index first = 0; first < k; first += step) {
      const Index terms = std::min(step, k - first);
      for (Index row = 0; row < m; row += 4) {
        RowProduct<T> task{};
        task.outputs = static_cast<int>(std::min<Index>(4, m - row));
        for (Index t = 0; t < terms; ++t) {
          offset[t] = static_cast<std::int32_t>(t * b.stride);
          for (int o = 0; o < task.outputs; ++o) weights[t * task.outputs + o] = *a.element(row + o, first + t);
        }
        task.source = b.element(first, begin);
        task.offset = offset;
        task.weights = weights;
        task.terms = terms;
        task.to = c + row * ldc + begin;
        task.to_output = ldc;
        task.rows = 1;
        task.count = end - begin;
        task.accumulate = accumulate || first > 0;
        kernels.rows(task);
      }
    }
  });
}

/// A few rows of c with b transposed: dot products of rows of a with rows of b.
template <class T>
void multiply_few_dots(Index m, Index n, Index k, Matrix<T> a, Matrix<T> b, T* c, Index ldc, bool accumulate) {
  const auto& kernels = conv_kernels<T>();
  const Index grain = m * n * k < serial_products ? n : std::max<Index>(8, divide_up(divide_up(n, wanted_items), 8) * 8);
  parallel_for(n, grain, [&](Index begin, Index end) {
    const Scratch row(k * static_cast<Index>(sizeof(T)));
    for (Index i = 0; i < m; ++i) {
      for (Index p = 0; p < k; ++p) row.as<T>()[p] = *a.element(i, p);
      if (!accumulate) std::fill(c + i * ldc + begin, c + i * ldc + end, T(0));
      for (Index j = begin; j < end; j += 8) {
        std::int32_t offset[8];
        const Index terms = std::min<Index>(8, end - j);
        const bool near = b.stride < INT32_MAX / 8;
        for (Index t = 0; t < terms; t += near ? terms : 1) {
          for (Index u = 0; u < (near ? terms : 1); ++u) offset[u] = static_cast<std::int32_t>(u * b.stride);
          RowDots<T> task{};
          task.lanes = row.as<T>();
          task.source = b.element(0, j + t);
          task.offset = offset;
          task.terms = near ? terms : 1;
          task.rows = 1;
          task.count = k;
          task.to = c + i * ldc + j + t;
          kernels.dots(task);
        }
      }
    }
  });
}

/// A small c with a long k: partial sums of stretches of k, added in order.
template <class T>
void multiply_long(Index m, Index n, Index k, Matrix<T> a, Matrix<T> b, T* c, Index ldc, bool accumulate) {
  const Index splits = std::min<Index>(wanted_items, divide_up(k, long_sum / 4));
  const Scratch partial(splits * m * n * static_cast<Index>(sizeof(T)));
  parallel_for(splits, 1, [&](Index begin, Index end) {
    for (Index s = begin; s < end; ++s) {
      const Slice some = slice(k, splits, s);
      const Matrix<T> left{a.element(0, some.begin), a.stride, a.transposed};
      const Matrix<T> right{b.element(some.begin, 0), b.stride, b.transposed};
      Product<T>(m, n, some.size(), left, right, partial.as<T>() + s * m * n, n, false).run();
    }
  });
  for (Index i = 0; i < m; ++i)
    for (Index j = 0; j < n; ++j) {
      T sum = accumulate ? c[i * ldc + j] : T(0);
      for (Index s = 0; s < splits; ++s) sum += partial.as<T>()[(s * m + i) * n + j];
      c[i * ldc + j] = sum;
    }
}

/// Whether c is better computed transposed: a and b both have k along their rows, so that whichever becomes panels is
/// turned on the way, and a is the smaller one and fills them. The copy of c is small beside b.
template <class T>
bool prefers_turned(bool transpose_a, bool transpose_b, Index m, Index n, Index k) {
  const Index vector = conv_kernels<T>().lanes;
  return !transpose_a && transpose_b && 2 * m <= n && m >= 2 * vector && divide_up(m, vector) * vector * 8 <= 9 * m &&
         k >= 4 * m;
}

/// c as the transpose of b * a, with b's rows as they are.
template <class T>
void multiply_turned(Index m, Index n, Index k, const T* a, Index lda, const T* b, Index ldb, T* c, Index ldc,
                     bool accumulate) {
  const Scratch scratch(n * m * static_cast<Index>(sizeof(T)));
  const T* turned = scratch.as<T>();
  matmul<T>(false, true, n, m, k, b, ldb, a, lda, scratch.as<T>(), m, false);
  parallel_for(m, divide_up(serial_products, n), [&](Index begin, Index end) {
    for (Index i = begin; i < end; ++i)
      for (Index j = 0; j < n; ++j) c[i * ldc + j] = (accumulate ? c[i * ldc + j] : T(0)) + turned[j * m + i];
  });
}

}  // namespace

template <class T>
void matmul(bool transpose_a, bool transpose_b, std::int64_t m, std::int64_t n, std::int64_t k, const T* a,
            std::int64_t lda, const T* b, std::int64_t ldb, T* c, std::int64_t ldc, bool accumulate) {
  if (m <= 0 || n <= 0) return;
  if (k <= 0) {
    for (Index i = 0; i < m && !accumulate; ++i) std::fill_n(c + i * ldc, n, T(0));
    return;
  }
  const Matrix<T> left{a, lda, transpose_a}, right{b, ldb, transpose_b};
  if (m <= 8 && !transpose_b)
    multiply_few_rows(m, n, k, left, right, c, ldc, accumulate);
  else if (m <= 3)
    multiply_few_dots(m, n, k, left, right, c, ldc, accumulate);
  else if (prefers_turned<T>(transpose_a, transpose_b, m, n, k))
    multiply_turned(m, n, k, a, lda, b, ldb, c, ldc, accumulate);
  else if (k >= long_sum && m * n <= 64 * 64)
    multiply_long(m, n, k, left, right, c, ldc, accumulate);
  else
    Product<T>(m, n, k, left, right, c, ldc, accumulate).run();
}

template void matmul<float>(bool, bool, std::int64_t, std::int64_t, std::int64_t, const float*, std::int64_t,
                            const float*, std::int64_t, float*, std::int64_t, bool);
template void matmul<double>(bool, bool, std::int64_t, std::int64_t, std::int64_t, const double*, std::int64_t,
                             const double*, std::int64_t, double*, std::int64_t, bool);

}  // namespace duet::kernels
