// The pair as ops: duality, closure of the derivatives, sizes, refusals. Its gradients are checked by the sweep, its
// kernels in tests/kernels.
#include <doctest/doctest.h>

#include <cmath>

#include <duet/autograd/backward.hpp>
#include <duet/core/factory.hpp>
#include <duet/core/random.hpp>
#include <duet/ops/conv.hpp>
#include <duet/ops/elementwise.hpp>
#include <duet/ops/reduce.hpp>

using namespace duet;

namespace {

double inner(const Tensor& a, const Tensor& b) { return sum(a * b).item(); }

Tensor normal(const Shape& shape) { return randn(shape, {.dtype = f64}); }

}  // namespace

TEST_CASE("the triple is one form: <conv x, y> = <x, convT y> = <w, W(x, y)> on 500 random geometries") {
  Generator random(3);
  const auto pick = [&](std::int64_t low, std::int64_t high) { return random.integer(low, high + 1); };
  int beyond = 0, inexact = 0;
  for (int trial = 0; trial < 500; ++trial) {
    ConvTranspose2dOptions o;
    Shape small{pick(0, 2) == 0 ? 2 : 1, 0}, weight{0, pick(1, 3)};
    o.groups = pick(1, 3);
    small[1] = weight[0] = o.groups * pick(1, 2);
    bool possible = true;
    for (int i = 0; i < 2; ++i) {
      o.stride[i] = pick(1, 4), o.dilation[i] = pick(1, 4), o.padding[i] = pick(0, 4);
      o.output_padding[i] = pick(0, std::max(o.stride[i], o.dilation[i]) - 1);
      small.push_back(pick(1, 6)), weight.push_back(pick(1, 5));
      possible = possible && (small[i + 2] - 1) * o.stride[i] + o.dilation[i] * (weight[i + 2] - 1) + o.output_padding[i] + 1 > 2 * o.padding[i];
      beyond += o.output_padding[i] >= o.stride[i];
      inexact += o.output_padding[i] > 0;
    }
    if (!possible) continue;
    const ConvGeometry g = conv_transpose_geometry<2>("test", small, weight, o);
    const Tensor x = normal(g.large_shape(small[0])), w = normal(weight), y = normal(small);
    const Tensor up = conv_transpose2d(y, w, o), down = conv2d(x, w, Tensor(), g), cross = conv2d_weight(x, y, g);
    const double a = inner(down, y), b = inner(x, up), c = inner(w, cross);
    const double scale = std::sqrt(inner(x, x) * inner(w, w) * inner(y, y));
    CHECK(std::abs(a - b) <= 1e-12 * scale);
    CHECK(std::abs(a - c) <= 1e-12 * scale);
  }
  CHECK(beyond > 50);
  CHECK(inexact > 200);
}

TEST_CASE("a derivative keeps the geometry that the first call fixed") {
  // Stride 2, dilation 4, kernel 3 and output_padding 3 make an 18 of a 4, which conv2d by options would make a 5.
  Tensor x = normal({1, 1, 4, 4}).set_requires_grad(), w = normal({1, 1, 3, 3}).set_requires_grad();
  const Tensor y = conv_transpose2d(x, w, {.stride = 2, .output_padding = 3, .dilation = 4});
  CHECK(y.shape() == Shape{1, 1, 18, 18});
  CHECK(conv2d(y, w, {.stride = 2, .dilation = 4}).shape() == Shape{1, 1, 5, 5});
  const Tensors g = grad({sum(y * y)}, {x, w}, {.create_graph = true});
  CHECK(g[0].shape() == x.shape());
  CHECK(grad({sum(g[0] * g[0])}, {w})[0].shape() == w.shape());
}

TEST_CASE("each size of a geometry has its own limit, 2^40") {
  const std::int64_t most = std::int64_t{1} << 40;
  const auto check = [&](auto set) {
    ConvGeometry geometry;
    geometry.rank = 1;
    set(geometry.axis[0], most);
    CHECK_NOTHROW(geometry.validate("test"));
    set(geometry.axis[0], most + 1);
    CHECK_THROWS_WITH_AS(geometry.validate("test"), doctest::Contains("[test] axis 0 is too long"), ShapeError);
  };
  check([](ConvAxis& axis, std::int64_t size) { axis.padding = size; });
  check([](ConvAxis& axis, std::int64_t size) { axis.padding = -size; });
  check([](ConvAxis& axis, std::int64_t size) { axis.large = size; });
  check([](ConvAxis& axis, std::int64_t size) { axis.stride = size - 1; });  // small * stride + kernel * dilation
}

TEST_CASE("sizes, padding words, unbatched input, bias") {
  const Tensor x = randn({2, 4, 7, 9}), w = randn({6, 2, 4, 3});
  CHECK(conv2d(x, w, {.padding = "same", .groups = 2}).shape() == Shape{2, 6, 7, 9});
  CHECK(conv2d(x, w, {.padding = "valid", .groups = 2}).shape() == Shape{2, 6, 4, 7});
  CHECK(conv2d(x, w, {.stride = {2, 1}, .padding = {1, 2}, .groups = 2}).shape() == Shape{2, 6, 3, 11});
  CHECK(conv2d(randn({4, 7, 9}), w, {.groups = 2}).shape() == Shape{6, 4, 7});
  CHECK(conv_transpose2d(randn({1, 16, 7, 7}), randn({16, 8, 4, 4}), {.stride = 2, .padding = 1}).shape() == Shape{1, 8, 14, 14});
  const Tensor bias = full({6}, 2.5);
  const Tensor difference = conv2d(x, w, bias, {.groups = 2}) - conv2d(x, w, {.groups = 2});
  for (double v : difference.to_vector()) CHECK(v == doctest::Approx(2.5));
  CHECK(conv3d(randn({1, 2, 4, 5, 6}), randn({3, 2, 2, 3, 2}), {.stride = {1, 2, 1}}).shape() == Shape{1, 3, 3, 2, 5});
  CHECK(conv_transpose1d(randn({1, 2, 5}), randn({2, 3, 4}), {.stride = 3}).shape() == Shape{1, 3, 16});
}

TEST_CASE("one number on a side: the kernel's gradient is the other side") {
  for (const Dtype dtype : {f32, f64}) {
    const Tensor field = randn({1, 1, 3, 3}, {.dtype = dtype}), one = full({1, 1, 1, 1}, 2, {.dtype = dtype});
    const Tensor w = randn({1, 1, 3, 3}, {.dtype = dtype}).set_requires_grad();
    CHECK(grad({sum(conv2d(field, w))}, {w})[0].to_vector() == field.to_vector());
    CHECK(grad({sum(conv_transpose2d(one, w) * field)}, {w})[0].to_vector() == (field * 2.0).to_vector());
  }
}

TEST_CASE("reachable output sizes are reached") {
  for (std::int64_t size : {1, 2, 7})
    for (std::int64_t kernel : {1, 2, 5})
      for (std::int64_t stride : {1, 2, 3})
        for (std::int64_t padding : {0, 1, 2})
          for (std::int64_t dilation : {1, 2, 4})
            for (const ReachableSize& r : reachable_output_sizes(size, kernel, stride, padding, dilation)) {
              const ConvTranspose1dOptions o{.stride = stride, .padding = padding, .output_padding = r.output_padding, .dilation = dilation};
              CHECK(conv_transpose1d(ones({1, 1, size}), ones({1, 1, kernel}), o).size(2) == r.size);
              CHECK(output_padding_for<1>(size, r.size, kernel, {.stride = stride, .padding = padding, .dilation = dilation})[0] == r.output_padding);
            }
  CHECK_THROWS_WITH_AS(output_padding_for<2>({4, 4}, {11, 8}, 2, {.stride = 2}), doctest::Contains("reach [8, 9]"), ShapeError);
}

TEST_CASE("bad arguments of the pair name op and values") {
  const Tensor x = randn({1, 16, 7, 7});
  CHECK_THROWS_WITH_AS(conv_transpose2d(x, randn({8, 4, 4, 4})),
                       "[conv_transpose2d] weight expects 8 input channels, x has 16: x (1, 16, 7, 7), weight (8, 4, 4, 4)", ShapeError);
  CHECK_THROWS_AS(conv2d(x, randn({8, 4, 4, 4})), ShapeError);
  CHECK_THROWS_AS(conv2d(x, randn({9, 8, 3, 3}), {.groups = 2}), ShapeError);
  CHECK_THROWS_AS(conv2d(randn({7}), randn({8, 4, 4, 4})), ShapeError);
  CHECK_THROWS_AS(conv2d(x, randn({8, 16, 9, 3})), ShapeError);
  CHECK_THROWS_AS(conv2d(x, randn({8, 16, 3, 3}), {.stride = 0}), ValueError);
  CHECK_THROWS_AS(conv2d(x, randn({8, 16, 3, 3}), {.padding = -1}), ValueError);
  CHECK_THROWS_AS(conv2d(x, randn({8, 16, 3, 3}), {.padding = "some"}), ValueError);
  CHECK_THROWS_AS(conv2d(x, randn({8, 16, 3, 3}), {.groups = 0}), ValueError);
  CHECK_THROWS_AS(conv_transpose2d(x, randn({16, 4, 3, 3}), {.dilation = 0}), ValueError);
  CHECK_THROWS_AS(conv_transpose2d(x, randn({16, 4, 3, 3}), {.stride = 2, .output_padding = 2}), ValueError);
  CHECK_THROWS_AS(conv_transpose2d(x, randn({16, 4, 1, 1}), {.padding = 4}), ShapeError);
  CHECK_THROWS_AS(conv_transpose2d(x, randn({16, 4, 3, 3}), randn({5})), ShapeError);
  CHECK_THROWS_AS(conv2d(x, randn({8, 16, 3, 3}, {.dtype = f64})), DtypeError);
  CHECK_THROWS_AS(conv2d(ones({1, 1, 3, 3}, {.dtype = i64}), ones({1, 1, 1, 1}, {.dtype = i64})), DtypeError);
  CHECK_THROWS_AS(conv_transpose2d(ones({1, 1, 4, 4}), ones({1, 1, 2, 2}), {.stride = std::int64_t{1} << 60}), ShapeError);
  CHECK_THROWS_AS(conv2d_weight(x, randn({1, 8, 4, 4}), 3), ShapeError);
}
