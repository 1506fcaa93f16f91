// A solution of exercise 4.
#include <duet/duet.hpp>

#include "../checks/4_scatter.hpp"

duet::Tensor scatter(const duet::Tensor& x, const duet::Tensor& w, std::int64_t stride, std::int64_t padding) {
  const std::int64_t rows = x.size(0), columns = x.size(1), kh = w.size(0), kw = w.size(1);
  const std::int64_t out_rows = (rows - 1) * stride - 2 * padding + kh,
                     out_columns = (columns - 1) * stride - 2 * padding + kw;
  duet::Tensor y = duet::zeros({out_rows, out_columns}, {.dtype = duet::f64});
  double* to = y.mutable_data<double>();
  for (std::int64_t i = 0; i < rows; ++i)
    for (std::int64_t j = 0; j < columns; ++j)
      for (std::int64_t r = 0; r < kh; ++r)
        for (std::int64_t s = 0; s < kw; ++s) {
          const std::int64_t row = i * stride - padding + r, column = j * stride - padding + s;
          if (row >= 0 && row < out_rows && column >= 0 && column < out_columns)
            to[row * out_columns + column] += x.data<double>()[i * columns + j] * w.data<double>()[r * kw + s];
        }
  return y;
}
