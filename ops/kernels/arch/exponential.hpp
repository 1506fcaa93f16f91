// e^x for kernels that spend their time in it. Included by the per-instruction-set files, after prelude.hpp.
#pragma once

namespace {

/// The polynomial with these coefficients, the constant one first.
template <class B, std::size_t n>
[[maybe_unused]] B polynomial(B x, const float (&coefficients)[n]) {
  B sum(coefficients[n - 1]);
  for (std::size_t i = n - 1; i-- > 0;) sum = fma(sum, x, B(coefficients[i]));
  return sum;
}

/// (e^r - 1) / r on [-log(2) / 2, log(2) / 2], minimax: e^r is off by 3e-9 of it, and 1 at 0.
[[maybe_unused]] constexpr float expm1_over_r[] = {1.f,          0.50000006f,    0.166663647f,
                                                   0.041664768f, 0.00837910734f, 0.0014061603f};

/// e^x of an x below 88, off by 2e-7 of it: half the work of xsimd's, which asks about either end. Below -87 it is 0
/// (with AVX-512 below -104); a NaN stays one.
template <class T>
[[maybe_unused]] Batch<T> exponential(Batch<T> x) {
  using B = Batch<T>;
  if constexpr (sizeof(T) == 8) {
    return exp(x);
  } else {
    // max gives its second operand where one is NaN (x86), so x stands second. k of what is cut off is still a number.
#if defined(DUET_ARCH_AVX512)
    const B cut = max(B(-105.f), x);
#else
    const B cut = max(B(-87.3f), x);
#endif
    // Rounded by adding what leaves no bits behind the point: an addition has units of its own, beside the products'.
    const B whole(12582912.f), k = fma(cut, B(1.44269504088896340736f), whole) - whole;
#if defined(DUET_ARCH_AVX512) || defined(DUET_ARCH_AVX2) || defined(__aarch64__)
    const B r = fma(k, B(-0.693147180559945309417f), cut);  // one constant does: fma rounds once, and k is below 152
#else
    const B r = fma(k, B(2.12194440e-4f), fma(k, B(-0.693359375f), cut));
#endif
    const B power = fma(r, polynomial(r, expm1_over_r), B(1.f));
#if defined(DUET_ARCH_AVX512)
    return B(_mm512_scalef_ps(power, k));
#else
    return select(x < B(-87.3f), B(0.f), ldexp(power, to_int(k)));
#endif
  }
}

}  // namespace
