// What every file in this folder includes first. Such a file is compiled once per instruction set, so it may
// hold nothing that the linker could merge between the builds: everything stands in an anonymous namespace,
// arguments are plain structs, and no standard container, algorithm, fmt or throw appears. xsimd's namespace is
// renamed per build for the same reason.
#pragma once

#include <cstdint>

#if defined(DUET_ARCH_AVX512)
#define xsimd xsimd_avx512
#define DUET_XSIMD_ARCH xsimd::avx512bw
#define DUET_TABLE(base) base##_avx512
#elif defined(DUET_ARCH_AVX2)
#define xsimd xsimd_avx2
#define DUET_XSIMD_ARCH xsimd::fma3<xsimd::avx2>
#define DUET_TABLE(base) base##_avx2
#else
#define xsimd xsimd_baseline
#if defined(__aarch64__)
#define DUET_XSIMD_ARCH xsimd::neon64
#else
#define DUET_XSIMD_ARCH xsimd::sse2
#endif
#define DUET_TABLE(base) base##_baseline
#endif

#include <xsimd/xsimd.hpp>

namespace {

using Arch = DUET_XSIMD_ARCH;
template <class T>
using Batch = xsimd::batch<T, Arch>;

/// Elements of T in a vector register.
template <class T>
constexpr int lanes = static_cast<int>(Batch<T>::size);

}  // namespace
