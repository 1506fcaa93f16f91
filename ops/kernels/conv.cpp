// The convolution triple: which reading each op is, and which path computes it.
#include <duet/ops/kernels/conv.hpp>

#include <algorithm>

#include <duet/ops/kernels/conv_paths.hpp>
#include <duet/ops/kernels/conv_table.hpp>
#include <duet/ops/kernels/conv_winograd.hpp>
#include <duet/ops/kernels/matmul.hpp>

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

/// Whether the kernel covers the large side once, and the small one is a pixel: then a picture is a row of numbers, the
/// weight a matrix, and nothing has to be packed (the first layer of a generator, the last of a discriminator).
bool is_product(const ConvGeometry& g) {
  bool product = g.groups == 1 && g.large_channels > 0 && g.small_channels > 0;
  for (int i = 0; i < g.rank; ++i) {
    const ConvAxis& a = g.axis[i];
    product = product && a.small == 1 && a.large == a.kernel && a.padding == 0 && (a.dilation == 1 || a.kernel == 1);
  }
  return product;
}

/// Vectors of channels run at nearly the machine's peak, but each sum has to be turned into its plane, which costs
/// as much as some twelve products. Vectors of pixels need no turning, but long rows, and reload pixels for every
/// few channels.
template <class T>
bool prefers_rows(const ConvReading& r) {
  const int vector = conv_kernels<T>().lanes;
  const double products = static_cast<double>(r.source_channels * r.taps) / static_cast<double>(r.phases());
  return cost_along_rows(r, vector) < (products + 12) / fill_of_lanes(r.out_channels, vector);
}

/// The cost of the weight gradient per output pixel, in products of vectors: the products themselves, turning the
/// side whose channels lie in vectors, and copying the other.
template <class T>
double cost_by_channels(const ConvReading& r) {
  const int vector = conv_kernels<T>().lanes;
  const double channels = static_cast<double>(r.out_channels), source = static_cast<double>(r.source_channels);
  const double products = channels / vector / fill_of_lanes(r.out_channels, vector) * source * static_cast<double>(r.taps);
  const double turning = r.axis[2].period == 1 ? 1.5 : 4;
  return products + turning * channels * static_cast<double>(r.phases()) + source;
}

/// What does not fill a vector at the end of a row is taken one by one.
template <class T>
double cost_by_rows(const ConvReading& r) {
  const int vector = conv_kernels<T>().lanes;
  const double channels = static_cast<double>(r.out_channels), source = static_cast<double>(r.source_channels);
  const Index row = r.pointwise() ? r.out_plane : r.axis[2].positions;
  const double vectors = static_cast<double>(row / vector), rest = static_cast<double>(row % vector);
  const double products = channels * source * static_cast<double>(r.taps) * (1.5 * vectors + rest);
  return products / static_cast<double>(row) + (r.pointwise() ? 0 : source);
}

template <class T>
void compute(const ConvReading& r, const T* source, const T* weight, const T* bias, T* out) {
  if (r.batch * r.groups * r.out_channels * r.out_plane == 0) return;
  if (r.source_channels * r.source_plane == 0) return fill_bias(r, bias, out);
  if constexpr (sizeof(T) == sizeof(float))
    if (prefers_winograd(r)) return conv_by_winograd(r, source, weight, bias, out);
  if (prefers_rows<T>(r))
    conv_by_rows(r, source, weight, bias, out);
  else
    conv_by_channels(r, source, weight, bias, out);
}

}  // namespace

template <class T>
void conv(const ConvGeometry& geometry, std::int64_t batch, const T* x, const T* w, const T* bias, T* y) {
  const ConvReading r = read_small(geometry, batch);
  if (!is_product(geometry)) return compute(r, x, w, bias, y);
  const std::int64_t row = geometry.large_shape(1).numel(), channels = geometry.small_channels;
  if (bias) fill_bias(r, bias, y);
  matmul(false, true, batch, channels, row, x, row, w, row, y, channels, bias != nullptr);
}

template <class T>
void conv_transpose(const ConvGeometry& geometry, std::int64_t batch, const T* y, const T* w, const T* bias, T* x) {
  const ConvReading r = read_large(geometry, batch);
  if (!is_product(geometry)) return compute(r, y, w, bias, x);
  const std::int64_t row = geometry.large_shape(1).numel(), channels = geometry.small_channels;
  if (bias) fill_bias(r, bias, x);
  matmul(false, false, batch, row, channels, y, channels, w, row, x, row, bias != nullptr);
}

/// Either side's channels may lie in vectors: those that fill them better. Few on both sides: rows of pixels.
template <class T>
void conv_weight(const ConvGeometry& geometry, std::int64_t batch, const T* x, const T* y, T* w) {
  const std::int64_t count = geometry.weight_shape().numel();
  if (count == 0) return;
  if (geometry.large_shape(batch).numel() == 0 || geometry.small_shape(batch).numel() == 0) {
    std::fill_n(w, count, T(0));
    return;
  }
  if (is_product(geometry)) {
    const std::int64_t row = geometry.large_shape(1).numel(), channels = geometry.small_channels;
    return matmul(true, false, channels, row, batch, y, channels, x, row, w, row, false);
  }
  const ConvReading to_small = read_small(geometry, batch), to_large = read_large(geometry, batch);
  if constexpr (sizeof(T) == sizeof(float))
    if (prefers_winograd_weight(to_small)) return weight_by_winograd(to_small, x, y, w);
  const double by_small = cost_by_channels<T>(to_small), by_large = cost_by_channels<T>(to_large);
  if (cost_by_rows<T>(to_small) < std::min(by_small, by_large))
    weight_by_rows(to_small, x, y, w);
  else if (by_small <= by_large)
    weight_by_channels(to_small, x, y, w);
  else
    weight_by_channels(to_large, y, x, w);
}

#define DUET_INSTANTIATE(T)                                                                                      \
  template void conv<T>(const ConvGeometry&, std::int64_t, const T*, const T*, const T*, T*);                    \
  template void conv_transpose<T>(const ConvGeometry&, std::int64_t, const T*, const T*, const T*, T*);          \
  template void conv_weight<T>(const ConvGeometry&, std::int64_t, const T*, const T*, T*);
DUET_INSTANTIATE(float)
DUET_INSTANTIATE(double)
#undef DUET_INSTANTIATE

}  // namespace duet::kernels
