// A solution of exercise 5.
#include <duet/duet.hpp>

#include "../checks/5_weight.hpp"

duet::Tensor weight_gradient(const duet::Tensor& x, const duet::Tensor& g, std::int64_t kernel, std::int64_t stride) {
  duet::Tensor w = duet::zeros({kernel, kernel}, {.dtype = duet::f64});
  double* to = w.mutable_data<double>();
  for (std::int64_t r = 0; r < kernel; ++r)
    for (std::int64_t s = 0; s < kernel; ++s)
      for (std::int64_t i = 0; i < g.size(0); ++i)
        for (std::int64_t j = 0; j < g.size(1); ++j)
          to[r * kernel + s] +=
              x.data<double>()[(i * stride + r) * x.size(1) + j * stride + s] * g.data<double>()[i * g.size(1) + j];
  return w;
}
