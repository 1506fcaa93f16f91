// The arguments that all comparators share with `duet_bench conv`. Their output is always JSON, one object a line.
#pragma once

#include <cstdlib>
#include <cstring>
#include <string>

namespace duet::bench {

struct Arguments {
  std::string shapes = DUET_BENCH_SHAPES, filter;
  int threads = 1;
};

inline Arguments parse(int argc, char** argv) {
  Arguments arguments;
  for (int i = 1; i < argc; ++i) {
    if (std::strcmp(argv[i], "--json") == 0) continue;
    if (i + 1 == argc) break;
    if (std::strcmp(argv[i], "--threads") == 0) arguments.threads = std::atoi(argv[++i]);
    else if (std::strcmp(argv[i], "--filter") == 0) arguments.filter = argv[++i];
    else if (std::strcmp(argv[i], "--shapes") == 0) arguments.shapes = argv[++i];
  }
  return arguments;
}

}  // namespace duet::bench
