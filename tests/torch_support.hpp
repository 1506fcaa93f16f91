// What the tests of weights that cross to PyTorch share.
#pragma once

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <string>

#include <duet/core/safetensors.hpp>

#include "data/support.hpp"

namespace duet::test {

/// A Python that has PyTorch; empty, and said aloud, if there is none.
inline std::string python_with_torch() {
  for (const char* python : {"python3", "/usr/bin/python3"})
    if (std::system((std::string(python) + " -c 'import torch' >/dev/null 2>&1").c_str()) == 0) return python;
  std::puts("skipped: no Python with PyTorch (Debian: apt install python3-torch)");
  return {};
}

/// What a script of examples/python makes of `x` by the weights in a file.
inline Tensor output_there(const std::string& script, const TemporaryFolder& folder, const std::string& weights,
                           const Tensor& x) {
  save_safetensors(folder / "input.safetensors", {{"input", x}});
  const std::string command =
      script + "predict " + weights + " " + folder / "input.safetensors" + " " + folder / "output.safetensors";
  REQUIRE(std::system(command.c_str()) == 0);
  return load_safetensors(folder / "output.safetensors").find("output");
}

inline double largest_difference(const Tensor& a, const Tensor& b) {
  REQUIRE(a.shape() == b.shape());
  double largest = 0;
  const auto x = a.to_vector(), y = b.to_vector();
  for (std::size_t i = 0; i < x.size(); ++i) largest = std::max(largest, std::abs(x[i] - y[i]));
  return largest;
}

}  // namespace duet::test
