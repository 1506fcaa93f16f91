// The xtensor bridge: views both ways share memory, keep it alive, and count as writers while they can write.
#include <doctest/doctest.h>

#include <duet/core/factory.hpp>
#include <duet/core/raw.hpp>
#include <duet/core/xtensor.hpp>

#if __has_include(<xtensor/containers/xarray.hpp>)
#include <xtensor/containers/xarray.hpp>
#include <xtensor/containers/xtensor.hpp>
#include <xtensor/core/xmath.hpp>
#include <xtensor/generators/xbuilder.hpp>
#include <xtensor/views/xview.hpp>
#else
#include <xtensor/xarray.hpp>
#include <xtensor/xbuilder.hpp>
#include <xtensor/xmath.hpp>
#include <xtensor/xtensor.hpp>
#include <xtensor/xview.hpp>
#endif

using namespace duet;

namespace {

/// A view that steps over elements: every other column of a transposed matrix.
Tensor strided() { return raw::view(arange(0, 24, 1, {.dtype = f64}), {3, 4}, {2, 6}); }

}  // namespace

TEST_CASE("an xt view reads a tensor of any strides without a copy") {
  Tensor t = arange(0, 6, 1, {.dtype = f64});
  auto view = xt_view<double>(t);
  CHECK(view.data() == t.data<double>());
  t.mutable_data<double>()[5] = 50;
  CHECK(view(5) == 50);

  const Tensor s = strided();
  auto turned = xt_view<double>(s);
  CHECK(turned.shape()[0] == 3);
  for (std::size_t i = 0; i < 3; ++i)
    for (std::size_t j = 0; j < 4; ++j) CHECK(turned(i, j) == static_cast<double>(2 * i + 6 * j));
  const xt::xarray<double> copied = turned, doubled = 2 * turned;
  std::size_t at = 0;
  for (double value : s.to_vector()) {
    CHECK(copied.data()[at] == value);
    CHECK(doubled.data()[at++] == 2 * value);
  }
  CHECK(xt::sum(turned)() == doctest::Approx(132));
  CHECK_THROWS_AS(xt_view<float>(s), DtypeError);
}

TEST_CASE("an xt view of an expanded tensor repeats its elements") {
  const Tensor row = raw::view(arange(0, 3, 1, {.dtype = i64}), {4, 3}, {0, 1});
  const xt::xarray<std::int64_t> all = xt_view<std::int64_t>(row);
  CHECK(xt::sum(all)() == 12);
  CHECK(all(3, 2) == 2);
}

TEST_CASE("an xt view keeps the memory of a dead tensor alive") {
  auto view = xt_view<float>(arange(0, 100));
  const Tensor other = full({100}, -1);  // would take the freed block
  CHECK(xt::sum(view)() == doctest::Approx(4950));
}

TEST_CASE("a mutable xt view writes, raises the version, and exposes the storage while it lives") {
  Tensor t = zeros({2, 3});
  const auto before = t.version();
  {
    auto view = xt_mutable_view<float>(t);
    CHECK(t.version() == before + 1);
    CHECK(t.impl()->storage->exposed());
    view = xt::ones<float>({2, 3}) * 3;
    view(1, 2) = 7;
    const auto copy = view;  // a second handle on the same lease
  }
  CHECK(t.version() == before + 2);
  CHECK_FALSE(t.impl()->storage->exposed());
  CHECK(t.to_vector() == std::vector<double>{3, 3, 3, 3, 3, 7});
  xt_mutable_view<float>(t) += 1;
  CHECK(t.to_vector() == std::vector<double>{4, 4, 4, 4, 4, 8});
}

TEST_CASE("xt views are assigned by value") {
  Tensor a = zeros({3}), b = ones({3}), c = full({3}, 2);
  xt_mutable_view<float>(a) = xt_mutable_view<float>(b);
  CHECK(a.to_vector() == std::vector<double>{1, 1, 1});
  xt_mutable_view<float>(a) = xt_view<float>(c);
  CHECK(a.to_vector() == std::vector<double>{2, 2, 2});
}

TEST_CASE("a mutable xt view refuses what would go wrong") {
  Tensor s = strided(), t = zeros({2, 3}), leaf = zeros({2}, {.requires_grad = true});
  CHECK_THROWS_AS(xt_mutable_view<double>(s), ShapeError);
  CHECK_THROWS_AS(xt_mutable_view<double>(t), DtypeError);
  CHECK_THROWS_AS(xt_mutable_view<float>(leaf), AutogradError);
  CHECK_THROWS(xt_mutable_view<float>(t) = xt::ones<float>({2, 2}));
  CHECK(t.to_vector() == std::vector<double>(6, 0.0));
}

TEST_CASE("from_xt evaluates an expression into a new tensor") {
  const xt::xarray<double> a{{1., 2.}, {3., 4.}};
  const Tensor sum = from_xt(a + 2 * xt::transpose(a));
  CHECK(sum.dtype() == f64);
  CHECK(sum.shape() == Shape{2, 2});
  CHECK(sum.to_vector() == std::vector<double>{3, 8, 7, 12});
  CHECK(from_xt(a > 2.).dtype() == u8);
  CHECK(from_xt(a > 2.).to_vector() == std::vector<double>{0, 0, 1, 1});
  CHECK(from_xt(xt::arange<int>(3)).dtype() == i64);
  CHECK(from_xt(xt::sum(a)).shape() == Shape{});
  CHECK(from_xt(xt::zeros<float>({0, 3})).shape() == Shape{0, 3});
  CHECK_THROWS_AS(from_xt(xt::zeros<float>({1, 1, 1, 1, 1, 1, 1, 1, 1})), ShapeError);
}

TEST_CASE("wrap_xt sees containers as tensors, of any layout, borrowed, owned or shared") {
  xt::xtensor<float, 2, xt::layout_type::column_major> columns{{1, 2, 3}, {4, 5, 6}};
  const Tensor borrowed = wrap_xt(columns);
  CHECK(borrowed.to_vector() == std::vector<double>{1, 2, 3, 4, 5, 6});
  columns(1, 2) = 60;
  CHECK(borrowed.to_vector().back() == 60);

  const xt::xarray<double> fixed{1, 2};
  Tensor constant = wrap_xt(fixed);
  CHECK_THROWS_AS(constant.mutable_data<double>(), ValueError);

  xt::xarray<std::int64_t> moved = xt::arange<std::int64_t>(1000);
  const auto* address = moved.data();
  const Tensor owned = wrap_xt(std::move(moved));
  CHECK(owned.data<std::int64_t>() == address);
  CHECK(owned.to_vector()[999] == 999);

  auto shared = std::make_shared<xt::xarray<std::uint8_t>>(xt::ones<std::uint8_t>({2, 2}));
  Tensor view = wrap_xt(shared);
  view.mutable_data<std::uint8_t>()[3] = 9;
  CHECK((*shared)(1, 1) == 9);
  const std::weak_ptr<xt::xarray<std::uint8_t>> watch = shared;
  shared.reset();
  CHECK_FALSE(watch.expired());
  view = Tensor();
  CHECK(watch.expired());
}
