// duet_sweep [--list] [OP…]: every check of every op in the registry. CMake makes one ctest an op from --list.
#include <duet/autograd/sweep.hpp>
#include <duet/ops/registry.hpp>

int main(int argc, char** argv) { return duet::sweep_main(argc, argv, duet::registry()); }
