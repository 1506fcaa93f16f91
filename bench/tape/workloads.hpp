// The workloads of the tape's benchmark, once for both libraries: chains of ops on tiny tensors, where the cost is
// recording and walking, not arithmetic. `Lib` names what differs.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <string>
#include <vector>

/// Nanoseconds an op of the quickest of many runs.
template <class Body>
double nanoseconds_per_op(int ops, Body body) {
  using Clock = std::chrono::steady_clock;
  double best = 1e300;
  const Clock::time_point end = Clock::now() + std::chrono::milliseconds(1500);
  for (int run = 0; run < 20 || Clock::now() < end; ++run) {
    const Clock::time_point start = Clock::now();
    body();
    best = std::min(best, std::chrono::duration<double, std::nano>(Clock::now() - start).count() / ops);
  }
  return best;
}

template <class Lib>
void run_tape_benchmark() {
  using Tensor = typename Lib::Tensor;
  constexpr int length = 200;
  Tensor x = Lib::leaf(4), w = Lib::leaf(4);
  const auto chain = [&](const std::string& op) {
    Tensor y = x;
    for (int i = 0; i < length; ++i) {
      if (op == "neg") y = Lib::neg(y);
      if (op == "add") y = Lib::add(y, w);
      if (op == "mul") y = Lib::mul(y, w);
      if (op == "mul_scalar") y = Lib::mul_scalar(y, 0.999);
    }
    return y;
  };
  std::printf("%-12s %10s %10s %10s %10s   ns an op, 4 elements, chain of %d\n", Lib::name, "no tape", "recorded",
              "backward", "both", length);
  for (const char* op : {"neg", "add", "mul", "mul_scalar"}) {
    double forward = 0, recorded = 0, both = 0;
    {
      const typename Lib::NoGrad guard;
      forward = nanoseconds_per_op(length, [&] { chain(op); });
    }
    recorded = nanoseconds_per_op(length, [&] { chain(op); });
    both = nanoseconds_per_op(length, [&] {
      Lib::backward(chain(op), 4);
      Lib::zero_grad(x);
      Lib::zero_grad(w);
    });
    std::printf("%-12s %10.0f %10.0f %10.0f %10.0f\n", op, forward, recorded, both - recorded, both);
  }
}
