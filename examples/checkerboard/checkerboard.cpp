// Three doublings from random numbers, and the arithmetic of overlaps.
#include "checkerboard/checkerboard.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include <duet/core/factory.hpp>
#include <duet/core/random.hpp>
#include <duet/core/tape.hpp>
#include <duet/nn/activation.hpp>
#include <duet/nn/container.hpp>
#include <duet/nn/conv.hpp>
#include <duet/nn/norm.hpp>
#include <duet/ops/conv.hpp>
#include <duet/ops/elementwise.hpp>
#include <duet/ops/reduce.hpp>
#include <duet/ops/shape.hpp>

namespace duet::examples {
namespace {

constexpr std::int64_t start = 8, doubled = 3, widths[] = {32, 24, 16, 1};

/// One doubling; whatever a kernel of odd size leaves over at the border is taken off.
void add_doubling(nn::Sequential& net, const Doubling& how, std::int64_t in, std::int64_t out) {
  if (how.kernel == 0)
    net.add(nn::UpsampleBlock{in, out, how.upsampler, {.smooth_init = how.smooth_init}});
  else
    net.add(nn::ConvTranspose2d{
        in,
        out,
        how.kernel,
        {.stride = 2, .padding = (how.kernel - 1) / 2, .output_padding = how.kernel % 2, .bias = false}});
}

}  // namespace

Tensor overlap_map(std::int64_t kernel, std::int64_t stride, std::int64_t count) {
  const NoGradGuard no_grad;
  const Tensor map = conv_transpose2d(ones({1, 1, count, count}), ones({1, 1, kernel, kernel}), {.stride = stride});
  return reshape(map, {map.size(2), map.size(3)});
}

double overlap_ratio(std::int64_t kernel, std::int64_t stride) {
  // One period, as far inside as a kernel reaches.
  const std::int64_t reach = (kernel + stride - 1) / stride + 1;
  const Tensor map = overlap_map(kernel, stride, 2 * reach + 1);
  const std::int64_t first = reach * stride;
  const auto values = slice(slice(map, 0, first, first + stride), 1, first, first + stride).to_vector();
  const auto [least, most] = std::minmax_element(values.begin(), values.end());
  return *least == 0 ? std::numeric_limits<double>::infinity() : *most / *least;
}

std::vector<Doubling> doublings() {
  return {{.name = "transposed, kernel 3, stride 2", .kernel = 3},
          {.name = "transposed, kernel 5, stride 2", .kernel = 5},
          {.name = "transposed, kernel 4, stride 2", .kernel = 4},
          {.name = "pixel-shuffle", .upsampler = nn::Upsampler::pixel_shuffle},
          {.name = "pixel-shuffle, ICNR", .upsampler = nn::Upsampler::pixel_shuffle, .smooth_init = true},
          {.name = "transposed, bilinear weights", .upsampler = nn::Upsampler::transposed, .smooth_init = true},
          {.name = "nearest, then convolution", .upsampler = nn::Upsampler::nearest, .smooth_init = true},
          {.name = "bilinear, then convolution", .upsampler = nn::Upsampler::bilinear, .smooth_init = true}};
}

Tensor untrained_outputs(const Doubling& doubling, std::int64_t count, std::uint64_t seed) {
  const NoGradGuard no_grad;
  manual_seed(seed);
  Tensors outputs;
  for (std::int64_t i = 0; i < count; ++i) {  // a net of its own each
    nn::Sequential net;
    for (std::int64_t level = 0; level < doubled; ++level) {
      add_doubling(net, doubling, widths[level], widths[level + 1]);
      if (level + 1 < doubled) net.add(nn::ReLU{});
    }
    const Tensor y = net(randn({1, widths[0], start, start}));
    const Tensor plane = reshape(y, {y.size(2), y.size(3)});
    outputs.push_back((plane - mean(plane)) / clamp(std(plane), {.min = 1e-12}));
  }
  return stack(outputs, 0);
}

}  // namespace duet::examples
