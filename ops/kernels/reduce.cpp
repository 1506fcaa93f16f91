// Cutting reductions into tasks. The cuts follow from the sizes alone, and partial results are joined in order.
#include <duet/ops/kernels/reduce.hpp>

#include <algorithm>
#include <limits>
#include <type_traits>

#include <duet/core/allocator.hpp>
#include <duet/core/parallel.hpp>
#include <duet/ops/kernels/simd.hpp>

namespace duet::kernels {

DUET_DECLARE_TABLES(ReduceTable, reduce_table)
DUET_DECLARE_TABLES(MapTable, map_table)

namespace {

constexpr std::int64_t chunk = 1 << 15;      // elements that are worth a task
constexpr std::int64_t column_block = 1024;  // columns that a task folds side by side

template <class T>
const ReduceKernels<T>& kernels_of() {
  if constexpr (std::is_same_v<T, float>)
    return reduce_table().f32;
  else
    return reduce_table().f64;
}

double start_of(Fold fold) {
  constexpr double infinity = std::numeric_limits<double>::infinity();
  return fold == Fold::prod ? 1 : fold == Fold::max ? -infinity : fold == Fold::min ? infinity : 0;
}

double join(Fold fold, double a, double b) {
  switch (fold) {
    case Fold::prod:
      return a * b;
    case Fold::max:
      return b != b || b > a ? b : a;
    case Fold::min:
      return b != b || b < a ? b : a;
    default:
      return a + b;
  }
}

std::int64_t pieces(std::int64_t total, std::int64_t size) { return (total + size - 1) / size; }

template <class T>
void reduce_rows(Fold fold, std::int64_t outer, std::int64_t count, const T* x, T* out, double scale) {
  const auto row = kernels_of<T>().row[static_cast<int>(fold)];
  if (outer >= 64 || count <= 2 * chunk) {
    parallel_for(outer, std::max<std::int64_t>(1, chunk / std::max<std::int64_t>(1, count)),
                 [&](std::int64_t begin, std::int64_t end) {
                   for (std::int64_t o = begin; o < end; ++o)
                     out[o] = static_cast<T>(row(x + o * count, count) * scale);
                 });
    return;
  }
  const std::int64_t parts = pieces(count, chunk);
  const Scratch scratch(outer * parts * 8);
  double* partial = scratch.as<double>();
  parallel_for(outer * parts, 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t u = begin; u < end; ++u) {
      const std::int64_t first = u % parts * chunk;
      partial[u] = row(x + u / parts * count + first, std::min(chunk, count - first));
    }
  });
  for (std::int64_t o = 0; o < outer; ++o) {
    double total = start_of(fold);
    for (std::int64_t p = 0; p < parts; ++p) total = join(fold, total, partial[o * parts + p]);
    out[o] = static_cast<T>(total * scale);
  }
}

template <class T>
void reduce_columns(Fold fold, std::int64_t outer, std::int64_t count, std::int64_t inner, const T* x, T* out,
                    double scale) {
  const auto columns = kernels_of<T>().columns[static_cast<int>(fold)];
  const std::int64_t blocks = pieces(inner, column_block), width = std::min(inner, column_block);
  // Few columns and many rows: the rows are cut too.
  std::int64_t part = count;
  if (outer * blocks < 16 && count * width > 2 * chunk) part = std::max<std::int64_t>(1, chunk / width);
  const std::int64_t parts = std::max<std::int64_t>(1, pieces(count, std::max<std::int64_t>(1, part)));
  const Scratch scratch(parts > 1 ? parts * outer * inner * 8 : 8);
  double* partial = scratch.as<double>();
  const std::int64_t grain = std::max<std::int64_t>(1, chunk / std::max<std::int64_t>(1, part * width));
  parallel_for(outer * blocks * parts, grain, [&](std::int64_t begin, std::int64_t end) {
    double held[column_block];
    for (std::int64_t u = begin; u < end; ++u) {
      const std::int64_t p = u % parts, b = u / parts % blocks, o = u / parts / blocks;
      const std::int64_t j = b * column_block, n = std::min(column_block, inner - j), first = p * part;
      double* to = parts > 1 ? partial + (p * outer + o) * inner + j : held;
      std::fill(to, to + n, start_of(fold));
      columns({x + (o * count + first) * inner + j, std::min(part, count - first), inner, n, to});
      if (parts > 1) continue;
      for (std::int64_t c = 0; c < n; ++c) out[o * inner + j + c] = static_cast<T>(to[c] * scale);
    }
  });
  if (parts == 1) return;
  for (std::int64_t i = 0; i < outer * inner; ++i) {
    double total = start_of(fold);
    for (std::int64_t p = 0; p < parts; ++p) total = join(fold, total, partial[p * outer * inner + i]);
    out[i] = static_cast<T>(total * scale);
  }
}

}  // namespace

template <class T>
void reduce(Fold fold, std::int64_t outer, std::int64_t count, std::int64_t inner, const T* x, T* out, double scale) {
  if (outer * inner == 0) return;
  if (inner == 1)
    reduce_rows(fold, outer, count, x, out, scale);
  else
    reduce_columns(fold, outer, count, inner, x, out, scale);
}

namespace {

/// The sum of part(begin, end) over stretches of the elements, in parallel and added in order.
template <class Part>
double sum_of_parts(std::int64_t count, Part part) {
  const std::int64_t parts = pieces(count, chunk);
  const Scratch scratch(std::max<std::int64_t>(1, parts) * 8);
  double* partial = scratch.as<double>();
  parallel_for(parts, 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t u = begin; u < end; ++u) partial[u] = part(u * chunk, std::min(count, (u + 1) * chunk));
  });
  double total = 0;
  for (std::int64_t u = 0; u < parts; ++u) total += partial[u];
  return total;
}

template <class T>
double map_sum_of(Map map, std::int64_t count, const T* x, const T* y, double p, double q) {
  constexpr std::int64_t block = 2048;  // mapped values wait in the first-level cache
  const auto kernel =
      std::is_same_v<T, float> ? map_table().f32[static_cast<int>(map)] : map_table().f64[static_cast<int>(map)];
  const auto row = kernels_of<T>().row[static_cast<int>(Fold::sum)];
  return sum_of_parts(count, [&](std::int64_t begin, std::int64_t end) {
    T values[block];
    double sum = 0;
    for (std::int64_t i = begin; i < end; i += block) {
      MapCall call{};
      call.in[0] = x + i;
      call.in[1] = y + i;
      call.step[0] = call.step[1] = true;
      call.out = values;
      call.rows = 1;
      call.n = std::min(block, end - i);
      call.p = p;
      call.q = q;
      kernel(call);
      sum += row(values, call.n);
    }
    return sum;
  });
}

template <class T>
double logits_cross_entropy_sum_of(std::int64_t count, const T* x, const T* target) {
  return sum_of_parts(count, [=](std::int64_t begin, std::int64_t end) {
    return kernels_of<T>().logits_cross_entropy(x + begin, target + begin, end - begin);
  });
}

}  // namespace

double map_sum(Map map, bool f64, std::int64_t count, const void* x, const void* y, double p, double q) {
  return f64 ? map_sum_of(map, count, static_cast<const double*>(x), static_cast<const double*>(y), p, q)
             : map_sum_of(map, count, static_cast<const float*>(x), static_cast<const float*>(y), p, q);
}

double logits_cross_entropy_sum(bool f64, std::int64_t count, const void* x, const void* target) {
  return f64 ? logits_cross_entropy_sum_of(count, static_cast<const double*>(x), static_cast<const double*>(target))
             : logits_cross_entropy_sum_of(count, static_cast<const float*>(x), static_cast<const float*>(target));
}

template void reduce<float>(Fold, std::int64_t, std::int64_t, std::int64_t, const float*, float*, double);
template void reduce<double>(Fold, std::int64_t, std::int64_t, std::int64_t, const double*, double*, double);

}  // namespace duet::kernels
