// A convolution is a matrix whose rows are one row, shifted; conv_transpose is that matrix turned over.
#include <cstdio>
#include <vector>

#include <duet/duet.hpp>

using namespace duet;

/// select(t, d, i) is what t has at index i of dimension d: a row of m, then an element of the row.
void print(const char* what, const Tensor& m) {
  std::printf("%s\n", what);
  for (std::int64_t i = 0; i < m.size(0); ++i) {
    for (std::int64_t j = 0; j < m.size(1); ++j) {
      const double v = select(select(m, 0, i), 0, j).item();
      if (v == 0)
        std::printf("   .");
      else
        std::printf("%4.0f", v);
    }
    std::printf("\n");
  }
}

/// The matrix of a linear map: what it makes of each unit vector, column by column. eye(n) is the unit matrix.
template <class Map>
Tensor matrix_of(Map map, std::int64_t inputs) {
  const Tensor columns = map(reshape(eye(inputs, {.dtype = f64}), {inputs, 1, inputs}));  // a batch of unit vectors
  return permute(reshape(columns, {inputs, -1}), {1, 0});  // -1: as many as there are
}

int main() {
  const Tensor w = reshape(Tensor::from_span(std::vector<double>{1, 2, 3}, {3}), {1, 1, 3});
  const auto conv = [&](const Tensor& x) { return conv1d(x, w, {.stride = 2, .padding = 1}); };
  const auto conv_t = [&](const Tensor& y) { return conv_transpose1d(y, w, {.stride = 2, .padding = 1}); };

  const Tensor C = matrix_of(conv, 7), D = matrix_of(conv_t, 4);
  print("C: conv1d of 7 numbers, kernel 1 2 3, stride 2, padding 1", C);
  print("D: conv_transpose1d of 4 numbers with the same options", D);
  std::printf("D is C turned over: %s\n", sum(D - permute(C, {1, 0})).item() == 0 ? "yes" : "no");

  // It is not the inverse: what comes back has the shape of x, not its values.
  const Tensor x = reshape(arange(1, 8, 1, {.dtype = f64}), {1, 1, 7});
  std::printf("x                         %s\n", to_string(reshape(x, {7})).c_str());
  std::printf("conv_transpose1d(conv1d)  %s\n", to_string(reshape(conv_t(conv(x)), {7})).c_str());

  // The tape knew it all along: the gradient of <conv(x), y>, the sum of products, by x is conv_transpose(y).
  Tensor input = zeros({1, 1, 7}, {.dtype = f64, .requires_grad = true});
  const Tensor y = reshape(arange(1, 5, 1, {.dtype = f64}), {1, 1, 4});
  sum(conv(input) * y).backward();
  std::printf("gradient of <conv1d(x), y> %s\nconv_transpose1d(y)        %s\n",
              to_string(reshape(input.grad(), {7})).c_str(), to_string(reshape(conv_t(y), {7})).c_str());
}
