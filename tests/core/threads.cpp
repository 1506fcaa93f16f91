// Threads and processes: loops from several threads, a fork after use, independent graphs side by side.
#include <doctest/doctest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <thread>

#include <duet/autograd/backward.hpp>
#include <duet/core/allocator.hpp>
#include <duet/core/factory.hpp>
#include <duet/core/parallel.hpp>
#include <duet/core/random.hpp>
#include <duet/ops/conv.hpp>
#include <duet/ops/elementwise.hpp>
#include <duet/ops/reduce.hpp>
#include <duet/ops/registry.hpp>

using namespace duet;

namespace {

/// The sum of 0 … count-1 by a parallel loop over chunks.
std::int64_t looped_sum(std::int64_t count) {
  std::vector<std::int64_t> parts(static_cast<std::size_t>((count + 99) / 100), 0);
  parallel_for(count, 100, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) parts[static_cast<std::size_t>(begin / 100)] += i;
  });
  std::int64_t total = 0;
  for (std::int64_t part : parts) total += part;
  return total;
}

/// Gradients of a small convolution, as a step of training would take them.
std::vector<double> conv_gradient(std::uint64_t seed) {
  Generator generator(seed);
  const Tensor x = randn({2, 3, 9, 9}, {}, generator);
  Tensor w = randn({4, 3, 3, 3}, {}, generator).set_requires_grad();
  const Tensor y = conv2d(x, w, {.padding = 1});
  sum(y * y).backward();
  return w.grad().to_vector();
}

}  // namespace

TEST_CASE("loops from several threads at once are each complete") {
  std::vector<std::thread> threads;
  std::vector<std::int64_t> sums(8, 0);
  for (std::size_t t = 0; t < sums.size(); ++t)
    threads.emplace_back([&, t] {
      for (int repeat = 0; repeat < 50; ++repeat) sums[t] += looped_sum(10000);
    });
  for (std::thread& thread : threads) thread.join();
  for (std::int64_t total : sums) CHECK(total == 50 * (10000LL * 9999 / 2));
}

TEST_CASE("independent graphs in different threads give what one thread gives") {
  std::vector<std::vector<double>> alone, together(6);
  for (std::uint64_t t = 0; t < 6; ++t) alone.push_back(conv_gradient(t));
  std::vector<std::thread> threads;
  for (std::size_t t = 0; t < 6; ++t) threads.emplace_back([&, t] { together[t] = conv_gradient(t); });
  for (std::thread& thread : threads) thread.join();
  CHECK(together == alone);
}

// ctest runs each case in a process of its own: there what is made at first use is made here, by eight threads at once.
TEST_CASE("eight threads make the first use of everything together") {
  std::atomic<int> waiting{8};
  std::vector<std::vector<double>> gradients(8);
  std::vector<std::size_t> ops(8);
  std::vector<std::thread> threads;
  for (std::size_t t = 0; t < 8; ++t)
    threads.emplace_back([&, t] {
      waiting.fetch_sub(1);
      while (waiting.load() != 0) {
      }
      gradients[t] = conv_gradient(1);
      looped_sum(1000);
      rand({3});
      ops[t] = registry().size();
    });
  for (std::thread& thread : threads) thread.join();
  for (std::size_t t = 1; t < 8; ++t) {
    CHECK(gradients[t] == gradients[0]);
    CHECK(ops[t] == ops[0]);
  }
  CHECK(gradients[0] == conv_gradient(1));
}

TEST_CASE("a forked child computes as its parent does, whatever the parent's threads were doing") {
  const std::vector<double> expected = conv_gradient(3);
  CHECK(looped_sum(10000) == 49995000);
  std::atomic<bool> stop{false};
  std::vector<std::thread> others;
  const Tensor shared = ones({64}, {.requires_grad = true});
  for (int t = 0; t < 2; ++t)
    others.emplace_back([&] {
      while (!stop.load()) {
        sum(shared * 2.0).backward();
        deallocate(allocate(1 << 20));
        looped_sum(1000);
      }
    });
  int good = 0;
  for (int i = 0; i < 30; ++i) {
    const pid_t child = fork();
    if (child == 0) {
      alarm(20);  // a hang must not stop the suite
      bool same = looped_sum(10000) == 49995000 && conv_gradient(3) == expected;
      Tensor leaf = shared.detach().set_requires_grad();
      sum(leaf * shared).backward();
      same = same && leaf.grad().to_vector() == std::vector<double>(64, 1);
      _exit(same ? 0 : 1);
    }
    int status = -1;
    waitpid(child, &status, 0);
    good += WIFEXITED(status) && WEXITSTATUS(status) == 0;
  }
  stop = true;
  for (std::thread& thread : others) thread.join();
  CHECK(good == 30);
}
