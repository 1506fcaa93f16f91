// libtorch on the shape set: NCHW in and out, what its C++ user gets. The backward of both gradients is one call,
// timed as a whole; it is reported as "input", and "weight" is zero.
#include <ATen/Parallel.h>
#include <torch/torch.h>
#include <torch/version.h>

#include "../shapes.hpp"
#include "arguments.hpp"

using namespace duet::bench;

namespace {

ConvTimes run(const ConvShape& s) {
  const auto x = torch::randn({s.batch, s.in_channels, s.height, s.width}).requires_grad_(true);
  const auto w = torch::randn({s.transposed ? s.in_channels : s.out_channels,
                               (s.transposed ? s.out_channels : s.in_channels) / s.groups, s.kernel_h, s.kernel_w})
                     .requires_grad_(true);
  const auto bias = torch::randn({s.out_channels});
  const auto forward = [&] {
    return s.transposed ? torch::conv_transpose2d(x, w, bias, s.stride, s.padding, s.output_padding, s.groups, s.dilation)
                        : torch::conv2d(x, w, bias, s.stride, s.padding, s.dilation, s.groups);
  };
  ConvTimes times;
  {
    torch::NoGradGuard guard;
    times.forward = time_of(forward);
  }
  const auto y = forward();
  const auto cotangent = torch::randn_like(y);
  times.input = time_of([&] { torch::autograd::grad({y}, {x, w}, {cotangent}, /*retain_graph=*/true); });
  return times;
}

}  // namespace

int main(int argc, char** argv) {
  const Arguments arguments = parse(argc, argv);
  at::set_num_threads(arguments.threads);
  std::printf("{\"library\": \"libtorch\", \"version\": \"%s\", \"threads\": %d}\n", TORCH_VERSION, arguments.threads);
  for (const ConvShape& shape : read_shapes(arguments.shapes, arguments.filter)) print_json("libtorch", shape, run(shape));
  return 0;
}
