// How tensors read in print and in fmt. The layouts are NumPy 1.24's for the same arrays.
#include <doctest/doctest.h>

#include <cmath>
#include <limits>

#include <duet/core/factory.hpp>
#include <duet/core/format.hpp>
#include <duet/core/raw.hpp>

using namespace duet;

namespace {

template <class T>
std::string printed(const std::vector<T>& values, const Shape& shape) {
  return to_string(Tensor::from_span(std::span<const T>(values), shape));
}

constexpr double not_a_number = std::numeric_limits<double>::quiet_NaN();
constexpr double infinity = std::numeric_limits<double>::infinity();

}  // namespace

TEST_CASE("print aligns columns at the point") {
  CHECK(printed<float>({1, 2.5f, -3, 100}, {2, 2}) == "[[  1.    2.5]\n [ -3.  100. ]] (2, 2) f32");
  CHECK(printed<float>({0.1f, 0.2f, 0.3f}, {3}) == "[0.1 0.2 0.3] (3,) f32");
  CHECK(printed<double>({0.999999999, 0.1}, {2}) == "[1.  0.1] (2,) f64");
  CHECK(to_string(Tensor::scalar(3.25, {.dtype = f64})) == "3.25 () f64");
}

TEST_CASE("print cuts to eight digits and gives nan and inf their width") {
  CHECK(printed<double>({1 / 3., 2 / 3., not_a_number, -infinity}, {4}) ==
        "[0.33333333 0.66666667        nan       -inf] (4,) f64");
  CHECK(printed<double>({not_a_number, 1}, {2}) == "[nan  1.] (2,) f64");
  CHECK(printed<double>({-not_a_number, infinity}, {2}) == "[nan inf] (2,) f64");
  CHECK(printed<double>({-1.5, not_a_number}, {2, 1}) == "[[-1.5]\n [ nan]] (2, 1) f64");
}

TEST_CASE("print turns scientific where magnitudes need it") {
  CHECK(printed<double>({1e-5, 1.5, -2e10}, {3}) == "[ 1.0e-05  1.5e+00 -2.0e+10] (3,) f64");
  CHECK(printed<double>({1e-310, 1e200}, {2}) == "[1.e-310 1.e+200] (2,) f64");
  CHECK(printed<double>({1e-5, 1e200}, {2}) == "[1.e-005 1.e+200] (2,) f64");
  CHECK(printed<double>({-0.0, 1e-9, 0.5}, {3}) == "[-0.e+00  1.e-09  5.e-01] (3,) f64");
  CHECK(printed<double>({123456789, 1}, {2}) == "[1.23456789e+08 1.00000000e+00] (2,) f64");
}

TEST_CASE("print lays out integers, blocks and empty tensors") {
  CHECK(printed<std::uint8_t>({1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}, {1, 3, 2, 2}) ==
        "[[[[ 1  2]\n   [ 3  4]]\n\n  [[ 5  6]\n   [ 7  8]]\n\n  [[ 9 10]\n   [11 12]]]] (1, 3, 2, 2) u8");
  CHECK(printed<std::int64_t>({std::int64_t{1} << 62, -1}, {2}) ==
        "[4611686018427387904                  -1] (2,) i64");
  CHECK(to_string(zeros({3, 0})) == "[] (3, 0) f32");
  CHECK(to_string(Tensor()) == "undefined");
}

TEST_CASE("print wraps long rows and summarises large tensors") {
  std::vector<double> values;
  for (int i = 0; i < 40; ++i) values.push_back(1.25 * i);
  CHECK(printed<double>(values, {40}) ==
        "[ 0.    1.25  2.5   3.75  5.    6.25  7.5   8.75 10.   11.25 12.5  13.75\n"
        " 15.   16.25 17.5  18.75 20.   21.25 22.5  23.75 25.   26.25 27.5  28.75\n"
        " 30.   31.25 32.5  33.75 35.   36.25 37.5  38.75 40.   41.25 42.5  43.75\n"
        " 45.   46.25 47.5  48.75] (40,) f64");
  CHECK(to_string(arange(0, 1001)) == "[   0.    1.    2. ...  998.  999. 1000.] (1001,) f32");
  CHECK(to_string(arange(0, 1440, 1, {.dtype = i64})).size() < 120);
  const Tensor wide = raw::view(arange(0, 12 * 120, 1, {.dtype = i64}), {12, 120}, {120, 1});
  CHECK(to_string(wide) ==
        "[[   0    1    2 ...  117  118  119]\n"
        " [ 120  121  122 ...  237  238  239]\n"
        " [ 240  241  242 ...  357  358  359]\n"
        " ...\n"
        " [1080 1081 1082 ... 1197 1198 1199]\n"
        " [1200 1201 1202 ... 1317 1318 1319]\n"
        " [1320 1321 1322 ... 1437 1438 1439]] (12, 120) i64");
}

TEST_CASE("print reads through strides and tells what requires a gradient") {
  const Tensor turned = raw::view(arange(0, 6), {3, 2}, {1, 3});
  CHECK(to_string(turned) == "[[0. 3.]\n [1. 4.]\n [2. 5.]] (3, 2) f32");
  CHECK(to_string(ones({2}, {.requires_grad = true})) == "[1. 1.] (2,) f32 requires_grad");
}

TEST_CASE("fmt formats Duet's types, with widths") {
  CHECK(fmt::format("{}|{:>6}|{:<5}|", Shape{2, 3}, Shape{1}, f64) == "(2, 3)|  (1,)|f64  |");
  CHECK(fmt::format("{} {}", Pair{1, 2}, spec_of(zeros({2}))) == "(1, 2) (2,) f32");
  CHECK(fmt::format("{}", zeros({2})) == "[0. 0.] (2,) f32");
}
