// The elementwise functions, one line each, and the one loop that runs them all.
#include "prelude.hpp"

#include "exponential.hpp"
#include "stream.hpp"

#include <duet/ops/kernels/elementwise_table.hpp>

namespace {

using duet::kernels::MapCall;

/// A constant in every lane.
template <class B>
B c(double value) {
  return B(static_cast<typename B::value_type>(value));
}

/// Calls a scalar function of libm on every lane.
template <class B, class F>
B lanewise(B x, B y, F f) {
  using T = typename B::value_type;
  alignas(64) T xs[B::size], ys[B::size];
  x.store_aligned(xs);
  y.store_aligned(ys);
  for (std::size_t i = 0; i < B::size; ++i) xs[i] = f(xs[i], ys[i]);
  return B::load_aligned(xs);
}
float scalar_pow(float x, float y) { return __builtin_powf(x, y); }
double scalar_pow(double x, double y) { return __builtin_pow(x, y); }
float scalar_erf(float x, float) { return __builtin_erff(x); }
double scalar_erf(double x, double) { return __builtin_erf(x); }
template <class B>
B power(B x, B y) {
  return lanewise(x, y, [](auto a, auto b) { return scalar_pow(a, b); });
}

/// 1 / (1 + e^-x), from e^-|x|, which does not overflow
template <class B>
B logistic(B x) {
  const B e = exponential(-abs(x));
  return select(x < c<B>(0), e, c<B>(1)) / (c<B>(1) + e);
}
// log(1 + e) / e on [0, 1], minimax, off by 3e-8 of it.
constexpr float log1p_over_e[] = {0.99999994f,   -0.499994934f, 0.333190978f,   -0.24842982f,  0.191060066f,
                                  -0.136632457f, 0.0782259554f, -0.0295052417f, 0.00523269456f};

/// log(1 + e) for e in [0, 1]
template <class B>
B log1p_of_fraction(B e) {
  if constexpr (sizeof(typename B::value_type) == 8)
    return log1p(e);
  else
    return e * polynomial(e, log1p_over_e);
}
/// (e^t - 1) / (e^t + 1) with t = 2 |x|: e^t - 1 = 2^k (e^r - 1) + 2^k - 1 keeps its digits for small t. Beyond t = 20
/// floats are 1.
template <class B>
B hyperbolic_tangent(B x) {
  if constexpr (sizeof(typename B::value_type) == 8) {
    return tanh(x);
  } else {
    const B t = min(c<B>(20), abs(x + x));
    const B k = nearbyint(t * c<B>(1.44269504088896340736));
    const B r = fma(k, c<B>(2.12194440e-4), fma(k, c<B>(-0.693359375), t));
    const B power = ldexp(c<B>(1), to_int(k));
    const B rise = fma(power, r * polynomial(r, expm1_over_r), power - c<B>(1));
    return copysign(rise / (rise + c<B>(2)), x);
  }
}
/// log(1 + e^x) without overflow
template <class B>
B softplus_of(B x) {
  return max(c<B>(0), x) + log1p_of_fraction(exponential(-abs(x)));
}
/// Normal distribution function and density
template <class B>
B normal_cdf(B x) {
  const B z = x * c<B>(0.70710678118654752440);
  return c<B>(0.5) + c<B>(0.5) * lanewise(z, z, [](auto a, auto b) { return scalar_erf(a, b); });
}
template <class B>
B normal_pdf(B x) {
  return exp(c<B>(-0.5) * x * x) * c<B>(0.39894228040143267794);
}
/// tanh(softplus(x)) = n / (n + 2) with n = e^x (e^x + 2); 1 beyond 20, before e^x squared overflows
template <class B>
B mish_factor(B x) {
  const B e = exp(min(c<B>(20), x)), n = e * (e + c<B>(2));
  return select(x > c<B>(20), c<B>(1), n / (n + c<B>(2)));
}

// x, y, z: the inputs; p, q: the parameters. max and min give their second operand where one is NaN (x86), so the
// value stands second and NaN passes through.
#define MAP(name, ...)                                                                              \
  struct name##_map {                                                                               \
    template <class B>                                                                              \
    static B call([[maybe_unused]] B x, [[maybe_unused]] B y, [[maybe_unused]] B z,                 \
                  [[maybe_unused]] B p, [[maybe_unused]] B q) {                                     \
      __VA_ARGS__                                                                                   \
    }                                                                                               \
  };

MAP(neg, return -x;)
MAP(abs, return abs(x);)
MAP(sign, return select(x > c<B>(0), c<B>(1), select(x < c<B>(0), c<B>(-1), c<B>(0)));)
MAP(square, return x * x;)
MAP(cube, return x * x * x;)
MAP(reciprocal, return c<B>(1) / x;)
MAP(sqrt, return sqrt(x);)
MAP(rsqrt, return c<B>(1) / sqrt(x);)
MAP(exp, return exp(x);)
MAP(log, return log(x);)
MAP(log1p, return log1p(x);)
MAP(sin, return sin(x);)
MAP(cos, return cos(x);)
MAP(tanh, return hyperbolic_tangent(x);)
MAP(sigmoid, return logistic(x);)
MAP(relu, return max(c<B>(0), x);)
MAP(leaky_relu, return select(x > c<B>(0), x, p * x);)
MAP(elu, return select(x > c<B>(0), q * x, p * q * expm1(x));)
MAP(gelu, return x * normal_cdf(x);)
MAP(gelu_tanh, const B u = c<B>(0.79788456080286535588) * x * (c<B>(1) + c<B>(0.044715) * x * x);
    return c<B>(0.5) * x * (c<B>(1) + hyperbolic_tangent(u));)
MAP(silu, return x * logistic(x);)
MAP(mish, return x * mish_factor(x);)
MAP(softplus, return select(p * x > q, x, softplus_of(p * x) / p);)
MAP(hardsigmoid, return min(c<B>(1), max(c<B>(0), x / c<B>(6) + c<B>(0.5)));)
MAP(hardswish, return x * min(c<B>(1), max(c<B>(0), x / c<B>(6) + c<B>(0.5)));)
MAP(clamp, return min(q, max(p, x));)
MAP(pow_scalar, return power(x, p);)

MAP(add, return x + y;)
MAP(sub, return x - y;)
MAP(mul, return x * y;)
MAP(div, return x / y;)
MAP(pow, return power(x, y);)
// x == x rather than x != x: xsimd 8.1 compares for inequality in order on AVX, which is false for a NaN.
MAP(maximum, return select(x == x, max(x, y), x);)
MAP(minimum, return select(x == x, min(x, y), x);)
MAP(add_scaled, return x + p * y;)

// x: the cotangent; y: the output for relu, sigmoid and tanh, the input for the others.
MAP(relu_backward, return select(y > c<B>(0), x, c<B>(0));)
MAP(leaky_relu_backward, return select(y > c<B>(0), x, p * x);)
MAP(sigmoid_backward, return x * (y * (c<B>(1) - y));)
MAP(tanh_backward, return x * (c<B>(1) - y * y);)
MAP(elu_backward, return x * select(y > c<B>(0), q, p * q * exp(y));)
MAP(gelu_backward, return x * (normal_cdf(y) + y * normal_pdf(y));)
MAP(gelu_tanh_backward, const B k = c<B>(0.79788456080286535588), a = c<B>(0.044715);
    const B t = hyperbolic_tangent(k * y * (c<B>(1) + a * y * y)), slope = k * (c<B>(1) + c<B>(3) * a * y * y);
    return x * c<B>(0.5) * (c<B>(1) + t + y * (c<B>(1) - t * t) * slope);)
MAP(silu_backward, const B s = logistic(y); return x * s * (c<B>(1) + y * (c<B>(1) - s));)
MAP(mish_backward, const B w = mish_factor(y); return x * (w + y * (c<B>(1) - w * w) * logistic(y));)
MAP(softplus_backward, return select(p * y > q, x, x * logistic(p * y));)
MAP(hardswish_backward, return x * select(y > c<B>(3), c<B>(1),
                                          select(y < c<B>(-3), c<B>(0), y / c<B>(3) + c<B>(0.5)));)
MAP(inside, return select((y > p) && (y < q), x, c<B>(0));)
MAP(inside_or_at, return select((y >= p) && (y <= q), x, c<B>(0));)

// Losses of a prediction x and a target y.
MAP(squared_error, return (x - y) * (x - y);)
MAP(absolute_error, return abs(x - y);)
MAP(huber, const B d = abs(x - y); return q * select(d < p, c<B>(0.5) * d * d, p * (d - c<B>(0.5) * p));)
MAP(cross_entropy_of, return -(y * max(c<B>(-100), log(x)) + (c<B>(1) - y) * max(c<B>(-100), log1p(-x)));)
MAP(divergence, return select(y > c<B>(0), y * (log(y) - x), c<B>(0));)
MAP(log_divergence, return exp(y) * (y - x);)

MAP(lerp, return select(abs(z) < c<B>(0.5), x + z * (y - x), y - (y - x) * (c<B>(1) - z));)
// x: logits, y: target, z: the weight of positives.
MAP(logits_cross_entropy,
    return (c<B>(1) - y) * x + (c<B>(1) + (z - c<B>(1)) * y) * softplus_of(-x);)
// x: cotangent, y: logits, z: target.
MAP(sigmoid_error, return x * (logistic(y) - z);)
#undef MAP

/// Runs F over rows. An operand of one value a row is read from a register's width of copies through an index masked
/// to zero, so that every mixture of steps takes the same loop.
template <class T, int N, class F>
void run(const MapCall& call) {
  using B = Batch<T>;
  constexpr std::int64_t width = lanes<T>;
  const B p(static_cast<T>(call.p)), q(static_cast<T>(call.q));
  alignas(64) T held[N][width], last[width];
  const auto apply = [&](const T* const* in, const std::int64_t* mask, std::int64_t i) {
    const B x = B::load_unaligned(in[0] + (i & mask[0]));
    B y = p, z = p;
    if constexpr (N > 1) y = B::load_unaligned(in[1] + (i & mask[1]));
    if constexpr (N > 2) z = B::load_unaligned(in[2] + (i & mask[2]));
    return F::template call<B>(x, y, z, p, q);
  };
  for (std::int64_t r = 0; r < call.rows; ++r) {
    const T* in[N];
    std::int64_t mask[N];
    for (int k = 0; k < N; ++k) {
      in[k] = static_cast<const T*>(call.in[k]) + r * call.row_stride[k];
      mask[k] = call.step[k] ? -1 : 0;
      if (call.step[k]) continue;
      for (int l = 0; l < width; ++l) held[k][l] = *in[k];
      in[k] = held[k];
    }
    T* out = static_cast<T*>(call.out) + r * call.n;
    const bool past = can_stream(out, call.streamed);
    std::int64_t i = 0;
    for (; i + width <= call.n; i += width) put(apply(in, mask, i), out + i, past);
    if (i == call.n) continue;
    // The tail, filled up with its first element: a lane of zeros could divide by zero.
    for (int k = 0; k < N; ++k) {
      if (mask[k] == 0) continue;
      for (int l = 0; l < width; ++l) held[k][l] = in[k][i + l < call.n ? i + l : i];
      in[k] = held[k];
      mask[k] = 0;
    }
    apply(in, mask, 0).store_aligned(last);
    for (int l = 0; i + l < call.n; ++l) out[i + l] = last[l];
  }
  end_stream(call.streamed);
}

}  // namespace

namespace duet::kernels {
extern const MapTable DUET_TABLE(map_table);
constinit const MapTable DUET_TABLE(map_table) = {
#define DUET_MAP_ENTRY(name, inputs) run<float, inputs, name##_map>,
    {DUET_MAPS(DUET_MAP_ENTRY)},
#undef DUET_MAP_ENTRY
#define DUET_MAP_ENTRY(name, inputs) run<double, inputs, name##_map>,
    {DUET_MAPS(DUET_MAP_ENTRY)},
#undef DUET_MAP_ENTRY
};
}  // namespace duet::kernels
