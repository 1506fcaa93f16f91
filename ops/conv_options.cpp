// From what a user wrote to the geometry that the triple shares: the only place with padding arithmetic.
#include <algorithm>

#include <duet/core/fail.hpp>
#include <duet/ops/conv_options.hpp>

namespace duet {
namespace {

void check_positive(const char* op, const char* what, std::int64_t value) {
  if (value < 1) fail<ValueError>(op, "{} must be at least 1, got {}", what, value);
}

/// Ranks, groups and the arguments that both directions share.
void check_common(const char* op, int n, const Shape& x, const Shape& weight, std::int64_t groups) {
  if (x.rank() != n + 2)
    fail<ShapeError>(op, "x needs {} dimensions (N, C{}), or {} without the batch, got {}", n + 2,
                     n == 1 ? ", L" : n == 2 ? ", H, W" : ", D, H, W", n + 1, x);
  if (weight.rank() != n + 2) fail<ShapeError>(op, "weight needs {} dimensions, got {}", n + 2, weight);
  check_positive(op, "groups", groups);
  for (int i = 0; i < n; ++i)
    if (weight[i + 2] < 1) fail<ShapeError>(op, "weight {} has an empty kernel", weight);
}

}  // namespace

template <int N>
ConvGeometry conv_geometry(const char* op, const Shape& x, const Shape& weight, const ConvOptions<N>& o) {
  check_common(op, N, x, weight, o.groups);
  if (weight[0] % o.groups != 0)
    fail<ShapeError>(op, "groups {} must divide the {} output channels: x {}, weight {}", o.groups, weight[0], x, weight);
  if (checked_mul(op, weight[1], o.groups) != x[1])
    fail<ShapeError>(op, "weight expects {} input channels{}, x has {}: x {}, weight {}", weight[1] * o.groups,
                     o.groups > 1 ? fmt::format(" ({} groups of {})", o.groups, weight[1]) : "", x[1], x, weight);
  const std::string& word = o.padding.word;
  if (!word.empty() && word != "same" && word != "valid")
    fail<ValueError>(op, "padding must be integers, \"same\" or \"valid\", got \"{}\"", word);
  ConvGeometry g;
  g.rank = N;
  g.large_channels = x[1];
  g.small_channels = weight[0];
  g.groups = o.groups;
  for (int i = 0; i < N; ++i) {
    check_positive(op, "stride", o.stride[i]);
    check_positive(op, "dilation", o.dilation[i]);
    const std::int64_t large = x[i + 2], kernel = weight[i + 2];
    const std::int64_t reach = checked_mul(op, o.dilation[i], kernel - 1);
    std::int64_t padding = o.padding.amount[i], total = checked_mul(op, 2, padding);
    if (padding < 0) fail<ValueError>(op, "padding must not be negative, got {}", padding);
    if (word == "valid") padding = total = 0;
    if (word == "same") {
      if (o.stride[i] != 1) fail<ValueError>(op, "padding \"same\" needs stride 1, got {}", o.stride[i]);
      padding = reach / 2, total = reach;
    }
    const std::int64_t room = checked_add(op, checked_add(op, large, total), -checked_add(op, reach, 1));
    if (room < 0)
      fail<ShapeError>(op, "kernel {} (dilated: {}) does not fit axis {} of size {} (padded: {}): x {}, weight {}",
                       kernel, reach + 1, i, large, large + total, x, weight);
    g.axis[i] = {large, room / o.stride[i] + 1, kernel, o.stride[i], padding, o.dilation[i]};
  }
  g.validate(op);
  return g;
}

template <int N>
ConvGeometry conv_transpose_geometry(const char* op, const Shape& x, const Shape& weight,
                                     const ConvTransposeOptions<N>& o) {
  check_common(op, N, x, weight, o.groups);
  if (weight[0] != x[1])
    fail<ShapeError>(op, "weight expects {} input channels, x has {}: x {}, weight {}", weight[0], x[1], x, weight);
  if (x[1] % o.groups != 0)
    fail<ShapeError>(op, "groups {} must divide the {} input channels: x {}, weight {}", o.groups, x[1], x, weight);
  ConvGeometry g;
  g.rank = N;
  g.small_channels = x[1];
  g.large_channels = checked_mul(op, weight[1], o.groups);
  g.groups = o.groups;
  for (int i = 0; i < N; ++i) {
    check_positive(op, "stride", o.stride[i]);
    check_positive(op, "dilation", o.dilation[i]);
    if (o.padding[i] < 0) fail<ValueError>(op, "padding must not be negative, got {}", o.padding[i]);
    if (o.output_padding[i] < 0 || o.output_padding[i] >= std::max(o.stride[i], o.dilation[i]))
      fail<ValueError>(op, "output_padding must be in [0, max(stride, dilation)), got {} with stride {} and dilation {}",
                       o.output_padding[i], o.stride[i], o.dilation[i]);
    const std::int64_t small = x[i + 2], kernel = weight[i + 2];
    const std::int64_t span = checked_add(op, checked_mul(op, small - 1, o.stride[i]), checked_mul(op, o.dilation[i], kernel - 1));
    const std::int64_t large = checked_add(op, checked_add(op, span, o.output_padding[i] + 1), -checked_mul(op, 2, o.padding[i]));
    if (large < 1)
      fail<ShapeError>(op, "the output of axis {} would have size {}: x {}, weight {}, stride {}, padding {}", i, large,
                       x, weight, o.stride[i], o.padding[i]);
    g.axis[i] = {large, small, kernel, o.stride[i], o.padding[i], o.dilation[i]};
  }
  g.validate(op);
  return g;
}

namespace {

/// The smallest output size of a transposed convolution along one axis; max(stride, dilation) - 1 more can be reached.
std::int64_t first_output_size(const char* op, std::int64_t size, std::int64_t kernel, std::int64_t stride,
                               std::int64_t padding, std::int64_t dilation) {
  check_positive(op, "size", size);
  check_positive(op, "kernel", kernel);
  check_positive(op, "stride", stride);
  check_positive(op, "dilation", dilation);
  if (padding < 0) fail<ValueError>(op, "padding must not be negative, got {}", padding);
  const std::int64_t span = checked_add(op, checked_mul(op, size - 1, stride), checked_mul(op, dilation, kernel - 1));
  return checked_add(op, checked_add(op, span, 1), -checked_mul(op, 2, padding));
}

}  // namespace

std::vector<ReachableSize> reachable_output_sizes(std::int64_t size, std::int64_t kernel, std::int64_t stride,
                                                  std::int64_t padding, std::int64_t dilation) {
  const char* op = "reachable_output_sizes";
  const std::int64_t first = first_output_size(op, size, kernel, stride, padding, dilation);
  constexpr std::int64_t most = 1 << 20;
  if (std::max(stride, dilation) > most)
    fail<ValueError>(op, "stride {} or dilation {} leaves more than 2^20 sizes to list", stride, dilation);
  std::vector<ReachableSize> sizes;
  for (std::int64_t extra = 0; extra < std::max(stride, dilation); ++extra)
    if (checked_add(op, first, extra) >= 1) sizes.push_back({first + extra, extra});
  return sizes;
}

template <int N>
Extent<N> output_padding_for(const Extent<N>& input, const Extent<N>& output_size, const Extent<N>& kernel,
                             const ConvTransposeOptions<N>& o) {
  const char* op = N == 1 ? "conv_transpose1d" : N == 2 ? "conv_transpose2d" : "conv_transpose3d";
  Extent<N> extra = 0;
  for (int i = 0; i < N; ++i) {
    const std::int64_t first = first_output_size(op, input[i], kernel[i], o.stride[i], o.padding[i], o.dilation[i]);
    const std::int64_t last = checked_add(op, first, std::max(o.stride[i], o.dilation[i]) - 1);
    if (output_size[i] < 1 || output_size[i] < first || output_size[i] > last)
      fail<ShapeError>(op, "output_size {} of axis {} cannot be reached from {}: kernel {}, stride {}, padding {} and dilation {} reach {}",
                       output_size[i], i, input[i], kernel[i], o.stride[i], o.padding[i], o.dilation[i],
                       last < 1 ? std::string("nothing") : fmt::format("[{}, {}]", std::max<std::int64_t>(first, 1), last));
    extra[i] = output_size[i] - first;
  }
  return extra;
}

#define DUET_INSTANTIATE(N)                                                                                            \
  template ConvGeometry conv_geometry<N>(const char*, const Shape&, const Shape&, const ConvOptions<N>&);              \
  template ConvGeometry conv_transpose_geometry<N>(const char*, const Shape&, const Shape&,                            \
                                                   const ConvTransposeOptions<N>&);                                    \
  template Extent<N> output_padding_for<N>(const Extent<N>&, const Extent<N>&, const Extent<N>&,                       \
                                           const ConvTransposeOptions<N>&);
DUET_INSTANTIATE(1)
DUET_INSTANTIATE(2)
DUET_INSTANTIATE(3)
#undef DUET_INSTANTIATE

}  // namespace duet
