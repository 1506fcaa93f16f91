// How a convolution gets fast: five steps from seven loops to the machine's limit. 3 x 3, padding 1, plain (C, H, W).
#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <vector>

#include <duet/duet.hpp>

// The compiler makes a version for each instruction set, and the loader picks one: what Duet does by hand.
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__)
#define EACH_MACHINE __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default"), optimize("O3")))
#else
#define EACH_MACHINE
#endif

constexpr int C = 64, K = 64, H = 64, W = 64;
constexpr int PH = H + 2, PW = W + 2;  // with a frame of zeros

/// 1. The definition. Every product asks whether it meets the image at all.
void naive(const float* x, const float* w, float* y) {
  for (int k = 0; k < K; ++k)
    for (int i = 0; i < H; ++i)
      for (int j = 0; j < W; ++j) {
        float sum = 0;
        for (int c = 0; c < C; ++c)
          for (int r = 0; r < 3; ++r)
            for (int s = 0; s < 3; ++s)
              if (i + r >= 1 && i + r <= H && j + s >= 1 && j + s <= W)
                sum += x[(c * H + i + r - 1) * W + j + s - 1] * w[((k * C + c) * 3 + r) * 3 + s];
        y[(k * H + i) * W + j] = sum;
      }
}

/// 2. A frame of zeros around the image: nothing to ask any more. (Copying is H W work, the products are K H W.)
void framed(const float* padded, const float* w, float* y) {
  for (int k = 0; k < K; ++k)
    for (int i = 0; i < H; ++i)
      for (int j = 0; j < W; ++j) {
        float sum = 0;
        for (int c = 0; c < C; ++c)
          for (int r = 0; r < 3; ++r)
            for (int s = 0; s < 3; ++s) sum += padded[(c * PH + i + r) * PW + j + s] * w[((k * C + c) * 3 + r) * 3 + s];
        y[(k * H + i) * W + j] = sum;
      }
}

/// 3. The same products in another order: pixels of a row innermost. They are neighbours, so they fill vectors.
EACH_MACHINE void rows(const float* padded, const float* w, float* y) {
  std::fill_n(y, K * H * W, 0.0f);
  for (int k = 0; k < K; ++k)
    for (int i = 0; i < H; ++i)
      for (int c = 0; c < C; ++c)
        for (int r = 0; r < 3; ++r)
          for (int s = 0; s < 3; ++s) {
            const float tap = w[((k * C + c) * 3 + r) * 3 + s];
            const float* from = padded + (c * PH + i + r) * PW + s;
            float* to = y + (k * H + i) * W;
            for (int j = 0; j < W; ++j) to[j] += tap * from[j];
          }
}

/// 4. Sums that stay in registers: 8 channels by 16 pixels at a time. Row by row each product cost a load and a store
/// of its sum; now 8 products share a load of pixels, and a sum is stored once. Weights lie in the order of their use.
typedef float Pixels __attribute__((vector_size(64)));

EACH_MACHINE void tile(const float* padded, const float* packed, float* y, int k, int i, int j) {
  Pixels sum[8] = {};
  for (int c = 0; c < C; ++c)
    for (int r = 0; r < 3; ++r)
      for (int s = 0; s < 3; ++s) {
        Pixels from;
        std::memcpy(&from, padded + (c * PH + i + r) * PW + j + s, sizeof from);
        const float* tap = packed + (((k / 8 * C + c) * 3 + r) * 3 + s) * 8;
        for (int q = 0; q < 8; ++q) sum[q] += tap[q] * from;
      }
  for (int q = 0; q < 8; ++q) std::memcpy(y + ((k + q) * H + i) * W + j, &sum[q], sizeof sum[q]);
}

std::vector<float> pack(const float* w) {
  std::vector<float> packed(static_cast<std::size_t>(K * C * 9));
  for (int k = 0; k < K; ++k)
    for (int t = 0; t < C * 9; ++t)
      packed[static_cast<std::size_t>((k / 8 * C * 9 + t) * 8 + k % 8)] = w[k * C * 9 + t];
  return packed;
}

void tiled(const float* padded, const float* packed, float* y) {
  for (int k = 0; k < K; k += 8)
    for (int i = 0; i < H; ++i)
      for (int j = 0; j < W; j += 16) tile(padded, packed, y, k, i, j);
}

/// 5. Every core. Rows are cut by the image's size alone, so the result is the same on any number of them.
void threaded(const float* padded, const float* packed, float* y) {
  duet::parallel_for(H, 4, [&](std::int64_t first, std::int64_t last) {
    for (int k = 0; k < K; k += 8)
      for (int i = static_cast<int>(first); i < last; ++i)
        for (int j = 0; j < W; j += 16) tile(padded, packed, y, k, i, j);
  });
}

template <class F>
double best_ms(int runs, F f) {
  double best = 1e9;
  for (int run = 0; run < runs; ++run) {
    const auto start = std::chrono::steady_clock::now();
    f();
    best = std::min(best, std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count());
  }
  return best;
}

int main() {
  const duet::FastConvolutionsGuard direct(false);  // Winograd's filtering would round, and do other work than this
  duet::manual_seed(0);
  // Small whole numbers: all sums are exact, so every version must agree to the last bit.
  const duet::Tensor x = duet::to(duet::randint(-3, 4, {1, C, H, W}), duet::f32),
                     w = duet::to(duet::randint(-3, 4, {K, C, 3, 3}), duet::f32);
  const duet::Tensor frame = duet::pad(x, {.pad = {1, 1, 1, 1}});
  const std::vector<float> packed = pack(w.data<float>());
  duet::Tensor y = duet::empty({1, K, H, W});
  float* out = y.mutable_data<float>();
  const duet::Tensor truth = duet::conv2d(x, w, {.padding = 1});

  const double gflop = 2.0 * K * C * 9 * H * W * 1e-9;
  double first = 0;
  const auto step = [&](const char* what, int runs, auto f) {
    const double ms = best_ms(runs, f);
    if (first == 0) first = ms;
    const bool same = std::equal(out, out + y.numel(), truth.data<float>());
    std::printf("%-36s %8.1f ms %7.1f GFLOP/s %7.1f x  exact: %s\n", what, ms, gflop / ms * 1e3, first / ms,
                same ? "yes" : "no");
  };
  step("1 the definition", 2, [&] { naive(x.data<float>(), w.data<float>(), out); });
  step("2 a frame of zeros", 2, [&] { framed(frame.data<float>(), w.data<float>(), out); });
  step("3 pixels of a row innermost", 5, [&] { rows(frame.data<float>(), w.data<float>(), out); });
  step("4 sums stay in registers", 10, [&] { tiled(frame.data<float>(), packed.data(), out); });
  step("5 every core", 20, [&] { threaded(frame.data<float>(), packed.data(), out); });
  step("Duet, framing and packing included", 20, [&] {
    const duet::Tensor z = duet::conv2d(x, w, {.padding = 1});
    std::copy_n(z.data<float>(), z.numel(), out);
  });
}
