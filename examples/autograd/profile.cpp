// Prints what does not depend on the machine; given a file name, writes the trace there.
#include <cstdio>

#include <duet/autograd/backward.hpp>
#include <duet/autograd/profiler.hpp>
#include <duet/core/factory.hpp>
#include <duet/nn/conv.hpp>
#include <duet/ops/reduce.hpp>

using namespace duet;

int main(int argc, char** argv) {
  nn::Conv2d conv{1, 8, 3, {.padding = 1}};
  Profiler profiler;
  for (int step = 0; step < 3; ++step) mean(conv(ones({1, 1, 32, 32}))).backward();
  profiler.stop();
  for (const ProfileRow& row : profiler.by_op())
    if (row.name == "conv2d")
      std::printf("conv2d: %d calls, %d bytes; backward %d calls, %d bytes\n", int(row.forward_calls), int(row.forward_bytes),
                  int(row.backward_calls), int(row.backward_bytes));
  if (argc > 1) {
    std::printf("%s", profiler.table().c_str());
    profiler.write_chrome_trace(argv[1]);
  }
}
