// Which build of the kernels runs. Each family of kernels keeps a table of function pointers per instruction
// set; all families follow the one choice made here, at the first use: the best set that the CPU has, or
// DUET_SIMD=baseline|avx2|avx512.
#pragma once

#include <span>

namespace duet::kernels {

enum class Simd { baseline, avx2, avx512 };

/// "baseline" (SSE2 or NEON), "avx2" (with FMA), "avx512".
const char* name(Simd simd);

/// What this build holds and this CPU runs, from the narrowest to the widest.
std::span<const Simd> available_simd();

/// The set in use. A DUET_SIMD that names an unknown or unavailable one throws ValueError.
Simd active_simd();

/// Switches the set, for tests that try them all; throws ValueError for one that is not available.
void set_active_simd(Simd simd);

/// The member of {baseline, avx2, avx512} that belongs to the set in use.
template <class Table>
const Table& choose_table(const Table& baseline, [[maybe_unused]] const Table& avx2,
                          [[maybe_unused]] const Table& avx512) {
  const Simd simd = active_simd();
  return simd == Simd::avx512 ? avx512 : simd == Simd::avx2 ? avx2 : baseline;
}

}  // namespace duet::kernels

/// Declares `extern const Table base_baseline, base_avx2, base_avx512` and `base()`, which chooses among them.
/// On processors without the x86 sets all three names are the baseline.
#if defined(__x86_64__)
#define DUET_DECLARE_TABLES(Table, base)                                     \
  extern const Table base##_baseline, base##_avx2, base##_avx512;            \
  inline const Table& base() {                                               \
    return choose_table(base##_baseline, base##_avx2, base##_avx512);        \
  }
#else
#define DUET_DECLARE_TABLES(Table, base)                                     \
  extern const Table base##_baseline;                                        \
  inline const Table& base() { return base##_baseline; }
#endif
