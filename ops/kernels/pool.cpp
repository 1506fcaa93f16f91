// Walks the windows of pooling, planes in parallel, and hands rows to the vectorised functions.
#include <duet/ops/kernels/pool.hpp>

#include <algorithm>
#include <atomic>

#include <duet/core/allocator.hpp>
#include <duet/core/parallel.hpp>
#include <duet/core/streaming.hpp>
#include <duet/ops/kernels/pool_table.hpp>

namespace duet::kernels {
namespace {

template <class T>
const PoolTable<T>& table() {
  if constexpr (std::is_same_v<T, float>)
    return pool_f32();
  else
    return pool_f64();
}

/// Calls body(plane) for every plane, in parallel.
template <class Body>
void for_each_plane(const PoolPlanes& planes, Body&& body) {
  const std::int64_t work = std::max<std::int64_t>(1, planes.large_size() + planes.small_size() * planes.window_size());
  parallel_for(planes.count, std::max<std::int64_t>(1, (1 << 15) / work), [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t plane = begin; plane < end; ++plane) body(plane);
  });
}

/// Outputs of the axis whose tap k lies inside: [first, last).
struct Inside {
  Inside(const ConvAxis& axis, std::int64_t k) {
    const std::int64_t start = k * axis.dilation - axis.padding;
    first = start >= 0 ? 0 : (-start + axis.stride - 1) / axis.stride;
    last = start >= axis.large ? 0 : std::min(axis.small, (axis.large - 1 - start) / axis.stride + 1);
  }
  std::int64_t first, last;
};

/// Calls body(output, window start in the plane) for each output of a plane in order; the start may lie outside.
template <class Body>
void for_each_output(const PoolPlanes& planes, Body&& body) {
  const ConvAxis &a = planes.axis[0], &b = planes.axis[1], &c = planes.axis[2];
  std::int64_t output = 0;
  for (std::int64_t i = 0; i < a.small; ++i)
    for (std::int64_t j = 0; j < b.small; ++j) {
      const std::int64_t row = (i * a.stride - a.padding) * b.large + j * b.stride - b.padding;
      for (std::int64_t k = 0; k < c.small; ++k) body(output++, row * c.large + k * c.stride - c.padding);
    }
}

/// Where each tap of a window lies in the plane.
class TapPlaces {
 public:
  explicit TapPlaces(const PoolPlanes& planes)
      : taps_(static_cast<std::uint64_t>(planes.window_size())),
        large_(static_cast<std::uint64_t>(planes.large_size())),
        block_(planes.window_size() * static_cast<std::int64_t>(sizeof(std::int64_t))) {
    const ConvAxis &a = planes.axis[0], &b = planes.axis[1], &c = planes.axis[2];
    std::int64_t* next = block_.as<std::int64_t>();
    for (std::int64_t i = 0; i < a.kernel; ++i)
      for (std::int64_t j = 0; j < b.kernel; ++j)
        for (std::int64_t k = 0; k < c.kernel; ++k)
          *next++ = (i * a.dilation * b.large + j * b.dilation) * c.large + k * c.dilation;
  }
  /// The index in the plane of a tap of the window that begins at `start`; -1 if it names no element.
  std::int64_t operator()(std::int64_t start, std::int64_t tap) const {
    if (static_cast<std::uint64_t>(tap) >= taps_) return -1;
    const std::int64_t place = start + block_.as<std::int64_t>()[tap];
    return static_cast<std::uint64_t>(place) < large_ ? place : -1;
  }

 private:
  std::uint64_t taps_, large_;
  Scratch block_;
};

/// Calls body(plane, output, place) for every output of every plane, place being where its tap lies. False if one
/// names no element.
template <class I, class Body>
bool for_each_tap(const PoolPlanes& planes, const I* taps, Body&& body) {
  const std::int64_t small = planes.small_size();
  const TapPlaces places(planes);
  std::atomic<bool> good{true};
  for_each_plane(planes, [&](std::int64_t plane) {
    bool fits = true;
    for_each_output(planes, [&, at = plane * small](std::int64_t output, std::int64_t start) {
      const std::int64_t place = places(start, static_cast<std::int64_t>(taps[at + output]));
      if (place >= 0)
        body(plane, at + output, place);
      else
        fits = false;
    });
    if (!fits) good.store(false, std::memory_order_relaxed);
  });
  return good;
}

/// The rows of one output row: every tap that lies inside, in row-major order.
template <class T>
void max_output_row(const PoolPlanes& planes, const T* x, std::int64_t i, std::int64_t j, T* y, TapOf<T>* taps) {
  const ConvAxis &a = planes.axis[0], &b = planes.axis[1], &c = planes.axis[2];
  std::fill_n(taps, c.small, TapOf<T>{-1});
  TapOf<T> tap = 0;
  for (std::int64_t u = 0; u < a.kernel; ++u)
    for (std::int64_t v = 0; v < b.kernel; ++v) {
      const std::int64_t at_a = i * a.stride - a.padding + u * a.dilation, at_b = j * b.stride - b.padding + v * b.dilation;
      if (at_a < 0 || at_a >= a.large || at_b < 0 || at_b >= b.large) {
        tap += static_cast<TapOf<T>>(c.kernel);
        continue;
      }
      for (std::int64_t w = 0; w < c.kernel; ++w, ++tap) {
        const Inside inside(c, w);
        if (inside.first >= inside.last) continue;
        const T* first = x + (at_a * b.large + at_b) * c.large + inside.first * c.stride - c.padding + w * c.dilation;
        table<T>().max_tap(first, c.stride, inside.last - inside.first, tap, y + inside.first, taps + inside.first);
      }
    }
}

/// Whether the windows are 2 x 2, side by side, and all inside.
bool is_two_by_two(const PoolPlanes& planes) {
  const auto halves = [](const ConvAxis& axis) {
    return axis.kernel == 2 && axis.stride == 2 && axis.padding == 0 && axis.dilation == 1 && 2 * axis.small <= axis.large;
  };
  const ConvAxis& front = planes.axis[0];
  return front.large == 1 && front.small == 1 && front.kernel == 1 && front.padding == 0 && halves(planes.axis[1]) &&
         halves(planes.axis[2]);
}

/// Calls body(first output, upper row, lower row, in elements from the plane's start) for every row of 2 x 2 windows.
template <class Body>
void for_each_pair_of_rows(const PoolPlanes& planes, Body&& body) {
  const std::int64_t width = planes.axis[2].large;
  for (std::int64_t j = 0; j < planes.axis[1].small; ++j) body(j * planes.axis[2].small, 2 * j * width, (2 * j + 1) * width);
}

/// The adjoint of 2 x 2 maxima: every element of the plane is written once, zeros included.
template <class T>
bool scatter_two_by_two(const PoolPlanes& planes, const T* y, const std::uint8_t* taps, T* x) {
  const std::int64_t large = planes.large_size(), small = planes.small_size();
  const std::int64_t rows = planes.axis[1].small, width = planes.axis[2].large;
  const bool streamed = planes.count * large * static_cast<std::int64_t>(sizeof(T)) >= streamed_bytes;
  std::atomic<bool> good{true};
  for_each_plane(planes, [&](std::int64_t plane) {
    T* to = x + plane * large;
    if (!table<T>().scatter_two_by_two(
            {y + plane * small, taps + plane * small, rows, planes.axis[2].small, width, to, streamed}))
      good.store(false, std::memory_order_relaxed);
    std::fill(to + 2 * rows * width, to + large, T(0));
  });
  return good;
}

}  // namespace

template <class T, class I>
void max_pool(const PoolPlanes& planes, const T* x, T* y, I* taps) {
  const std::int64_t large = planes.large_size(), small = planes.small_size(), width = planes.axis[2].small;
  if constexpr (sizeof(I) == 1) {
    if (is_two_by_two(planes)) {
      for_each_plane(planes, [&](std::int64_t plane) {
        const T* from = x + plane * large;
        for_each_pair_of_rows(planes, [&, at = plane * small](std::int64_t first, std::int64_t upper, std::int64_t lower) {
          table<T>().max_two_by_two(from + upper, from + lower, width, y + at + first, taps + at + first);
        });
      });
      return;
    }
  }
  for_each_plane(planes, [&](std::int64_t plane) {
    const Scratch scratch(width * static_cast<std::int64_t>(sizeof(TapOf<T>)));
    TapOf<T>* row_taps = scratch.as<TapOf<T>>();
    std::int64_t at = plane * small;
    for (std::int64_t i = 0; i < planes.axis[0].small; ++i)
      for (std::int64_t j = 0; j < planes.axis[1].small; ++j, at += width) {
        max_output_row(planes, x + plane * large, i, j, y + at, row_taps);
        for (std::int64_t k = 0; k < width; ++k) taps[at + k] = static_cast<I>(row_taps[k]);
      }
  });
}

template <class T, class I>
bool pool_gather(const PoolPlanes& planes, const T* x, const I* taps, T* y) {
  return for_each_tap(planes, taps, [&, large = planes.large_size()](auto plane, auto output, auto place) {
    y[output] = x[plane * large + place];
  });
}

template <class T, class I>
bool pool_scatter(const PoolPlanes& planes, const T* y, const I* taps, T* x) {
  if constexpr (sizeof(I) == 1)
    if (is_two_by_two(planes)) return scatter_two_by_two(planes, y, taps, x);
  const std::int64_t large = planes.large_size();
  for_each_plane(planes, [&](std::int64_t plane) { std::fill_n(x + plane * large, large, T(0)); });
  return for_each_tap(planes, taps,
                      [&](auto plane, auto output, auto place) { x[plane * large + place] += y[output]; });
}

template <class I>
bool pool_indices(const PoolPlanes& planes, const I* taps, std::int64_t* indices) {
  return for_each_tap(planes, taps, [&](auto, auto output, auto place) { indices[output] = place; });
}

#define DUET_POOL_KERNELS(T, I)                                                    \
  template void max_pool<T, I>(const PoolPlanes&, const T*, T*, I*);               \
  template bool pool_gather<T, I>(const PoolPlanes&, const T*, const I*, T*);      \
  template bool pool_scatter<T, I>(const PoolPlanes&, const T*, const I*, T*);
DUET_POOL_KERNELS(float, std::uint8_t)
DUET_POOL_KERNELS(float, std::int64_t)
DUET_POOL_KERNELS(double, std::uint8_t)
DUET_POOL_KERNELS(double, std::int64_t)
#undef DUET_POOL_KERNELS
template bool pool_indices<std::uint8_t>(const PoolPlanes&, const std::uint8_t*, std::int64_t*);
template bool pool_indices<std::int64_t>(const PoolPlanes&, const std::int64_t*, std::int64_t*);

}  // namespace duet::kernels
