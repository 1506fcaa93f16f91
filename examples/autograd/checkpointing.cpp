#include <cstdio>

#include <duet/autograd/backward.hpp>
#include <duet/autograd/checkpoint.hpp>
#include <duet/core/allocator.hpp>
#include <duet/core/random.hpp>
#include <duet/ops/elementwise.hpp>
#include <duet/ops/reduce.hpp>

using namespace duet;

int main() {
  manual_seed(0);
  const std::int64_t n = 1 << 18;  // 1 MB
  const Tensor x = randn({n}, {.requires_grad = true}), w = rand({n}, {.requires_grad = true});
  const auto block = [&](Tensor h) {
    for (int i = 0; i < 8; ++i) h = h * w;
    return h * rand({n});  // noise, which is the same when the block runs again
  };

  std::vector<double> gradients[2];
  for (const bool checkpointed : {false, true}) {
    manual_seed(1);
    reset_peak_memory();
    const std::int64_t before = memory_stats().in_use;
    Tensor h = x;
    for (int i = 0; i < 8; ++i) h = checkpointed ? checkpoint(block, h) : block(h);
    gradients[checkpointed ? 1 : 0] = grad({sum(h)}, {w})[0].to_vector();
    const double peak = static_cast<double>(memory_stats().peak_in_use - before) / (1 << 20);
    std::printf("%-12s peak %3.0f MB\n", checkpointed ? "checkpointed" : "plain", peak);
  }
  std::printf("gradients: %s\n", gradients[0] == gradients[1] ? "the same to the bit" : "different");
}
