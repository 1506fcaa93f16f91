// The matrix product against a plain loop: exactly, on integers, in every SIMD table, and bit for bit on any number
// of threads.
#include <doctest/doctest.h>

#include <array>
#include <limits>

#include <duet/core/parallel.hpp>
#include <duet/ops/kernels/matmul.hpp>
#include <duet/ops/kernels/simd.hpp>

#include "conv_reference.hpp"

using namespace duet;

namespace {

struct Product {
  bool transpose_a, transpose_b;
  std::int64_t m, n, k, lda, ldb, ldc;
  bool accumulate;
};

template <class T>
bool agrees(const Product& p, std::mt19937& random) {
  const auto a = test::random_integers<T>(random, (p.transpose_a ? p.k : p.m) * p.lda);
  const auto b = test::random_integers<T>(random, (p.transpose_b ? p.n : p.k) * p.ldb);
  auto start = test::random_integers<T>(random, p.m * p.ldc);
  auto expected = start;
  for (std::int64_t i = 0; i < p.m; ++i)
    for (std::int64_t j = 0; j < p.n; ++j) {
      T sum = p.accumulate ? start[i * p.ldc + j] : T(0);
      for (std::int64_t q = 0; q < p.k; ++q)
        sum += (p.transpose_a ? a[q * p.lda + i] : a[i * p.lda + q]) *
               (p.transpose_b ? b[j * p.ldb + q] : b[q * p.ldb + j]);
      expected[i * p.ldc + j] = sum;
    }
  if (!p.accumulate)  // whatever stood in c before must not matter
    for (std::int64_t i = 0; i < p.m; ++i)
      for (std::int64_t j = 0; j < p.n; ++j) start[i * p.ldc + j] = std::numeric_limits<T>::quiet_NaN();
  const test::Fenced<T> left(a), right(b);
  test::Fenced<T> c(start);
  kernels::matmul<T>(p.transpose_a, p.transpose_b, p.m, p.n, p.k, left.data(), p.lda, right.data(), p.ldb, c.data(),
                     p.ldc, p.accumulate);
  return c.values() == expected && c.intact();
}

std::int64_t random_size(std::mt19937& random) {
  const auto form = random() % 10;
  if (form == 0) return static_cast<std::int64_t>(random() % 3);
  return 1 + static_cast<std::int64_t>(random() % (form < 5 ? 20 : form < 9 ? 70 : 400));
}

}  // namespace

TEST_CASE_TEMPLATE("matmul agrees exactly with a plain loop", T, float, double) {
  const kernels::Simd before = kernels::active_simd();
  for (kernels::Simd simd : kernels::available_simd()) {
    kernels::set_active_simd(simd);
    std::mt19937 random(1);
    for (int i = 0; i < 400; ++i) {
      Product p;
      p.transpose_a = random() % 2;
      p.transpose_b = random() % 2;
      p.accumulate = random() % 2;
      p.m = random_size(random);
      p.n = random_size(random);
      p.k = random_size(random);
      if (i % 50 == 0) p.k += 700;
      p.lda = (p.transpose_a ? p.m : p.k) + static_cast<std::int64_t>(random() % 3);
      p.ldb = (p.transpose_b ? p.k : p.n) + static_cast<std::int64_t>(random() % 3);
      p.ldc = p.n + static_cast<std::int64_t>(random() % 3);
      CHECK_MESSAGE(agrees<T>(p, random), "m ", p.m, ", n ", p.n, ", k ", p.k, ", transposed ", p.transpose_a, " ",
                    p.transpose_b, ", accumulate ", p.accumulate, ", ", kernels::name(simd));
    }
  }
  kernels::set_active_simd(before);
}

TEST_CASE_TEMPLATE("matmul agrees exactly where the sum is long, and where rows lie a page apart", T, float, double) {
  const kernels::Simd before = kernels::active_simd();
  for (kernels::Simd simd : kernels::available_simd()) {
    kernels::set_active_simd(simd);
    std::mt19937 random(3);
    for (const auto& sizes :
         std::vector<std::array<std::int64_t, 3>>{{9, 5, 8200}, {10, 40, 20000}, {100, 33, 500}})
      for (int form = 0; form < 8; ++form) {
        const std::int64_t m = sizes[0], n = sizes[1], k = sizes[2];
        Product p{form % 2 == 1, form / 2 % 2 == 1, m, n, k, 0, 0, n + 1, form / 4 == 1};
        p.lda = p.transpose_a ? m : (k + 1023) / 1024 * 1024;
        p.ldb = p.transpose_b ? k + 3 : n;
        CHECK_MESSAGE(agrees<T>(p, random), m, " ", n, " ", k, ", form ", form, ", ", kernels::name(simd));
      }
  }
  kernels::set_active_simd(before);
}

TEST_CASE_TEMPLATE("matmul agrees exactly where c is computed transposed", T, float, double) {
  const kernels::Simd before = kernels::active_simd();
  std::mt19937 random(3);
  for (kernels::Simd simd : kernels::available_simd()) {
    kernels::set_active_simd(simd);
    for (const bool accumulate : {false, true})
      for (const std::int64_t m : {16, 31, 32, 64})
        for (const std::int64_t n : {130, 200})
          for (const std::int64_t k : {260, 8200})
            CHECK_MESSAGE(agrees<T>({false, true, m, n, k, k + 1, k + 2, n + 3, accumulate}, random), "m ", m, ", n ",
                          n, ", k ", k, ", accumulate ", accumulate, ", ", kernels::name(simd));
  }
  kernels::set_active_simd(before);
}

TEST_CASE_TEMPLATE("matmul gives the same bits on any number of threads", T, float, double) {
  const kernels::Simd before = kernels::active_simd();
  const int threads_before = num_threads();
  std::mt19937 random(2);
  std::uniform_real_distribution<double> uniform(-1, 1);
  const std::int64_t sizes[][3] = {{300, 301, 302}, {1, 1000, 900}, {1000, 3, 700},
                                   {5, 7, 20000},   {64, 2000, 9},  {32, 100, 8192}};
  for (const auto& size : sizes) {
    const std::int64_t m = size[0], n = size[1], k = size[2];
    std::vector<T> a(static_cast<std::size_t>(m * k)), b(static_cast<std::size_t>(k * n));
    for (T& v : a) v = static_cast<T>(uniform(random));
    for (T& v : b) v = static_cast<T>(uniform(random));
    for (kernels::Simd simd : kernels::available_simd()) {
      kernels::set_active_simd(simd);
      const auto product = [&](int threads) {
        set_num_threads(threads);
        std::vector<T> c(static_cast<std::size_t>(m * n));
        const bool turned = m == 32;
        kernels::matmul<T>(false, turned, m, n, k, a.data(), k, b.data(), turned ? k : n, c.data(), n, false);
        return c;
      };
      const auto one = product(1);
      for (int threads : {2, 3, 4, 8})
        CHECK_MESSAGE(product(threads) == one, m, " ", n, " ", k, ", ", threads, " threads, ", kernels::name(simd));
    }
  }
  set_num_threads(threads_before);
  kernels::set_active_simd(before);
}
