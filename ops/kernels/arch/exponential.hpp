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

#if defined(DUET_ARCH_AVX512)
/// The bits of 2^(j/32) / 2, less j << 18: what 32 k << 18 with k = j/32 + n, n whole, makes the bits of 2^k / 2.
alignas(64) [[maybe_unused]] constexpr std::int32_t power_bits[32] = {
    0x3f000000, 0x3efecd87, 0x3efdaac3, 0x3efc980f, 0x3efb95c2, 0x3efaa43a, 0x3ef9c3d3, 0x3ef8f4f0,
    0x3ef837f0, 0x3ef78d3a, 0x3ef6f532, 0x3ef67043, 0x3ef5fed7, 0x3ef5a15b, 0x3ef5583f, 0x3ef523f6,
    0x3ef504f3, 0x3ef4fbaf, 0x3ef508a4, 0x3ef52c4d, 0x3ef5672a, 0x3ef5b9be, 0x3ef6248c, 0x3ef6a81e,
    0x3ef744fd, 0x3ef7fbb8, 0x3ef8ccdf, 0x3ef9b907, 0x3efac0c7, 0x3efbe4ba, 0x3efd257d, 0x3efe83b3};

/// e^x with a table in two registers: e^x = 2^k e^r with k to the nearest 32nd, so that |r| <= log(2) / 64, and
/// 2 e^r = (r + a)^2 + 2 - a^2 within 1e-7 (a: Chebyshev). Half of these ten instructions have units beside those of
/// the products, which a polynomial would wait for.
[[maybe_unused]] Batch<float> exponential_by_table(Batch<float> x) {
  using B = Batch<float>;
  constexpr float a = 1.0000146627f, rest = static_cast<float>(2 - static_cast<double>(a) * a);
  const B place(12582912.f / 32);  // its last bit is worth a 32nd
  const B shifted = fma(x, B(1.44269504088896340736f), place), k = shifted - place;
  const B r = fma(k, B(-0.693147180559945309417f), x);  // one constant does: fma rounds once, and k is below 152
  const B u = r + B(a), twice = fma(u, u, B(rest));
  const __m512i steps = _mm512_castps_si512(shifted);
  const __m512i power = _mm512_permutex2var_epi32(_mm512_load_si512(power_bits), steps,
                                                  _mm512_load_si512(power_bits + 16));
  const __m512 scale = _mm512_castsi512_ps(_mm512_add_epi32(power, _mm512_slli_epi32(steps, 18)));
  // "Not below" rather than "above": a NaN passes.
  return B(_mm512_maskz_mul_ps(_mm512_cmp_ps_mask(x, B(-86.6f), _CMP_NLT_UQ), twice, scale));
}
#endif

/// e^x of an x below 88, off by 3e-7 of it (5e-7 near -85): half the work of xsimd's, which asks about either end. Below
/// -87.3 (with AVX-512 below -86.6) it is 0; a NaN stays one.
template <class T>
[[maybe_unused]] Batch<T> exponential(Batch<T> x) {
  if constexpr (sizeof(T) == 8) {
    return exp(x);
  } else {
#if defined(DUET_ARCH_AVX512)
    return exponential_by_table(x);
#else
    using B = Batch<T>;
    // max gives its second operand where one is NaN (x86), so x stands second. k of what is cut off is still a number.
    const B cut = max(B(-87.3f), x);
    // Rounded by adding what leaves no bits behind the point: an addition has units of its own, beside the products'.
    const B whole(12582912.f), k = fma(cut, B(1.44269504088896340736f), whole) - whole;
#if defined(DUET_ARCH_AVX2) || defined(__aarch64__)
    const B r = fma(k, B(-0.693147180559945309417f), cut);  // one constant does: fma rounds once, and k is below 152
#else
    const B r = fma(k, B(2.12194440e-4f), fma(k, B(-0.693359375f), cut));
#endif
    const B power = fma(r, polynomial(r, expm1_over_r), B(1.f));
    return select(x < B(-87.3f), B(0.f), ldexp(power, to_int(k)));
#endif
  }
}

}  // namespace
