// Optimizer steps, vectorised. Each rule is written once, for a vector or for one element of the tail.
#include <duet/ops/kernels/arch/prelude.hpp>

#include <duet/ops/kernels/optimizer.hpp>

namespace {

using namespace duet::kernels;

template <class T>
Batch<T> root(Batch<T> x) {
  return xsimd::sqrt(x);
}
[[maybe_unused]] float root(float x) { return __builtin_sqrtf(x); }
[[maybe_unused]] double root(double x) { return __builtin_sqrt(x); }

template <class T>
Batch<T> larger(Batch<T> a, Batch<T> b) {
  return xsimd::max(a, b);
}
[[maybe_unused]] float larger(float a, float b) { return a < b ? b : a; }
[[maybe_unused]] double larger(double a, double b) { return a < b ? b : a; }

/// -1, 0 or 1.
template <class T>
Batch<T> sign_of(Batch<T> x) {
  const Batch<T> zero(T(0)), one(T(1));
  return xsimd::select(x > zero, one, xsimd::select(x < zero, -one, zero));
}
[[maybe_unused]] float sign_of(float x) { return x > 0 ? 1.0f : x < 0 ? -1.0f : 0.0f; }
[[maybe_unused]] double sign_of(double x) { return x > 0 ? 1.0 : x < 0 ? -1.0 : 0.0; }

/// Calls rule(p, g, s0, s1, s2) on vectors, then on the elements that are left, storing p and the slots there are.
template <class T, class Rule>
void sweep(const UpdateStretch& stretch, const Rule& rule) {
  T* const p = static_cast<T*>(stretch.parameter);
  const T* const g = static_cast<const T*>(stretch.gradient);
  T* const s0 = static_cast<T*>(stretch.slot[0]);
  T* const s1 = static_cast<T*>(stretch.slot[1]);
  T* const s2 = static_cast<T*>(stretch.slot[2]);
  std::int64_t i = 0;
  for (; i + lanes<T> <= stretch.count; i += lanes<T>) {
    const Batch<T> zero(T(0));
    Batch<T> value = Batch<T>::load_unaligned(p + i);
    Batch<T> a = s0 ? Batch<T>::load_unaligned(s0 + i) : zero;
    Batch<T> b = s1 ? Batch<T>::load_unaligned(s1 + i) : zero;
    Batch<T> c = s2 ? Batch<T>::load_unaligned(s2 + i) : zero;
    rule(value, Batch<T>::load_unaligned(g + i), a, b, c);
    value.store_unaligned(p + i);
    if (s0) a.store_unaligned(s0 + i);
    if (s1) b.store_unaligned(s1 + i);
    if (s2) c.store_unaligned(s2 + i);
  }
  for (; i < stretch.count; ++i) {
    T value = p[i], a = s0 ? s0[i] : T(0), b = s1 ? s1[i] : T(0), c = s2 ? s2[i] : T(0);
    rule(value, g[i], a, b, c);
    p[i] = value;
    if (s0) s0[i] = a;
    if (s1) s1[i] = b;
    if (s2) s2[i] = c;
  }
}

template <class T>
void sgd(const UpdateStretch& stretch, const SgdStep& step) {
  const T rate = T(step.rate), momentum = T(step.momentum), fresh = T(step.fresh), decay = T(step.decay);
  const bool has_buffer = stretch.slot[0] != nullptr, nesterov = step.nesterov;
  sweep<T>(stretch, [=](auto& p, auto g, auto& buffer, auto&, auto&) {
    using V = decltype(g);
    V direction = g + V(decay) * p;
    if (has_buffer) {
      buffer = V(momentum) * buffer + V(fresh) * direction;
      direction = nesterov ? V(direction + V(momentum) * buffer) : buffer;
    }
    p = p - V(rate) * direction;
  });
}

template <class T>
void adam(const UpdateStretch& stretch, const AdamStep& step) {
  const T beta1 = T(step.beta1), rest1 = T(1 - step.beta1), beta2 = T(step.beta2), rest2 = T(1 - step.beta2);
  const T rate = T(step.rate), correction = T(step.inverse_root_correction), eps = T(step.eps);
  const T decay = T(step.decay), shrink = T(step.shrink);
  const bool amsgrad = step.amsgrad;
  sweep<T>(stretch, [=](auto& p, auto g, auto& mean, auto& square, auto& greatest) {
    using V = decltype(g);
    p = V(shrink) * p;
    const V direction = g + V(decay) * p;
    mean = V(beta1) * mean + V(rest1) * direction;
    square = V(beta2) * square + V(rest2) * (direction * direction);
    V second = square;
    if (amsgrad) second = greatest = larger(greatest, square);
    p = p - V(rate) * mean / (root(second) * V(correction) + V(eps));
  });
}

template <class T>
void rmsprop(const UpdateStretch& stretch, const RmspropStep& step) {
  const T rate = T(step.rate), alpha = T(step.alpha), rest = T(1 - step.alpha), eps = T(step.eps);
  const T decay = T(step.decay), momentum = T(step.momentum);
  const bool centered = step.centered, has_buffer = stretch.slot[1] != nullptr;
  sweep<T>(stretch, [=](auto& p, auto g, auto& square, auto& buffer, auto& mean) {
    using V = decltype(g);
    V direction = g + V(decay) * p;
    square = V(alpha) * square + V(rest) * (direction * direction);
    V spread = square;
    if (centered) {
      mean = V(alpha) * mean + V(rest) * direction;
      spread = square - mean * mean;
    }
    direction = direction / (root(spread) + V(eps));
    if (has_buffer) direction = buffer = V(momentum) * buffer + direction;
    p = p - V(rate) * direction;
  });
}

template <class T>
void adagrad(const UpdateStretch& stretch, const AdagradStep& step) {
  const T rate = T(step.rate), eps = T(step.eps), decay = T(step.decay);
  sweep<T>(stretch, [=](auto& p, auto g, auto& sum, auto&, auto&) {
    using V = decltype(g);
    const V direction = g + V(decay) * p;
    sum = sum + direction * direction;
    p = p - V(rate) * direction / (root(sum) + V(eps));
  });
}

template <class T>
void lion(const UpdateStretch& stretch, const LionStep& step) {
  const T rate = T(step.rate), shrink = T(step.shrink), beta1 = T(step.beta1), beta2 = T(step.beta2);
  const T rest1 = T(1 - step.beta1), rest2 = T(1 - step.beta2);
  sweep<T>(stretch, [=](auto& p, auto g, auto& mean, auto&, auto&) {
    using V = decltype(g);
    p = V(shrink) * p - V(rate) * sign_of(V(V(beta1) * mean + V(rest1) * g));
    mean = V(beta2) * mean + V(rest2) * g;
  });
}

/// Sixteen sums side by side, which the compiler keeps in vectors.
template <class T>
double sum_of_squares(const Run& run) {
  constexpr int width = 16;
  const T* x = static_cast<const T*>(run.data);
  double sum[width] = {};
  std::int64_t i = 0;
  for (; i + width <= run.count; i += width)
    for (int k = 0; k < width; ++k) sum[k] += static_cast<double>(x[i + k]) * static_cast<double>(x[i + k]);
  for (; i < run.count; ++i) sum[0] += static_cast<double>(x[i]) * static_cast<double>(x[i]);
  double total = 0;
  for (int k = 0; k < width; ++k) total += sum[k];
  return total;
}

template <class T>
void scale(const Run& run, double factor) {
  T* x = static_cast<T*>(run.data);
  const T by = static_cast<T>(factor);
  for (std::int64_t i = 0; i < run.count; ++i) x[i] *= by;
}

template <class T>
void approach(const Run& run, double share) {
  T* __restrict x = static_cast<T*>(run.data);
  const T* __restrict to = static_cast<const T*>(run.other);
  const T part = static_cast<T>(share);
  for (std::int64_t i = 0; i < run.count; ++i) x[i] += part * (to[i] - x[i]);
}

}  // namespace

namespace duet::kernels {

extern const OptimizerTable DUET_TABLE(optimizer_table);
constinit const OptimizerTable DUET_TABLE(optimizer_table) = {
    {sgd<float>, sgd<double>},         {adam<float>, adam<double>},
    {rmsprop<float>, rmsprop<double>}, {adagrad<float>, adagrad<double>},
    {lion<float>, lion<double>},       {sum_of_squares<float>, sum_of_squares<double>},
    {scale<float>, scale<double>},     {approach<float>, approach<double>}};

}  // namespace duet::kernels
