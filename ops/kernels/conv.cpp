// The convolution triple, in its plainest form: whole rows are scaled and added, or multiplied and summed.
#include <duet/ops/kernels/conv.hpp>

#include <algorithm>

#include <duet/core/parallel.hpp>
#include <duet/ops/kernels/conv_paths.hpp>

namespace duet::kernels {
namespace {

/// The small indices s in [begin, end) for which tap t falls inside the large side, and its index for s = 0.
struct Span {
  std::int64_t begin, end, offset;
};

Span span_of(const ConvAxis& a, std::int64_t tap) {
  const std::int64_t offset = tap * a.dilation - a.padding;
  const std::int64_t begin = offset >= 0 ? 0 : (-offset + a.stride - 1) / a.stride;
  const std::int64_t room = a.large - 1 - offset;
  const std::int64_t end = room < 0 ? 0 : std::min(a.small, room / a.stride + 1);
  return {begin, std::max(begin, end), offset};
}

/// The geometry brought to three axes, with its element counts.
struct Sizes {
  ConvAxis axis[max_conv_rank];
  std::int64_t large = 1, small = 1, taps = 1, large_per_group, small_per_group;

  explicit Sizes(const ConvGeometry& g)
      : large_per_group(g.large_channels / g.groups), small_per_group(g.small_channels / g.groups) {
    for (int i = 0; i < g.rank; ++i) axis[max_conv_rank - g.rank + i] = g.axis[i];
    for (const ConvAxis& a : axis) {
      large *= a.large;
      small *= a.small;
      taps *= a.kernel;
    }
  }

  /// Calls row(tap, small row, large row, count) for every row of pixels that a tap joins; rows are offsets of
  /// their first elements within a plane.
  template <class F>
  void each_row(F&& row) const {
    std::int64_t tap = 0;
    for (std::int64_t i = 0; i < axis[0].kernel; ++i)
      for (std::int64_t j = 0; j < axis[1].kernel; ++j)
        for (std::int64_t k = 0; k < axis[2].kernel; ++k, ++tap) {
          const Span a = span_of(axis[0], i), b = span_of(axis[1], j), c = span_of(axis[2], k);
          if (c.begin >= c.end) continue;
          for (std::int64_t p = a.begin; p < a.end; ++p)
            for (std::int64_t q = b.begin; q < b.end; ++q) {
              const std::int64_t small_row = (p * axis[1].small + q) * axis[2].small + c.begin;
              const std::int64_t large_row =
                  ((p * axis[0].stride + a.offset) * axis[1].large + q * axis[1].stride + b.offset) * axis[2].large +
                  c.begin * axis[2].stride + c.offset;
              row(tap, small_row, large_row, c.end - c.begin);
            }
        }
  }
};

template <class T>
void fill_bias(const ConvReading& r, const T* bias, T* out) {
  const Index channels = r.groups * r.out_channels;
  for (Index plane = 0; plane < r.batch * channels; ++plane)
    std::fill_n(out + plane * r.out_plane, r.out_plane, bias ? bias[plane % channels] : T(0));
}

template <class T>
void compute(const ConvReading& r, const T* source, const T* weight, const T* bias, T* out) {
  if (r.batch * r.groups * r.out_channels * r.out_plane == 0) return;
  if (r.source_channels * r.source_plane == 0) return fill_bias(r, bias, out);
  conv_by_channels(r, source, weight, bias, out);
}

}  // namespace

template <class T>
void conv(const ConvGeometry& geometry, std::int64_t batch, const T* x, const T* w, const T* bias, T* y) {
  compute(read_small(geometry, batch), x, w, bias, y);
}

template <class T>
void conv_transpose(const ConvGeometry& geometry, std::int64_t batch, const T* y, const T* w, const T* bias, T* x) {
  compute(read_large(geometry, batch), y, w, bias, x);
}

template <class T>
void conv_weight(const ConvGeometry& geometry, std::int64_t batch, const T* x, const T* y, T* w) {
  const Sizes s(geometry);
  const std::int64_t step = s.axis[2].stride;
  parallel_for(geometry.small_channels * s.large_per_group, 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t pair = begin; pair < end; ++pair) {
      const std::int64_t k = pair / s.large_per_group;
      const std::int64_t c = k / s.small_per_group * s.large_per_group + pair % s.large_per_group;
      T* to = w + pair * s.taps;
      std::fill(to, to + s.taps, T(0));
      for (std::int64_t n = 0; n < batch; ++n) {
        const T* small = y + (n * geometry.small_channels + k) * s.small;
        const T* large = x + (n * geometry.large_channels + c) * s.large;
        s.each_row([&](std::int64_t tap, std::int64_t small_row, std::int64_t large_row, std::int64_t count) {
          const T *a = small + small_row, *b = large + large_row;
          T sums[8] = {};
          std::int64_t i = 0;
          for (; i + 8 <= count; i += 8)
            for (int lane = 0; lane < 8; ++lane) sums[lane] += a[i + lane] * b[(i + lane) * step];
          for (; i < count; ++i) sums[0] += a[i] * b[i * step];
          to[tap] += ((sums[0] + sums[1]) + (sums[2] + sums[3])) + ((sums[4] + sums[5]) + (sums[6] + sums[7]));
        });
      }
    }
  });
}

#define DUET_INSTANTIATE(T)                                                                                      \
  template void conv<T>(const ConvGeometry&, std::int64_t, const T*, const T*, const T*, T*);                    \
  template void conv_transpose<T>(const ConvGeometry&, std::int64_t, const T*, const T*, const T*, T*);          \
  template void conv_weight<T>(const ConvGeometry&, std::int64_t, const T*, const T*, T*);
DUET_INSTANTIATE(float)
DUET_INSTANTIATE(double)
#undef DUET_INSTANTIATE

}  // namespace duet::kernels
