// Tensors: shape and strides, views, and broadcasting, whose derivative is a sum.
#include <cstdio>
#include <vector>

#include <duet/duet.hpp>

using namespace duet;

void print(const char* what, const Tensor& t) { std::printf("%s\n%s\n", what, to_string(t).c_str()); }

int main() {
  // A tensor is a piece of memory, a shape, and one stride for each dimension: element (i, j) lies at
  // i * stride_0 + j * stride_1. Elements are float (f32) unless something else is asked for; f64 is double.
  // arange(0, 6) counts from 0 up to, not including, 6; reshape gives the same elements another shape.
  const Tensor m = reshape(arange(0, 6, 1, {.dtype = f64}), {2, 3});
  print("m", m);

  // permute puts the dimensions in another order: {1, 0} is the transpose.
  const Tensor turned = permute(m, {1, 0});
  print("permute(m, {1, 0})", turned);
  std::printf("strides %s and %s; the same memory: %s\n\n", to_string(m.strides()).c_str(),
              to_string(turned.strides()).c_str(), m.shares_storage_with(turned) ? "yes" : "no");

  // Shapes are aligned from the right; a 1 or a missing dimension is repeated.
  const Tensor column = Tensor::from_span(std::vector<double>{10, 20}, {2, 1});
  print("m + column (2, 1)", m + column);

  // Repeating has no cost forward, and its derivative is the sum over what was repeated.
  Tensor row = ones({3}, {.dtype = f64, .requires_grad = true});
  sum(m * row).backward();
  print("d sum(m * row) / d row, the column sums of m", row.grad());

  // What does not fit is refused, with both shapes aligned.
  try {
    m + ones({2, 2}, {.dtype = f64});
  } catch (const ShapeError& error) {
    std::printf("%s\n", error.what());
  }
}
