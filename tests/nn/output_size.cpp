// A transposed convolution told the size that its dual was given returns to it: the 4,752 settings of PyTorch's
// ConvTranspose2d_output_size_downsample_upsample.
#include <doctest/doctest.h>

#include <duet/core/factory.hpp>
#include <duet/core/tape.hpp>
#include <duet/nn/conv.hpp>

using namespace duet;

TEST_CASE("down by a convolution and up to the size before, 4752 ways") {
  const NoGradGuard no_grad;
  int settings = 0;
  for (std::int64_t kernel = 2; kernel < 5; ++kernel)
    for (std::int64_t dilation = 1; dilation < 5; ++dilation)
      for (std::int64_t stride = 1; stride < 4; ++stride)
        for (std::int64_t padding = 0; padding < 3; ++padding) {
          nn::Conv2d down{3, 2, kernel, {.stride = stride, .padding = padding, .dilation = dilation}};
          nn::ConvTranspose2d up{2, 3, kernel, {.stride = stride, .padding = padding, .dilation = dilation}};
          for (std::int64_t height = 13; height < 24; ++height)
            for (std::int64_t width = 13; width < 17; ++width) {
              CAPTURE(kernel);
              CAPTURE(dilation);
              CAPTURE(stride);
              CAPTURE(padding);
              const Tensor x = ones({2, 3, height, width});
              CHECK(up(down(x), {height, width}).shape() == x.shape());
              ++settings;
            }
        }
  CHECK(settings == 4752);
}

TEST_CASE("a size out of reach is refused with the range that is in reach") {
  nn::ConvTranspose2d layer{3, 4, 3, {.stride = 3}};
  const Tensor x = ones({2, 3, 6, 6});
  for (std::int64_t height = 15; height < 22; ++height)
    for (std::int64_t width = 15; width < 22; ++width) {
      if (height >= 18 && height <= 20 && width >= 18 && width <= 20)
        CHECK(layer(x, {height, width}).shape() == Shape{2, 4, height, width});
      else
        CHECK_THROWS_WITH_AS(layer(x, {height, width}), doctest::Contains("reach [18, 20]"), ShapeError);
    }
}
