// One trilinear form T(x, w, y), three ops, and a table of derivatives that is closed.
#include <cstdio>

#include <duet/duet.hpp>

using namespace duet;

/// eq is 1 where elements are equal, all is 1 where none is 0.
bool equal(const Tensor& a, const Tensor& b) { return a.shape() == b.shape() && all(eq(a, b)).item() == 1; }

int main() {
  manual_seed(0);
  // Whole numbers: every product and sum is exact, so equal means equal.
  const auto integers = [](const Shape& shape) { return to(randint(-4, 5, shape), f64); };
  // x: 2 samples of 4 channels, (10, 9). w: 6 channels out, each from 2 of the 4 (two groups), 3 x 4 taps.
  Tensor x = integers({2, 4, 10, 9}), w = integers({6, 2, 3, 4}), y = integers({2, 6, 5, 3});
  const Conv2dOptions options{.stride = {2, 3}, .padding = 1, .dilation = {1, 1}, .groups = 2};

  // The geometry is fixed once and handed on. It holds both sizes, so nothing is ever derived from a formula again.
  // ("conv2d" is whose name an error would carry.)
  const ConvGeometry geometry = conv_geometry<2>("conv2d", x.shape(), w.shape(), options);
  // The third argument is a bias; {} is none.
  const Tensor to_small = conv2d(x, w, {}, geometry), to_large = conv_transpose2d(y, w, {}, geometry),
               to_weight = conv2d_weight(x, y, geometry);
  std::printf("conv2d           %s -> %s\n", to_string(x.shape()).c_str(), to_string(to_small.shape()).c_str());
  std::printf("conv_transpose2d %s -> %s\n", to_string(y.shape()).c_str(), to_string(to_large.shape()).c_str());
  std::printf("conv2d_weight    both -> %s\n\n", to_string(to_weight.shape()).c_str());

  std::printf("T = <conv2d(x, w), y>           = %.0f\n", sum(to_small * y).item());
  std::printf("T = <x, conv_transpose2d(y, w)> = %.0f\n", sum(x * to_large).item());
  std::printf("T = <w, conv2d_weight(x, y)>    = %.0f\n\n", sum(w * to_weight).item());

  for (Tensor* t : {&x, &w, &y}) t->set_requires_grad();
  const auto by = [&](const Tensor& output, const Tensor& input) { return grad({sum(output)}, {input})[0]; };
  std::printf("dT/dx is conv_transpose2d(y, w): %s\n",
              equal(by(conv2d(x, w, {}, geometry) * y, x), to_large) ? "yes" : "no");
  std::printf("dT/dw is conv2d_weight(x, y):    %s\n",
              equal(by(conv2d(x, w, {}, geometry) * y, w), to_weight) ? "yes" : "no");
  std::printf("dT/dy is conv2d(x, w):           %s\n\n",
              equal(by(conv_transpose2d(y, w, {}, geometry) * x, y), to_small) ? "yes" : "no");

  // Each derivative is one of the three again, so there are derivatives of every order.
  const auto verdict = gradcheck(
      [&](const Tensor& a, const Tensor& b) { return tanh(conv2d(a, b, {}, geometry) * 0.01); }, {x, w}, {.order = 3});
  std::printf("tanh(conv2d(x, w)) to order 3: %s\n", name(verdict.verdict));
}
