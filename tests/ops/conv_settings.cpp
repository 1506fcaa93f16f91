// The pairwise table of the triple's samples: every two settings together, inexact strides, paddings beyond any forward.
#include <doctest/doctest.h>

#include <map>
#include <set>
#include <string>

#include <duet/ops/conv_samples.hpp>
#include <duet/ops/registry.hpp>

using namespace duet;

namespace {

std::string text(const Pair& pair) { return std::to_string(pair[0]) + "x" + std::to_string(pair[1]); }

/// A setting's factors as text. Output padding as none, one, or more.
std::map<std::string, std::string> factors(const ConvSetting& s) {
  const std::int64_t most = std::max(s.output_padding[0], s.output_padding[1]);
  return {{"stride", text(s.stride)}, {"padding", text(s.padding)},
          {"output_padding", most == 0 ? "none" : most == 1 ? "one" : "more"}, {"dilation", text(s.dilation)},
          {"kernel", text(s.kernel)}, {"channels", std::to_string(s.small_channels) + "/" + std::to_string(s.large_channels_per_group) + "/" + std::to_string(s.groups)},
          {"size", text(s.small)}, {"batch", std::to_string(s.batch)}, {"bias", s.bias ? "yes" : "no"}};
}

}  // namespace

TEST_CASE("every pair of settings of a convolution occurs in the samples") {
  const auto& settings = pairwise_conv_settings();
  CHECK(settings.size() >= 40);
  std::map<std::string, std::set<std::string>> values;
  std::set<std::string> pairs;
  for (const ConvSetting& s : settings) {
    const auto f = factors(s);
    for (const auto& [a, va] : f) {
      values[a].insert(va);
      for (const auto& [b, vb] : f) pairs.insert(a + va + " " + b + vb);
    }
  }
  for (const auto& one : values)
    for (const auto& other : values) {
      const std::string &a = one.first, &b = other.first;
      if (a == b) continue;
      for (const auto& va : one.second)
        for (const auto& vb : other.second) CHECK_MESSAGE(pairs.count(a + va + " " + b + vb) == 1, a, " ", va, " with ", b, " ", vb);
    }
  // The levels themselves: taps from 1 to 5 and not square, batches 0 and 1.
  CHECK(values["kernel"].size() >= 6);
  for (const char* kernel : {"1x1", "5x3", "2x5"}) CHECK(values["kernel"].count(kernel) == 1);
  CHECK(values["batch"] == std::set<std::string>{"0", "1", "2"});
  CHECK(values["stride"].size() >= 4);
  CHECK(values["dilation"].size() >= 4);
  CHECK(values["output_padding"].size() == 3);
}

TEST_CASE("inexact strides and output paddings beyond any forward are among them") {
  int inexact = 0, beyond = 0;
  for (const auto& list : {pairwise_conv_settings(), chosen_conv_settings()})
    for (const ConvSetting& s : list)
      for (int axis = 0; axis < 2; ++axis) {
        const std::int64_t span = (s.small[axis] - 1) * s.stride[axis] + s.output_padding[axis];  // H + 2p - d(k-1) - 1
        if (span % s.stride[axis] != 0) ++inexact;
        if (s.output_padding[axis] >= s.stride[axis]) ++beyond;
      }
  CHECK(inexact >= 10);
  CHECK(beyond >= 10);
}

TEST_CASE("the triple in two dimensions is sampled fifty times, to third order") {
  for (const char* name : {"conv2d", "conv_transpose2d", "conv2d_weight"}) {
    const auto samples = find_op(name)->samples();
    CHECK(samples.size() >= 50);
    for (const Sample& sample : samples) CHECK(sample.order == 3);
  }
}
