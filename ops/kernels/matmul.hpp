// The matrix product on raw row-major buffers, for float and double.
#pragma once

#include <cstdint>

namespace duet::kernels {

/// c = a' b', or c += a' b' where `accumulate`; c is m x n, a' is m x k, b' is k x n. a' is `a` itself (row stride
/// lda) or, where `transpose_a`, the transpose of the k x m matrix stored there; likewise b'. Any of m, n, k may
/// be zero. Threaded; the result does not depend on the number of threads. c must not overlap a or b.
template <class T>
void matmul(bool transpose_a, bool transpose_b, std::int64_t m, std::int64_t n, std::int64_t k, const T* a,
            std::int64_t lda, const T* b, std::int64_t ldb, T* c, std::int64_t ldc, bool accumulate);

}  // namespace duet::kernels
