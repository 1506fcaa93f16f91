// A solution of exercise 7.
#include <duet/duet.hpp>

#include "../checks/7_bilinear.hpp"

duet::Tensor bilinear_kernel(std::int64_t stride) {
  const std::int64_t size = 2 * stride;
  const duet::Tensor place =
      (duet::arange(0, static_cast<double>(size), 1, {.dtype = duet::f64}) + 0.5) / static_cast<double>(stride) - 1;
  const duet::Tensor hat = 1 - abs(place);
  return reshape(hat, {size, 1}) * reshape(hat, {1, size});
}
