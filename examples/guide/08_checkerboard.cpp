// Checkerboards: where they come from, how to measure them, and three cures.
#include <cmath>
#include <cstdio>

#include <duet/duet.hpp>

using namespace duet;

/// How much of an image alternates with the period of the stride: the mean of each of the s * s phases, their spread.
double checkerboard(const Tensor& image, std::int64_t s) {
  Tensors means;
  for (std::int64_t i = 0; i < s; ++i)
    for (std::int64_t j = 0; j < s; ++j)  // away from the border, where fewer products meet
      means.push_back(mean(slice(slice(image, 2, 8 + i, image.size(2) - 8, s), 3, 8 + j, image.size(3) - 8, s)));
  return duet::std(stack(means), {.unbiased = false}).item();
}

int main() {
  // How many products meet in each cell: conv_transpose2d of ones by ones.
  for (const std::int64_t kernel : {2, 3, 4}) {
    const Tensor count = conv_transpose2d(ones({1, 1, 1, 5}), ones({1, 1, 1, kernel}), {.stride = {1, 2}});
    std::printf("kernel %lld, stride 2: %s\n", static_cast<long long>(kernel), to_string(reshape(count, {-1})).c_str());
  }

  // An untrained upsampler, fed a flat image, should give a flat image. Weights as they are drawn at the start.
  manual_seed(0);
  const std::int64_t channels = 16, runs = 20;
  const Tensor flat = ones({1, channels, 24, 24}, {.dtype = f64});
  const auto measure = [&](const char* what, auto upsample) {
    double total = 0;
    for (std::int64_t run = 0; run < runs; ++run) total += checkerboard(upsample(), 2);
    std::printf("%-38s %.4f\n", what, total / static_cast<double>(runs));
  };
  const auto weights = [&](const Shape& shape) {
    return randn(shape, {.dtype = f64}) / std::sqrt(shape[0] * shape[2] * shape[3]);
  };

  std::printf("\nspread between the phases of an untrained upsampler by 2\n");
  measure("conv_transpose2d 3x3", [&] {
    return conv_transpose2d(flat, weights({channels, 1, 3, 3}), {.stride = 2, .padding = 1, .output_padding = 1});
  });
  measure("conv_transpose2d 4x4", [&] {
    return conv_transpose2d(flat, weights({channels, 1, 4, 4}), {.stride = 2, .padding = 1});
  });
  measure("conv2d 3x3 + pixel_shuffle", [&] {
    return pixel_shuffle(conv2d(flat, permute(weights({channels, 4, 3, 3}), {1, 0, 2, 3}), {.padding = 1}), 2);
  });
  measure("the same, one kernel for all phases", [&] {  // ICNR: Aitken et al. 2017
    const Tensor one = permute(weights({channels, 1, 3, 3}), {1, 0, 2, 3});
    return pixel_shuffle(conv2d(flat, cat({one, one, one, one}), {.padding = 1}), 2);
  });
  measure("nearest + conv2d 3x3", [&] {  // Odena et al. 2016
    const Tensor big = interpolate(flat, {.scale_factor = {2}});
    return conv2d(big, permute(weights({channels, 1, 3, 3}), {1, 0, 2, 3}), {.padding = 1});
  });
}
