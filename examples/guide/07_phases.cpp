// A transposed convolution of stride s is s * s convolutions of stride 1, shuffled together.
#include <cstdio>

#include <duet/duet.hpp>

using namespace duet;

/// conv_transpose2d(x, w, {.stride = s, .padding = p}) of a kernel that s divides, by conv2d and pixel_shuffle alone.
Tensor by_phases(const Tensor& x, const Tensor& w, std::int64_t s, std::int64_t p) {
  const std::int64_t taps = w.size(2) / s;  // taps of each phase, along each axis
  Tensors phases;
  for (std::int64_t i = 0; i < s; ++i)
    for (std::int64_t j = 0; j < s; ++j) {
      // Output row s*m + i meets the taps i, s + i, 2s + i, ... only: with input rows m, m - 1, m - 2, ...
      Tensor part = slice(slice(w, 2, i, w.size(2), s), 3, j, w.size(3), s);
      part = permute(flip(part, {2, 3}), {1, 0, 2, 3});  // conv2d walks its taps forward, from output to input channels
      phases.push_back(conv2d(x, part, {.padding = taps - 1}));
    }
  // (N, s*s, C, h, w) to (N, C*s*s, h, w), in the order that pixel_shuffle expects.
  const Tensor all = permute(stack(phases, 1), {0, 2, 1, 3, 4});
  const Tensor large = pixel_shuffle(flatten(all, 1, 2), s);
  const auto crop = [&](const Tensor& t, int dim) { return slice(t, dim, p, t.size(dim) - p); };
  return crop(crop(large, 2), 3);
}

int main() {
  manual_seed(0);
  const auto integers = [](const Shape& shape) { return to(randint(-4, 5, shape), f64); };
  struct Case {
    std::int64_t kernel, stride, padding;
  };
  for (const Case c : {Case{2, 2, 0}, Case{4, 2, 1}, Case{6, 3, 2}, Case{8, 4, 2}}) {
    const Tensor x = integers({2, 3, 5, 7}), w = integers({3, 4, c.kernel, c.kernel});
    const Tensor direct = conv_transpose2d(x, w, {.stride = c.stride, .padding = c.padding});
    const Tensor shuffled = by_phases(x, w, c.stride, c.padding);
    std::printf("kernel %lld, stride %lld, padding %lld: %s, the same: %s\n", static_cast<long long>(c.kernel),
                static_cast<long long>(c.stride), static_cast<long long>(c.padding), to_string(direct.shape()).c_str(),
                direct.shape() == shuffled.shape() && all(eq(direct, shuffled)).item() == 1 ? "yes" : "no");
  }
  // What it saves: the scatter view of DCGAN's 4 x 4, stride 2 reads as one convolution over an input full of holes.
  std::printf("\nper output of a 4 x 4 kernel with stride 2: %d products by holes, %d by phases\n", 4 * 4, 2 * 2);
}
