// What this machine can do at best, measured now: the denominators of every percentage that a benchmark prints.
#pragma once

namespace duet::bench {

/// Floating-point operations per second of independent multiply-adds in registers, f32, on `threads` threads, with
/// the SIMD set in use.
double peak_flops(int threads);

/// Bytes per second of a[i] = b[i] + s * c[i] over arrays far larger than any cache; three streams counted.
double memory_bandwidth(int threads);

}  // namespace duet::bench
