// Results large enough to go past the caches (core/streaming.hpp) against the same samples one by one, which are not:
// bit for bit, in every SIMD table, on one thread and on two.
#include <doctest/doctest.h>

#include <cstring>

#include <duet/core/callable.hpp>
#include <duet/core/parallel.hpp>
#include <duet/core/random.hpp>
#include <duet/core/streaming.hpp>
#include <duet/ops/activation.hpp>
#include <duet/ops/elementwise.hpp>
#include <duet/ops/kernels/simd.hpp>
#include <duet/ops/norm.hpp>
#include <duet/ops/pool.hpp>
#include <duet/ops/registry.hpp>
#include <duet/ops/shape.hpp>
#include <duet/ops/softmax.hpp>

using namespace duet;

namespace {

/// Whether op(whole) is op(sample) for each sample of the first dimension.
bool same_by_samples(const Tensor& x, FunctionRef<Tensor(const Tensor&)> op) {
  const Tensor whole = op(x);
  bool same = whole.bytes() >= streamed_bytes;
  for (std::int64_t n = 0; n < x.size(0); ++n) {
    const Tensor alone = op(contiguous(slice(x, 0, n, n + 1)));
    const Tensor part = contiguous(slice(whole, 0, n, n + 1));
    same = same && alone.bytes() < streamed_bytes && part.shape() == alone.shape() &&
           std::memcmp(part.data<float>(), alone.data<float>(), static_cast<std::size_t>(part.bytes())) == 0;
  }
  return same;
}

/// The adjoint of a 2 x 2 max_pool2d on its own output.
Tensor maxima_put_back(const Tensor& x) {
  const MaxPoolOptions<2> options{.kernel_size = 2};
  const Tensors pooled = apply(find_op("max_pool2d"), {x}, options);
  return max_pool_scatter(pooled[0], pooled[1], max_pool_geometry("max_pool2d", x.shape(), options));
}

}  // namespace

TEST_CASE("results past the caches are those of smaller tensors") {
  manual_seed(3);
  const Tensor x = randn({3, 21, 256, 272});  // 17.5 MB; rows whole registers long, planes and samples too
  const Tensor odd = randn({3, 21, 255, 273});
  const Tensor w = randn({21}), b = randn({21}), mean = randn({21}), var = rand({21});
  const kernels::Simd before = kernels::active_simd();
  const int threads = num_threads();
  for (const kernels::Simd simd : kernels::available_simd())
    for (const int count : {1, 2}) {
      kernels::set_active_simd(simd);
      set_num_threads(count);
      for (const Tensor& t : {x, odd}) {
        CHECK(same_by_samples(t, [](const Tensor& a) { return relu(a); }));
        CHECK(same_by_samples(t, [](const Tensor& a) { return a + a * 0.5; }));
        CHECK(same_by_samples(t, [&](const Tensor& a) { return batch_norm(a, mean, var, w, b).y; }));
        CHECK(same_by_samples(t, [](const Tensor& a) { return softmax(a, {.dim = 1}); }));
        CHECK(same_by_samples(t, [](const Tensor& a) { return contiguous(permute(a, {0, 2, 3, 1})); }));
        CHECK(same_by_samples(t, [](const Tensor& a) { return contiguous(transpose(a, 2, 3)); }));
        CHECK(same_by_samples(t, [](const Tensor& a) { return maxima_put_back(a); }));
      }
    }
  kernels::set_active_simd(before);
  set_num_threads(threads);
}
