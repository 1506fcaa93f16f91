// The matrix product, in its plainest form: rows of b scaled and added.
#include <duet/ops/kernels/matmul.hpp>

#include <algorithm>

#include <duet/core/parallel.hpp>

namespace duet::kernels {

template <class T>
void matmul(bool transpose_a, bool transpose_b, std::int64_t m, std::int64_t n, std::int64_t k, const T* a,
            std::int64_t lda, const T* b, std::int64_t ldb, T* c, std::int64_t ldc, bool accumulate) {
  const std::int64_t grain = std::max<std::int64_t>(1, 65536 / std::max<std::int64_t>(1, n * k));
  parallel_for(m, grain, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) {
      T* row = c + i * ldc;
      if (!accumulate) std::fill(row, row + n, T(0));
      if (transpose_b) {
        for (std::int64_t j = 0; j < n; ++j) {
          T sum = 0;
          for (std::int64_t p = 0; p < k; ++p) sum += (transpose_a ? a[p * lda + i] : a[i * lda + p]) * b[j * ldb + p];
          row[j] += sum;
        }
      } else {
        for (std::int64_t p = 0; p < k; ++p) {
          const T factor = transpose_a ? a[p * lda + i] : a[i * lda + p];
          const T* from = b + p * ldb;
          for (std::int64_t j = 0; j < n; ++j) row[j] += factor * from[j];
        }
      }
    }
  });
}

template void matmul<float>(bool, bool, std::int64_t, std::int64_t, std::int64_t, const float*, std::int64_t,
                            const float*, std::int64_t, float*, std::int64_t, bool);
template void matmul<double>(bool, bool, std::int64_t, std::int64_t, std::int64_t, const double*, std::int64_t,
                             const double*, std::int64_t, double*, std::int64_t, bool);

}  // namespace duet::kernels
