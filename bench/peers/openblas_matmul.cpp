// Matrix products beside OpenBLAS's, one thread each, in turn: minima of interleaved runs, f32. Prints one row a shape.
#include <cblas.h>
#include <openblas_config.h>

#include <cstdio>
#include <vector>

#include <duet/core/parallel.hpp>
#include <duet/ops/kernels/matmul.hpp>

#include "../shapes.hpp"

using namespace duet::bench;

namespace {

struct Shape {
  bool transposed_a, transposed_b;
  int m, n, k;
};

constexpr Shape shapes[] = {
    {false, false, 128, 128, 128},   {false, false, 256, 256, 256}, {false, false, 512, 512, 512},
    {false, false, 1000, 1000, 1000}, {false, false, 1024, 1024, 1024}, {false, true, 512, 512, 512},
    {true, false, 512, 512, 512},    {true, true, 512, 512, 512},   {false, false, 32, 1024, 1024},
    {false, true, 32, 1024, 1024},   {true, false, 1024, 1024, 32}, {false, false, 1024, 32, 1024},
    {false, false, 2048, 64, 64},    {false, false, 64, 2048, 64},  {false, false, 64, 64, 8192},
    {false, false, 4096, 16, 256},   {false, false, 1, 1024, 1024}, {false, true, 1, 1024, 1024}};

double seconds(const auto& run) {
  const double start = now();
  run();
  return now() - start;
}

void compare(const Shape& s) {
  const auto filled = [](std::int64_t count) {
    std::vector<float> values(static_cast<std::size_t>(count));
    for (std::size_t i = 0; i < values.size(); ++i) values[i] = static_cast<float>(i * 37 % 101) / 101 - 0.5f;
    return values;
  };
  const auto a = filled(std::int64_t{s.m} * s.k), b = filled(std::int64_t{s.k} * s.n);
  auto c = filled(std::int64_t{s.m} * s.n);
  const int lda = s.transposed_a ? s.m : s.k, ldb = s.transposed_b ? s.k : s.n;
  const auto own = [&] {
    duet::kernels::matmul<float>(s.transposed_a, s.transposed_b, s.m, s.n, s.k, a.data(), lda, b.data(), ldb, c.data(),
                                 s.n, false);
  };
  const auto theirs = [&] {
    cblas_sgemm(CblasRowMajor, s.transposed_a ? CblasTrans : CblasNoTrans, s.transposed_b ? CblasTrans : CblasNoTrans,
                s.m, s.n, s.k, 1.0f, a.data(), lda, b.data(), ldb, 0.0f, c.data(), s.n);
  };
  const double gflop = 2e-9 * s.m * s.n * s.k;
  double best_own = 1e9, best_theirs = 1e9, total = 0;
  for (int round = 0; round < 7 || (total < 0.4 && round < 2000); ++round) {
    const double first = seconds(own), second = seconds(theirs);
    total += first + second;
    if (round == 0) continue;
    best_own = std::min(best_own, first);
    best_theirs = std::min(best_theirs, second);
  }
  std::printf("| %s, %s | %d, %d, %d | %.1f | %.1f | %.2f |\n", s.transposed_a ? "yes" : "no", s.transposed_b ? "yes" : "no",
              s.m, s.n, s.k, gflop / best_own, gflop / best_theirs, best_theirs / best_own);
  std::fflush(stdout);
}

}  // namespace

int main() {
  count_processor_time = true;
  duet::set_num_threads(1);
  openblas_set_num_threads(1);
  std::printf("%s\n\n| transposed a, b | m, n, k | Duet, GFLOP/s | OpenBLAS | ratio |\n|---|---|---:|---:|---:|\n",
              openblas_get_config());
  for (const Shape& s : shapes) compare(s);
  return 0;
}
