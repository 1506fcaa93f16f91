// The one-dimensional transforms of each Winograd scheme, on vectors. With the interpolation points named below,
// `input` multiplies by B^T, `output` by A^T and `filter` by G of Lavin and Gray (arXiv:1509.09308), and `spread` and
// `collect` by the transposes A and G^T, which the weight gradient needs. All work in place, on arrays long enough
// for the longer side.
#pragma once

#include <duet/ops/kernels/arch/prelude.hpp>

#define DUET_INLINE inline __attribute__((always_inline))

namespace {

using F = Batch<float>;

DUET_INLINE F times(float a, const F& x) { return F(a) * x; }
/// a * x + y
DUET_INLINE F times_plus(float a, const F& x, const F& y) { return xsimd::fma(F(a), x, y); }

/// F(4, 3): points 0, 1, -1, 2, -2 and infinity.
struct Scheme43 {
  static constexpr int tile = 4, taps = 3, points = 6;

  static DUET_INLINE void input(F (&d)[points]) {
    const F a = times_plus(-4, d[2], d[4]), b = times_plus(-4, d[1], d[3]);
    const F c = d[4] - d[2], e = d[3] - d[1];
    d[0] = times_plus(4, d[0] - d[2], c);
    d[5] = times_plus(-4, e, d[5] - d[3]);
    d[1] = a + b;
    d[2] = a - b;
    d[3] = times_plus(2, e, c);
    d[4] = times_plus(-2, e, c);
  }

  static DUET_INLINE void output(F (&m)[points]) {
    const F a = m[1] + m[2], b = m[1] - m[2], c = m[3] + m[4], e = m[3] - m[4];
    m[0] = m[0] + a + c;
    m[1] = times_plus(2, e, b);
    m[2] = times_plus(4, c, a);
    m[3] = times_plus(8, e, b) + m[5];
  }

  static DUET_INLINE void spread(F (&y)[points]) {
    const F a = y[0] + y[2], b = y[1] + y[3];
    const F c = times_plus(4, y[2], y[0]), e = times_plus(8, y[3], times(2, y[1]));
    y[5] = y[3];
    y[1] = a + b;
    y[2] = a - b;
    y[3] = c + e;
    y[4] = c - e;
  }

  static DUET_INLINE void filter(F (&g)[points]) {
    const F even = times(-1.0f / 6, g[0] + g[2]), odd = times(1.0f / 6, g[1]);
    const F wide = times_plus(1.0f / 6, g[2], times(1.0f / 24, g[0])), half = times(1.0f / 12, g[1]);
    g[5] = g[2];
    g[0] = times(0.25f, g[0]);
    g[1] = even - odd;
    g[2] = even + odd;
    g[3] = wide + half;
    g[4] = wide - half;
  }

  static DUET_INLINE void collect(F (&u)[points]) {
    const F a = u[1] + u[2], b = u[2] - u[1], c = u[3] + u[4], e = u[3] - u[4];
    u[0] = times_plus(0.25f, u[0], times_plus(-1.0f / 6, a, times(1.0f / 24, c)));
    u[1] = times_plus(1.0f / 6, b, times(1.0f / 12, e));
    u[2] = times_plus(1.0f / 6, c - a, u[5]);
  }
};

/// F(4, 2): points 0, 1, -1, 2 and infinity.
struct Scheme42 {
  static constexpr int tile = 4, taps = 2, points = 5;

  static DUET_INLINE void input(F (&d)[points]) {
    const F a = d[3] - d[1], b = d[1] - d[2];
    d[0] = times_plus(2, d[0] - d[2], a);
    d[4] = times_plus(-2, a, d[4] - d[2]);
    const F c = d[1] + d[2];
    d[1] = a - c;
    d[2] = times_plus(3, b, a);
    d[3] = a;
  }

  static DUET_INLINE void output(F (&m)[points]) {
    const F a = m[1] + m[2], b = m[1] - m[2], c = m[3];
    m[0] = m[0] + a + c;
    m[1] = times_plus(2, c, b);
    m[2] = times_plus(4, c, a);
    m[3] = times_plus(8, c, b) + m[4];
  }

  static DUET_INLINE void spread(F (&y)[points]) {
    const F a = y[0] + y[2], b = y[1] + y[3];
    const F c = times_plus(4, y[2], y[0]), e = times_plus(8, y[3], times(2, y[1]));
    y[4] = y[3];
    y[1] = a + b;
    y[2] = a - b;
    y[3] = c + e;
  }

  static DUET_INLINE void filter(F (&g)[points]) {
    const F a = g[0], b = g[1];
    g[0] = times(0.5f, a);
    g[1] = times(-0.5f, a + b);
    g[2] = times(1.0f / 6, b - a);
    g[3] = times_plus(1.0f / 3, b, times(1.0f / 6, a));
    g[4] = b;
  }

  static DUET_INLINE void collect(F (&u)[points]) {
    const F sixth = times(1.0f / 6, u[3] - u[2]);
    const F a = times_plus(0.5f, u[0] - u[1], sixth);
    u[1] = times_plus(-0.5f, u[1], times_plus(1.0f / 6, u[2], times_plus(1.0f / 3, u[3], u[4])));
    u[0] = a;
  }
};

}  // namespace
