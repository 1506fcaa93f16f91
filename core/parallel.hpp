// Parallel loops on a small thread pool. Work is cut into chunks by its size alone and never by the number of
// threads, so a result that is a function of its chunk is the same, bit for bit, on any number of threads.
#pragma once

#include <cstdint>

#include <duet/core/callable.hpp>

namespace duet {

/// How many threads a parallel loop may use, the caller's included. Defaults to the cores this process may run
/// on, or the environment's DUET_NUM_THREADS.
int num_threads();

/// Sets num_threads(); throws ValueError below 1. Results do not change, only the time they take.
void set_num_threads(int count);

/// Calls body(begin, end) over [0, count) cut into chunks of `grain` (the last may be shorter), each once, on
/// whichever thread is free. Returns when all are done; the first exception of a chunk is rethrown here. A loop
/// inside a loop, or beside another thread's loop, runs on its own thread alone.
void parallel_for(std::int64_t count, std::int64_t grain, FunctionRef<void(std::int64_t, std::int64_t)> body);

}  // namespace duet
