// Softmax over the middle axis of a dense (outer, count, inner) array, for float and double. Threaded; results do not
// depend on the number of threads.
#pragma once

#include <cstdint>

namespace duet::kernels {

/// y = softmax of x over the middle axis, or its logarithm. A softmax may be multiplied by `factor` (outer, inner), its
/// columns' own, and lose `less` (outer, inner) at the element that `target` names; one that is out of range names
/// none.
template <class T>
void softmax(std::int64_t outer, std::int64_t count, std::int64_t inner, const T* x, T* y, bool log,
             const T* factor = nullptr, const std::int64_t* target = nullptr, const T* less = nullptr);

/// The gradient of softmax (or its logarithm) by its input, from its output y.
template <class T>
void softmax_backward(std::int64_t outer, std::int64_t count, std::int64_t inner, const T* g, const T* y, T* out,
                      bool log);

/// out[o, i] = log(sum over j of e^x[o, j, i]), without overflow. With `target` less x[o, target[o, i], i], or less 0
/// where that is out of range.
template <class T>
void log_sum_exp(std::int64_t outer, std::int64_t count, std::int64_t inner, const T* x, T* out,
                 const std::int64_t* target = nullptr);

}  // namespace duet::kernels
