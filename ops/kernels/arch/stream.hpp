// Stores past the caches (core/streaming.hpp says when). Included by the per-instruction-set files, after prelude.hpp.
#pragma once

namespace {

#if defined(DUET_ARCH_AVX512)
[[maybe_unused]] void stream(float* to, __m512 value) { _mm512_stream_ps(to, value); }
[[maybe_unused]] void stream(double* to, __m512d value) { _mm512_stream_pd(to, value); }
#elif defined(DUET_ARCH_AVX2)
[[maybe_unused]] void stream(float* to, __m256 value) { _mm256_stream_ps(to, value); }
[[maybe_unused]] void stream(double* to, __m256d value) { _mm256_stream_pd(to, value); }
#elif defined(__SSE2__)
[[maybe_unused]] void stream(float* to, __m128 value) { _mm_stream_ps(to, value); }
[[maybe_unused]] void stream(double* to, __m128d value) { _mm_stream_pd(to, value); }
#else
template <class T>
[[maybe_unused]] void stream(T* to, Batch<T> value) {
  value.store_unaligned(to);
}
#endif

/// Whether a row that begins at `to` can be stored so: `wanted`, and registers lie on their own size.
[[maybe_unused]] bool can_stream(const void* to, bool wanted) {
  return wanted && reinterpret_cast<std::uintptr_t>(to) % (lanes<float> * sizeof(float)) == 0;
}

/// Stores a register; `past` must come from can_stream() for a place of which `to` is whole registers away.
template <class T>
[[maybe_unused]] void put(Batch<T> value, T* to, bool past) {
  if (past)
    stream(to, value);
  else
    value.store_unaligned(to);
}

/// Orders what went past the caches before whatever the thread does next; once, after the last store.
[[maybe_unused]] void end_stream([[maybe_unused]] bool past) {
#if defined(__SSE2__)
  if (past) _mm_sfence();
#endif
}

}  // namespace
