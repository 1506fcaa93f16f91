// Samples of the triple: strides exact and inexact, paddings, dilations, groups, vector edges, an output_padding that
// no forward convolution produces.
#include <duet/ops/conv_samples.hpp>

#include <duet/ops/define.hpp>

namespace duet {
namespace {

/// A geometry as a derivative's options show it.
void geometry_fields(FieldVisitor& visitor, const ConvGeometry& geometry) {
  const auto list = [&](const char* name, std::int64_t ConvAxis::*field) {
    std::vector<std::int64_t> values;
    for (int i = 0; i < geometry.rank; ++i) values.push_back(geometry.axis[i].*field);
    visitor.field(name, values);
  };
  list("large", &ConvAxis::large);
  list("small", &ConvAxis::small);
  list("kernel_size", &ConvAxis::kernel);
  list("stride", &ConvAxis::stride);
  list("padding", &ConvAxis::padding);
  list("dilation", &ConvAxis::dilation);
  std::int64_t groups = geometry.groups;
  visitor.field("groups", groups);
}

/// One setting of a transposed convolution, which spans every geometry worth a sample. Axes beyond the first two
/// take the second one's values.
struct Setting {
  const char* name;
  std::int64_t batch, small_channels, large_channels_per_group, groups;
  Pair small, kernel, stride, padding, output_padding, dilation;
  bool bias;
};

// clang-format off
constexpr Setting settings[] = {
    {"plain",         2, 3, 2, 1, {3, 4}, {3, 2}, {1, 1}, {0, 0}, {0, 0}, {1, 1}, true},
    {"unet_up",       1, 2, 3, 1, {3, 3}, {2, 2}, {2, 2}, {0, 0}, {0, 0}, {1, 1}, true},
    {"gan_up",        1, 2, 2, 1, {3, 2}, {4, 4}, {2, 2}, {1, 1}, {0, 0}, {1, 1}, false},
    {"inexact",       1, 2, 1, 1, {3, 3}, {3, 2}, {3, 2}, {1, 0}, {2, 1}, {1, 1}, true},
    {"grouped",       2, 4, 3, 2, {2, 3}, {3, 3}, {2, 1}, {1, 1}, {1, 0}, {1, 2}, true},
    {"depthwise",     1, 3, 1, 3, {4, 3}, {3, 3}, {1, 2}, {1, 1}, {0, 1}, {1, 1}, false},
    {"beyond",        1, 2, 2, 1, {3, 2}, {3, 2}, {3, 2}, {1, 2}, {2, 3}, {4, 4}, true},
    {"vector_edge",   1, 1, 1, 1, {1, 33}, {1, 3}, {1, 1}, {0, 1}, {0, 0}, {1, 1}, false},
    {"channel_edge",  1, 17, 1, 1, {2, 2}, {1, 1}, {1, 1}, {0, 0}, {0, 0}, {1, 1}, true},
    {"no_batch",      0, 2, 2, 1, {3, 3}, {2, 2}, {2, 2}, {0, 0}, {0, 0}, {1, 1}, true},
};
// clang-format on

template <int N>
Extent<N> spread(Pair pair) {
  Extent<N> result = 0;
  for (int i = 0; i < N; ++i) result[i] = pair[N == 1 ? 1 : i == 0 ? 0 : 1];
  return result;
}

template <int N>
ConvTransposeOptions<N> options_of(const Setting& s) {
  return {.stride = spread<N>(s.stride), .padding = spread<N>(s.padding), .output_padding = spread<N>(s.output_padding),
          .dilation = spread<N>(s.dilation), .groups = s.groups};
}

template <int N>
ConvGeometry geometry_of(const Setting& s) {
  Shape small{s.batch, s.small_channels}, weight{s.small_channels, s.large_channels_per_group};
  const Extent<N> size = spread<N>(s.small), kernel = spread<N>(s.kernel);
  for (int i = 0; i < N; ++i) small.push_back(size[i]), weight.push_back(kernel[i]);
  return conv_transpose_geometry<N>("sample", small, weight, options_of<N>(s));
}

constexpr std::uint64_t large_seed = 11, small_seed = 12, weight_seed = 13, bias_seed = 14;

/// A sample of each setting: make(setting, geometry) gives inputs and options.
template <int N, class Make>
std::vector<Sample> for_each_setting(Make make) {
  std::vector<Sample> samples;
  for (const Setting& s : settings) {
    const ConvGeometry g = geometry_of<N>(s);
    Sample sample = make(s, g, sample_normal(g.large_shape(s.batch), large_seed), sample_normal(g.weight_shape(), weight_seed),
                         sample_normal(g.small_shape(s.batch), small_seed));
    sample.name = s.name;
    samples.push_back(std::move(sample));
  }
  return samples;
}

Tensor bias_of(const Setting& s, std::int64_t channels) { return s.bias ? sample_normal({channels}, bias_seed) : Tensor(); }

}  // namespace

template <int N>
void ConvCall<N>::fields(FieldVisitor& visitor) {
  if (geometry) return geometry_fields(visitor, *geometry);
  options.fields(visitor);
}
template <int N>
void ConvTransposeCall<N>::fields(FieldVisitor& visitor) {
  if (geometry) return geometry_fields(visitor, *geometry);
  options.fields(visitor);
}
template <int N>
void ConvWeightCall<N>::fields(FieldVisitor& visitor) {
  if (geometry) return geometry_fields(visitor, *geometry);
  visitor.field("kernel_size", kernel_size);
  options.fields(visitor);
}

template <int N>
std::vector<Sample> conv_samples() {
  return for_each_setting<N>([](const Setting& s, const ConvGeometry& g, Tensor large, Tensor weight, Tensor) -> Sample {
    const ConvTransposeOptions<N> o = options_of<N>(s);
    const ConvOptions<N> options{.stride = o.stride, .padding = o.padding, .dilation = o.dilation, .groups = o.groups};
    return {"", {large, weight, bias_of(s, g.small_channels)}, ConvCall<N>{.options = options}};
  });
}

template <int N>
std::vector<Sample> conv_transpose_samples() {
  return for_each_setting<N>([](const Setting& s, const ConvGeometry& g, Tensor, Tensor weight, Tensor small) -> Sample {
    return {"", {small, weight, bias_of(s, g.large_channels)}, ConvTransposeCall<N>{.options = options_of<N>(s)}};
  });
}

template <int N>
std::vector<Sample> conv_weight_samples() {
  return for_each_setting<N>([](const Setting&, const ConvGeometry& g, Tensor large, Tensor, Tensor small) -> Sample {
    return {"", {large, small}, ConvWeightCall<N>{.geometry = g}};
  });
}

#define DUET_INSTANTIATE(N)                              \
  template struct ConvCall<N>;                           \
  template struct ConvTransposeCall<N>;                  \
  template struct ConvWeightCall<N>;                     \
  template std::vector<Sample> conv_samples<N>();        \
  template std::vector<Sample> conv_transpose_samples<N>(); \
  template std::vector<Sample> conv_weight_samples<N>();
DUET_INSTANTIATE(1)
DUET_INSTANTIATE(2)
DUET_INSTANTIATE(3)
#undef DUET_INSTANTIATE

}  // namespace duet
