// Strided copies and fills between any dtypes: the one place that walks arbitrary strides.
#include <duet/core/raw.hpp>

#ifdef __SSE2__
#include <emmintrin.h>
#endif

#include <algorithm>
#include <cstring>
#include <type_traits>

#include <duet/core/parallel.hpp>
#include <duet/core/streaming.hpp>

namespace duet::raw {
namespace {

/// Dimensions of one, and pairs that lie behind each other in both tensors, folded away.
struct Folded {
  int rank = 0;
  std::int64_t size[max_rank] = {}, from[max_rank] = {}, to[max_rank] = {};
};

Folded fold(const Shape& shape, const Shape& from, const Shape& to) {
  Folded folded;
  for (int i = 0; i < shape.rank(); ++i) {
    if (shape[i] == 1) continue;
    const int last = folded.rank - 1;
    if (last >= 0 && folded.from[last] == from[i] * shape[i] && folded.to[last] == to[i] * shape[i]) {
      folded.size[last] *= shape[i];
      folded.from[last] = from[i];
      folded.to[last] = to[i];
    } else {
      folded.size[folded.rank] = shape[i];
      folded.from[folded.rank] = from[i];
      folded.to[folded.rank++] = to[i];
    }
  }
  if (folded.rank == 0) {
    folded.rank = 1;
    folded.size[0] = 1;
  }
  return folded;
}

/// Elements that one task copies.
constexpr std::int64_t tile_elements = 1 << 15;

template <class S, class T>
void copy_row(const S* from, std::int64_t from_step, T* to, std::int64_t to_step, std::int64_t count) {
  if constexpr (std::is_same_v<S, T>) {
    if (from_step == 1 && to_step == 1) {
      std::memcpy(to, from, static_cast<std::size_t>(count) * sizeof(T));
      return;
    }
  }
  if (to_step == 1) {
    for (std::int64_t i = 0; i < count; ++i) to[i] = static_cast<T>(from[i * from_step]);
  } else {
    for (std::int64_t i = 0; i < count; ++i) to[i * to_step] = static_cast<T>(from[i * from_step]);
  }
}

/// Four elements of four bytes, which compilers keep in a register.
typedef float Quad __attribute__((vector_size(16), aligned(4), may_alias));

/// to[i][j] = from[j][i] for i, j < 4; `streamed` past the caches, for which `to` and its rows lie on 16 bytes.
template <class T>
void transpose_four(const T* from, std::int64_t from_inner, T* to, std::int64_t to_outer,
                    [[maybe_unused]] bool streamed) {
  const auto row = [&](std::int64_t j) { return *reinterpret_cast<const Quad*>(from + j * from_inner); };
  const Quad a = row(0), b = row(1), c = row(2), d = row(3);
  const Quad low = __builtin_shufflevector(a, b, 0, 4, 1, 5), high = __builtin_shufflevector(a, b, 2, 6, 3, 7);
  const Quad low2 = __builtin_shufflevector(c, d, 0, 4, 1, 5), high2 = __builtin_shufflevector(c, d, 2, 6, 3, 7);
  const auto put = [&](std::int64_t i, Quad value) {
#ifdef __SSE2__
    if (streamed) return _mm_stream_ps(reinterpret_cast<float*>(to + i * to_outer), value);
#endif
    *reinterpret_cast<Quad*>(to + i * to_outer) = value;
  };
  put(0, __builtin_shufflevector(low, low2, 0, 1, 4, 5));
  put(1, __builtin_shufflevector(low, low2, 2, 3, 6, 7));
  put(2, __builtin_shufflevector(high, high2, 0, 1, 4, 5));
  put(3, __builtin_shufflevector(high, high2, 2, 3, 6, 7));
}

/// A plane whose source is contiguous along the outer axis (a transpose), in blocks. Rows of the source often lie a
/// power of two apart, all in one set of a cache: a block's pieces of them are fetched to the second level during the
/// block before, copied side by side once, and turned there, so that each line of either side is touched once.
template <class S, class T>
void copy_transposed(const S* from, std::int64_t from_inner, T* to, std::int64_t to_outer, std::int64_t to_inner,
                     std::int64_t outer, std::int64_t inner, bool large) {
  constexpr std::int64_t block = 16, run = 64, line = 64 / static_cast<std::int64_t>(sizeof(S));
  constexpr bool quads = std::is_same_v<S, T> && sizeof(S) == 4;
  const bool streamed = large && reinterpret_cast<std::uintptr_t>(to) % 16 == 0 && to_outer % 4 == 0;
  alignas(64) S held[block][run];
  for (std::int64_t j0 = 0; j0 < inner; j0 += block)
    for (std::int64_t i0 = 0; i0 < outer; i0 += run) {
      const std::int64_t length = std::min(run, outer - i0), width = std::min(block, inner - j0);
      const S* source = from + i0 + j0 * from_inner;
      T* target = to + i0 * to_outer + j0 * to_inner;
      if (length != run || width != block || to_inner != 1) {
        for (std::int64_t j = 0; j < width; ++j)
          for (std::int64_t i = 0; i < length; ++i)
            target[i * to_outer + j * to_inner] = static_cast<T>(source[j * from_inner + i]);
        continue;
      }
      const S* const next = i0 + run < outer ? source + run : from + (j0 + block) * from_inner;
      const bool any = i0 + run < outer || j0 + block < inner;
      for (std::int64_t j = 0; j < block; ++j) {
        for (std::int64_t i = 0; any && i < run; i += line) __builtin_prefetch(next + j * from_inner + i, 0, 2);
        std::memcpy(held[j], source + j * from_inner, sizeof held[j]);
      }
      if constexpr (quads) {
        for (std::int64_t i = 0; i < run; i += 4)
          for (std::int64_t j = 0; j < block; j += 4)
            transpose_four(&held[j][i], run, target + i * to_outer + j, to_outer, streamed);
      } else {
        for (std::int64_t i = 0; i < run; ++i)
          for (std::int64_t j = 0; j < block; ++j) target[i * to_outer + j] = static_cast<T>(held[j][i]);
      }
    }
#ifdef __SSE2__
  if (quads && streamed) _mm_sfence();  // before whatever the thread does next
#endif
}

template <class S, class T>
void copy_folded(const Folded& f, const S* from, T* to) {
  const int last = f.rank - 1;
  if (f.rank == 1) {
    parallel_for(f.size[0], 1 << 16, [&](std::int64_t begin, std::int64_t end) {
      copy_row(from + begin * f.from[0], f.from[0], to + begin * f.to[0], f.to[0], end - begin);
    });
    return;
  }
  // The two innermost axes form a plane, cut into tiles that a task takes whole; the rest are counted in one loop.
  const int second = last - 1;
  std::int64_t planes = 1;
  for (int i = 0; i < second; ++i) planes *= f.size[i];
  const std::int64_t columns = std::min(f.size[last], tile_elements);
  const std::int64_t rows = std::min(f.size[second], (tile_elements / columns + 15) / 16 * 16);
  const std::int64_t across = (f.size[last] + columns - 1) / columns, down = (f.size[second] + rows - 1) / rows;
  const bool transposed = f.from[last] != 1 && f.from[second] == 1;
  const bool large = planes * f.size[second] * f.size[last] * static_cast<std::int64_t>(sizeof(T)) >= streamed_bytes;
  const std::int64_t grain = std::max<std::int64_t>(1, tile_elements / (rows * columns));
  parallel_for(planes * down * across, grain, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t tile = begin; tile < end; ++tile) {
      const std::int64_t first_row = tile / across % down * rows, first_column = tile % across * columns;
      const std::int64_t height = std::min(rows, f.size[second] - first_row);
      const std::int64_t width = std::min(columns, f.size[last] - first_column);
      std::int64_t rest = tile / (across * down);
      const S* source = from + first_row * f.from[second] + first_column * f.from[last];
      T* target = to + first_row * f.to[second] + first_column * f.to[last];
      for (int i = second - 1; i >= 0; --i) {
        source += rest % f.size[i] * f.from[i];
        target += rest % f.size[i] * f.to[i];
        rest /= f.size[i];
      }
      if (transposed)
        copy_transposed(source, f.from[last], target, f.to[second], f.to[last], height, width, large);
      else
        for (std::int64_t i = 0; i < height; ++i)
          copy_row(source + i * f.from[second], f.from[last], target + i * f.to[second], f.to[last], width);
    }
  });
}

}  // namespace

void copy(const Tensor& source, Tensor& target) {
  if (source.numel() == 0) return;
  const Folded folded = fold(source.shape(), source.strides(), target.strides());
  dispatch_all(source.dtype(), [&](auto s) {
    dispatch_all(target.dtype(),
                 [&](auto t) { copy_folded(folded, data<decltype(s)>(source), data<decltype(t)>(target)); });
  });
}

Tensor clone(const Tensor& tensor) {
  Tensor result = Tensor::empty(tensor.shape(), {.dtype = tensor.dtype()});
  copy(tensor, result);
  return result;
}

Tensor contiguous(const Tensor& tensor) { return tensor.is_contiguous() ? tensor : clone(tensor); }

void fill(Tensor& target, double value) {
  dispatch_all(target.dtype(), [&](auto zero) {
    using T = decltype(zero);
    const T element = static_cast<T>(value);
    if (target.is_contiguous()) {
      T* first = data<T>(target);
      parallel_for(target.numel(), 1 << 16,
                   [&](std::int64_t begin, std::int64_t end) { std::fill(first + begin, first + end, element); });
    } else {
      // A single element seen with strides of zero is a tensor of that value.
      Tensor one = Tensor::empty({}, {.dtype = target.dtype()});
      *data<T>(one) = element;
      copy(view(one, target.shape(), Shape::filled(target.rank(), 0)), target);
    }
  });
}

}  // namespace duet::raw
