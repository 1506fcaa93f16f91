// Writes what Duet computes for some hundred random axes and planes, and which settings it refuses, as the script that
// tests/play/check.js compares docs/play/geometry.js with. Joins are read off the kernels themselves: a batch of
// one-hot inputs through one-hot taps.
#include <fstream>
#include <iostream>
#include <random>

#include <duet/duet.hpp>
#include <nlohmann/json.hpp>

namespace {

using namespace duet;
using nlohmann::json;

struct Axis {
  int size, kernel, stride, padding, output_padding, dilation;
};

json to_json(const Axis& a) {
  return {{"size", a.size},
          {"kernel", a.kernel},
          {"stride", a.stride},
          {"padding", a.padding},
          {"output_padding", a.output_padding},
          {"dilation", a.dilation}};
}

Tensor eye(std::int64_t n) {
  Tensor t = zeros({n, n});
  for (std::int64_t i = 0; i < n; ++i) t.mutable_data<float>()[i * n + i] = 1;
  return t;
}

Tensor run(bool transpose, const Axis& h, const Axis& w, const Tensor& x, const Tensor& weight) {
  if (transpose)
    return conv_transpose2d(x, weight,
                            {.stride = {h.stride, w.stride},
                             .padding = {h.padding, w.padding},
                             .output_padding = {h.output_padding, w.output_padding},
                             .dilation = {h.dilation, w.dilation}});
  return conv2d(
      x, weight,
      {.stride = {h.stride, w.stride}, .padding = {h.padding, w.padding}, .dilation = {h.dilation, w.dilation}});
}

/// One axis: refused, or every join {small, tap, large} and the size of the output.
json axis_case(bool transpose, const Axis& a) {
  json result{{"op", transpose ? "conv_transpose2d" : "conv2d"}, {"axis", to_json(a)}};
  const Axis flat{1, 1, 1, 0, 0, 1};
  try {
    const Tensor taps =
        reshape(eye(a.kernel), transpose ? Shape{1, a.kernel, a.kernel, 1} : Shape{a.kernel, 1, a.kernel, 1});
    const Tensor out = run(transpose, a, flat, reshape(eye(a.size), {a.size, 1, a.size, 1}), taps);
    const std::int64_t n = out.shape()[2];
    json joins = json::array();
    const float* value = out.data<float>();
    for (int in = 0; in < a.size; ++in)
      for (int tap = 0; tap < a.kernel; ++tap)
        for (int at = 0; at < n; ++at, ++value)
          if (*value != 0) joins.push_back(transpose ? json{in, tap, at} : json{at, tap, in});
    result["out"] = n;
    result["joins"] = joins;
  } catch (const Error& error) {
    result["error"] = error.what();
  }
  return result;
}

/// A plane's overlap map, and the output sizes that each output_padding gives.
json plane_case(const Axis& h, const Axis& w) {
  const Tensor out = run(true, h, w, ones({1, 1, h.size, w.size}), ones({1, 1, h.kernel, w.kernel}));
  json map = json::array();
  for (std::int64_t i = 0; i < out.numel(); ++i) map.push_back(static_cast<int>(out.data<float>()[i]));
  return {{"height", to_json(h)}, {"width", to_json(w)}, {"rows", out.shape()[2]}, {"overlap", map}};
}

}  // namespace

int main(int count, char** arguments) {
  if (count != 2) {
    std::cerr << "usage: " << arguments[0] << " FILE\n";
    return 2;
  }
  std::mt19937 random(7);
  const auto draw = [&](int low, int high) { return std::uniform_int_distribution<int>(low, high)(random); };
  const auto axis = [&] { return Axis{draw(1, 7), draw(1, 5), draw(1, 4), draw(0, 3), draw(0, 3), draw(1, 3)}; };
  json axes = json::array(), planes = json::array(), reach = json::array();
  for (int i = 0; i < 400; ++i) axes.push_back(axis_case(i % 2 == 0, axis()));
  axes.push_back(axis_case(true, {4, 3, 0, 1, 0, 1}));
  axes.push_back(axis_case(true, {4, 3, 2, -1, 0, 1}));
  axes.push_back(axis_case(false, {4, 3, 1, 1, 0, 0}));
  while (planes.size() < 100) {
    const Axis h = axis(), w = axis();
    try {
      planes.push_back(plane_case(h, w));
    } catch (const Error&) {  // the axes above hold what is refused
    }
  }
  for (int i = 0; i < 100; ++i) {
    const Axis a = axis();
    json sizes = json::array();
    for (const ReachableSize& r : reachable_output_sizes(a.size, a.kernel, a.stride, a.padding, a.dilation))
      sizes.push_back({r.size, r.output_padding});
    reach.push_back({{"axis", to_json(a)}, {"sizes", sizes}});
  }
  std::ofstream(arguments[1]) << "const EXPECTED = "
                              << json{{"axes", axes}, {"planes", planes}, {"reach", reach}}.dump() << ";\n";
}
