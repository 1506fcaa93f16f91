// Folding dimensions, cutting the work, and the call into the table of the instruction set in use.
#include <duet/ops/kernels/elementwise.hpp>

#include <algorithm>

#include <duet/core/parallel.hpp>
#include <duet/core/streaming.hpp>
#include <duet/ops/kernels/simd.hpp>

namespace duet::kernels {

DUET_DECLARE_TABLES(MapTable, map_table)

namespace {

/// Elements that one call handles: enough to hide the call, little enough for the second-level cache.
constexpr std::int64_t chunk = 1 << 15;

/// The dimensions that remain when those of one are dropped and those that lie behind each other in every operand
/// are merged.
struct Folded {
  int rank = 0;
  std::int64_t size[max_rank + 2] = {};
  std::int64_t stride[max_operands][max_rank + 2] = {};
};

Folded fold(const Shape& shape, const Operand* operands, int count) {
  Folded f;
  for (int i = 0; i < shape.rank(); ++i) {
    if (shape[i] == 1) continue;
    const int last = f.rank - 1;
    bool merge = f.rank > 0;
    for (int k = 0; k < count && merge; ++k) merge = f.stride[k][last] == operands[k].strides[i] * shape[i];
    const int at = merge ? last : f.rank++;
    f.size[at] = merge ? f.size[at] * shape[i] : shape[i];
    for (int k = 0; k < count; ++k) f.stride[k][at] = operands[k].strides[i];
  }
  // At least a row and a stack of rows.
  while (f.rank < 2) {
    for (int d = f.rank; d > 0; --d) {
      f.size[d] = f.size[d - 1];
      for (int k = 0; k < count; ++k) f.stride[k][d] = f.stride[k][d - 1];
    }
    f.size[0] = 1;
    for (int k = 0; k < count; ++k) f.stride[k][0] = 0;
    ++f.rank;
  }
  return f;
}

/// One stack: rows [begin, end) of the flattened outer dimensions, all within one index of the dimensions before the
/// last two, and columns [first, first + n).
Rows stack_at(const Folded& f, int count, std::int64_t begin, std::int64_t end, std::int64_t first, std::int64_t n) {
  Rows rows;
  const int row = f.rank - 2, column = f.rank - 1;
  rows.rows = end - begin;
  rows.n = n;
  rows.out = begin * f.size[column] + first;
  for (int k = 0; k < count; ++k) {
    rows.row_stride[k] = f.stride[k][row];
    rows.step[k] = f.stride[k][column] != 0;
    rows.offset[k] = first * f.stride[k][column];
  }
  std::int64_t rest = begin;
  for (int d = row; d >= 0; --d) {
    const std::int64_t at = rest % f.size[d];
    rest /= f.size[d];
    for (int k = 0; k < count; ++k) rows.offset[k] += at * f.stride[k][d];
  }
  return rows;
}

}  // namespace

bool steps_by_rows(const Shape& shape, const Shape& strides) {
  for (int i = shape.rank() - 1; i >= 0; --i)
    if (shape[i] != 1) return strides[i] == 0 || strides[i] == 1;
  return true;
}

void for_rows(const Shape& shape, const Operand* operands, int count, FunctionRef<void(const Rows&)> body) {
  const Folded f = fold(shape, operands, count);
  const std::int64_t n = f.size[f.rank - 1], stack = f.size[f.rank - 2];
  std::int64_t rows = 1;
  for (int d = 0; d < f.rank - 1; ++d) rows *= f.size[d];
  if (rows * n == 0) return;
  if (n > chunk) {
    // Long rows are cut, each piece a stack of one.
    const std::int64_t pieces = (n + chunk - 1) / chunk;
    parallel_for(rows * pieces, 1, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t u = begin; u < end; ++u) {
        const std::int64_t row = u / pieces, first = u % pieces * chunk;
        body(stack_at(f, count, row, row + 1, first, std::min(chunk, n - first)));
      }
    });
    return;
  }
  parallel_for(rows, std::max<std::int64_t>(1, chunk / n), [&](std::int64_t begin, std::int64_t end) {
    while (begin < end) {
      const std::int64_t stop = std::min(end, begin / stack * stack + stack);
      body(stack_at(f, count, begin, stop, 0, n));
      begin = stop;
    }
  });
}

void map(Map map, bool f64, const Shape& shape, const Operand* operands, int count, void* out, double p, double q) {
  const MapTable& table = map_table();
  const auto kernel = f64 ? table.f64[static_cast<int>(map)] : table.f32[static_cast<int>(map)];
  const std::int64_t item = f64 ? 8 : 4;
  const bool streamed = shape.numel() * item >= streamed_bytes;
  for_rows(shape, operands, count, [&](const Rows& rows) {
    MapCall call{};
    for (int k = 0; k < count; ++k) {
      call.in[k] = static_cast<const char*>(operands[k].data) + rows.offset[k] * item;
      call.row_stride[k] = rows.row_stride[k];
      call.step[k] = rows.step[k];
    }
    call.out = static_cast<char*>(out) + rows.out * item;
    call.rows = rows.rows;
    call.n = rows.n;
    call.p = p;
    call.q = q;
    call.streamed = streamed;
    kernel(call);
  });
}

}  // namespace duet::kernels
