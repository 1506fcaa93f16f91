// Reductions and softmax over the middle axis of a dense (outer, count, inner) array, for float and double. Threaded;
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

/// y = softmax of x over the middle axis, or its logarithm. A softmax may be multiplied by `factor` (outer, inner), its
/// columns' own, and lose `less` (outer, inner) at the element that `target` names; one that is out of range names none.
template <class T>
void softmax(std::int64_t outer, std::int64_t count, std::int64_t inner, const T* x, T* y, bool log,
             const T* factor = nullptr, const std::int64_t* target = nullptr, const T* less = nullptr);

/// The gradient of softmax (or its logarithm) by its input, from its output y.
template <class T>
void softmax_backward(std::int64_t outer, std::int64_t count, std::int64_t inner, const T* g, const T* y, T* out,
                      bool log);

/// out[o, i] = log(sum over j of e^x[o, j, i]), without overflow; without the column's greatest element where `most`
/// takes it. With `target`, picked[o, i] = x[o, target[o, i], i], or 0 where that is out of range.
template <class T>
void log_sum_exp(std::int64_t outer, std::int64_t count, std::int64_t inner, const T* x, T* out, T* most = nullptr,
                 const std::int64_t* target = nullptr, T* picked = nullptr);

/// The sum of map(operands; p, q) over `count` elements, in one pass. An operand steps through a dense array or, with
/// step false, is one value.
double map_sum(Map map, bool f64, std::int64_t count, const void* const* operands, const bool* steps, int operand_count,
               double p, double q);

}  // namespace duet::kernels
