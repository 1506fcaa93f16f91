// Cutting softmax into tiles of columns. The cuts follow from the sizes alone.
#include <duet/ops/kernels/softmax.hpp>

#include <algorithm>
#include <type_traits>

#include <duet/core/allocator.hpp>
#include <duet/core/parallel.hpp>
#include <duet/core/streaming.hpp>
#include <duet/ops/kernels/simd.hpp>
#include <duet/ops/kernels/softmax_table.hpp>

namespace duet::kernels {

DUET_DECLARE_TABLES(SoftmaxTable, softmax_table)

namespace {

constexpr std::int64_t chunk = 1 << 15;  // elements that are worth a task

template <class T>
const SoftmaxKernels<T>& kernels_of() {
  if constexpr (std::is_same_v<T, float>)
    return softmax_table().f32;
  else
    return softmax_table().f64;
}

/// Calls body(call, offset of its columns in x, and in what has a value a column) for every tile of columns, in
/// parallel; the call has its sizes and its tile.
template <class T, class Body>
void for_tiles(std::int64_t outer, std::int64_t count, std::int64_t inner, Body body) {
  constexpr auto size = static_cast<std::int64_t>(sizeof(T));
  // A tile of 16 KB, which the first-level cache holds, down to a few lines.
  const std::int64_t fitting =
      std::clamp<std::int64_t>(16384 / size / std::max<std::int64_t>(1, count), 32, softmax_columns) / 32 * 32;
  const std::int64_t tiles = (inner + fitting - 1) / fitting, width = std::min(inner, fitting);
  const bool streamed = outer * count * inner * size >= streamed_bytes;
  // Neighbouring tiles stay together: each asks for the next one's first rows.
  const std::int64_t grain = std::max<std::int64_t>(1, chunk / std::max<std::int64_t>(1, count * width));
  parallel_for(outer * tiles, grain, [&](std::int64_t begin, std::int64_t end) {
    const Scratch tile(inner == 1 ? 1 : count * width * size);
    for (std::int64_t u = begin; u < end; ++u) {
      const std::int64_t o = u / tiles, j = u % tiles * fitting;
      SoftmaxCall call{.count = count,
                       .inner = inner,
                       .n = std::min(fitting, inner - j),
                       .tile = inner == 1 ? nullptr : tile.as<T>(),
                       .streamed = streamed};
      body(call, o * count * inner + j, o * inner + j);
    }
  });
}

/// Null stays null.
template <class T>
const T* moved(const T* first, std::int64_t by) {
  return first == nullptr ? nullptr : first + by;
}
template <class T>
T* moved(T* first, std::int64_t by) {
  return first == nullptr ? nullptr : first + by;
}

}  // namespace

template <class T>
void softmax(std::int64_t outer, std::int64_t count, std::int64_t inner, const T* x, T* y, bool log, const T* factor,
             const std::int64_t* target, const T* less) {
  for_tiles<T>(outer, count, inner, [&](SoftmaxCall& call, std::int64_t at, std::int64_t column) {
    call.x = x + at;
    call.out = y + at;
    call.log = log;
    call.factor = moved(factor, column);
    call.target = moved(target, column);
    call.less = moved(less, column);
    kernels_of<T>().softmax(call);
  });
}

template <class T>
void softmax_backward(std::int64_t outer, std::int64_t count, std::int64_t inner, const T* g, const T* y, T* out,
                      bool log) {
  for_tiles<T>(outer, count, inner, [&](SoftmaxCall& call, std::int64_t at, std::int64_t) {
    call.x = y + at;
    call.g = g + at;
    call.out = out + at;
    call.log = log;
    kernels_of<T>().softmax_backward(call);
  });
}

template <class T>
void log_sum_exp(std::int64_t outer, std::int64_t count, std::int64_t inner, const T* x, T* out, T* most,
                 const std::int64_t* target, T* picked) {
  for_tiles<T>(outer, count, inner, [&](SoftmaxCall& call, std::int64_t at, std::int64_t column) {
    call.x = x + at;
    call.out = out + column;
    call.most = moved(most, column);
    call.target = moved(target, column);
    call.picked = moved(picked, column);
    kernels_of<T>().log_sum_exp(call);
  });
}

#define DUET_INSTANTIATE(T)                                                                                  \
  template void softmax<T>(std::int64_t, std::int64_t, std::int64_t, const T*, T*, bool, const T*,           \
                           const std::int64_t*, const T*);                                                   \
  template void softmax_backward<T>(std::int64_t, std::int64_t, std::int64_t, const T*, const T*, T*, bool); \
  template void log_sum_exp<T>(std::int64_t, std::int64_t, std::int64_t, const T*, T*, T*, const std::int64_t*, T*);
DUET_INSTANTIATE(float)
DUET_INSTANTIATE(double)
#undef DUET_INSTANTIATE

}  // namespace duet::kernels
