// Reductions over the middle axis of a dense (outer, count, inner) array, for float and double. Threaded;
// results do not depend on the number of threads.
#pragma once

#include <duet/ops/kernels/elementwise_table.hpp>
#include <duet/ops/kernels/reduce_table.hpp>

namespace duet::kernels {

/// out[o, i] = scale * fold over j of x[o, j, i]. An empty fold gives 0 for sums, 1 for prod, -inf and inf for max and
/// min.
template <class T>
void reduce(Fold fold, std::int64_t outer, std::int64_t count, std::int64_t inner, const T* x, T* out,
            double scale = 1);

/// The sum of map(x, y; p, q) over `count` elements of two dense arrays, in one pass.
double map_sum(Map map, bool f64, std::int64_t count, const void* x, const void* y, double p, double q);

/// The sum of the binary cross entropies of `count` logits x and targets: (1 - target) x + log(1 + e^-x).
double logits_cross_entropy_sum(bool f64, std::int64_t count, const void* x, const void* target);

}  // namespace duet::kernels
