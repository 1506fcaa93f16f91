// What `duet_unet train` says under mpirun where it was built without duet::mpi: links ranks.cpp compiled so.
#include <cstdio>
#include <exception>

#include "unet/ranks.hpp"

int main() {
  try {
    const duet::examples::Ranks ranks;
  } catch (const std::exception& error) {
    std::puts(error.what());
    return 1;
  }
  return 0;
}
