// stride, padding, output_padding, dilation, groups: what one input cell becomes, and which sizes can be reached.
#include <cstdio>

#include <duet/duet.hpp>

using namespace duet;

/// conv_transpose2d of a 3 x 3 input with a single 1 in its middle, by a kernel that numbers its taps.
void scatter(const char* what, const ConvTranspose2dOptions& options) {
  Tensor x = zeros({1, 1, 3, 3});
  x.mutable_data<float>()[4] = 1;
  const Tensor w = reshape(arange(1, 10), {1, 1, 3, 3});
  const Tensor y = conv_transpose2d(x, w, options);
  std::printf("%s: %lld x %lld\n", what, static_cast<long long>(y.size(2)), static_cast<long long>(y.size(3)));
  for (std::int64_t i = 0; i < y.size(2); ++i) {
    for (std::int64_t j = 0; j < y.size(3); ++j) {
      const float v = y.data<float>()[i * y.size(3) + j];
      std::printf(" %c", v == 0 ? '.' : static_cast<char>('0' + static_cast<int>(v)));
    }
    std::printf("\n");
  }
}

int main() {
  scatter("stride 1", {});
  scatter("stride 2: input cells stand two apart", {.stride = 2});
  scatter("stride 2, padding 1: a frame of 1 is cut off", {.stride = 2, .padding = 1});
  scatter("stride 2, padding 1, output_padding 1: one more row and column behind",
          {.stride = 2, .padding = 1, .output_padding = 1});
  scatter("dilation 2: taps stand two apart", {.dilation = 2});

  // Seven and eight both shrink to four, so the way back needs to be told.
  std::printf("\nfrom 4 with kernel 3, stride 2, padding 1:");
  for (const ReachableSize& r : reachable_output_sizes(4, 3, 2, 1))
    std::printf(" %lld (output_padding %lld)", static_cast<long long>(r.size),
                static_cast<long long>(r.output_padding));
  const Tensor seven = conv2d(zeros({1, 1, 7, 8}), zeros({1, 1, 3, 3}), {.stride = 2, .padding = 1});
  std::printf("\nconv2d of (7, 8): (%lld, %lld)\n", static_cast<long long>(seven.size(2)),
              static_cast<long long>(seven.size(3)));

  // Groups: channels in separate bundles, each with kernels of its own. A weight has (in, out / groups, ...).
  const Tensor y = conv_transpose2d(zeros({1, 4, 3, 3}), zeros({4, 3, 2, 2}), {.groups = 2});
  std::printf("4 channels in 2 groups, 3 channels a group out: %s\n", to_string(y.shape()).c_str());

  for (const ConvTranspose2dOptions& wrong :
       {ConvTranspose2dOptions{.stride = 2, .output_padding = 2}, ConvTranspose2dOptions{.padding = 3}}) {
    try {
      conv_transpose2d(zeros({1, 1, 3, 3}), zeros({1, 1, 3, 3}), wrong);
    } catch (const Error& error) {
      std::printf("%s\n", error.what());
    }
  }
}
