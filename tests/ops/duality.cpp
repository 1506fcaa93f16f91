// <conv x, y> = <x, conv_transpose y> = <w, W(x, y)>: over random geometries of one to three dimensions, to the last
// digits on random numbers in f64 and exactly on small integers in either type.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <string>

#include <duet/core/factory.hpp>
#include <duet/core/random.hpp>
#include <duet/ops/conv.hpp>
#include <duet/ops/shape.hpp>

using namespace duet;

namespace {

double inner(const Tensor& a, const Tensor& b) {
  const auto x = a.to_vector(), y = b.to_vector();
  double total = 0;
  for (std::size_t i = 0; i < x.size(); ++i) total += x[i] * y[i];
  return total;
}

double length(const Tensor& a) { return std::sqrt(inner(a, a)); }

/// The three ops of one rank.
template <int N>
struct Triple;
#define DUET_TRIPLE(N)                                                                     \
  template <>                                                                              \
  struct Triple<N> {                                                                       \
    static Tensor up(const Tensor& y, const Tensor& w, const ConvTransposeOptions<N>& o) { \
      return conv_transpose##N##d(y, w, o);                                                \
    }                                                                                      \
    static Tensor down(const Tensor& x, const Tensor& w, const ConvGeometry& g) {          \
      return conv##N##d(x, w, Tensor(), g);                                                \
    }                                                                                      \
    static Tensor cross(const Tensor& x, const Tensor& y, const ConvGeometry& g) {         \
      return conv##N##d_weight(x, y, g);                                                   \
    }                                                                                      \
  };
DUET_TRIPLE(1)
DUET_TRIPLE(2)
DUET_TRIPLE(3)
#undef DUET_TRIPLE

struct Count {
  int cases = 0;
  int inexact = 0;  ///< strides that leave a rest
  int beyond = 0;   ///< output paddings that no forward convolution produces
  int grouped = 0;
};

/// One random geometry. False where its larger side would be empty.
template <int N>
bool check_one(Generator& random, Count& count) {
  ConvTransposeOptions<N> o;
  o.groups = random.integer(1, 4);
  const std::int64_t batch = random.integer(1, 3), per_group = random.integer(1, 4);
  Shape small{batch, o.groups * random.integer(1, 4)}, weight{small[1], per_group};
  bool inexact = false, beyond = false;
  for (int i = 0; i < N; ++i) {
    o.stride[i] = random.integer(1, 5);
    o.dilation[i] = random.integer(1, 5);
    o.padding[i] = random.integer(0, 4);
    o.output_padding[i] = random.integer(0, std::max(o.stride[i], o.dilation[i]));
    small.push_back(random.integer(1, N == 1 ? 40 : N == 2 ? 9 : 5));
    weight.push_back(random.integer(1, N == 3 ? 4 : 6));
    const std::int64_t large = (small[i + 2] - 1) * o.stride[i] - 2 * o.padding[i] +
                               o.dilation[i] * (weight[i + 2] - 1) + o.output_padding[i] + 1;
    if (large < 1) return false;
    beyond |= o.output_padding[i] >= o.stride[i];
    inexact |= o.output_padding[i] % o.stride[i] != 0;
  }
  const ConvGeometry g = conv_transpose_geometry<N>("duality", small, weight, o);
  const Shape large = g.large_shape(batch);
  std::string text = "small " + to_string(small) + " weight " + to_string(weight) + " " + to_string(AnyOptions(o));
  CAPTURE(text);

  const auto normal = [&](const Shape& shape) { return randn(shape, {.dtype = f64}, random); };
  const Tensor x = normal(large), w = normal(weight), y = normal(small);
  const Tensor up = Triple<N>::up(y, w, o), down = Triple<N>::down(x, w, g), cross = Triple<N>::cross(x, y, g);
  const double a = inner(down, y), scale = length(x) * length(w) * length(y);
  CHECK(std::abs(a - inner(x, up)) <= 1e-12 * scale);
  CHECK(std::abs(a - inner(w, cross)) <= 1e-12 * scale);

  for (const Dtype dtype : {f32, f64}) {
    const auto whole = [&](const Shape& shape) { return to(randint(-3, 4, shape, {.dtype = i64}, random), dtype); };
    const Tensor xi = whole(large), wi = whole(weight), yi = whole(small);
    const double exact = inner(Triple<N>::down(xi, wi, g), yi);
    CHECK(exact == inner(xi, Triple<N>::up(yi, wi, o)));
    CHECK(exact == inner(wi, Triple<N>::cross(xi, yi, g)));
  }
  ++count.cases;
  count.inexact += inexact;
  count.beyond += beyond;
  count.grouped += o.groups > 1;
  return true;
}

void check_many(int cases, std::uint64_t seed) {
  Generator random(seed);
  Count count;
  while (count.cases < cases) {
    switch (random.integer(0, 4)) {
      case 0:
        check_one<1>(random, count);
        break;
      case 1:
        check_one<3>(random, count);
        break;
      default:
        check_one<2>(random, count);
    }
  }
  MESSAGE(count.cases << " geometries: " << count.inexact << " with inexact strides, " << count.beyond
                      << " with an output_padding that no forward produces, " << count.grouped << " in groups");
  CHECK(count.inexact > cases / 4);
  CHECK(count.beyond > cases / 8);
}

}  // namespace

TEST_CASE("the triple is one form read three ways: 500 random geometries") { check_many(500, 1); }

TEST_SUITE("long") {
  TEST_CASE("the triple is one form read three ways: 10 000 random geometries") { check_many(10000, 2); }
}
