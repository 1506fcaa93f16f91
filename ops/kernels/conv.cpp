// The convolution triple: which reading each op is, and which path computes it.
#include <duet/ops/kernels/conv.hpp>

#include <algorithm>

#include <duet/ops/kernels/conv_paths.hpp>
#include <duet/ops/kernels/conv_table.hpp>

namespace duet::kernels {
namespace {

/// How full vectors of channels are: `channels` over the lanes of the vectors that hold them.
double fill_of_lanes(Index channels, int vector) {
  const Index lanes = (channels + vector - 1) / vector * vector;
  return static_cast<double>(channels) / static_cast<double>(lanes);
}

template <class T>
void fill_bias(const ConvReading& r, const T* bias, T* out) {
  const Index channels = r.groups * r.out_channels;
  for (Index plane = 0; plane < r.batch * channels; ++plane)
    std::fill_n(out + plane * r.out_plane, r.out_plane, bias ? bias[plane % channels] : T(0));
}

/// Vectors of channels run at nearly the machine's peak, but each sum has to be turned into its plane, which costs
/// as much as some twenty products. Vectors of pixels need no turning, but long rows, and reload pixels for every
/// four channels.
template <class T>
bool prefers_rows(const ConvReading& r) {
  const int vector = conv_kernels<T>().lanes;
  const double row = static_cast<double>(r.axis[2].positions);
  const double products = static_cast<double>(r.source_channels * r.taps) / static_cast<double>(r.phases());
  const double by_channels = (products + 20) / fill_of_lanes(r.out_channels, vector);
  const double by_rows = (1.4 * products + 4) / fill_of_lanes(r.axis[2].positions, vector) * (row < vector ? 2.0 : 1.0);
  return by_rows < by_channels;
}

template <class T>
void compute(const ConvReading& r, const T* source, const T* weight, const T* bias, T* out) {
  if (r.batch * r.groups * r.out_channels * r.out_plane == 0) return;
  if (r.source_channels * r.source_plane == 0) return fill_bias(r, bias, out);
  if (prefers_rows<T>(r))
    conv_by_rows(r, source, weight, bias, out);
  else
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

/// Either side's channels may lie in vectors: those that fill them better. Few on both sides: rows of pixels.
template <class T>
void conv_weight(const ConvGeometry& geometry, std::int64_t batch, const T* x, const T* y, T* w) {
  const std::int64_t count = geometry.weight_shape().numel();
  const std::int64_t large = geometry.large_channels / geometry.groups, small = geometry.small_channels / geometry.groups;
  if (count == 0) return;
  if (geometry.large_shape(batch).numel() == 0 || geometry.small_shape(batch).numel() == 0) {
    std::fill_n(w, count, T(0));
    return;
  }
  const int vector = conv_kernels<T>().lanes;
  const double by_small = fill_of_lanes(small, vector), by_large = 0.8 * fill_of_lanes(large, vector);
  if (std::max(by_small, by_large) <= 0.35)
    weight_by_rows(read_small(geometry, batch), x, y, w);
  else if (by_small >= by_large)
    weight_by_channels(read_small(geometry, batch), x, y, w);
  else
    weight_by_channels(read_large(geometry, batch), y, x, w);
}

#define DUET_INSTANTIATE(T)                                                                                      \
  template void conv<T>(const ConvGeometry&, std::int64_t, const T*, const T*, const T*, T*);                    \
  template void conv_transpose<T>(const ConvGeometry&, std::int64_t, const T*, const T*, const T*, T*);          \
  template void conv_weight<T>(const ConvGeometry&, std::int64_t, const T*, const T*, T*);
DUET_INSTANTIATE(float)
DUET_INSTANTIATE(double)
#undef DUET_INSTANTIATE

}  // namespace duet::kernels
