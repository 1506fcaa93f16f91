// A solution of exercise 2.
#include <duet/duet.hpp>

#include "../checks/2_unbroadcast.hpp"

duet::Tensor unbroadcast(const duet::Tensor& g, const duet::Shape& shape) {
  duet::Dims repeated;
  for (int i = 0; i < g.rank(); ++i)
    if (shape[i] == 1 && g.size(i) != 1) repeated.push_back(i);
  return repeated.empty() ? g : sum(g, {.dim = repeated, .keepdim = true});
}
