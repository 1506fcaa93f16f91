// Samples of the triple, made from the table in conv_settings.cpp: the chosen settings for every rank, the pairwise ones
// for two dimensions.
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

template <int N>
Extent<N> spread(Pair pair) {
  Extent<N> result = 0;
  for (int i = 0; i < N; ++i) result[i] = pair[N == 1 ? 1 : i == 0 ? 0 : 1];
  return result;
}

template <int N>
ConvTransposeOptions<N> options_of(const ConvSetting& s) {
  return {.stride = spread<N>(s.stride), .padding = spread<N>(s.padding), .output_padding = spread<N>(s.output_padding),
          .dilation = spread<N>(s.dilation), .groups = s.groups};
}

template <int N>
ConvGeometry geometry_of(const ConvSetting& s) {
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
  const auto add = [&](const ConvSetting& s, int order) {
    const ConvGeometry g = geometry_of<N>(s);
    Sample sample = make(s, g, sample_normal(g.large_shape(s.batch), large_seed), sample_normal(g.weight_shape(), weight_seed),
                         sample_normal(g.small_shape(s.batch), small_seed));
    sample.name = s.name;
    sample.order = order;
    samples.push_back(std::move(sample));
  };
  for (const ConvSetting& s : chosen_conv_settings()) add(s, N == 2 ? 3 : 2);
  if (N == 2)
    for (const ConvSetting& s : pairwise_conv_settings()) add(s, 3);
  return samples;
}

Tensor bias_of(const ConvSetting& s, std::int64_t channels) { return s.bias ? sample_normal({channels}, bias_seed) : Tensor(); }

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
  return for_each_setting<N>([](const ConvSetting& s, const ConvGeometry& g, Tensor large, Tensor weight, Tensor) -> Sample {
    const ConvTransposeOptions<N> o = options_of<N>(s);
    const ConvOptions<N> options{.stride = o.stride, .padding = o.padding, .dilation = o.dilation, .groups = o.groups};
    return {"", {large, weight, bias_of(s, g.small_channels)}, ConvCall<N>{.options = options}};
  });
}

template <int N>
std::vector<Sample> conv_transpose_samples() {
  return for_each_setting<N>([](const ConvSetting& s, const ConvGeometry& g, Tensor, Tensor weight, Tensor small) -> Sample {
    return {"", {small, weight, bias_of(s, g.large_channels)}, ConvTransposeCall<N>{.options = options_of<N>(s)}};
  });
}

template <int N>
std::vector<Sample> conv_weight_samples() {
  return for_each_setting<N>([](const ConvSetting&, const ConvGeometry& g, Tensor large, Tensor, Tensor small) -> Sample {
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
