// The whole test program: CMake makes one ctest for each op in the list.
#include <vector>

#include <duet/autograd/sweep.hpp>

#include "own_ops.hpp"

int main(int argc, char** argv) {
  const std::vector<duet::OpPtr> ops{bell_op(), running_sum_op()};
  return duet::sweep_main(argc, argv, ops);
}
